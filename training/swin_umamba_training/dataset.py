"""A data set for training: recognised, checked before any work, and listed slice by slice.

Everything is read once at the start, so that what is wrong with a file is said before the first
step and not after an hour. Pixels are not kept: see :mod:`swin_umamba_training.data.slice_store`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.units import same_length_factor
from swin_umamba_training.data.finding import find_source
from swin_umamba_training.data.fingerprint import Fingerprint, common_spacing, take_fingerprint
from swin_umamba_training.data.problems import raise_errors
from swin_umamba_training.data.reports import CaseReport, SliceReport
from swin_umamba_training.data.samples import Sample
from swin_umamba_training.data.source import ClassSpec, LabelRule
from swin_umamba_training.data.splitting import split
from swin_umamba_training.data.survey import OnCase, Survey, survey
from swin_umamba_training.targets import MIN_OBJECT_PIXELS

__all__ = [
    "Dataset",
    "check_objects",
    "from_survey",
    "look_through",
    "scan_dataset",
    "split",
]


@dataclass(frozen=True)
class Dataset:
    """What a data set holds, without its pixels."""

    path: Path
    samples: tuple[Sample, ...]
    instances: bool
    """Masks number objects; otherwise their values are classes."""
    values: tuple[int, ...]
    """Semantic masks: position i holds the mask value of class i."""
    channels: int
    """Channels of the images; 3 if some are RGB and others grey."""
    rgb: bool
    spacing: tuple[float, float] | None
    """Row and column spacing: what was asked for, or the median where all images know theirs."""
    unit: str | None
    notes: tuple[str, ...] = field(default=())
    """What was assumed or left out, for people."""
    kind: str = "pairs"
    """``pairs``, ``nnunet`` or ``project``."""
    fingerprint: Fingerprint | None = None
    reports: Mapping[str, CaseReport] = field(default_factory=dict)
    """What is known of each case, by its name."""
    rule: LabelRule = LabelRule(())
    """How values of label images become what is trained on."""
    classes: tuple[ClassSpec, ...] | None = None
    """Classes that the data set declares, background first; None: those in the masks."""
    channel_names: tuple[str, ...] = ()
    plane: str | None = None
    """Axis that volumes are cut along."""


def scan_dataset(
    path: Path,
    instances: bool | None = None,
    plane: str | None = None,
    spacing: tuple[float, float] | None = None,
    ignore: int | None = None,
    on_case: OnCase | None = None,
) -> Dataset:
    """Read and check every image and mask of a data set.

    Parameters
    ----------
    path
        Folder with ``images/`` and ``masks/``, nnU-Net raw folder, or annotation project.
    instances
        Whether masks number objects; None: as declared, or decided from what they hold.
    plane
        Axis that volumes are cut along; None: the coarsest of most of them.
    spacing
        Row and column spacing that slices are resampled to; None: they stay as they are.
    ignore
        Image/mask pairs: mask value of pixels that nobody labelled.
    on_case
        Told about the progress.

    Raises
    ------
    DatasetProblems
        An :class:`InputError` that lists everything that is wrong.
    """
    looked = look_through(path, instances, plane, ignore, on_case)
    raise_errors(looked.problems)
    return from_survey(looked, spacing)


def look_through(
    path: Path,
    instances: bool | None = None,
    plane: str | None = None,
    ignore: int | None = None,
    on_case: OnCase | None = None,
) -> Survey:
    """Look through a data set, all volumes cut along one axis; see :func:`scan_dataset`."""
    source = find_source(path, ignore)
    looked = survey(source, instances, plane, on_case)
    axes = Counter(report.slice_axis for report in looked.reports if report.slice_axis)
    if plane is None and len(axes) > 1:
        looked = survey(source, instances, axes.most_common(1)[0][0], on_case)
    return looked


def from_survey(looked: Survey, spacing: tuple[float, float] | None = None) -> Dataset:
    """Make a data set of what was found.

    Parameters
    ----------
    looked
        Without errors.
    spacing
        As for :func:`scan_dataset`.

    Raises
    ------
    InputError
        Slices are to be resampled, and a case does not know its spacing.
    """
    source, reports = looked.source, looked.reports
    rgb = any(report.colours for report in reports)
    channels = 3 if rgb else reports[0].channels
    names = source.channel_names or _channel_names(channels, rgb)
    classes = {item.value: item.name for item in source.classes or ()}
    fingerprint = take_fingerprint(source.kind, reports, looked.rule, classes, names)
    known, _, unit = common_spacing(reports)
    samples = [
        _sample(report, item, spacing, unit)
        for report in reports
        for item in report.slices
        if any(map(looked.rule.known, item.pixels))
    ]
    warnings = [p.message for p in looked.problems if p.severity == "warning"]
    return Dataset(
        path=source.path,
        samples=tuple(samples),
        instances=looked.instances,
        values=looked.rule.values,
        channels=channels,
        rgb=rgb,
        spacing=spacing or known,
        unit=unit,
        notes=(*warnings, *looked.notes),
        kind=source.kind,
        fingerprint=fingerprint,
        reports={report.name: report for report in reports},
        rule=looked.rule,
        classes=source.classes,
        channel_names=tuple(names),
        plane=fingerprint.plane,
    )


def _channel_names(channels: int, rgb: bool) -> tuple[str, ...]:
    if rgb:
        return ("red", "green", "blue")
    if channels == 1:
        return ("intensity",)
    return tuple(f"channel {index + 1}" for index in range(channels))


def _sample(
    report: CaseReport,
    item: SliceReport,
    spacing: tuple[float, float] | None,
    unit: str | None,
) -> Sample:
    fixed = [a for a in report.axes if a not in "C"]
    in_plane = [a for a in fixed if a in "ZYX" and a != report.slice_axis]
    fixed = [a for a in fixed if a not in in_plane]
    name, place = report.name, None
    if fixed:
        along = report.slice_axis or fixed[0]
        place = item.position[fixed.index(along)]
        name = f"{name}:{':'.join(str(number) for number in item.position)}"
    shape = report.plane_shape
    if spacing is not None:
        shape = _resampled(report, spacing, unit)
    return Sample(name, report.name, item.position, place, shape, item.objects, item.small)


def _resampled(
    report: CaseReport, spacing: tuple[float, float], unit: str | None
) -> tuple[int, int]:
    if report.plane_spacing is None:
        raise InputError(
            f"{report.case.images[0]} does not say how large its pixels are, so it cannot be "
            "resampled; leave out --spacing, or write the pixel size into the file"
        )
    factor = same_length_factor(report.unit, unit)
    rows, columns = (
        max(1, round(size * own * factor / wanted))
        for size, own, wanted in zip(report.plane_shape, report.plane_spacing, spacing, strict=True)
    )
    if rows * columns > 2**28:
        raise InputError(
            f"at a spacing of {spacing[0]:g} x {spacing[1]:g} the slices of {report.name} would "
            f"have {rows:,} x {columns:,} pixels; is --spacing right?"
        )
    return rows, columns


def check_objects(training: Sequence[Sample], validation: Sequence[Sample]) -> tuple[str, ...]:
    """See that numbered objects are large enough to learn from, and say which are left out.

    Parameters
    ----------
    training, validation
        Samples whose masks number objects.

    Returns
    -------
    tuple of str
        Notes for people: how many objects are dropped, and whether any is left to validate with.

    Raises
    ------
    InputError
        No training image holds an object that is large enough.
    """
    objects = sum(sample.objects for sample in training)
    if objects == 0:
        raise InputError(
            "no training image holds an object, all are in validation images; "
            "choose these with --val, or paint more masks"
        )
    if objects == sum(sample.small for sample in training):
        raise InputError(
            f"none of the {objects:,} objects in the training images has {MIN_OBJECT_PIXELS} "
            "pixels or more, so there is nothing to learn; enlarge images and masks, or train "
            "on classes (--semantic)"
        )
    everything = (*training, *validation)
    notes = []
    if small := sum(sample.small for sample in everything):
        total = sum(sample.objects for sample in everything)
        notes.append(
            f"{small:,} of {total:,} objects have fewer than {MIN_OBJECT_PIXELS} pixels "
            "and are left out"
        )
    if validation and all(sample.objects == sample.small for sample in validation):
        notes.append("the validation images hold no object to find: their F1 says little")
    return tuple(notes)
