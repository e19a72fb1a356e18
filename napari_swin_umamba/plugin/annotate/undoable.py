"""Changes of an annotation as one step of napari's undo."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels

__all__ = ["change_values"]


def change_values(layer: Labels, parts: list[tuple[tuple[Any, ...], np.ndarray]]) -> int:
    """Put values into a layer; one undo takes them all back.

    Parameters
    ----------
    layer
        That is painted on.
    parts
        Index into the layer's data (numbers and slices), and what it shall hold there.

    Returns
    -------
    int
        Number of pixels that changed.
    """
    places: list[tuple[np.ndarray, ...]] = []
    values: list[np.ndarray] = []
    for index, wanted in parts:
        now = np.asarray(layer.data[index])
        changed = np.nonzero(now != wanted)
        if not changed[0].size:
            continue
        values.append(np.asarray(wanted)[changed])
        places.append(_whole_index(layer.data.shape, index, changed))
    if not places:
        return 0
    joined = tuple(np.concatenate(column) for column in zip(*places, strict=True))
    layer.data_setitem(joined, np.concatenate(values).astype(layer.data.dtype))
    return int(joined[0].size)


def _whole_index(
    shape: tuple[int, ...], index: tuple[Any, ...], changed: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, ...]:
    """Positions in a part as positions in the whole."""
    free, whole = iter(changed), []
    for axis, place in enumerate(index):
        if isinstance(place, slice):
            start, _, step = place.indices(shape[axis])
            whole.append(next(free) * step + start)
        else:
            whole.append(np.full(changed[0].shape, place, np.intp))
    return tuple(whole)
