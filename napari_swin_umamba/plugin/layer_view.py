"""A layer and the slice of it that the viewer shows, as plain values.

Everything that depends on napari's coordinates is here; the rest of the plugin works on
:class:`LayerView`. Nothing is imported from napari: any object with the same attributes will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["LayerView", "Window", "data_to_world", "view_of_layer"]


Window = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class LayerView:
    """What an image layer holds and which part of it is on screen."""

    name: str
    shape: tuple[int, ...]
    """Size along each axis, without the colour axis of an RGB layer."""
    dtype: np.dtype[Any]
    colours: int
    """Samples of the colour axis: 0 (not an RGB layer), 3 (RGB) or 4 (RGBA)."""
    axis_labels: tuple[str, ...]
    """napari's labels of the axes; ``"-1"``, ``"-2"``, ... where nobody named them."""
    spacing: tuple[float, ...]
    """Distance between neighbouring pixels along each axis, in ``units``."""
    units: tuple[str, ...]
    """Unit of ``spacing`` along each axis; ``"pixel"`` where unknown."""
    order: tuple[int, ...]
    """The layer's axes in the viewer's order: the last two are shown as rows and columns."""
    index: tuple[int, ...]
    """Position shown along each axis, clipped to the layer."""
    in_view: bool
    """False if the viewer stands beside the layer, so that none of it is shown."""
    in_3d: bool = False
    """The viewer shows volumes, not slices; ``index`` is what its sliders had in 2D."""
    skew: tuple[tuple[float, ...], ...] = ()
    """Cosines of the angles between the axes in the world, (n, n); empty: right angles."""
    stored_order: tuple[int, ...] = ()
    """For each axis in space, z first, which axis of its file it is, 0 the fastest; empty: not
    known (see ``images.StoredGrid``)."""
    single_precision: bool = False
    """Its file keeps the spacing as 32-bit numbers, as NIfTI does."""
    directions: tuple[int, ...] = ()
    """1 or -1 for each axis: which way it runs along the world's."""
    visible: Window | None = None
    """First and behind-the-last row, first and behind-the-last column of what is inside the
    canvas, counted on the finest level; None if that is everything, nothing or not known."""


def view_of_layer(layer: Any, dims: Any) -> LayerView:
    """Describe a napari layer of an image or of labels as the viewer shows it.

    Parameters
    ----------
    layer : napari.layers.Image
        The layer; of a multiscale layer the finest level counts.
    dims : napari.components.Dims
        The viewer's dimensions (``viewer.dims``).
    """
    data = layer.data[0] if layer.multiscale else layer.data
    ndim = layer.ndim
    shape = tuple(int(size) for size in data.shape[:ndim])
    position = _position_shown(layer, dims)
    rounded = np.round(position).astype(int)
    order = _layer_order(tuple(dims.order), ndim)
    beside = [not 0 <= rounded[axis] < shape[axis] for axis in order[:-2] if shape[axis] > 0]
    matrix = data_to_world(layer)
    return LayerView(
        name=layer.name,
        shape=shape,
        dtype=np.dtype(data.dtype),
        colours=int(data.shape[-1]) if getattr(layer, "rgb", False) else 0,
        axis_labels=tuple(layer.axis_labels),
        spacing=tuple(float(step) for step in np.linalg.norm(matrix[:ndim, :ndim], axis=0)),
        units=tuple(str(unit) for unit in layer.units),
        order=order,
        index=tuple(
            int(np.clip(rounded[axis], 0, max(shape[axis] - 1, 0))) for axis in range(ndim)
        ),
        in_view=not any(beside),
        in_3d=dims.ndisplay == 3,
        skew=_cosines(matrix[:ndim, :ndim]),
        stored_order=tuple(layer.metadata.get("stored_order", ())),
        single_precision=bool(layer.metadata.get("nifti", False)),
        directions=tuple(-1 if step < 0 else 1 for step in np.diagonal(matrix)[:ndim]),
        visible=None if dims.ndisplay == 3 else _visible(layer, shape, order),
    )


def _visible(layer: Any, shape: tuple[int, ...], order: tuple[int, ...]) -> Window | None:
    """What of the plane shown is inside the canvas: napari keeps its corners for each layer."""
    axes = sorted(order[-2:])
    if len(axes) < 2:
        return None
    factors = np.ones(layer.ndim)
    if layer.multiscale:
        factors = np.asarray(layer.downsample_factors)[layer.data_level]
    first, last = np.asarray(layer.corner_pixels) * factors
    spans = []
    for axis in axes:
        start = max(0, int(first[axis]))
        spans.append((start, min(shape[axis], int(last[axis] + factors[axis]))))
    (top, bottom), (left, right) = spans
    if bottom - top < 2 or right - left < 2:
        return None  # no canvas has drawn the layer, or it is outside of it
    if (bottom - top, right - left) == (shape[axes[0]], shape[axes[1]]):
        return None
    return (top, bottom), (left, right)


def data_to_world(layer: Any) -> np.ndarray:
    """Matrix (ndim + 1, ndim + 1) that takes data coordinates to world coordinates."""
    ndim = layer.ndim
    matrix = np.eye(ndim + 1)
    origin = np.asarray(layer.data_to_world(np.zeros(ndim)), dtype=float)
    for axis in range(ndim):
        step = np.asarray(layer.data_to_world(np.eye(ndim)[axis]), dtype=float)
        matrix[:ndim, axis] = step - origin
    matrix[:ndim, ndim] = origin
    return matrix


def _cosines(matrix: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Cosines of the angles between the columns; empty if these are at right angles."""
    directions = matrix / np.linalg.norm(matrix, axis=0)
    cosines = directions.T @ directions
    if np.allclose(cosines, np.eye(len(cosines)), atol=1e-6):
        return ()
    return tuple(tuple(float(value) for value in row) for row in cosines)


def _layer_order(order: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    """The viewer's axis order, for the axes that the layer has: those counted from the last."""
    offset = len(order) - ndim
    return tuple(axis - offset for axis in order if axis >= offset)


def _position_shown(layer: Any, dims: Any) -> np.ndarray:
    """Data coordinates (ndim,) of what is shown; meaningful for the axes that have a slider.

    The same rule as napari's own slicing: only the block of the inverse transform that belongs to
    the axes with a slider counts, so an oblique affine yields the slice that is on screen.
    """
    ndim = layer.ndim
    order = _layer_order(tuple(dims.order), ndim)
    hidden = sorted(order[:-2])
    position = np.zeros(ndim)
    if hidden:
        point = np.asarray(dims.point, dtype=float)[-ndim:] * _unit_factors(layer, dims)
        inverse = np.linalg.inv(data_to_world(layer))
        block = inverse[np.ix_(hidden, hidden)]
        position[hidden] = block @ point[hidden] + inverse[hidden, ndim]
    return position


def _unit_factors(layer: Any, dims: Any) -> np.ndarray:
    """What to multiply world coordinates with to get them in the layer's own units, (ndim,)."""
    units = getattr(dims, "units", None)  # napari before 0.7 has none
    if units is None or len(units) < layer.ndim:
        return np.ones(layer.ndim)
    world = units[-layer.ndim :]
    return np.array(
        [
            float((1 * here).to(there).magnitude) if here.is_compatible_with(there) else 1.0
            for here, there in zip(world, layer.units, strict=True)
        ]
    )
