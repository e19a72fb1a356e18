"""2D images inside an array of more axes: which axes are the image, which are stepped through.

A volume is segmented plane by plane. A :class:`SliceLayout` says which planes those are, takes
them out of the array (lazily stored or not), and says where their labels go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, Literal

import numpy as np

__all__ = ["Position", "SliceLayout"]

Position = tuple[int, ...]
"""One index along each of a layout's fixed axes."""


@dataclass(frozen=True)
class SliceLayout:
    """How the planes lie in an array. Axes are numbered as the array's."""

    shape: tuple[int, ...]
    """Size along each axis, without a colour axis."""
    plane: tuple[int, int]
    """Axes of rows and columns, in the array's order."""
    channel_axis: int | None = None
    """Axis that holds channels; None: one channel, or colours."""
    colours: int = 0
    """Samples of a further, last axis: 0 (there is none), 3 (RGB) or 4 (RGBA)."""
    window: tuple[tuple[int, int], tuple[int, int]] | None = None
    """First and behind-the-last row, first and behind-the-last column, of a part of each plane;
    None: whole planes."""

    @property
    def axes(self) -> Literal["YX", "YXC", "CYX"]:
        """Axes of the arrays that :meth:`extract` returns; ``YXC`` are colours."""
        if self.colours:
            return "YXC"
        return "YX" if self.channel_axis is None else "CYX"

    @property
    def channels(self) -> int:
        """Channels of the arrays that :meth:`extract` returns (alpha left out)."""
        if self.colours:
            return 3
        return 1 if self.channel_axis is None else self.shape[self.channel_axis]

    @property
    def kept_axes(self) -> tuple[int, ...]:
        """Axes that labels have too: all but the channels."""
        return tuple(axis for axis in range(len(self.shape)) if axis != self.channel_axis)

    @property
    def fixed_axes(self) -> tuple[int, ...]:
        """Axes that are stepped through, one plane for each position."""
        return tuple(axis for axis in self.kept_axes if axis not in self.plane)

    @property
    def bounds(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """First and behind-the-last row and column of what is read of each plane."""
        if self.window is not None:
            return self.window
        return (0, self.shape[self.plane[0]]), (0, self.shape[self.plane[1]])

    @property
    def plane_shape(self) -> tuple[int, int]:
        """Rows and columns of the arrays that :meth:`extract` returns."""
        (top, bottom), (left, right) = self.bounds
        return bottom - top, right - left

    @property
    def labels_shape(self) -> tuple[int, ...]:
        """Shape of the labels of the whole array."""
        return tuple(self.shape[axis] for axis in self.kept_axes)

    @property
    def count(self) -> int:
        """Number of planes."""
        return prod(self.shape[axis] for axis in self.fixed_axes)

    def positions(self) -> Iterator[Position]:
        """Go through all planes, the last fixed axis fastest."""
        return product(*(range(self.shape[axis]) for axis in self.fixed_axes))

    def extract(self, data: Any, position: Position) -> np.ndarray:
        """Take one plane out of the array, computing it if it is lazy.

        Parameters
        ----------
        data : array-like, ``shape`` (and the colour axis)
            NumPy, dask, zarr, ...
        position
            Which plane.

        Returns
        -------
        np.ndarray, (rows, columns), (rows, columns, colours) or (channels, rows, columns)
            As :attr:`axes` says; a copy, so that later changes to the array do not matter.
        """
        index: list[int | slice] = [slice(None)] * len(self.shape)
        for axis, place in zip(self.fixed_axes, position, strict=True):
            index[axis] = place
        for axis, (start, stop) in zip(self.plane, self.bounds, strict=True):
            index[axis] = slice(start, stop)
        image = np.array(data[tuple(index)])
        if self.channel_axis is None:
            return image
        remaining = sorted((*self.plane, self.channel_axis))
        return np.moveaxis(image, remaining.index(self.channel_axis), 0)

    def target(self, position: Position) -> tuple[int | slice, ...]:
        """Index of a plane in the labels of the whole array."""
        places = dict(zip(self.fixed_axes, position, strict=True))
        spans = {
            axis: slice(start, stop)
            for axis, (start, stop) in zip(self.plane, self.bounds, strict=True)
        }
        return tuple(places[axis] if axis in places else spans[axis] for axis in self.kept_axes)
