"""Which numbers objects get in a layer that holds others: no two share one, and they stay."""

from __future__ import annotations

import numpy as np

from napari_swin_umamba.plugin.result_layer import Index

__all__ = ["largest_number_elsewhere", "numbered_like", "same_objects"]


def largest_number_elsewhere(data: np.ndarray, index: Index) -> int:
    """Return the largest label outside a slice, so that objects of all slices stay apart."""
    largest = 0
    for position, place in enumerate(index):
        if isinstance(place, slice):
            continue
        # All but the slice as views: what lies before and behind it along each fixed axis.
        for part in (slice(0, place), slice(place + 1, None)):
            slab = data[(*index[:position], part)]
            largest = max(largest, int(slab.max(initial=0)))
    return largest


def same_objects(current: np.ndarray, found: np.ndarray) -> bool:
    """Whether a slice shows the objects found already, under whatever numbers.

    Parameters
    ----------
    current, found : (rows, columns)
        Object numbers, 0 for the background. Two objects found may have one number in `current`: in
        a volume they may be one.
    """
    inside = found > 0
    if not np.array_equal(current > 0, inside):
        return False
    pairs = np.unique(np.stack([found[inside], current[inside]]), axis=1)
    return len(np.unique(pairs[0])) == pairs.shape[1]


def numbered_like(current: np.ndarray, found: np.ndarray, largest: int) -> np.ndarray:
    """Give objects the numbers of those they replace.

    Parameters
    ----------
    current, found : (rows, columns)
        Object numbers, 0 for the background.
    largest
        The largest number in use: objects that replace none are counted from it.

    Returns
    -------
    np.ndarray, (rows, columns), dtype of `current`
        `found` under other numbers. Each number of `current` goes to the object that shares most
        pixels with it.
    """
    count = int(found.max(initial=0))
    numbers = np.zeros(count + 1, current.dtype)
    both = (found > 0) & (current > 0)
    pairs, shared = np.unique(np.stack([found[both], current[both]]), axis=1, return_counts=True)
    taken: set[int] = set()
    for place in np.argsort(-shared, kind="stable"):
        new, old = int(pairs[0, place]), int(pairs[1, place])
        if not numbers[new] and old not in taken:
            numbers[new] = old
            taken.add(old)
    without = np.flatnonzero(numbers[1:] == 0) + 1
    numbers[without] = largest + 1 + np.arange(len(without))
    return np.asarray(numbers[found])
