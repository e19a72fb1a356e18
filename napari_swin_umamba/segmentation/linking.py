"""Objects found slice by slice, given one number through a volume.

A network for planes finds an object anew on every slice. Two objects on neighbouring slices are
taken for one if their pixels overlap with an intersection over union of at least 0.25; the best
matches are made first, each object in one only. That follows objects that change slowly from slice
to slice; it never joins two objects of one slice, nor splits what the network drew as one
(docs/decisions/0018).
"""

from __future__ import annotations

import numpy as np

from napari_swin_umamba.images.slices import Position

__all__ = ["ObjectLinker"]

_SAME_OBJECT = 0.25
"""Intersection over union from which on objects of two slices are one."""


class ObjectLinker:
    """Numbers the objects of slices that come in order; what was numbered stays so."""

    def __init__(self) -> None:
        self._previous: np.ndarray | None = None
        self._position: Position = ()
        self._largest = 0

    def link(self, labels: np.ndarray, position: Position) -> np.ndarray:
        """Return a slice's labels with the numbers of the slice before where objects go on.

        Parameters
        ----------
        labels
            ``(rows, columns)``, objects numbered from 1.
        position
            Of the slice; only a slice whose last index is one higher than that of the call
            before continues its objects. Time points, say, do not.

        Returns
        -------
        np.ndarray
            ``(rows, columns)``, int32: numbers that no other object of the volume has.
        """
        count = int(labels.max(initial=0))
        numbers = np.zeros(count + 1, np.int32)
        if self._previous is not None and self._continues(position):
            for number, previous in _best_matches(labels, self._previous):
                numbers[number] = previous
        present = np.flatnonzero(np.bincount(labels.ravel(), minlength=count + 1))
        new = [number for number in present if number and not numbers[number]]
        numbers[new] = np.arange(1, len(new) + 1) + self._largest
        linked: np.ndarray = numbers[labels]
        self._largest += len(new)
        self._previous, self._position = linked, position
        return linked

    def _continues(self, position: Position) -> bool:
        before = self._position
        return bool(position) and position[:-1] == before[:-1] and position[-1] == before[-1] + 1


def _best_matches(labels: np.ndarray, previous: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of objects of two slices that overlap enough, best ones first, each object once."""
    both = (labels > 0) & (previous > 0)
    if not both.any():
        return []
    pairs, overlap = np.unique(
        np.stack([labels[both], previous[both]]).astype(np.int64), axis=1, return_counts=True
    )
    sizes, sizes_before = np.bincount(labels.ravel()), np.bincount(previous.ravel())
    iou = overlap / (sizes[pairs[0]] + sizes_before[pairs[1]] - overlap)
    matches: list[tuple[int, int]] = []
    taken: set[int] = set()
    taken_before: set[int] = set()
    for index in np.argsort(-iou, kind="stable"):
        number, before = int(pairs[0, index]), int(pairs[1, index])
        if iou[index] < _SAME_OBJECT:
            break
        if number not in taken and before not in taken_before:
            taken.add(number)
            taken_before.add(before)
            matches.append((number, before))
    return matches
