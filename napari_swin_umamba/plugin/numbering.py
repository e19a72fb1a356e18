"""Which numbers objects get in a layer that holds others: no two share one, and they stay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_swin_umamba.plugin.result_layer import Index

__all__ = [
    "Beside",
    "FreeNumbers",
    "largest_number_elsewhere",
    "numbered_beside",
    "numbered_like",
    "same_objects",
]


@dataclass(frozen=True, eq=False)
class Beside:
    """A layer that objects of one slice are to be put into."""

    data: np.ndarray
    """All of it: object numbers."""
    index: Index
    """Of the slice."""
    known: bool
    """The slice holds an earlier result."""


def numbered_beside(beside: Beside, found: np.ndarray) -> np.ndarray:
    """Number the objects of a slice: no two in the layer share one, and known ones keep theirs.

    Reads all of the layer: work for the worker's thread.

    Parameters
    ----------
    beside
        The layer.
    found : (rows, columns)
        Objects counted from 1, 0 for the background.
    """
    current = beside.data[beside.index]
    elsewhere = largest_number_elsewhere(beside.data, beside.index)
    if not beside.known:
        return np.where(found > 0, found + elsewhere, 0)
    if same_objects(current, found):
        return np.array(current)
    return numbered_like(current, found, max(elsewhere, int(current.max(initial=0))))


class FreeNumbers:
    """Numbers for the objects of a run that leave out what a person paints with meanwhile."""

    def __init__(self) -> None:
        self._numbers = [0]
        """By the worker's number: the layer's."""
        self._given: set[int] = set()
        self._reserved: set[int] = set()

    def reserve(self, number: int) -> None:
        """Leave a number to the person, unless it is that of an object already: then they go on
        painting that one."""
        if number not in self._given:
            self._reserved.add(number)

    def of(self, values: np.ndarray) -> np.ndarray:
        """Return the labels of a slice, the worker's numbers replaced by the layer's."""
        for _ in range(len(self._numbers), int(values.max(initial=0)) + 1):
            number = self._numbers[-1] + 1
            while number in self._reserved:
                number += 1
            self._numbers.append(number)
            self._given.add(number)
        if not self._reserved:
            return values
        return np.asarray(np.array(self._numbers, values.dtype)[values])

    @property
    def largest(self) -> int:
        """The largest of the worker's numbers so far."""
        return len(self._numbers) - 1


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
    pairs, _ = _shared_pixels(current, found)
    return bool((pairs > 0).all()) and len(np.unique(pairs[0])) == pairs.shape[1]


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
    pairs, shared = _shared_pixels(current, found)
    both = (pairs > 0).all(axis=0)
    pairs, shared = pairs[:, both], shared[both]
    taken: set[int] = set()
    for place in np.argsort(-shared, kind="stable"):
        new, old = int(pairs[0, place]), int(pairs[1, place])
        if not numbers[new] and old not in taken:
            numbers[new] = old
            taken.add(old)
    without = np.flatnonzero(numbers[1:] == 0) + 1
    numbers[without] = largest + 1 + np.arange(len(without))
    return np.asarray(numbers[found])


def _shared_pixels(current: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count the pixels of each pair of an object found and one that is there.

    Runs of one pair along the rows are counted, not pixels: a hundredth as many, and this is done
    in the window's thread.

    Returns
    -------
    pairs : np.ndarray, (2, pairs)
        Number in `found`, number in `current`; one of them may be 0, the background.
    shared : np.ndarray, (pairs,)
        Pixels.
    """
    one, other = found.reshape(-1), current.reshape(-1)
    changes = (one[1:] != one[:-1]) | (other[1:] != other[:-1])
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1]) if one.size else np.zeros(0, int)
    lengths = np.diff(starts, append=one.size)
    runs = np.stack([one[starts], other[starts]])
    painted = runs.any(axis=0)
    pairs, which = np.unique(runs[:, painted], axis=1, return_inverse=True)
    shared = np.bincount(which.reshape(-1), weights=lengths[painted], minlength=pairs.shape[1])
    return pairs, shared.astype(np.int64)
