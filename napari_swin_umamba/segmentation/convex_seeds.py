"""Which pieces of a probability map are one object each, and which are several that touch.

A map above a low threshold joins objects that touch; above a high one it breaks objects with a
weak spot apart. Its pieces at rising thresholds form a tree, each lying in one of the level below.
Objects such as nuclei and cells are nearly convex, and what is joined is not: so a piece is split
into those above it where these are, together, at least as convex as it is
(docs/decisions/0015). Trees of regions to choose objects from go back to Arteta et al., MICCAI
2012, who learn the choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from napari_swin_umamba.segmentation.convexity import convexity, mean_convexity

__all__ = ["LEVELS", "convex_seeds"]

LEVELS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Thresholds."""
_SMALLEST = 16
"""Pixels of a piece that is not chance."""
_CROSS = ndimage.generate_binary_structure(2, 1)


@dataclass(eq=False)
class _Piece:
    """A piece of the map above a threshold."""

    mask: np.ndarray
    """Its pixels in its box."""
    origin: tuple[int, int]
    """Row and column of its box."""
    size: int
    chosen: list[_Piece]
    """The pieces that it is best taken for: itself, or some of the levels above."""

    @cached_property
    def pixels(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns in the image."""
        rows, columns = np.nonzero(self.mask)
        return rows + self.origin[0], columns + self.origin[1]

    @cached_property
    def convexity(self) -> float:
        """Share of its convex hull that it fills."""
        return convexity(self.mask)


def convex_seeds(values: np.ndarray, levels: tuple[float, ...] = LEVELS) -> np.ndarray:
    """Find one seed for each object of a probability map.

    Parameters
    ----------
    values
        ``(Y, X)``: high in the middle of objects, low between them.
    levels
        Thresholds, rising. Pixels at or below the first belong to no seed.

    Returns
    -------
    np.ndarray
        ``(Y, X)``, int32: 0, or the number of a seed. Seeds are pieces whose pixels share sides, of
        at least 16 pixels but at the lowest level.
    """
    below: np.ndarray | None = None
    above: list[dict[int, _Piece]] = []
    parents: list[dict[int, int]] = []
    for place, threshold in enumerate(levels):
        labels = np.zeros(values.shape, np.int32)
        ndimage.label(values > threshold, _CROSS, output=labels)
        pieces = _pieces(labels, _SMALLEST if place else 1)
        above.append(pieces)
        if below is not None:
            parents.append({n: int(below[_first_pixel(piece)]) for n, piece in pieces.items()})
        below = labels
    for level in range(len(levels) - 2, -1, -1):
        children: dict[int, list[_Piece]] = {}
        for number, parent in parents[level].items():
            children.setdefault(parent, []).extend(above[level + 1][number].chosen)
        for number, parts in children.items():
            piece = above[level][number]
            if len(parts) > 1 and _together(parts) >= piece.convexity:
                piece.chosen = parts
    seeds = np.zeros(values.shape, np.int32)
    roots = above[0].values()
    for number, seed in enumerate((s for root in roots for s in root.chosen), start=1):
        seeds[seed.pixels] = number
    return seeds


def _pieces(labels: np.ndarray, smallest: int) -> dict[int, _Piece]:
    sizes = np.bincount(labels.ravel())
    pieces = {}
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if sizes[number] >= smallest:
            origin = (box[0].start, box[1].start)
            piece = _Piece(labels[box] == number, origin, int(sizes[number]), [])
            piece.chosen = [piece]
            pieces[number] = piece
    return pieces


def _first_pixel(piece: _Piece) -> tuple[int, int]:
    # The box touches the piece on all sides: its first row holds a pixel.
    return piece.origin[0], piece.origin[1] + int(np.argmax(piece.mask[0]))


def _together(parts: list[_Piece]) -> float:
    return mean_convexity([part.size for part in parts], [part.convexity for part in parts])
