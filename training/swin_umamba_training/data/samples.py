"""Slices to train on or to validate with."""

from __future__ import annotations

from dataclasses import dataclass

from napari_swin_umamba.images.slices import Position

__all__ = ["Sample"]


@dataclass(frozen=True)
class Sample:
    """A slice, or a 2D image."""

    name: str
    """That of the case; of a slice, ``CASE:NUMBER``."""
    case: str
    """Name of the case it belongs to."""
    position: Position = ()
    """Which slice of the case."""
    place: int | None = None
    """Number along the axis on which neighbours look alike; None: it has no neighbours."""
    shape: tuple[int, int] = (0, 0)
    """Rows and columns as they are trained on."""
    objects: int = 0
    """Foreground values in the mask."""
    small: int = 0
    """Of these, the ones that are too small for an object."""
