"""What is wrong with cases as compared with each other and with what the data set declares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from swin_umamba_training.data.problems import Problem, listed_files
from swin_umamba_training.data.reports import CaseReport
from swin_umamba_training.data.source import LabelRule, Source

__all__ = ["MIXED_SPACING", "compare_cases"]

MIXED_SPACING = 1.25
"""Ratio of pixel sizes from which they are called mixed: that of ``segment``'s note."""

_K = TypeVar("_K")


def compare_cases(
    source: Source, reports: Sequence[CaseReport], rule: LabelRule, instances: bool
) -> list[Problem]:
    """List what is wrong with the cases that could be read.

    Parameters
    ----------
    source
        The data set.
    reports
        Of its cases, those with something wrong included.
    rule
        What their values mean.
    instances
        Whether they number objects.
    """
    labelled = [report for report in reports if report.usable]
    return [
        *_undeclared(source, reports, instances),
        *_channels(source, reports),
        *_dtypes(reports),
        *_dimensions(reports),
        *_spacings(reports),
        *_constant(reports),
        *(_empty(source, labelled, rule) if labelled else ()),
        *(_unused(source, labelled, instances) if labelled else ()),
        *_twice(reports),
    ]


def _grouped(
    reports: Sequence[CaseReport], key: Callable[[CaseReport], _K]
) -> dict[_K, list[CaseReport]]:
    groups: dict[_K, list[CaseReport]] = {}
    for report in reports:
        groups.setdefault(key(report), []).append(report)
    return groups


def _images(reports: Sequence[CaseReport]) -> tuple[str, ...]:
    return tuple(str(report.case.images[0]) for report in reports)


def _undeclared(source: Source, reports: Sequence[CaseReport], instances: bool) -> list[Problem]:
    if source.classes is None or instances:
        return []
    declared = {item.value for item in source.classes} | {source.unknown}
    remedy = "declare it or remove it"
    if source.kind == "project":
        remedy = "paint over it in napari, where it is pink, or add a class"
    found = []
    for report in reports:
        pixels = report.pixels
        for value in sorted(pixels.keys() - declared):
            message = (
                f"{report.case.labels_name} holds the label {value} ({pixels[value]:,} pixels), "
                f"which is not declared: {_declared(source)}; {remedy}"
            )
            found.append(Problem("undeclared-label", message, (report.case.labels_name,)))
    return found


def _declared(source: Source) -> str:
    named = [f"{item.value} {item.name}" for item in source.classes or ()]
    return ", ".join(named[:12]) + (", …" if len(named) > 12 else "")


def _channels(source: Source, reports: Sequence[CaseReport]) -> list[Problem]:
    groups = _grouped(reports, lambda report: (report.channels, report.colours))
    if source.channel_names is not None:
        wanted = len(source.channel_names)
        wrong = [report for report in reports if report.channels != wanted]
        if not wrong:
            return []
        message = (
            f"{source.path} declares {wanted} channels ({', '.join(source.channel_names)}), but "
            f"{listed_files(_images(wrong))} {'has' if len(wrong) == 1 else 'have'} "
            f"{wrong[0].channels}"
        )
        return [Problem("channels-differ", message, _images(wrong))]
    grey = (1, False)
    mixable = all(colours or channels == 1 for channels, colours in groups)
    if len(groups) < 2 or (mixable and grey in groups):
        return []
    parts = "; ".join(
        f"{listed_files(_images(members))} {'has' if len(members) == 1 else 'have'} "
        f"{_channel_words(*kind)}"
        for kind, members in groups.items()
    )
    message = f"images differ in their channels: {parts}; give all the same"
    return [Problem("channels-differ", message, _images(reports))]


def _channel_words(channels: int, colours: bool) -> str:
    return "colours" if colours else f"{channels} channel{'s' * (channels > 1)}"


def _dtypes(reports: Sequence[CaseReport]) -> list[Problem]:
    groups = _grouped(reports, lambda report: report.dtype)
    if len(groups) < 2:
        return []
    parts = _counted(groups)
    message = (
        f"images differ in their bit depth: {parts}; training goes on, since intensities are "
        "scaled image by image, but make sure that all were acquired alike"
    )
    return [Problem("mixed-bit-depth", message, _images(_minority(groups)), "warning")]


def _dimensions(reports: Sequence[CaseReport]) -> list[Problem]:
    groups = _grouped(reports, lambda report: report.axes.replace("C", ""))
    if len(groups) < 2:
        return []
    message = f"images differ in their axes: {_counted(groups)}; training takes slices of all"
    return [Problem("mixed-axes", message, _images(_minority(groups)), "warning")]


