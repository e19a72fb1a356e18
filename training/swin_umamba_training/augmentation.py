"""Random changes of a training patch, each drawn from the generator it is given.

A patch is cut out of its image by one affine map, so a turned patch shows what lies beyond its
corners instead of padding. Ranges are nnU-Net's (its ``DefaultTrainer``), which the paper used.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from swin_umamba_training.config import AugmentationConfig
from swin_umamba_training.targets import IGNORE

__all__ = ["augment_intensity", "cut_patch", "mirror"]

Patch = tuple[NDArray[np.float32], NDArray[np.int32]]

_NOISE_VARIANCE = 0.1
_BLUR_SIGMA = (0.5, 1.0)
_FACTOR = (0.75, 1.25)  # of brightness and contrast
_ZOOM = (0.5, 1.0)
_GAMMA = (0.7, 1.5)


def cut_patch(
    image: NDArray[np.float32],
    labels: NDArray[np.int32],
    centre: tuple[float, float],
    size: tuple[int, int],
    config: AugmentationConfig,
    rng: Generator,
) -> Patch:
    """Cut a patch out of an image, sometimes turned or scaled.

    Parameters
    ----------
    image, labels
        ``(C, Y, X)`` and ``(Y, X)``.
    centre
        Row and column of the patch's middle.
    size
        Height and width of the patch.
    config
        Probabilities and ranges.
    rng
        Source of chance.

    Returns
    -------
    tuple
        Image ``(C, *size)``, 0 beyond the edge; labels ``size``, there :data:`IGNORE`.
    """
    angle = scale = 0.0
    if rng.random() < config.rotation_probability:
        angle = float(np.deg2rad(rng.uniform(-config.rotation, config.rotation)))
    if rng.random() < config.scale_probability:
        scale = float(np.log(rng.uniform(*config.scale)))
    if angle == 0.0 and scale == 0.0:
        return _crop(image, labels, centre, size)
    cos, sin = np.cos(angle), np.sin(angle)
    # From patch to image coordinates: objects grow where fewer image pixels fill the patch.
    matrix = np.array([[cos, -sin], [sin, cos]]) / np.exp(scale)
    offset = np.asarray(centre) - matrix @ ((np.asarray(size) - 1) / 2)
    warp = {"matrix": matrix, "offset": offset, "output_shape": size, "mode": "constant"}
    turned = np.stack([ndimage.affine_transform(channel, order=1, **warp) for channel in image])
    return turned, ndimage.affine_transform(labels, order=0, cval=IGNORE, **warp)


def _crop(
    image: NDArray[np.float32],
    labels: NDArray[np.int32],
    centre: tuple[float, float],
    size: tuple[int, int],
) -> Patch:
    """Patch without interpolation, padded where it reaches beyond the image."""
    patch = np.zeros((image.shape[0], *size), np.float32)
    target = np.full(size, IGNORE, np.int32)
    source, place = [], []
    for middle, length, extent in zip(centre, size, labels.shape, strict=True):
        start = round(middle - (length - 1) / 2)
        low, high = max(start, 0), min(start + length, extent)
        source.append(slice(low, max(low, high)))
        place.append(slice(low - start, max(low, high) - start))
    patch[:, *place] = image[:, *source]
    target[tuple(place)] = labels[tuple(source)]
    return patch, target


def mirror(image: NDArray[np.float32], labels: NDArray[np.int32], rng: Generator) -> Patch:
    """Flip along each axis with probability 1/2, and turn a square patch by right angles.

    Parameters
    ----------
    image, labels
        ``(C, Y, X)`` and ``(Y, X)``.
    rng
        Source of chance.
    """
    flips = tuple(axis for axis in (0, 1) if rng.random() < 0.5)
    labels = np.flip(labels, flips)
    image = np.flip(image, tuple(axis + 1 for axis in flips))
    if labels.shape[0] == labels.shape[1] and rng.random() < 0.5:
        labels, image = labels.T, image.transpose(0, 2, 1)
    return np.ascontiguousarray(image), np.ascontiguousarray(labels)


def augment_intensity(
    image: NDArray[np.float32], config: AugmentationConfig, rng: Generator
) -> NDArray[np.float32]:
    """Change a patch's intensities: noise, blur, brightness, contrast, low resolution, gamma.

    Parameters
    ----------
    image
        ``(C, Y, X)``, normalised.
    config
        Probabilities.
    rng
        Source of chance.

    Returns
    -------
    ndarray
        ``(C, Y, X)``, float32; `image` itself is left as it is.
    """
    if rng.random() < config.noise_probability:
        sigma = np.sqrt(rng.uniform(0, _NOISE_VARIANCE))
        image = image + sigma * rng.standard_normal(image.shape, np.float32)
    if rng.random() < config.blur_probability:
        image = ndimage.gaussian_filter(image, (0, *[rng.uniform(*_BLUR_SIGMA)] * 2))
    if rng.random() < config.brightness_probability:
        image = image * rng.uniform(*_FACTOR)
    if rng.random() < config.contrast_probability:
        image = _contrast(image, rng.uniform(*_FACTOR))
    if rng.random() < config.low_resolution_probability:
        image = _low_resolution(image, rng.uniform(*_ZOOM))
    if rng.random() < config.inverted_gamma_probability:
        image = -_gamma(-image, rng.uniform(*_GAMMA))
    if rng.random() < config.gamma_probability:
        image = _gamma(image, rng.uniform(*_GAMMA))
    return image.astype(np.float32, copy=False)


def _contrast(image: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Stretch about each channel's mean, kept within its former range."""
    mean = image.mean((1, 2), keepdims=True)
    low, high = image.min((1, 2), keepdims=True), image.max((1, 2), keepdims=True)
    stretched: NDArray[np.float32] = np.clip((image - mean) * factor + mean, low, high)
    return stretched


def _low_resolution(image: NDArray[np.float32], zoom: float) -> NDArray[np.float32]:
    """Sample coarsely and enlarge again."""
    height, width = image.shape[1:]
    rows = np.round(np.linspace(0, height - 1, max(2, round(height * zoom)))).astype(int)
    columns = np.round(np.linspace(0, width - 1, max(2, round(width * zoom)))).astype(int)
    coarse = image[:, rows][:, :, columns]
    grid = np.ix_(np.linspace(0, len(rows) - 1, height), np.linspace(0, len(columns) - 1, width))
    at = np.broadcast_arrays(*grid)
    return np.stack([ndimage.map_coordinates(channel, at, order=1) for channel in coarse])


def _gamma(image: NDArray[np.float32], gamma: float) -> NDArray[np.float32]:
    """Gamma curve over each channel's range; mean and standard deviation are kept."""
    low = image.min((1, 2), keepdims=True)
    extent = np.maximum(image.max((1, 2), keepdims=True) - low, 1e-7)
    mean, std = image.mean((1, 2), keepdims=True), image.std((1, 2), keepdims=True)
    curved = ((image - low) / extent) ** gamma * extent + low
    spread = np.maximum(curved.std((1, 2), keepdims=True), 1e-7)
    kept: NDArray[np.float32] = (curved - curved.mean((1, 2), keepdims=True)) / spread * std + mean
    return kept
