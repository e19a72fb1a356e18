"""Where the tiles of an image lie, and how much each pixel of a tile counts.

    image 276 x 420, patch 192, overlap 0.5: rows of tiles start at 0 and 84,
                                             columns of tiles at 0, 76, 152 and 228

        0      76     152  192  228  268     344     420
      0 +------+-------+----+----+----+-------+-------+
        | first tile        .         .       .       |   Above line 84 the sums of logits are
        |      . second tile          .       .       |   final once the first row of tiles is
        |      .       . third tile           .       |   done. That band leaves, so memory holds
        |      .       .    .    . fourth tile        |   one row of tiles, not the whole image.
     84 + - - - - - - - - - - - - - - - - - - - - - - +
        |      second row of tiles                    |
    192 +- - - - - - - - - - - - - - - - - - - - - - -+   (the first row of tiles ends)
        |                                             |
    276 +---------------------------------------------+   A pixel is seen by one to six tiles.

Tiles never reach over the edge: they are spread evenly between both ends, at most
``(1 - overlap) * tile`` apart. Only an image smaller than a tile is padded, with zeros (the mean
after z-scoring), half before and half after, the extra pixel after.

In a tile the centre counts most: a Gaussian of sigma = tile / 8. The logits of a pixel are the
weighted mean over the tiles that see it. Weights are a product ``w(y) * w(x)`` and tiles lie on
a grid, so the sum of weights is a product too, and two vectors hold it.

All of this is nnU-Net's sliding window (``sliding_window_prediction.py``, ``pad_nd_image``),
with the size of a tile as :func:`make_tiling` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil
from numbers import Real

import numpy as np
from scipy.ndimage import gaussian_filter1d

from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.plan import PATCH_MULTIPLE

__all__ = ["Tiling", "gaussian_weights", "make_tiling"]


@lru_cache(maxsize=16)
def gaussian_weights(size: int) -> np.ndarray:
    """Return the blending weight along one side of a tile, ``(size,)``, float32, maximum 1.

    nnU-Net scales its two-dimensional weights to a maximum of 10 and replaces zeros by the
    smallest positive weight. The scale cancels in a weighted mean, and with sigma = size / 8,
    cut at four sigmas, no weight of an even size is zero (the smallest is 3e-4).
    """
    impulse = np.zeros(size)
    impulse[size // 2] = 1
    bell = gaussian_filter1d(impulse, size / 8, mode="constant")
    weights: np.ndarray = (bell / bell.max()).astype(np.float32)
    weights.setflags(write=False)
    return weights


def _starts(size: int, tile: int, overlap: float) -> tuple[int, ...]:
    """Return where the tiles along one axis of `size` >= `tile` pixels start."""
    last = size - tile
    count = ceil(last / (tile * (1 - overlap))) + 1
    if count == 1:
        return (0,)
    return tuple(int(np.round(last / (count - 1) * i)) for i in range(count))


@dataclass(frozen=True)
class Tiling:
    """Tiles of one image plane. Lengths are in pixels, pairs are (rows, columns)."""

    shape: tuple[int, int]
    """Size of the image."""
    tile: tuple[int, int]
    """Size of every tile; multiples of 32."""
    overlap: float
    """Fraction of a tile that neighbours share at least."""

    @property
    def padded(self) -> tuple[int, int]:
        """Size of the image with its padding."""
        return max(self.shape[0], self.tile[0]), max(self.shape[1], self.tile[1])

    @property
    def before(self) -> tuple[int, int]:
        """Rows of padding above and columns of padding left of the image."""
        return (
            (self.padded[0] - self.shape[0]) // 2,
            (self.padded[1] - self.shape[1]) // 2,
        )

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """First row of each row of tiles, in the padded image."""
        return _starts(self.padded[0], self.tile[0], self.overlap)

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """First column of each column of tiles, in the padded image."""
        return _starts(self.padded[1], self.tile[1], self.overlap)

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self.rows) * len(self.columns)

    def pad(self, image: np.ndarray) -> np.ndarray:
        """Pad an image ``(C, Y, X)`` with zeros to ``(C, *padded)``; itself if that is its size."""
        if self.padded == self.shape:
            return image
        (top, left), (height, width) = self.before, self.padded
        out = np.zeros((len(image), height, width), image.dtype)
        out[:, top : top + self.shape[0], left : left + self.shape[1]] = image
        return out

    def weight_sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Sum of weights of each padded row and column, ``(height,)`` and ``(width,)``."""
        sums = []
        starts = (self.rows, self.columns)
        for size, tile, first in zip(self.padded, self.tile, starts, strict=True):
            total = np.zeros(size, np.float32)
            for start in first:
                total[start : start + tile] += gaussian_weights(tile)
            sums.append(total)
        return sums[0], sums[1]

    def bands(self) -> Iterator[tuple[int, int]]:
        """Padded rows ``(start, stop)`` that are final after each row of tiles."""
        yield from zip(self.rows, (*self.rows[1:], self.padded[0]), strict=True)


def _is_overlap(value: object) -> bool:
    return isinstance(value, Real) and 0 <= float(value) <= 0.9


def make_tiling(
    shape: tuple[int, int],
    patch: tuple[int, int],
    overlap: float = 0.5,
    pad_to_patch: bool = False,
) -> Tiling:
    """Lay tiles over an image.

    Parameters
    ----------
    shape
        Rows and columns of the image, at least 1.
    patch
        Largest tile, multiples of 32: a plan's ``patch``.
    overlap
        Fraction of a tile that neighbours share at least, from 0 to 0.9.
    pad_to_patch
        A tile is always a whole patch, as nnU-Net has it. Otherwise, along an axis where the
        image is smaller than the patch, it is the image rounded up to a multiple of 32.

    Raises
    ------
    InputError
        The overlap is no number or out of range.
    """
    if not _is_overlap(overlap):
        raise InputError(f"overlap {shown(overlap)} is not a number between 0 and 0.9 (--overlap)")
    height, width = (
        size if pad_to_patch else min(size, ceil(pixels / PATCH_MULTIPLE) * PATCH_MULTIPLE)
        for size, pixels in zip(patch, shape, strict=True)
    )
    return Tiling(shape, (height, width), overlap)
