"""Label images as runs: stretches of one value along the last axis.

Labels are large areas of few values. What is to be counted is counted on their runs, of which
there are a thousand times fewer than voxels, and slab by slab, so that no temporary is as large
as the image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

__all__ = ["PieceCounter", "Runs", "runs_by_slab"]

_SLAB_PIXELS = 1 << 20


@dataclass(frozen=True, eq=False)
class Runs:
    """The runs of a slab, those of 0 left out, in the order of their pixels."""

    shape: tuple[int, ...]
    """Shape of the slab."""
    first: int
    """Index of the slab's first plane along axis 0 of the array."""
    starts: np.ndarray
    """``(runs,)``, int64: flat index in the slab of each run's first pixel."""
    lengths: np.ndarray
    """``(runs,)``, int64, pixels."""
    values: np.ndarray
    """``(runs,)``, dtype of the labels."""

    def coordinate_sums(self) -> list[np.ndarray]:
        """Sum of the pixel coordinates of each run, ``(runs,)`` float64, for each axis."""
        sums = [self.lengths * index.astype(float) for index in self._indices()]
        sums[0] += self.lengths * float(self.first)
        sums[-1] += self.lengths * (self.lengths - 1) / 2  # 0 + 1 + ... within the run
        return sums

    def _indices(self) -> tuple[np.ndarray, ...]:
        return np.unravel_index(self.starts, self.shape)


def runs_by_slab(labels: np.ndarray) -> Iterator[Runs]:
    """Find the runs of an array, slab by slab along its first axis.

    Parameters
    ----------
    labels
        ``(Y, X)`` or ``(Z, Y, X)``, whole numbers, not empty.
    """
    plane = int(np.prod(labels.shape[1:]))
    thickness = max(1, _SLAB_PIXELS // plane)
    for first in range(0, len(labels), thickness):
        slab = np.ascontiguousarray(labels[first : first + thickness])
        flat = slab.reshape(-1)
        is_start = np.empty(flat.size, bool)
        np.not_equal(flat[1:], flat[:-1], out=is_start[1:])
        is_start[:: slab.shape[-1]] = True  # a run does not go on in the next row
        starts = np.flatnonzero(is_start)
        values = flat[starts]
        kept = values != 0
        lengths = np.diff(starts, append=flat.size)
        yield Runs(slab.shape, first, starts[kept], lengths[kept], values[kept])


class PieceCounter:
    """Counts the connected pieces of each value; pixels that share a side and a value belong.

    Of what it has seen it keeps the last plane alone: its runs, and which of them belong to one
    piece by whatever way through the planes before.
    """

    def __init__(self) -> None:
        self.pieces: Counter[int] = Counter()
        """Pieces of each value, of all slabs so far."""
        none = np.zeros(0, np.int64)
        self._last = Runs((), 0, none, none, none)
        self._last_piece = none

    def add(self, runs: Runs) -> None:
        """Take the next slab.

        Parameters
        ----------
        runs
            Those of :func:`runs_by_slab`, in its order.
        """
        plane = int(np.prod(runs.shape[1:]))
        before = len(self._last.starts)
        # The last plane seen lies at negative indices, before the first pixel of this slab.
        starts = np.concatenate([self._last.starts, runs.starts])
        ends = starts + np.concatenate([self._last.lengths, runs.lengths])
        values = np.concatenate([self._last.values, runs.values])
        pairs = [_chain(self._last_piece), _touching(starts, ends, values, plane)]
        stride = plane
        for size in runs.shape[1:-1]:
            stride //= size
            inner = (starts // stride) % size < size - 1
            inner[:before] = False  # the pairs of the last plane are in the chain
            pairs.append(_touching(starts, ends, values, stride, inner))
        one, other = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
        graph = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(starts),) * 2)
        _, piece = connected_components(graph, directed=False)
        _, representatives = np.unique(piece, return_index=True)
        self.pieces.update(values[representatives].tolist())
        _, known = np.unique(self._last_piece, return_index=True)
        self.pieces.subtract(self._last.values[known].tolist())
        self._keep_last_plane(runs, piece[before:], plane)

    def _keep_last_plane(self, runs: Runs, piece: np.ndarray, plane: int) -> None:
        size = plane * runs.shape[0]
        kept = slice(int(np.searchsorted(runs.starts, size - plane)), None)
        self._last = Runs(
            runs.shape, 0, runs.starts[kept] - size, runs.lengths[kept], runs.values[kept]
        )
        self._last_piece = piece[kept]


def _chain(pieces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of indices that join all entries of one number."""
    order = np.argsort(pieces, kind="stable")
    same = pieces[order[1:]] == pieces[order[:-1]]
    return order[:-1][same], order[1:][same]


def _touching(
    starts: np.ndarray,
    ends: np.ndarray,
    values: np.ndarray,
    offset: int,
    inner: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of runs of one value that overlap if the first is moved by `offset` pixels.

    Parameters
    ----------
    starts, ends, values
        ``(runs,)``, sorted; `ends` is one past the last pixel.
    offset
        Flat distance of neighbours along an axis.
    inner
        ``(runs,)``, bool: the runs that have a neighbour there; None for all.
    """
    moved = np.arange(len(starts)) if inner is None else np.flatnonzero(inner)
    low = np.searchsorted(ends, starts[moved] + offset, side="right")
    high = np.searchsorted(starts, ends[moved] + offset, side="left")
    counts = high - low
    one = np.repeat(moved, counts)
    other = np.arange(len(one)) + np.repeat(low - np.cumsum(counts) + counts, counts)
    same = values[one] == values[other]
    return one[same], other[same]
