"""What is worth saying before a run, each with its remedy. Without Qt."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.reading import Reading
from napari_swin_umamba.plugin.result_layer import LARGEST_LAYER, label_dtype
from napari_swin_umamba.plugin.words import axis_name, length, size_in_bytes

__all__ = ["Finding", "Remedy", "available_memory", "estimate_memory", "look_ahead"]

Remedy = Literal["resample", "slice_along"]
"""What a click can do about a finding."""

_FAR = 1.5
"""Ratio of pixel sizes from which objects look too large or small to a network. Training varies
the scale from 0.7 to 1.4."""
_BYTES_PER_TILE_PIXEL = 2_000
"""Of a network at work: Swin-UMamba† took 0.46 GB for 512 x 512 pixels."""
_LARGEST_SHARE = 0.9
"""Of the free memory: beyond, a computer becomes slow or ends the program."""


@dataclass(frozen=True)
class Finding:
    """One thing to know before a run."""

    text: str
    """What is the matter, and what can be done."""
    remedy: Remedy | None = None
    """What the button beside it does; None: there is no button."""
    remedy_text: str = ""
    """Words on that button."""
    axis: int | None = None
    """For ``slice_along``: the axis."""


def look_ahead(
    reading: Reading, plan: Plan, options: SegmentOptions, free_memory: int | None
) -> list[Finding]:
    """Return what speaks against a run as it is; nothing of it keeps a person from running.

    Parameters
    ----------
    reading
        How the layer is read; it fits the model.
    plan
        Of the model.
    options
        Settings of the run.
    free_memory
        Bytes; None: not known.
    """
    findings = [
        _pixel_size(reading, plan, options),
        _slice_axis(reading, plan) if plan.volume is None else _other_slices(reading),
        _memory(reading, plan, options, free_memory),
    ]
    return [finding for finding in findings if finding is not None]


def _pixel_size(reading: Reading, plan: Plan, options: SegmentOptions) -> Finding | None:
    if plan.spacing is None or plan.volume is not None:
        return None  # whole volumes are always resampled
    spacing = reading.spacing_in(plan.unit)
    resample = plan.resample if options.resample is None else options.resample
    if spacing is None:
        if resample:
            return Finding(
                "The pixel size of this image is not known, so it cannot be resampled. Enter it "
                "under Edit…, or switch resampling off under Options."
            )
        return None
    ratio = spacing[1] / plan.spacing[1]
    if resample or 1 / _FAR <= ratio <= _FAR:
        return None
    how = f"{ratio:.2g} times coarser" if ratio > 1 else f"{1 / ratio:.2g} times finer"
    return Finding(
        f"Pixels are {how} than in training ({length(spacing[1], plan.unit)} against "
        f"{length(plan.spacing[1], plan.unit)}): the model may miss much.",
        "resample",
        "Resample",
    )


def _slice_axis(reading: Reading, plan: Plan) -> Finding | None:
    if plan.plane is not None:
        return _trained_axis(reading, plan)
    axis = reading.coarser_axis
    if axis is None:
        return None
    name, now = axis_name(reading, axis), axis_name(reading, reading.fixed_axes[-1])
    return Finding(
        f"Slices follow {now}, but the volume is coarser along {name} "
        f"({length(reading.step(axis), reading.unit)}): slices across {name} are sharper.",
        "slice_along",
        f"Slice along {name}",
        axis,
    )


def _trained_axis(reading: Reading, plan: Plan) -> Finding | None:
    """A model of slices along one axis does not know those along others."""
    axes = {axis_name(reading, axis): axis for axis in reading.spatial_axes}
    axis = axes.get(plan.plane or "")
    if axis is None or not reading.fixed_axes or axis == reading.fixed_axes[-1]:
        return None
    now = axis_name(reading, reading.fixed_axes[-1])
    return Finding(
        f"Slices follow {now}, but the model learned slices along {plan.plane}.",
        "slice_along",
        f"Slice along {plan.plane}",
        axis,
    )


def _other_slices(reading: Reading) -> Finding | None:
    """Models of whole volumes were trained on slices along one axis."""
    if reading.is_shown or not reading.fixed_axes:
        return None
    axis = reading.fixed_axes[-1]
    name = axis_name(reading, axis)
    return Finding(
        f"The model segments slices along {name}, whatever the viewer shows. To preview one, let "
        f"the slider follow {name}.",
        "slice_along",
        f"Slice along {name}",
        axis,
    )


def _memory(
    reading: Reading, plan: Plan, options: SegmentOptions, free: int | None
) -> Finding | None:
    needed = estimate_memory(reading, plan, options)
    if free is None or needed <= _LARGEST_SHARE * free:
        return None
    return Finding(
        f"This needs about {size_in_bytes(needed)} of memory, and {size_in_bytes(free)} are free. "
        "Close other programs or layers, or segment the visible region only."
    )


def estimate_memory(reading: Reading, plan: Plan, options: SegmentOptions) -> int:
    """Estimate the bytes that a run over all slices takes at its peak.

    The Labels layer (and probability layers), one slice at work, one tile in the network. The
    numbers for a slice are those of :class:`~napari_swin_umamba.segmentation.plane.PlaneSegmenter`.
    """
    layout = reading.layout
    pixels, voxels = prod(layout.plane_shape), prod(layout.labels_shape)
    objects = plan.numbers_objects if options.objects is None else options.objects
    per_voxel = label_dtype(plan, objects).itemsize
    layer = voxels * per_voxel
    if reading.has_slices and layer > LARGEST_LAYER:
        layer = pixels * per_voxel
    if options.probabilities:
        layer += 2 * voxels * (len(plan.label_classes) - 1)  # half precision
    per_pixel = 8 + 4 * plan.in_channels + (41 if objects else 0)
    if options.probabilities or options.resample or plan.resample:
        per_pixel += 4 * plan.num_classes
    if plan.volume is not None:  # the volume as float32, twice while it is prepared
        layer += 8 * plan.in_channels * voxels
        per_pixel += 8 * plan.outputs
    seen = round(pixels * max(1.0, _enlargement(reading, plan, options)))
    tile = min(prod(plan.patch), 2 * seen)
    return layer + seen * per_pixel + tile * _BYTES_PER_TILE_PIXEL


def _enlargement(reading: Reading, plan: Plan, options: SegmentOptions) -> float:
    """How many times as many pixels the network sees, where a slice is scaled for it."""
    if options.object_diameter and plan.object_diameter:
        return (plan.object_diameter / options.object_diameter) ** 2
    resample = plan.resample if options.resample is None else options.resample
    spacing = reading.spacing_in(plan.unit)
    if not resample or spacing is None or plan.spacing is None or plan.volume is not None:
        return 1.0
    return prod(spacing) / prod(plan.spacing)


def available_memory() -> int:
    """Bytes that programs can still get without swapping."""
    import psutil  # comes with napari

    return int(psutil.virtual_memory().available)
