"""From a nnU-Net raw folder or image/mask pairs to an annotation project."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_image
from napari_swin_umamba.project import BACKGROUND, FIRST_CLASS, UNLABELLED, Project
from swin_umamba_training.data.cases import read_case_image, read_case_labels
from swin_umamba_training.data.problems import Problem, raise_errors
from swin_umamba_training.data.reports import CaseReport
from swin_umamba_training.data.survey import OnCase, Survey
from swin_umamba_training.targets import IGNORE

__all__ = ["import_dataset"]


def import_dataset(
    looked: Survey,
    folder: Path,
    class_names: Sequence[str] = (),
    copy: bool = False,
    on_case: OnCase | None = None,
) -> Project:
    """Make a project of a data set: images by reference or copied, masks as annotation.

    Slices are complete where all their pixels are labelled.

    Parameters
    ----------
    looked
        The data set, without errors.
    folder
        Of the project: new or empty. It is made whole or not at all.
    class_names
        Names of the foreground classes by value, where the data set declares none.
    copy
        Copy the images into the project, so that it can be moved.
    on_case
        Told about the progress.

    Raises
    ------
    InputError
        The data set has errors or is a project already, names do not fit, or the folder is in use
        or cannot be written.
    """
    raise_errors(looked.problems)
    if looked.source.kind == "project":
        raise InputError(f"{looked.source.path} is an annotation project already")
    names = _class_names(looked, class_names)
    kind: Literal["instances", "semantic"] = "instances" if looked.instances else "semantic"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is in use; choose a new or empty folder (-o)")
    # Made beside it and renamed at the end: a project that is there is whole.
    partial = folder.with_name(f".{folder.name}.import")
    try:
        if partial.exists():
            shutil.rmtree(partial)
        project = Project.create(partial, kind, names, looked.source.channel_names or ())
        for index, report in enumerate(looked.reports):
            if on_case is not None:
                on_case(index, len(looked.reports), report.name)
            _import_case(project, looked, report, copy)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error} (-o)") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Project.open(folder)


def _class_names(looked: Survey, given: Sequence[str]) -> tuple[str, ...]:
    if looked.instances:
        if len(given) > 1:
            raise InputError("masks that number objects have one kind of object (--class-names)")
        return tuple(given) or ("object",)
    declared = {item.value: item.name for item in looked.source.classes or ()}
    values = looked.rule.values[1:]
    if given and len(given) != len(values):
        raise InputError(f"{len(given)} names for {len(values)} foreground classes (--class-names)")
    return tuple(given) or tuple(declared.get(value, f"class {value}") for value in values)


def _import_case(project: Project, looked: Survey, report: CaseReport, copy: bool) -> None:
    problems: list[Problem] = []
    case = report.case
    image = read_case_image(case, problems)
    labels = read_case_labels(case, image, problems) if image is not None else None
    raise_errors(problems)
    assert image is not None
    assert labels is not None
    # The grid of one file: channels in files of their own are no axis of it.
    grid = image if len(case.images) == 1 else read_image(case.images[0])
    axis = cast('Literal["Z", "Y", "X"] | None', report.slice_axis)
    added = project.add_image(case.images, grid, case.name, axis, copy)
    annotation = project.annotation(added.id)
    painted = _annotation_values(looked.rule.apply(labels))
    axes = added.label_axes
    for position in annotation.positions():
        index: list[int | slice] = [slice(None)] * len(axes)
        for letter, place in zip(added.fixed_axes, position, strict=True):
            index[axes.index(letter)] = place
        plane = painted[tuple(index)]
        annotation.write(position, plane)
        if (plane != UNLABELLED).all():
            annotation.set_complete(position)


def _annotation_values(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """From -1 unknown, 0 background, 1… to 0 unlabelled, 1 background, 2…"""
    assert FIRST_CLASS == BACKGROUND + 1
    return np.where(labels == IGNORE, UNLABELLED, labels + BACKGROUND)
