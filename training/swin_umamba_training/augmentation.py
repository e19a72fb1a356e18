"""Random changes of a training patch, each drawn from the generator it is given.

A patch is cut out of its image by one affine map, so a turned patch shows what lies beyond its
corners instead of padding. Ranges are nnU-Net's (its ``DefaultTrainer``), which the paper used.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import csr_array

from swin_umamba_training.recipe import AugmentationConfig
from swin_umamba_training.targets import IGNORE

__all__ = ["augment_intensity", "cut_patch", "mirror"]

Patch = tuple[NDArray[np.float32], NDArray[np.int32]]

_ELONGATED = 1.5
"""Ratio of a patch's sides above which it is turned by small angles only (nnU-Net)."""


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
        little = config.orientation == "fixed" or max(size) > _ELONGATED * min(size)
        largest = min(config.rotation, config.elongated_rotation) if little else config.rotation
        angle = float(np.deg2rad(rng.uniform(-largest, largest)))
    if rng.random() < config.scale_probability:
        scale = float(np.log(_factor(config.scale, rng)))
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


def _factor(limits: tuple[float, float], rng: Generator) -> float:
    """A factor, as likely below 1 as above: nnU-Net's choice for scale, contrast and gamma."""
    low, high = limits
    if low < 1 < high:
        return float(rng.uniform(low, 1) if rng.random() < 0.5 else rng.uniform(1, high))
    return float(rng.uniform(low, high))


def mirror(
    image: NDArray[np.float32],
    labels: NDArray[np.int32],
    config: AugmentationConfig,
    rng: Generator,
) -> Patch:
    """Flip along each axis with probability 1/2, and perhaps turn a square patch by right angles.

    Neither where all images lie the same way.

    Parameters
    ----------
    image, labels
        ``(C, Y, X)`` and ``(Y, X)``.
    config
        Which of both.
    rng
        Source of chance.
    """
    if config.orientation == "fixed":
        return image, labels
    if config.mirror:
        flips = tuple(axis for axis in (0, 1) if rng.random() < 0.5)
        labels = np.flip(labels, flips)
        image = np.flip(image, tuple(axis + 1 for axis in flips))
    square = labels.shape[0] == labels.shape[1]
    if config.right_angles and square and rng.random() < 0.5:
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
        Probabilities and ranges.
    rng
        Source of chance.

    Returns
    -------
    ndarray
        ``(C, Y, X)``, float32; `image` itself is left as it is.
    """
    if rng.random() < config.noise_probability:
        sigma = np.float32(np.sqrt(rng.uniform(0, config.noise_variance)))
        image = image + sigma * rng.standard_normal(image.shape, np.float32)
    if rng.random() < config.blur_probability:
        image = _some(image, config, rng, lambda channel: _blur(channel, rng.uniform(*config.blur)))
    if rng.random() < config.brightness_probability:
        image = image * np.float32(rng.uniform(*config.brightness))
    if rng.random() < config.contrast_probability:
        image = _contrast(image, _factor(config.contrast, rng))
    if rng.random() < config.low_resolution_probability:
        image = _some(
            image, config, rng, lambda channel: _low_resolution(channel, rng.uniform(*config.zoom))
        )
    if rng.random() < config.inverted_gamma_probability:
        image = -_gamma(-image, _factor(config.gamma, rng))
    if rng.random() < config.gamma_probability:
        image = _gamma(image, _factor(config.gamma, rng))
    return image.astype(np.float32, copy=False)


def _some(
    image: NDArray[np.float32],
    config: AugmentationConfig,
    rng: Generator,
    change: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Change each channel with probability ``per_channel``, with strengths of its own."""
    return np.stack(
        [change(channel) if rng.random() < config.per_channel else channel for channel in image]
    )


def _blur(channel: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    blurred: NDArray[np.float32] = ndimage.gaussian_filter(channel, sigma)
    return blurred


def _contrast(image: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Stretch about each channel's mean, kept within its former range."""
    mean = image.mean((1, 2), keepdims=True)
    low, high = image.min((1, 2), keepdims=True), image.max((1, 2), keepdims=True)
    stretched: NDArray[np.float32] = np.clip((image - mean) * factor + mean, low, high)
    return stretched


def _low_resolution(channel: NDArray[np.float32], zoom: float) -> NDArray[np.float32]:
    """Sample ``(Y, X)`` coarsely and enlarge again, by a cubic spline as nnU-Net."""
    height, width = channel.shape
    rows, columns = (max(4, round(extent * zoom)) for extent in (height, width))
    coarse = channel[np.ix_(_nearest(height, rows), _nearest(width, columns))]
    # Separable: two products with sparse matrices, instead of a spline at every pixel. Not dense
    # ones: the rounding of BLAS depends on its threads, and patches must not.
    tall = _enlargement(height, rows) @ coarse
    return np.ascontiguousarray((_enlargement(width, columns) @ tall.T).T)


def _nearest(extent: int, count: int) -> NDArray[np.intp]:
    """Pixels at the middles of `count` equal parts."""
    return np.floor((np.arange(count) + 0.5) * extent / count).astype(np.intp)


def _enlargement(extent: int, count: int) -> csr_array:
    """Matrix ``(extent, count)`` that interpolates `count` samples cubically (Catmull-Rom)."""
    at = np.clip((np.arange(extent) + 0.5) * count / extent - 0.5, 0, count - 1)
    first = np.floor(at).astype(int)
    t = at - first
    weights = (
        *(((-t + 2) * t - 1) * t / 2, ((3 * t - 5) * t * t + 2) / 2),
        *(((-3 * t + 4) * t + 1) * t / 2, (t - 1) * t * t / 2),
    )
    columns = np.clip(first[:, None] + np.arange(-1, 3), 0, count - 1)
    values = np.stack(weights, axis=1).astype(np.float32)
    starts = np.arange(0, 4 * extent + 1, 4)
    return csr_array((values.ravel(), columns.ravel(), starts), shape=(extent, count))


def _gamma(image: NDArray[np.float32], gamma: float) -> NDArray[np.float32]:
    """Gamma curve over each channel's range; mean and standard deviation are kept."""
    low = image.min((1, 2), keepdims=True)
    extent = np.maximum(image.max((1, 2), keepdims=True) - low, 1e-7)
    mean, std = image.mean((1, 2), keepdims=True), image.std((1, 2), keepdims=True)
    curved = ((image - low) / extent) ** np.float32(gamma) * extent + low
    spread = np.maximum(curved.std((1, 2), keepdims=True), 1e-7)
    kept: NDArray[np.float32] = (curved - curved.mean((1, 2), keepdims=True)) / spread * std + mean
    return kept
