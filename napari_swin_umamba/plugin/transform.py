"""Where the Labels layer sits: the image's transform, without its channel axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_swin_umamba.plugin.layer_view import data_to_world

__all__ = ["matrix_of_transform", "move_layer", "result_transform", "same_place"]


def result_transform(
    layer: Any, kept_axes: Sequence[int], offset: Sequence[float] | None = None
) -> dict[str, Any]:
    """Arguments that give a new layer the place of an existing one.

    Parameters
    ----------
    layer : napari.layers.Layer
        The image.
    kept_axes : sequence of int
        Its axes that the new layer has too.
    offset : sequence of float, optional
        Position in the image, in pixels along the kept axes, of the new layer's first pixel.

    Returns
    -------
    dict
        ``scale``, ``translate``, ``rotate``, ``shear``, ``affine``, ``units`` and
        ``axis_labels`` for the constructor of a layer.
    """
    kept = list(kept_axes)
    block = np.ix_(kept, kept)
    scale = np.asarray(layer.scale)[kept]
    rotate = _rotation(layer)[block]
    shear = _shear(layer)[block]
    translate = np.asarray(layer.translate)[kept]
    if offset is not None:
        # napari composes its first transform in this order: rotate, shear, scale.
        translate = translate + rotate @ shear @ np.diag(scale) @ np.asarray(offset, dtype=float)
    corners = [*kept, layer.ndim]
    return {
        "scale": scale,
        "translate": translate,
        "rotate": rotate,
        "shear": shear,
        "affine": np.asarray(layer.affine.affine_matrix)[np.ix_(corners, corners)],
        "units": tuple(layer.units[axis] for axis in kept),
        "axis_labels": tuple(layer.axis_labels[axis] for axis in kept),
    }


def matrix_of_transform(transform: dict[str, Any]) -> np.ndarray:
    """Matrix (ndim + 1, ndim + 1) from data to world of a layer made with a transform.

    What ``data_to_world`` says of the layer itself, which takes 20 ms to make.

    Parameters
    ----------
    transform
        From :func:`result_transform`.
    """
    ndim = len(transform["scale"])
    matrix = np.eye(ndim + 1)
    matrix[:ndim, :ndim] = transform["rotate"] @ transform["shear"] @ np.diag(transform["scale"])
    matrix[:ndim, ndim] = transform["translate"]
    return np.asarray(transform["affine"] @ matrix)


def same_place(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two of :func:`result_transform`'s put a layer at the same place."""
    return bool(one["units"] == other["units"]) and np.array_equal(
        matrix_of_transform(one), matrix_of_transform(other)
    )


def move_layer(layer: Any, transform: dict[str, Any]) -> None:
    """Put a layer where :func:`result_transform` says, if it is elsewhere."""
    if tuple(layer.units) == transform["units"] and np.allclose(
        data_to_world(layer), matrix_of_transform(transform)
    ):
        return
    for name, value in transform.items():
        setattr(layer, name, value)


def _rotation(layer: Any) -> np.ndarray:
    """Rotation matrix (ndim, ndim)."""
    return np.asarray(layer.rotate, dtype=float)


def _shear(layer: Any) -> np.ndarray:
    """Shear matrix (ndim, ndim); napari hands out the entries above the diagonal."""
    shear = np.asarray(layer.shear, dtype=float)
    if shear.ndim == 2:
        return shear
    matrix = np.eye(layer.ndim)
    matrix[np.triu_indices(layer.ndim, k=1)] = shear
    return matrix
