"""How a layer is understood: which two axes form the image, which are channels, which slices.

The assumptions are one value, :class:`Reading`, that can be put in words before anything runs
and corrected (:class:`Correction`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Literal

import numpy as np

from napari_swin_umamba.images.slices import Position, SliceLayout
from napari_swin_umamba.images.units import is_time_unit, same_length_factor, unit_name
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.layer_view import LayerView
from napari_swin_umamba.plugin.volume_reading import frame_of_layer

__all__ = ["Correction", "Reading", "is_channel_label", "read_layer", "why_no_preview", "why_not"]

_CHANNEL_LABELS = frozenset({"c", "ch", "channel", "channels"})
_TIME_LABELS = frozenset({"t", "time", "frame", "frames"})
_PLACE_LABELS = frozenset({"z", "y", "x"})
_CLEARLY_COARSER = 1.5
"""Ratio of spacings from which slicing along another axis is worth a word."""


@dataclass(frozen=True)
class Correction:
    """What a person said about a layer that its data does not say, or says wrongly."""

    channel_axis: int | None | Literal["guess"] = "guess"
    """Axis of the channels; None: there is none."""
    spacing: tuple[float, ...] | None = None
    """Distance of neighbouring pixels along each axis of the layer, in `unit`."""
    unit: str | None = None
    """Unit of `spacing`, as pint knows it."""


@dataclass(frozen=True)
class Reading:
    """The 2D images inside a layer: what goes into the model, and where its labels go."""

    view: LayerView
    channel_axis: int | None
    """Axis of the layer that holds the channels; None: one channel, or an RGB layer."""
    plane: tuple[int, int]
    """Axes of the layer that are the image's rows and columns."""
    correction: Correction = Correction()

    @cached_property
    def layout(self) -> SliceLayout:
        """The planes, and how they lie in the layer's data."""
        return SliceLayout(self.view.shape, self.plane, self.channel_axis, self.view.colours)

    @property
    def kept_axes(self) -> tuple[int, ...]:
        """Axes of the layer that the Labels layer has too: all but the channels."""
        return self.layout.kept_axes

    @property
    def fixed_axes(self) -> tuple[int, ...]:
        """Axes along which one position, the one shown, is read at a time."""
        return self.layout.fixed_axes

    @property
    def position(self) -> Position:
        """Where along the fixed axes the viewer stands."""
        return tuple(self.view.index[axis] for axis in self.fixed_axes)

    @property
    def is_shown(self) -> bool:
        """Whether the viewer shows such planes; models of whole volumes choose their own."""
        return self.plane == _shown_plane(self.view, self.channel_axis)

    @property
    def has_slices(self) -> bool:
        """Whether there is more than one plane."""
        return self.layout.count > 1

    @property
    def links_objects(self) -> bool:
        """Whether objects go on from one plane to the next: in space they do, in time not."""
        return bool(self.fixed_axes) and not self.is_time(self.fixed_axes[-1])

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """Axes of the Labels layer that are lengths, in its order."""
        return tuple(axis for axis in self.kept_axes if not self.is_time(axis))

    def is_time(self, axis: int) -> bool:
        """Whether an axis is time, by its label or its unit."""
        label, unit = self.view.axis_labels[axis].lower(), self.view.units[axis]
        return label in _TIME_LABELS or is_time_unit(unit)

    @property
    def spacing(self) -> tuple[float, float] | None:
        """Row and column spacing in :attr:`unit`; None if it is not known."""
        return None if self.unit is None else (self.step(self.plane[0]), self.step(self.plane[1]))

    def step(self, axis: int) -> float:
        """Spacing along an axis, as corrected."""
        given = self.correction.spacing
        return self.view.spacing[axis] if given is None else given[axis]

    @property
    def steps(self) -> tuple[dict[int, float], str | None]:
        """Spacing along :attr:`spatial_axes`, all in one unit, and that unit; None: not known."""
        unit = self.unit or unit_name(self.view.units[self.plane[0]])
        given = self.correction.spacing is not None
        return {
            axis: self.step(axis)
            * (1.0 if given else same_length_factor(self.view.units[axis], unit))
            for axis in self.spatial_axes
        }, unit

    @property
    def unit(self) -> str | None:
        """Physical unit of rows and columns; None if there is none or they differ."""
        if self.correction.spacing is not None:
            return self.correction.unit
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

    @property
    def volume_spacing(self) -> tuple[float, ...] | None:
        """Spacing along :attr:`spatial_axes` in :attr:`unit`; None if one of them is unknown."""
        units = {self.view.units[axis] for axis in self.spatial_axes}
        if self.unit is None or (self.correction.spacing is None and len(units) > 1):
            return None
        return tuple(self.step(axis) for axis in self.spatial_axes)

    def pixel_size(self, axes: Sequence[int]) -> float | None:
        """Area or volume that a pixel takes up along some axes, in :attr:`unit`; None: not known.

        Also where axes are not at right angles: the root of Gram's determinant.
        """
        units = {self.view.units[axis] for axis in axes}
        if self.unit is None or (self.correction.spacing is None and len(units) > 1):
            return None
        size = prod(self.step(axis) for axis in axes)
        if self.view.skew:
            cosines = np.array(self.view.skew)[np.ix_(axes, axes)]
            size *= float(np.sqrt(max(0.0, np.linalg.det(cosines))))
        return size

    @property
    def coarser_axis(self) -> int | None:
        """Axis with clearly coarser spacing than the one that slices follow; None: there is none.

        Planes across the coarsest axis are the sharpest, and the ones a volume was acquired in.
        """
        steps = self.volume_spacing
        slices = [axis for axis in self.fixed_axes if axis in self.spatial_axes]
        if steps is None or not slices:
            return None
        known = dict(zip(self.spatial_axes, steps, strict=True))
        coarsest = max(known, key=known.__getitem__)
        too_fine = known[coarsest] > _CLEARLY_COARSER * max(known[axis] for axis in slices)
        return coarsest if too_fine else None

    def in_window(self, window: tuple[tuple[int, int], tuple[int, int]] | None) -> SliceLayout:
        """Return the layout of a part of each plane."""
        return replace(self.layout, window=window)


