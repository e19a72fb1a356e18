"""How a layer is understood: which two axes form the image, which are channels, which slice.

The assumptions are one value, :class:`Reading`, that can be put in words before anything runs
and corrected (``channel_axis``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.layer_view import LayerView

__all__ = ["Reading", "read_layer", "why_not"]

_CHANNEL_LABELS = frozenset({"c", "ch", "channel", "channels"})


@dataclass(frozen=True)
class Reading:
    """One 2D image inside a layer: what goes into the model, and where its labels go."""

    view: LayerView
    channel_axis: int | None
    """Axis of the layer that holds the channels; None: one channel, or an RGB layer."""
    plane: tuple[int, int]
    """Axes of the layer that are the image's rows and columns."""

    @property
    def axes(self) -> Literal["YX", "YXC", "CYX"]:
        """Axes of the array that :meth:`extract` returns; ``YXC`` are colours."""
        if self.view.colours:
            return "YXC"
        return "YX" if self.channel_axis is None else "CYX"

    @property
    def channels(self) -> int:
        """Channels of the image that :meth:`extract` returns (alpha left out)."""
        if self.view.colours:
            return 3
        return 1 if self.channel_axis is None else self.view.shape[self.channel_axis]

    @property
    def kept_axes(self) -> tuple[int, ...]:
        """Axes of the layer that the Labels layer has too: all but the channels."""
        return tuple(axis for axis in range(len(self.view.shape)) if axis != self.channel_axis)

    @property
    def fixed_axes(self) -> tuple[int, ...]:
        """Axes along which one position, the one shown, is read."""
        return tuple(axis for axis in self.kept_axes if axis not in self.plane)

    @property
    def slice_key(self) -> str:
        """Name of the slice within its layer, ``""`` for a plain 2D image."""
        return " ".join(f"{axis}:{self.view.index[axis]}" for axis in self.fixed_axes)

    @property
    def spacing(self) -> tuple[float, float] | None:
        """Row and column spacing in :attr:`unit`; None if the layer has no physical unit."""
        if self.unit is None:
            return None
        return self.view.spacing[self.plane[0]], self.view.spacing[self.plane[1]]

    @property
    def unit(self) -> str | None:
        """Physical unit of rows and columns; None if there is none or they differ."""
        rows, columns = (self.view.units[axis] for axis in self.plane)
        return rows if rows == columns and rows != "pixel" else None

    def spacing_in(self, unit: str | None) -> tuple[float, float] | None:
        """Row and column spacing in another unit; None if it is not known or no such length."""
        if self.spacing is None or unit is None:
            return None
        import pint  # comes with napari

        registry = pint.get_application_registry()
        try:
            factor = float(registry.Quantity(1, self.unit).to(unit).magnitude)
        except pint.PintError:
            return None
        return self.spacing[0] * factor, self.spacing[1] * factor

    def extract(self, data: Any) -> np.ndarray:
        """Take the image out of the layer's data, computing it if it is lazy.

        Parameters
        ----------
        data : array-like, the layer's shape (and the colour axis of an RGB layer)
            NumPy, dask, zarr, ...

        Returns
        -------
        np.ndarray, (rows, columns), (rows, columns, 3) or (channels, rows, columns)
            As :attr:`axes` says; a copy, so that later changes to the layer do not matter.
        """
        index: list[int | slice] = [slice(None)] * len(self.view.shape)
        for axis in self.fixed_axes:
            index[axis] = self.view.index[axis]
        image = np.array(data[tuple(index)])
        if self.view.colours:
            return image[..., :3]
        if self.channel_axis is None:
            return image
        remaining = sorted((*self.plane, self.channel_axis))
        return np.moveaxis(image, remaining.index(self.channel_axis), 0)


def read_layer(
    view: LayerView,
    plan: Plan | None = None,
    channel_axis: int | None | Literal["guess"] = "guess",
) -> Reading:
    """Decide how a layer is read, for a model or without one.

    Parameters
    ----------
    view : LayerView
        The layer and the slice shown.
    plan : Plan, optional
        The model's plan: its number of channels tells which axis holds them.
    channel_axis : int, None or "guess"
        A person's correction; None: the layer has no channel axis.
    """
    if channel_axis == "guess":
        channel_axis = _guess_channel_axis(view, plan.in_channels if plan else 1)
    others = [axis for axis in view.order if axis != channel_axis]
    rows, columns = sorted(others[-2:])
    return Reading(view=view, channel_axis=channel_axis, plane=(rows, columns))


def _guess_channel_axis(view: LayerView, wanted: int) -> int | None:
    if view.colours or wanted == 1 or len(view.shape) < 3:
        return None  # one channel: whatever else there is has a slider, and what is shown is read
    named = [
        axis for axis, label in enumerate(view.axis_labels) if label.lower() in _CHANNEL_LABELS
    ]
    # Axes with a slider first: rows and columns are rarely as few as channels.
    matching = [axis for axis in view.order if view.shape[axis] == wanted]
    return next(iter(named + matching), None)


def why_not(reading: Reading, plan: Plan) -> str | None:
    """Say in one sentence or two why a model cannot segment what was read; None if it can."""
    view = reading.view
    if 0 in view.shape:
        return f"“{view.name}” is empty: its size is {_times(view.shape)}. Choose another image."
    if view.dtype.kind == "c":
        return (
            f"“{view.name}” holds complex numbers. Make a layer of their magnitude and choose that."
        )
    if view.dtype.kind not in "buif":
        return f"“{view.name}” holds {view.dtype}, not numbers. Choose another image."
    if not view.in_view:
        return f"No slice of “{view.name}” is shown. Move the slider until you see the image."
    has, wants = reading.channels, plan.in_channels
    if view.colours and (plan.rgb or wants in (1, 3)):
        return None
    if has == wants or (plan.rgb and has == 1):
        return None
    names = ", ".join(channel.name for channel in plan.channels)
    return (
        f"The model needs {_count(wants, 'channel')} ({names}), but “{view.name}” has {has}. "
        + (
            "Choose a grey image or another model."
            if wants == 1
            else "Put them in one layer: select the channels’ layers, right-click, Merge to Stack."
        )
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _times(sizes: Sequence[int]) -> str:
    return " × ".join(f"{size:,}" for size in sizes)
