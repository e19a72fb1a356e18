"""What the widget says: sentences without internals, numbers with separators and units."""

from __future__ import annotations

import re
from collections.abc import Sequence

from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.reading import Reading, why_not

__all__ = [
    "axis_name",
    "count",
    "describe_done",
    "describe_finding",
    "describe_reading",
    "duration",
    "file_size",
    "length",
    "sentence",
    "size_in_bytes",
    "times",
    "unit_symbol",
]

_UNITS = {
    "micrometer": "µm",
    "micrometre": "µm",
    "micron": "µm",
    "nanometer": "nm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
}
_LAST_AXES = {-1: "X", -2: "Y", -3: "Z"}
_MAX_NAMES = 4


def describe_reading(reading: Reading, plan: Plan | None) -> str:
    """Say in one or two sentences how the layer will be read.

    Examples
    --------
    ``Slice 11 along Z (0 to 23), the one shown. 50 × 35 pixels (Y × X), 16-bit, 1 channel,
    1.3 × 0.9 mm per pixel, slices 6 mm apart.``
    """
    view = reading.view
    size = times(tuple(view.shape[axis] for axis in reading.plane))
    parts = [
        f"{size} pixels ({' × '.join(axis_name(reading, axis) for axis in reading.plane)})",
        f"{8 * view.dtype.itemsize}\u2011bit" if view.dtype.kind in "ui" else view.dtype.name,
        _channels(reading, plan),
        *_spacing(reading),
    ]
    whole = plan is not None and plan.volume is not None and reading.has_slices
    return " ".join(
        [
            *_slice_sentence(reading),
            ", ".join(parts) + ".",
            *(["Intensities are those of the whole volume, also in a preview."] if whole else []),
        ]
    )


def describe_finding(plan: Plan) -> str:
    """Say what a model finds: its classes, or objects."""
    names = [item.name for item in plan.label_classes[1:]]
    if plan.numbers_objects:
        return "Finds objects, one number each" if names == ["object"] else _every(names[0])
    shown = ", ".join(names[:_MAX_NAMES]) + (", …" if len(names) > _MAX_NAMES else "")
    return f"{count(len(names), 'class', 'classes')}: {shown}"


def _every(name: str) -> str:
    return f"Finds every {name}, one number each"


def describe_done(slices: int, seconds: float, layer_name: str, is_new: bool, kept: int) -> str:
    """Say what a run did: ``24 slices in 12 s. Layer: “brain – liver”.``"""
    done = (
        f"{count(slices, 'slice')} in {duration(seconds)}."
        if slices != 1
        else (f"Done in {duration(seconds)}.")
    )
    layer = f"{'New layer' if is_new else 'Layer'}: “{layer_name}”."
    mine = (
        f" {count(kept, 'slice')} that you changed meanwhile {'was' if kept == 1 else 'were'} kept."
        if kept
        else ""
    )
    return f"{done} {layer}{mine}"


def axis_name(reading: Reading, axis: int) -> str:
    """Name of an axis: its label if somebody gave one, else Z, Y, X counted from the last."""
    label = reading.view.axis_labels[axis]
    if not re.fullmatch(r"-?\d+", label):
        return label.upper() if len(label) == 1 else label
    spatial = [other for other in range(len(reading.view.shape)) if other != reading.channel_axis]
    if axis in spatial:
        position = spatial.index(axis) - len(spatial)
        return _LAST_AXES.get(position, f"axis {axis}")
    return "channel"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Put a number before its noun: ``1 class``, ``1,204 objects``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """Say a time span: ``0.8 s``, ``12 s``, ``3 min 20 s``."""
    if seconds < 0.1:
        return "less than 0.1 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s"


def length(value: float, unit: str | None) -> str:
    """Say a length: ``0.5 µm``, ``6 mm``, ``3``."""
    return f"{value:.3g} {unit_symbol(unit)}".strip()


def unit_symbol(unit: str | None) -> str:
    """Return the symbol of a unit: ``µm`` of ``micrometer``; nothing of None."""
    return _UNITS.get(unit or "", unit or "")


def size_in_bytes(size: float) -> str:
    """Say a size of memory: ``0.3 GB``, ``12 GB``."""
    gigabytes = size / 1e9
    return f"{gigabytes:.1f} GB" if gigabytes < 9.95 else f"{gigabytes:,.0f} GB"


def file_size(size: float) -> str:
    """Say the size of a file: ``62 kB``, ``7.2 MB``, ``3.4 GB``."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= 0.9995 * factor:
            value = size / factor
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"
    return f"{size:,.0f} bytes"


def times(sizes: Sequence[float]) -> str:
    """Join sizes: ``1,040 × 1,388``."""
    return " × ".join(f"{size:,}" if isinstance(size, int) else f"{size:.3g}" for size in sizes)


def sentence(message: str) -> str:
    """Make an error message a sentence for the window: no flags such as ``(--model)``."""
    text = re.sub(r"\s*\(--[\w-]+\)", "", message).strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _slice_sentence(reading: Reading) -> list[str]:
    view = reading.view
    # Counted from 0, as napari's sliders are.
    steps = [
        f"{view.index[axis]:,} along {axis_name(reading, axis)} (0 to {view.shape[axis] - 1:,})"
        for axis in reading.fixed_axes
        if view.shape[axis] > 1
    ]
    shown = "the one shown in 2D" if view.in_3d else "the one shown"
    return [f"Slice {', '.join(steps)}, {shown}."] if steps else []


def _channels(reading: Reading, plan: Plan | None) -> str:
    channels = reading.layout.channels
    if reading.view.colours:
        grey = plan is not None and plan.in_channels == 1
        colours = "colour (red, green, blue)" + (", turned to grey" if grey else "")
        return colours + (", transparency ignored" if reading.view.colours == 4 else "")
    if plan is not None and why_not(reading, plan) is None:
        if plan.rgb and channels == 1:
            return "grey, repeated as red, green and blue"
        if reading.channel_axis is not None:
            names = ", ".join(channel.name for channel in plan.channels)
            axis = axis_name(reading, reading.channel_axis)
            return f"{channels} channels along {axis} as {names}"
    return count(channels, "channel")


def _spacing(reading: Reading) -> list[str]:
    if reading.spacing is None:
        return ["pixel size not known"]
    rows, columns = (f"{size:.3g}" for size in reading.spacing)
    unit = _UNITS.get(reading.unit or "", reading.unit)
    said = [f"{rows if rows == columns else f'{rows} × {columns}'} {unit} per pixel"]
    slices = [axis for axis in reading.fixed_axes if axis in reading.spatial_axes]
    if slices and reading.volume_spacing is not None:
        said.append(f"slices {length(reading.step(slices[-1]), reading.unit)} apart")
    return said
