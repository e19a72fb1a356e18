"""Read every case of a data set once, keep what is worth knowing, and list all that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import hash_file
from napari_swin_umamba.images import Image
from napari_swin_umamba.images.slices import SliceLayout
from swin_umamba_training.data.cases import (
    case_layout,
    plane_axis,
    read_case_image,
    read_case_labels,
)
from swin_umamba_training.data.comparing import compare_cases
from swin_umamba_training.data.problems import Problem
from swin_umamba_training.data.reports import CaseReport, SliceReport
from swin_umamba_training.data.source import Case, LabelRule, Source
from swin_umamba_training.targets import (
    MaskSummary,
    are_instances,
    class_values,
    summarize_mask,
)

__all__ = ["OnCase", "Survey", "survey"]

INTENSITIES = 10_000
"""Intensities that are kept of each channel of a case, evenly spread over its foreground."""

OnCase = Callable[[int, int, str], None]
"""Called before a case is read: how many are done, how many there are, its name."""


@dataclass(frozen=True)
class Survey:
    """A data set that was looked through."""

    source: Source
    reports: tuple[CaseReport, ...]
    """Cases that could be read."""
    instances: bool
    rule: LabelRule
    problems: tuple[Problem, ...]
    """All that is wrong; errors first."""
    notes: tuple[str, ...] = ()


def survey(
    source: Source,
    instances: bool | None = None,
    plane: str | None = None,
    on_case: OnCase | None = None,
) -> Survey:
    """Look through a data set. Nothing is written.

    Parameters
    ----------
    source
        As :func:`~swin_umamba_training.data.finding.find_source` returned it.
    instances
        Whether labels number objects; None: as the data set says or shows.
    plane
        Axis that volumes are cut along; None: of each volume, its coarsest.
    on_case
        Told about the progress.
    """
    looker = _Looker(source, instances, plane)
    problems = list(source.problems)
    if source.instances is not None and instances not in (None, source.instances):
        holds = "number objects" if source.instances else "are classes"
        message = (
            f"labels of {source.path} {holds}, as it declares; leave out "
            f"{'--semantic' if source.instances else '--instances'}"
        )
        problems.append(Problem("classes-or-objects", message, (str(source.path),)))
    reports = []
    for index, case in enumerate(source.cases):
        if on_case is not None:
            on_case(index, len(source.cases), case.name)
        report = looker.look(case, problems)
        if report is not None:
            reports.append(report)
    numbered, rule, notes = looker.decide(problems)
    problems += compare_cases(source, reports, rule, numbered)
    problems.sort(key=lambda problem: problem.severity != "error")
    usable = tuple(report for report in reports if report.usable)
    return Survey(source, usable, numbered, rule, tuple(problems), (*source.notes, *notes))


class _Looker:
    """Looks at one case after the other and remembers what the masks look like."""

    def __init__(self, source: Source, instances: bool | None, plane: str | None) -> None:
        self._source = source
        self._instances = source.instances if source.instances is not None else instances
        self._plane = plane
        self._summaries: list[MaskSummary] = []

    def look(self, case: Case, problems: list[Problem]) -> CaseReport | None:
        """Read a case; None if its image cannot be read."""
        count = len(problems)
        image = read_case_image(case, problems)
        if image is None:
            _try_labels(case, problems)
            return None
        try:
            layout, spacing = case_layout(image, self._plane)
        except InputError as error:
            problems.append(Problem("unreadable", f"{case.images[0]}: {error}", _files(case)))
            return None
        labels = read_case_labels(case, image, problems)
        _check_finite(case, image, problems)
        hashes = tuple(hash_file(file) for file in case.images)
        for file, was, found in zip(case.images, case.sha256, hashes, strict=False):
            if was != found:
                message = (
                    f"{file} is not the file that was annotated: its content has changed; put the "
                    "former file back, or add this one as a new image"
                )
                problems.append(Problem("file-changed", message, (str(file),)))
        usable = labels is not None and all(p.severity != "error" for p in problems[count:])
        channels = 3 if layout.colours else layout.channels
        return CaseReport(
            case=case,
            shape=() if labels is None else labels.shape,
            axes=image.axes,
            dtype=str(image.array.dtype),
            channels=channels,
            colours=layout.colours > 0,
            spacing=image.spacing,
            unit=image.unit,
            slice_axis=plane_axis(image, layout),
            plane_shape=layout.plane_shape,
            plane_spacing=spacing,
            slices=() if labels is None else self._slices(case, image, layout, labels),
            intensities=(
                np.empty((channels, 0), np.float32)
                if labels is None
                else self._sample(image, labels, channels)
            ),
            low_high=(float(image.array.min()), float(image.array.max())),
            image_hash="+".join(hashes),
            label_hash=_label_hash(case) if usable else "",
            usable=usable,
        )

    def decide(self, problems: list[Problem]) -> tuple[bool, LabelRule, list[str]]:
        """Settle what labels mean, once all were seen."""
        source, notes = self._source, []
        instances = bool(self._instances)
        values: tuple[int, ...] = ()
        if source.classes is not None:
            values = tuple(item.value for item in source.classes)
        elif self._summaries:
            try:
                if self._instances is None:
                    instances = are_instances(self._summaries)
                    notes.append(_describe(self._summaries, instances))
                values = () if instances else class_values(self._summaries)
            except InputError as error:
                code = "classes-or-objects" if "--instances)" in str(error) else "undeclared-label"
                problems.append(Problem(code, str(error), (str(source.path),)))
        if values and source.classes is None and values != tuple(range(len(values))):
            last = len(values) - 1
            notes.append(f"mask values {_listed(values)} are taken as classes 0…{last}")
        rule = LabelRule(() if instances else values, source.background, source.unknown)
        return instances, rule, notes

    def _slices(
        self, case: Case, image: Image, layout: SliceLayout, labels: NDArray[np.integer]
    ) -> tuple[SliceReport, ...]:
        reports = []
        unknown, background = self._source.unknown, self._source.background
        for position in layout.positions():
            plane = labels[layout.target(position)]
            values, counts = np.unique(plane, return_counts=True)
            pixels = dict(zip(values.tolist(), counts.tolist(), strict=True))
            found = (0, 0, 0, 0)
            if self._source.classes is None or self._instances:
                hidden = plane if unknown is None else np.where(plane == unknown, 0, plane)
                if background:
                    hidden = np.where(hidden == background, 0, hidden)
                summary = summarize_mask(Path(case.labels_name).name, hidden)
                self._summaries.append(summary)
                found = (summary.labels, summary.small, summary.holed, summary.bent)
            reports.append(SliceReport(position, pixels, *found))
        return tuple(reports)

    def _sample(
        self, image: Image, labels: NDArray[np.integer], channels: int
    ) -> NDArray[np.float32]:
        """Take intensities of labelled things, evenly spread; of everything if there are none."""
        array = image.array
        if "C" in image.axes:
            array = np.moveaxis(array, image.axes.index("C"), 0)[:channels]
        else:
            array = array[np.newaxis]
        foreground = labels > self._source.background
        if self._source.unknown is not None:
            foreground &= labels != self._source.unknown
        chosen = np.flatnonzero(foreground)
        if not len(chosen):
            chosen = np.arange(labels.size)
        chosen = chosen[:: max(1, len(chosen) // INTENSITIES)]
        return np.stack([channel.reshape(-1)[chosen] for channel in array]).astype(np.float32)


def _try_labels(case: Case, problems: list[Problem]) -> None:
    """Say also what is wrong with the labels of an image that cannot be read."""
    from napari_swin_umamba.images import read_labels

    if isinstance(case.labels, Path):
        try:
            read_labels(case.labels)
        except InputError as error:
            problems.append(Problem("bad-labels", str(error), (case.labels_name,)))


def _check_finite(case: Case, image: Image, problems: list[Problem]) -> None:
    array = image.array
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        plural = "s are" if bad > 1 else " is"
        message = f"{case.images[0]}: {bad:,} value{plural} NaN or infinite; replace them"
        problems.append(Problem("not-finite", message, _files(case)))


def _label_hash(case: Case) -> str:
    return hash_file(case.labels) if isinstance(case.labels, Path) else case.labels.digest()


def _files(case: Case) -> tuple[str, ...]:
    return tuple(map(str, case.images))


def _describe(summaries: list[MaskSummary], instances: bool) -> str:
    if instances:
        most = max(summary.labels for summary in summaries)
        return f"masks number objects, up to {most} in one (if not so: --semantic)"
    return "mask values are classes (if they number objects: --instances)"


def _listed(values: tuple[int, ...], limit: int = 6) -> str:
    shown = ", ".join(str(value) for value in values[:limit])
    return shown + (", …" if len(values) > limit else "")
