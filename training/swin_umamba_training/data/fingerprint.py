"""What a data set is like in numbers, and what follows from it for a plan.

As nnU-Net does (Isensee et al., Nature Methods 18:203, 2021): shapes and spacing decide patch and
plane, the foreground's intensities the scale of CT, the patch the batch.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from napari_swin_umamba.plan import PATCH_MULTIPLE, Normalization
from swin_umamba_training.data.reports import CaseReport, SliceReport
from swin_umamba_training.data.source import LabelRule
from swin_umamba_training.targets import MIN_OBJECT_PIXELS

__all__ = [
    "ChannelStats",
    "ClassStats",
    "Fingerprint",
    "default_batch",
    "default_patch",
    "normalization_for",
    "take_fingerprint",
]

LARGEST_PATCH = 256
"""Edge of the largest patch chosen by itself, in pixels."""
_PIXELS = 4 * 256 * 256  # of all patches of a step, where the batch is chosen by itself
_BATCHES = (2, 16)
_PERCENTILES = (0.5, 99.5)  # of CT: nnU-Net's


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChannelStats(_Frozen):
    """Intensities of one channel over what is labelled, of all cases together."""

    name: str
    mean: float
    std: float
    low: float
    """Percentile 0.5."""
    high: float
    """Percentile 99.5."""


class ClassStats(_Frozen):
    """How common a class is."""

    name: str
    value: int
    """In label images."""
    share: float
    """Of all labelled pixels."""
    slices: int
    cases: int
    """How many hold it."""


class Fingerprint(_Frozen):
    """What a data set is like. Saved with every model that was trained on it."""

    kind: str
    """``pairs``, ``nnunet`` or ``project``."""
    cases: int
    slices: int
    """Slices that something is known about."""
    axes: dict[str, int]
    """How many cases have which axes."""
    plane: str | None
    """Axis that volumes are cut along; None: there are only 2D images."""
    shape: tuple[int, int]
    """Median rows and columns of a slice."""
    smallest: tuple[int, int]
    largest: tuple[int, int]
    spacing: tuple[float, float] | None
    """Median row and column spacing, where all cases know theirs in one unit."""
    slice_distance: float | None
    """Median distance of slices, likewise."""
    unit: str | None
    dtypes: dict[str, int]
    channels: tuple[ChannelStats, ...]
    classes: tuple[ClassStats, ...]
    """Empty where objects are numbered."""
    objects: int
    object_diameter: float | None = None
    """Median, in pixels as stored, of circles of the objects' areas; None without objects."""
    holed_objects: int = 0
    """How many enclose background, at least a twentieth of their size."""
    bent_objects: int = 0
    """How many fill less than four fifths of their convex hulls."""
    labelled: float
    """Share of the pixels that something is known about."""
    sha256: str
    """Over the content of all images and labels: the same data, the same number."""

    def lines(self) -> list[str]:
        """Return it for people, a line for each thing."""
        unit = self.unit or ""
        rows = [
            f"{self.cases} cases, {self.slices} slices"
            + (f" along {self.plane}" if self.plane else ""),
            f"slices {_by(self.shape)} (median), {_by(self.smallest)} to {_by(self.largest)}",
        ]
        if self.spacing is not None:
            apart = f", slices {self.slice_distance:g} apart" if self.slice_distance else ""
            rows.append(f"spacing {self.spacing[0]:g} x {self.spacing[1]:g} {unit}{apart}".rstrip())
        rows.append("stored as " + ", ".join(f"{kind} ({n})" for kind, n in self.dtypes.items()))
        rows += [
            f"{item.name}: mean {item.mean:.4g}, std {item.std:.4g}, mostly {item.low:.4g} to "
            f"{item.high:.4g}"
            for item in self.channels
        ]
        rows += [
            f"class {item.value} {item.name}: {item.share:.2%} of the pixels, in {item.slices} "
            f"slices of {item.cases} cases"
            for item in self.classes
        ]
        if self.objects:
            size = self.object_diameter
            across = "" if size is None else f", {size:.3g} pixels across (median)"
            holes = f", {self.holed_objects:,} with holes" if self.holed_objects else ""
            rows.append(f"{self.objects:,} objects{across}{holes}")
        if self.labelled < 1:
            rows.append(f"{self.labelled:.1%} of the pixels are labelled")
        return rows