def read_layer(
    view: LayerView, plan: Plan | None = None, correction: Correction | None = None
) -> Reading:
    """Decide how a layer is read, for a model or without one.

    Parameters
    ----------
    view : LayerView
        The layer and the slice shown.
    plan : Plan, optional
        The model's plan: its number of channels tells which axis holds them.
    correction : Correction, optional
        What a person said about the layer.
    """
    correction = correction or Correction()
    channel_axis = correction.channel_axis
    if channel_axis == "guess":
        channel_axis = _guess_channel_axis(view, plan.in_channels if plan else 1)
    rows, columns = _shown_plane(view, channel_axis)
    if plan is not None and plan.volume is not None and len(view.shape) > 2:
        frame, letters, _ = frame_of_layer(view, channel_axis, plan.volume)
        if len(frame.axes) > 1:
            rows, columns = sorted(letters.index(letter) for letter in frame.axes[-2:])
    return Reading(view, channel_axis, (rows, columns), correction)


def _shown_plane(view: LayerView, channel_axis: int | None) -> tuple[int, int]:
    """Axes of rows and columns as the viewer shows them."""
    others = [axis for axis in view.order if axis != channel_axis]
    rows, columns = sorted(others[-2:])
    return rows, columns


def is_channel_label(label: str) -> bool:
    """Whether an axis label means channels."""
    return label.lower() in _CHANNEL_LABELS


def _guess_channel_axis(view: LayerView, wanted: int) -> int | None:
    if view.colours or wanted == 1 or len(view.shape) < 3:
        return None  # one channel: whatever else there is has a slider, and what is shown is read
    named = [axis for axis, label in enumerate(view.axis_labels) if is_channel_label(label)]
    # Axes with a slider first: rows and columns are rarely as few as channels.
    matching = [axis for axis in view.order if view.shape[axis] == wanted]
    return next(iter(named + [axis for axis in matching if not _is_known(view, axis)]), None)


def _is_known(view: LayerView, axis: int) -> bool:
    """Whether an axis is said to be space or time: then it holds no channels, whatever its size."""
    label = view.axis_labels[axis].lower()
    return label in _PLACE_LABELS | _TIME_LABELS or is_time_unit(view.units[axis])


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
    has, wants = reading.layout.channels, plan.in_channels
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
            else "Put them in one layer (select the channels’ layers, right-click, Merge to "
            "Stack), or say under Edit… which axis holds them."
        )
    )


def why_no_preview(reading: Reading) -> str | None:
    """Say why the slice shown cannot be segmented on its own; None if it can."""
    if not reading.is_shown:
        return (
            "The model segments slices that the viewer does not show. Choose its axis under Edit…, "
            "Slices along, or segment the volume."
        )
    if reading.view.in_view:
        return None
    return f"No slice of “{reading.view.name}” is shown. Move the slider until you see the image."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _times(sizes: Sequence[int]) -> str:
    return " × ".join(f"{size:,}" for size in sizes)
