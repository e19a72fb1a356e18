"""What is known of a data set's cases and their slices once they were read."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_swin_umamba.images.slices import Position
from swin_umamba_training.data.source import Case

__all__ = ["CaseReport", "SliceReport"]


@dataclass(frozen=True)
class SliceReport:
    """What one slice's labels hold."""

    position: Position
    pixels: dict[int, int]
    """How often each value occurs."""
    objects: int = 0
    small: int = 0
    holed: int = 0
    bent: int = 0
    """Where objects are numbered: how many, how many too small to learn from, how many with holes,
    and how many far from convex."""


@dataclass(frozen=True)
class CaseReport:
    """What one case holds, without its pixels."""

    case: Case
    shape: tuple[int, ...]
    """Of the labels."""
    axes: str
    """Of the image."""
    dtype: str
    channels: int
    """Transparency is none."""
    colours: bool
    spacing: tuple[float, ...] | None
    """Along the spatial axes, in `unit`."""
    unit: str | None
    slice_axis: str | None
    plane_shape: tuple[int, int]
    plane_spacing: tuple[float, float] | None
    slices: tuple[SliceReport, ...]
    intensities: NDArray[np.float32] = field(repr=False)
    """``(channels, n)``: a sample of the foreground, or of everything where there is none."""
    low_high: tuple[float, float]
    """Smallest and largest intensity."""
    image_hash: str
    """SHA-256 of the files' content."""
    label_hash: str
    usable: bool = True
    """Nothing is wrong with it. Otherwise it is here for what its image has in common with others,
    and has slices only if its labels could be read and fit."""

    @property
    def name(self) -> str:
        """Name of the case."""
        return self.case.name

    @property
    def pixels(self) -> dict[int, int]:
        """How often each value occurs in its labels."""
        total: dict[int, int] = {}
        for item in self.slices:
            for value, count in item.pixels.items():
                total[value] = total.get(value, 0) + count
        return total