def take_fingerprint(
    kind: str,
    reports: Sequence[CaseReport],
    rule: LabelRule,
    names: Mapping[int, str],
    channel_names: Sequence[str],
) -> Fingerprint:
    """Put together what the cases hold.

    Parameters
    ----------
    kind
        Of the data set.
    reports
        Of all its cases, at least one.
    rule
        What label values mean.
    names
        Of classes by their value.
    channel_names
        One for each channel.
    """
    shapes = [report.plane_shape for report in reports for _ in report.slices]
    known = [
        item for report in reports for item in report.slices if any(map(rule.known, item.pixels))
    ]
    spacing, distance, unit = common_spacing(reports)
    pixels: Counter[int] = Counter()
    for report in reports:
        pixels.update(report.pixels)
    labelled = sum(count for value, count in pixels.items() if rule.known(value))
    planes = Counter(report.slice_axis for report in reports if report.slice_axis)
    return Fingerprint(
        kind=kind,
        cases=len(reports),
        slices=len(known),
        axes=dict(Counter(report.axes for report in reports)),
        plane=planes.most_common(1)[0][0] if planes else None,
        shape=_whole(np.median(shapes, axis=0)),
        smallest=_whole(np.min(shapes, axis=0)),
        largest=_whole(np.max(shapes, axis=0)),
        spacing=spacing,
        slice_distance=distance,
        unit=unit,
        dtypes=dict(Counter(report.dtype for report in reports)),
        channels=_channel_stats(reports, channel_names),
        classes=_class_stats(reports, rule, names, labelled),
        objects=0 if rule.values else sum(item.objects for item in known),
        object_diameter=None if rule.values else _median_diameter(known, rule),
        holed_objects=0 if rule.values else sum(item.holed for item in known),
        bent_objects=0 if rule.values else sum(item.bent for item in known),
        labelled=labelled / max(1, sum(pixels.values())),
        sha256=_data_hash(reports),
    )


def _median_diameter(slices: Sequence[SliceReport], rule: LabelRule) -> float | None:
    """Of what is large enough to learn from."""
    areas = [
        count
        for item in slices
        for value, count in item.pixels.items()
        if value not in (rule.background, rule.unknown) and count >= MIN_OBJECT_PIXELS
    ]
    return 2 * math.sqrt(float(np.median(areas)) / math.pi) if areas else None


def common_spacing(
    reports: Sequence[CaseReport],
) -> tuple[tuple[float, float] | None, float | None, str | None]:
    """Median spacing within and across slices, and its unit, if all cases know it in one unit."""
    units = {report.unit for report in reports}
    spacings = [report.plane_spacing for report in reports if report.plane_spacing is not None]
    if len(spacings) < len(reports) or len(units) > 1 or not reports:
        return None, None, None
    row, column = np.median(np.asarray(spacings, float), axis=0)
    apart = [
        report.spacing["".join(a for a in report.axes if a in "ZYX").index(report.slice_axis)]
        for report in reports
        if report.slice_axis is not None and report.spacing is not None
    ]
    distance = float(np.median(apart)) if apart else None
    return (float(row), float(column)), distance, units.pop()


def default_patch(shape: tuple[int, int]) -> tuple[int, int]:
    """Patch that fits the slices: their median size in multiples of 32, at most 256.

    Parameters
    ----------
    shape
        Median rows and columns.
    """
    height, width = (
        min(LARGEST_PATCH, math.ceil(size / PATCH_MULTIPLE) * PATCH_MULTIPLE) for size in shape
    )
    return height, width


def default_batch(patch: tuple[int, int]) -> int:
    """Patches in a step: as many as make four of 256 x 256, but 2 to 16."""
    low, high = _BATCHES
    return min(max(_PIXELS // (patch[0] * patch[1]), low), high)


def normalization_for(fingerprint: Fingerprint, channel: int) -> Normalization:
    """How intensities of a channel are scaled, where nobody says how.

    Names are nnU-Net's: a channel named ``CT`` has a scale of its own, so all images are clipped
    and scaled alike; ``rgb_to_0_1`` and ``noNorm`` say it themselves. Everything else by its own
    percentiles, image by image.
    """
    stats = fingerprint.channels[channel]
    name = stats.name.casefold()
    if name == "ct" and stats.low < stats.high:
        return Normalization(
            scheme="ct", lower=stats.low, upper=stats.high, mean=stats.mean, std=stats.std
        )
    if name == "rgb_to_0_1":
        return Normalization(scheme="rgb_to_01")
    if name == "nonorm":
        return Normalization(scheme="none")
    return Normalization(scheme="percentile")


def _channel_stats(reports: Sequence[CaseReport], names: Sequence[str]) -> tuple[ChannelStats, ...]:
    stats = []
    for index, name in enumerate(names):
        # A grey image among colour ones has its one channel in all three.
        parts = [r.intensities[min(index, len(r.intensities) - 1)] for r in reports]
        values = np.concatenate(parts).astype(np.float64)
        low, high = np.percentile(values, _PERCENTILES)
        stats.append(
            ChannelStats(
                name=name,
                mean=float(values.mean()),
                std=float(values.std()),
                low=float(low),
                high=float(high),
            )
        )
    return tuple(stats)


def _class_stats(
    reports: Sequence[CaseReport], rule: LabelRule, names: Mapping[int, str], labelled: int
) -> tuple[ClassStats, ...]:
    return tuple(
        ClassStats(
            name=names.get(value, f"class {value}" if index else "background"),
            value=value,
            share=sum(report.pixels.get(value, 0) for report in reports) / max(1, labelled),
            slices=sum(value in item.pixels for report in reports for item in report.slices),
            cases=sum(value in report.pixels for report in reports),
        )
        for index, value in enumerate(rule.values)
    )


def _data_hash(reports: Sequence[CaseReport]) -> str:
    total = hashlib.sha256()
    for report in sorted(reports, key=lambda report: report.name):
        total.update(f"{report.name}\0{report.image_hash}\0{report.label_hash}\n".encode())
    return total.hexdigest()


def _whole(values: np.ndarray) -> tuple[int, int]:
    return round(float(values[0])), round(float(values[1]))


def _by(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"
