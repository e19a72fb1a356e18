"""From an annotation project to a nnU-Net raw folder."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import atomic_path
from napari_swin_umamba.images import Image, read_image, suffix_of, write_labels
from swin_umamba_training.data.cases import case_layout, read_case_image, read_case_labels
from swin_umamba_training.data.problems import Problem, raise_errors
from swin_umamba_training.data.reports import CaseReport
from swin_umamba_training.data.survey import OnCase, Survey
from swin_umamba_training.targets import IGNORE, boundary_target

__all__ = ["export_nnunet"]

_LOSSLESS = (".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".tif", ".tiff")


def export_nnunet(looked: Survey, folder: Path, on_case: OnCase | None = None) -> Path:
    """Write a data set as a nnU-Net raw folder: ids become 0 background, 1, 2, …, last ignore.

    Images keep their file format if all have one that nnU-Net reads; they are copied byte by byte.
    Where objects are numbered, labels are 1 interior and 2 boundary, as this package trains them.

    Parameters
    ----------
    looked
        The data set, usually a project, without errors.
    folder
        New or empty, such as ``nnUNet_raw/Dataset042_Cells``. It is made whole or not at all.
    on_case
        Told about the progress.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        The data set has errors, its files have several formats, or the folder is in use or cannot
        be written.
    """
    raise_errors(looked.problems)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is in use; choose a new or empty folder (-o)")
    ending = _ending(looked)
    partial = folder.with_name(f".{folder.name}.export")
    try:
        if partial.exists():
            shutil.rmtree(partial)
        for part in ("imagesTr", "labelsTr"):
            (partial / part).mkdir(parents=True)
        unknown = False
        names = _file_names([report.name for report in looked.reports])
        for index, report in enumerate(looked.reports):
            if on_case is not None:
                on_case(index, len(looked.reports), report.name)
            unknown |= _export_case(looked, report, partial, names[index], ending)
        _describe(looked, partial / "dataset.json", ending, unknown)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error} (-o)") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _ending(looked: Survey) -> str:
    endings = {suffix_of(file) for report in looked.reports for file in report.case.images}
    if len(endings) > 1:
        several = ", ".join(sorted(endings))
        raise InputError(
            f"a nnU-Net data set has one file format, these images have {several}; convert them "
            "to one before exporting"
        )
    ending = endings.pop()
    if ending not in _LOSSLESS:
        raise InputError(
            f"nnU-Net data sets cannot hold labels as {ending}; convert the images to one of "
            f"{', '.join(_LOSSLESS)} before exporting"
        )
    return ending


def _file_names(names: list[str]) -> list[str]:
    """Names without what file systems and nnU-Net stumble over, all different."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("._") or "case"
        wanted, count = plain, 1
        while wanted.casefold() in {other.casefold() for other in found}:
            count += 1
            wanted = f"{plain}_{count}"
        found.append(wanted)
    return found


def _export_case(looked: Survey, report: CaseReport, folder: Path, name: str, ending: str) -> bool:
    """Copy images, write labels; return whether any pixel is unlabelled."""
    problems: list[Problem] = []
    image = read_case_image(report.case, problems)
    stored = read_case_labels(report.case, image, problems) if image is not None else None
    raise_errors(problems)
    assert image is not None
    assert stored is not None
    for channel, file in enumerate(report.case.images):
        shutil.copyfile(file, folder / "imagesTr" / f"{name}_{channel:04d}{ending}")
    labels = looked.rule.apply(stored)
    if looked.instances:
        labels = _boundaries(image, report, labels)
    unknown = labels == IGNORE
    labels[unknown] = _ignore_value(looked)
    grid = image if len(report.case.images) == 1 else read_image(report.case.images[0])
    write_labels(folder / "labelsTr" / f"{name}{ending}", labels, grid)
    return bool(unknown.any())


def _boundaries(image: Image, report: CaseReport, labels: NDArray[np.int32]) -> NDArray[np.int32]:
    layout, _ = case_layout(image, report.slice_axis)
    for item in report.slices:
        place = layout.target(item.position)
        labels[place] = boundary_target(labels[place])
    return labels


def _class_names(looked: Survey) -> list[str]:
    if looked.instances:
        kind = looked.source.classes[-1].name if looked.source.classes else "object"
        return ["background", f"{kind} interior", f"{kind} boundary"]
    declared = {item.value: item.name for item in looked.source.classes or ()}
    return [
        "background",
        *(declared.get(value, f"class {value}") for value in looked.rule.values[1:]),
    ]


def _ignore_value(looked: Survey) -> int:
    return len(_class_names(looked))


def _describe(looked: Survey, file: Path, ending: str, unknown: bool) -> None:
    names = _class_names(looked)
    labels: dict[str, int] = {name: index for index, name in enumerate(names)}
    if unknown:
        labels["ignore"] = len(names)
    first = looked.reports[0]
    channels = looked.source.channel_names or (
        ("R", "G", "B")
        if first.colours
        else tuple(f"channel {index + 1}" for index in range(first.channels))
    )
    description = {
        "channel_names": {str(index): name for index, name in enumerate(channels)},
        "labels": labels,
        "numTraining": len(looked.reports),
        "file_ending": ending,
    }
    with atomic_path(file, overwrite=True) as temporary:
        text = json.dumps(description, indent=1, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
