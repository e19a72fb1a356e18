"""Which slices a change of a Labels layer touches. Without napari.

What napari keeps of a stroke differs between its versions: a box with a mask (``slice_key``), or
indices with values before and after. Both say where, and that is all that is asked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import numpy as np

from napari_swin_umamba.project import ImageReference
from napari_swin_umamba.project.annotation import Position

__all__ = ["fixed_axes_of", "position_of", "slice_index", "touched_slices"]


def fixed_axes_of(image: ImageReference) -> tuple[int, ...]:
    """Axes of the annotation's array along which a slice has one place."""
    return tuple(image.label_axes.index(axis) for axis in image.fixed_axes)


def slice_index(image: ImageReference, position: Position) -> tuple[int | slice, ...]:
    """Index of a slice in the annotation's array; what it yields has rows, then columns.

    Parameters
    ----------
    image
        The grid.
    position
        Which slice.
    """
    index: list[int | slice] = [slice(None)] * len(image.label_axes)
    for axis, place in zip(fixed_axes_of(image), position, strict=True):
        index[axis] = place
    return tuple(index)


def position_of(image: ImageReference, place: Sequence[int]) -> Position:
    """Position of the slice that a pixel lies in.

    Parameters
    ----------
    image
        The grid.
    place
        Index into the annotation's array.
    """
    return tuple(int(place[axis]) for axis in fixed_axes_of(image))


def touched_slices(image: ImageReference, atoms: Iterable[Any]) -> set[Position]:
    """Slices in which a stroke changed something, whichever way the brush went through them.

    Parameters
    ----------
    image
        The grid.
    atoms
        Parts of the stroke, as ``Labels.events.paint`` and the history of a layer have them.
    """
    axes, shape = fixed_axes_of(image), image.label_shape
    if not axes:
        return {()}
    found: set[Position] = set()
    for atom in atoms:
        box = getattr(atom, "slice_key", None)
        where = tuple(box if box is not None else atom[0])
        places = [where[axis] for axis in axes]
        if any(isinstance(place, slice) for place in places):
            spans = (_span(place, shape[axis]) for axis, place in zip(axes, places, strict=True))
            found.update(product(*spans))
        else:
            columns = np.broadcast_arrays(*(np.atleast_1d(place) for place in places))
            rows = np.unique(np.stack([column.ravel() for column in columns], axis=1), axis=0)
            found.update(tuple(int(value) for value in row) for row in rows)
    return found


def _span(place: Any, size: int) -> list[int]:
    if isinstance(place, slice):
        return list(range(*place.indices(size)))
    return [int(value) for value in np.unique(np.asarray(place))]
