"""Where an image was painted: pixels from which the middles of patches are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from swin_umamba_training.targets import IGNORE

__all__ = ["PaintedPixels", "find_painted"]

KEPT = 20_000
"""Pixels that are remembered of each image, shared out among its classes or objects."""


@dataclass(frozen=True)
class PaintedPixels:
    """Some painted pixels of an image."""

    foreground: tuple[NDArray[np.int32], ...]
    """By class or object that is there: positions in the flattened image."""
    known: NDArray[np.int32] | None
    """Painted pixels of any class, background included; None if all are painted."""

    def draw_foreground(self, rng: Generator) -> int | None:
        """A pixel of a class or object, each as likely as any other; None if there is none.

        Parameters
        ----------
        rng
            Source of chance.
        """
        if not self.foreground:
            return None
        pixels = self.foreground[int(rng.integers(len(self.foreground)))]
        return int(pixels[int(rng.integers(len(pixels)))])

    def draw_known(self, rng: Generator) -> int | None:
        """A painted pixel where only some are painted; None where all are, or none is.

        Parameters
        ----------
        rng
            Source of chance.
        """
        if self.known is None or len(self.known) == 0:
            return None
        return int(self.known[int(rng.integers(len(self.known)))])


def find_painted(labels: NDArray[np.int32], kept: int = KEPT) -> PaintedPixels:
    """Look for painted pixels; the same ones in every process.

    Parameters
    ----------
    labels
        ``(Y, X)``: 0 background, 1… classes or objects, :data:`IGNORE` unpainted.
    kept
        How many to remember.
    """
    flat = labels.ravel()
    foreground = np.flatnonzero(flat > 0).astype(np.int32)
    order = np.argsort(flat[foreground], kind="stable")
    values, starts = np.unique(flat[foreground][order], return_index=True)
    parts = np.split(foreground[order], starts[1:]) if len(values) else []
    share = max(1, kept // max(1, len(parts)))
    known = np.flatnonzero(flat != IGNORE).astype(np.int32)
    return PaintedPixels(
        tuple(_thin(part, share) for part in parts),
        None if len(known) == flat.size else _thin(known, kept),
    )


def _thin(pixels: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    """At most `count` pixels, drawn by a seed of their own: a regular grid would follow columns."""
    if len(pixels) <= count:
        return pixels.copy()
    rng = np.random.default_rng(len(pixels))
    return np.sort(rng.choice(pixels, count, replace=False))