def _spacings(reports: Sequence[CaseReport]) -> list[Problem]:
    found = []
    groups = _grouped(reports, lambda r: (r.plane_spacing is not None, r.unit))
    if len(groups) > 1:
        named = {
            f"{unit or 'no unit'}" if known else "no pixel size": members
            for (known, unit), members in groups.items()
        }
        message = (
            f"images differ in what they say about the size of a pixel: {_counted(named)}; it is "
            "ignored, unless you write it into all files"
        )
        found.append(Problem("mixed-units", message, _images(_minority(groups)), "warning"))
    known = [r for r in reports if r.plane_spacing is not None and r.spacing is not None]
    if not known or len({report.unit for report in known}) > 1:
        return found
    sizes = [report.plane_spacing for report in known if report.plane_spacing]
    low, high = min(min(size) for size in sizes), max(max(size) for size in sizes)
    by_axis = max(
        max(size[axis] for size in sizes) / min(size[axis] for size in sizes) for axis in (0, 1)
    )
    if by_axis > MIXED_SPACING:
        middle = sorted(size[1] for size in sizes)[len(sizes) // 2]
        odd = [
            report
            for report in known
            if report.plane_spacing
            and not 1 / MIXED_SPACING <= report.plane_spacing[1] / middle <= MIXED_SPACING
        ] or known
        message = (
            f"pixel sizes within slices are mixed: {low:g} to {high:g} {known[0].unit or ''}; "
            f"unlike most: {listed_files(_images(odd))}; training takes images as they are, "
            "--spacing resamples all to one"
        )
        found.append(Problem("mixed-spacing", message, _images(odd), "warning"))
    return found


def _empty(source: Source, reports: Sequence[CaseReport], rule: LabelRule) -> list[Problem]:
    """Cases that teach nothing, or nothing but background."""
    values = {value for report in reports for value in report.pixels if rule.known(value)}
    where = f"every mask in {source.path / 'masks'}" if source.kind == "pairs" else "every label"
    if len(values) <= 1:
        only = f"holds only the value {next(iter(values))}" if values else "is unlabelled"
        message = (
            f"{where} {only}: there is nothing to tell apart; paint at least one object and some "
            f"background ({source.background})"
        )
        return [Problem("nothing-labelled", message, (str(source.path),))]
    found = []
    unlabelled = [r for r in reports if not any(rule.known(value) for value in r.pixels)]
    if unlabelled:
        files = tuple(report.case.labels_name for report in unlabelled)
        message = f"nothing is labelled and the case is left out: {listed_files(files)}"
        found.append(Problem("unlabelled-case", message, files, "warning"))
    empty = [
        report
        for report in reports
        if report not in unlabelled
        and not any(rule.known(v) and v != source.background for v in report.pixels)
    ]
    if empty and source.kind != "project":
        files = tuple(report.case.labels_name for report in empty)
        message = (
            f"{len(empty)} of {len(reports)} label files hold background only: "
            f"{listed_files(files)}; training takes them as empty, remove them if they were only "
            "not labelled"
        )
        found.append(Problem("empty-case", message, files, "warning"))
    return found


def _constant(reports: Sequence[CaseReport]) -> list[Problem]:
    flat = [report for report in reports if report.low_high[0] == report.low_high[1]]
    if not flat:
        return []
    message = f"images hold one value only, there is nothing to see: {listed_files(_images(flat))}"
    return [Problem("constant-image", message, _images(flat), "warning")]


def _unused(source: Source, reports: Sequence[CaseReport], instances: bool) -> list[Problem]:
    if source.classes is None or instances:
        return []
    present = {value for report in reports for value in report.pixels}
    absent = [item for item in source.classes if item.value not in present]
    if not absent:
        return []
    names = ", ".join(f"{item.name} ({item.value})" for item in absent)
    message = f"declared, but labelled nowhere, so they cannot be learned: {names}"
    return [Problem("class-absent", message, (str(source.path),), "warning")]


def _twice(reports: Sequence[CaseReport]) -> list[Problem]:
    found = []
    for same in _grouped(reports, lambda report: report.image_hash).values():
        if len(same) > 1:
            message = (
                f"one image comes several times: {listed_files(_images(same))}; if copies are "
                "trained on and validated with, the score says little: keep one"
            )
            found.append(Problem("same-image", message, _images(same), "warning"))
    return found


def _counted(groups: dict[str, list[CaseReport]]) -> str:
    """Each kind with its number and, for the rarer ones, names."""
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    first = f"{len(ordered[0][1])} {ordered[0][0]}"
    rest = [
        f"{len(members)} {kind} ({listed_files(_images(members))})" for kind, members in ordered[1:]
    ]
    return ", ".join([first, *rest])


def _minority(groups: dict[_K, list[CaseReport]]) -> list[CaseReport]:
    largest = max(groups.values(), key=len)
    return [report for members in groups.values() if members is not largest for report in members]
