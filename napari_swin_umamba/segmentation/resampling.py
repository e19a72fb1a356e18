"""Planes at the pixel size of the training images, and results back on the image's own grid.

As nnU-Net resamples (``default_resampling.py``): cubic for images, linear for logits,
``skimage.transform.resize`` with its corners aligned to pixel edges; ours smooths before it
shrinks, since an image many times finer would alias.
"""

from __future__ import annotations

from math import inf

import numpy as np
from skimage.measure import label
from skimage.transform import resize

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.units import same_length_factor
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.segmentation.numbering import number_in_order

__all__ = [
    "check_scaling",
    "resampled_shape",
    "resize_labels",
    "resize_objects",
    "resize_plane",
    "shape_by_objects",
]

_LARGEST_PLANE = 2**28
"""Pixels of a resampled plane: 1 GB for each channel."""


def resampled_shape(
    shape: tuple[int, int],
    spacing: tuple[float, float] | None,
    unit: str | None,
    plan: Plan,
) -> tuple[int, int]:
    """Rows and columns of a plane once its pixels are as large as those of the training images.

    Parameters
    ----------
    shape
        Rows and columns.
    spacing
        Row and column spacing in `unit`; None if not known.
    unit
        As :mod:`napari_swin_umamba.images.units` knows it; None: that of the plan.
    plan
        With the spacing of the training images.

    Raises
    ------
    InputError
        One of the two spacings is not known, or the plane would become unreasonably large.
    """
    if plan.spacing is None:
        raise InputError(
            "the model does not say how large the pixels of its training images were, so images "
            "cannot be brought to that size; switch resampling off (--no-resample)"
        )
    if spacing is None:
        raise InputError(
            "the size of the image's pixels is not known, so it cannot be brought to that of the "
            f"training images ({plan.spacing[1]:g} {plan.unit or ''}); say the spacing or switch "
            "resampling off (--no-resample)"
        )
    factor = same_length_factor(unit, plan.unit)
    sizes = [
        size * own * factor / wanted
        for size, own, wanted in zip(shape, spacing, plan.spacing, strict=True)
    ]
    if not 0 < sizes[0] * sizes[1] < inf or sizes[0] * sizes[1] > _LARGEST_PLANE:
        raise InputError(
            f"at the pixel size of the training images a plane of {shape[0]} x {shape[1]} pixels "
            f"would have {sizes[0]:.3g} x {sizes[1]:.3g}; is the spacing right? Or switch "
            "resampling off (--no-resample)"
        )
    return max(1, round(sizes[0])), max(1, round(sizes[1]))


def shape_by_objects(shape: tuple[int, int], diameter: float, plan: Plan) -> tuple[int, int]:
    """Rows and columns of a plane once its objects are as large as those of the training images.

    Parameters
    ----------
    shape
        Rows and columns.
    diameter
        Of typical objects in the plane, in its pixels.
    plan
        With the diameter of the training objects: see :func:`check_scaling`.

    Raises
    ------
    InputError
        The plane would become unreasonably large.
    """
    assert plan.object_diameter is not None
    factor = plan.object_diameter / diameter
    if shape[0] * shape[1] * factor**2 > _LARGEST_PLANE:
        raise InputError(
            f"objects of {diameter:g} pixels would be enlarged {factor:.3g} times, to a plane of "
            f"{shape[0] * factor:.3g} x {shape[1] * factor:.3g} pixels; is the diameter right? "
            "(--object-diameter)"
        )
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))


def check_scaling(diameter: float | None, resample: bool | None, plan: Plan | None = None) -> None:
    """Say why planes cannot be scaled by the size of their objects.

    Parameters
    ----------
    diameter
        In pixels; None: they are not scaled by it, and nothing is wrong.
    resample
        Whether they are scaled by the size of their pixels; None: if the plan says so, and no
        diameter is given.
    plan
        Of the model, if it is known yet.

    Raises
    ------
    InputError
        Both are wanted, the diameter is out of range, or the model knows no size of objects.
    """
    if diameter is None:
        return
    if resample:
        raise InputError(
            "give either the objects' diameter or resampling: both scale the image "
            "(--object-diameter, --resample)"
        )
    if not 0 < diameter < inf:
        raise InputError(
            f"the objects' diameter must be a positive number of pixels, not {diameter:g} "
            "(--object-diameter)"
        )
    if plan is not None and plan.object_diameter is None:
        raise InputError(
            "the model does not say how large its training objects were, so images cannot be "
            "scaled by the size of their objects; leave it out (--object-diameter)"
        )


def resize_plane(values: np.ndarray, shape: tuple[int, int], order: int) -> np.ndarray:
    """Interpolate planes to other rows and columns.

    Parameters
    ----------
    values
        ``(C, Y, X)``, float32.
    shape
        Rows and columns wanted.
    order
        Of the spline: 3 for images, 1 for logits.

    Returns
    -------
    np.ndarray
        ``(C, *shape)``, float32; `values` itself if that is their shape.
    """
    if values.shape[1:] == shape:
        return values
    shrinks = shape[0] < values.shape[1] or shape[1] < values.shape[2]
    out = np.empty((len(values), *shape), np.float32)
    for channel, target in zip(values, out, strict=True):
        target[:] = resize(
            channel, shape, order, mode="edge", anti_aliasing=order == 3 and shrinks, clip=True
        )
    return out


def resize_labels(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring labels ``(Y, X)`` to other rows and columns; each pixel takes its nearest label."""
    if labels.shape == shape:
        return labels
    index = [
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
        for old, new in zip(labels.shape, shape, strict=True)
    ]
    resized: np.ndarray = labels[np.ix_(*index)]
    return resized


def resize_objects(objects: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bring numbered objects to other rows and columns.

    Parameters
    ----------
    objects
        ``(Y, X)``: 0 background, objects 1, 2, ..., each in one piece.
    shape
        Rows and columns wanted.

    Returns
    -------
    np.ndarray
        `shape`, int32. Where pixels become fewer, a thin object may fall into pieces, of which the
        largest stays, or between pixels: so numbers are given anew, in the order of first pixels.
    """
    resized = resize_labels(objects, shape)
    if objects.shape[0] <= shape[0] and objects.shape[1] <= shape[1]:
        return resized
    pieces = label(resized, background=0, connectivity=1)
    sizes = np.bincount(pieces.ravel())
    owners = np.zeros(len(sizes), resized.dtype)
    owners[pieces.ravel()] = resized.ravel()
    sizes[0] = 0
    # Of values assigned to one place the last stays: the largest, of equals the first piece.
    rising = np.lexsort((-np.arange(len(sizes)), sizes))
    largest = np.zeros(int(owners.max()) + 1, np.intp)
    largest[owners[rising]] = rising
    return number_in_order(np.where(largest[resized] == pieces, resized, 0))
