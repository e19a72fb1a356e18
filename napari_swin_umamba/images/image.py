"""An image with what is known about its axes and its size in the world."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Image"]


@dataclass(frozen=True, eq=False)
class Image:
    """An image as it is stored: values untouched, axes named."""

    array: np.ndarray
    """Any real dtype, shape as `axes` says."""
    axes: str
    """``"YX"`` (grey), ``"YXC"`` (colour: RGB or RGBA) or ``"CYX"`` (channels of a micrograph)."""
    spacing: tuple[float, ...] | None = None
    """Row and column spacing in `unit`; None if the file does not say."""
    unit: str | None = None
    """Unit of `spacing` as pint and napari know it: ``"micrometer"``, ``"nanometer"``, ..."""
    path: Path | None = None
    """Where it was read from."""
    notes: tuple[str, ...] = ()
    """What the reader assumed or left out, for people."""
