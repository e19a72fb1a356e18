"""Whether a result fits its project, and what has changed there since."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import hash_file
from napari_swin_umamba.project.manifests import ResultManifest
from napari_swin_umamba.project.project import Project
from napari_swin_umamba.project.result import MODEL

__all__ = ["ReadTraining", "changes_since", "check_classes", "check_model", "check_project"]

ReadTraining = Callable[[Path], Mapping[str, Any]]
"""Reads the training record of a model file, or raises :class:`InputError`."""


def changes_since(project: Project, manifest: ResultManifest) -> list[str]:
    """Say what was painted, and which images changed, since a job was exported.

    Raises
    ------
    InputError
        The project's files cannot be read.
    """
    notes: list[str] = []
    here = {image.id: tuple(file.sha256 for file in image.files) for image in project.images}
    gone = [name for name, hashes in manifest.images.items() if here.get(name) != hashes]
    if gone:
        notes.append(f"images that it learned from are not in the project any more: {_some(gone)}")
    root = project.folder / "annotations"
    now: dict[str, Path] = {}
    for image in project.images:
        annotation = project.annotation(image.id)
        for position in annotation.painted():
            file = annotation.file(position)
            now[f"{image.id}/{file.name}"] = file
        for position in annotation.complete():
            file = annotation.file(position).with_suffix(".complete")
            now[f"{image.id}/{file.name}"] = file
    then = {name for name in manifest.annotations if name.partition("/")[0] not in gone}
    changed = {
        os.path.splitext(name)[0]
        for name in then | now.keys()
        if name not in now
        or name not in then
        or hash_file(root / name) != manifest.annotations[name]
    }
    if changed:
        what = "1 slice was" if len(changed) == 1 else f"{len(changed):,} slices were"
        notes.append(f"{what} annotated or changed since the job was exported")
    return notes


def check_project(project: Project, path: Path, manifest: ResultManifest) -> None:
    """Refuse a result of another project, or one whose scores are of other classes.

    Raises
    ------
    InputError
        Names the project that it is of.
    """
    known = {image.id for image in project.images} & set(manifest.images)
    if manifest.project_uid != project.settings.uid or not known:
        raise InputError(
            f"{path} is the result of a job of the project '{manifest.project}', not of "
            f"{project.folder}; open that one and import it there"
        )
    names = {item.id: item.name for item in manifest.classes}
    scored = manifest.comparison.classes if manifest.comparison else ()
    if any(names.get(score.id) != score.name for score in scored):
        raise InputError(
            f"{path} is no result that can be used: it scores classes that its project does not "
            "have; copy it again from where it was made"
        )


def check_classes(project: Project, path: Path, manifest: ResultManifest) -> list[str]:
    """Refuse other classes; return what was only renamed.

    Raises
    ------
    InputError
        Says which class is another, and what to do.
    """
    now = {item.id: item.name for item in project.classes}
    then = {item.id: item.name for item in manifest.classes}
    gone = [f"'{name}'" for number, name in then.items() if number not in now]
    new = [f"'{name}'" for number, name in now.items() if number not in then]
    renamed = {then[number]: now[number] for number in then.keys() & now.keys()}
    renamed = {old: name for old, name in renamed.items() if old != name}
    exchanged = [f"'{old}'" for old in renamed if old in now.values()]
    what = [
        *([f"{_some(gone)} was removed"] if gone else []),
        *([f"{_some(new)} was added"] if new else []),
        *([f"{_some(exchanged)} names another class"] if exchanged else []),
    ]
    if what or manifest.kind != project.settings.kind:
        raise InputError(
            f"{path} was not imported: the project's classes are others than when its job was "
            f"exported ({'; '.join(what) or 'another kind of project'}). Export a new job; to "
            f"go on from what was learned, unpack {MODEL} from the archive and start from that file"
        )
    return [f"'{old}' is called '{name}' by now" for old, name in renamed.items()]


def check_model(
    model: Path, path: Path, manifest: ResultManifest, read_training: ReadTraining
) -> None:
    """Refuse a model that does not say of itself what the result says of it.

    Parameters
    ----------
    model
        The unpacked file.
    path, manifest
        The result.
    read_training
        Reads the training record of a model file.

    Raises
    ------
    InputError
        It cannot be read, or is of another project or other classes.
    """
    try:
        training = read_training(model)
    except InputError as error:
        reason = str(error).replace(str(model), MODEL)
        raise InputError(f"the model in {path} cannot be used: {reason}") from error
    ids = training.get("project_class_ids")
    wanted = {item.id for item in manifest.classes}
    if (
        training.get("project") != manifest.project_uid
        or not isinstance(ids, list)
        or not wanted <= {number for number in ids if isinstance(number, int)}
    ):
        raise InputError(
            f"the model in {path} is not one of this job: its record names other classes or "
            "another project; copy the result again from where it was made"
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
