"""Annotation projects as data sets."""

from __future__ import annotations

from pathlib import Path

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.project import BACKGROUND, UNLABELLED, Project
from swin_umamba_training.data.problems import Problem, listed_files
from swin_umamba_training.data.source import Case, ClassSpec, Source

__all__ = ["project_source"]


def project_source(path: Path) -> Source:
    """List the annotated images of a project and find their files.

    Parameters
    ----------
    path
        The project's folder.

    Raises
    ------
    InputError
        Its ``project.yaml`` cannot be read.
    """
    project = Project.open(path)
    problems: list[Problem] = []
    cases: list[Case] = []
    unpainted: list[str] = []
    names: set[str] = set()
    for image in project.images:
        annotation = project.annotation(image.id)
        if not annotation.annotated():
            unpainted.append(image.name)
            continue
        try:
            files = project.find_files(image.id)
        except InputError as error:
            where = tuple(file.path for file in image.files)
            problems.append(Problem("missing-image", str(error), where))
            continue
        name = image.name if image.name not in names else image.id
        names.add(name)
        hashes = tuple(file.sha256 for file in image.files)
        cases.append(Case(name, files, annotation, hashes))
    if unpainted:
        count = f"{len(unpainted)} image{'s are' if len(unpainted) > 1 else ' is'} not annotated"
        message = f"{count} and left out: {listed_files(unpainted)}"
        problems.append(Problem("missing-mask", message, tuple(unpainted), "warning"))
    if not cases and not any(problem.code == "missing-image" for problem in problems):
        message = f"nothing is annotated in the project {path}; paint a slice first"
        problems.append(Problem("no-masks", message, (str(path),)))
    classes = (
        ClassSpec(BACKGROUND, "background"),
        *(ClassSpec(item.id, item.name, item.color) for item in project.classes),
    )
    if len(classes) == 1:
        message = f"the project {path} has no classes; add one"
        problems.append(Problem("no-classes", message, (str(path / "project.yaml"),)))
    return Source(
        path,
        "project",
        tuple(cases),
        tuple(sorted(classes, key=lambda item: item.value)),
        instances=project.settings.kind == "instances",
        background=BACKGROUND,
        unknown=UNLABELLED,
        channel_names=project.settings.channel_names or None,
        problems=tuple(problems),
    )
