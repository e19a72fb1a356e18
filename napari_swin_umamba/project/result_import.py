"""A result comes back into its project: checked, then a model like all others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_swin_umamba.archives import Archive, Limits, OnBytes, ShouldStop
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import atomic_folder
from napari_swin_umamba.project.lock import FolderLock
from napari_swin_umamba.project.manifests import ResultManifest, read_manifest
from napari_swin_umamba.project.models import JudgedBeside, ModelRecord, ProjectModels
from napari_swin_umamba.project.project import Project, hash_file
from napari_swin_umamba.project.result import MODEL, RESULT_FILES

__all__ = ["Imported", "import_result"]

ReadTraining = Callable[[Path], Mapping[str, Any]]
_LIMITS = Limits(files=16, file_bytes=8 << 30, total_bytes=16 << 30)


@dataclass(frozen=True)
class Imported:
    """What became of a result."""

    record: ModelRecord
    notes: tuple[str, ...]
    """What a person should know: what changed in the project since the job was exported."""
    is_new: bool
    """Whether the project did not have the model before."""
    adopted: bool
    """Whether it is the project's model now."""
    steps: int
    seconds: float
    """Of its training."""

    @property
    def asks(self) -> bool:
        """Whether a person has to look at it and choose."""
        found = self.record.comparison
        undecided = found is None or found.outcome == "too_little"
        return not self.adopted and (undecided or bool(self.record.overtaken))


def import_result(
    project: Project,
    path: Path,
    read_training: ReadTraining,
    on_bytes: OnBytes | None = None,
    should_stop: ShouldStop | None = None,
) -> Imported:
    """Bring the model of a result into its project, where the usual rule decides what it becomes.

    Parameters
    ----------
    project
        That the job was exported from, or a copy of it.
    path
        The result.
    read_training
        Reads the training record of a model file, or raises :class:`InputError`.
    on_bytes
        Told about the progress.
    should_stop
        Asked now and then.

    Raises
    ------
    InputError
        It is no result, damaged, or tampered with; it is of another project; the project's classes
        are others since; or it learned from slices that are held out here. Nothing has changed.
    Cancelled
        The work was stopped; nothing has changed.
    """
    with Archive(path, _LIMITS) as archive:
        manifest = read_manifest(archive, ResultManifest)
        names = {file.name for file in manifest.files}
        if MODEL not in names or names - set(RESULT_FILES):
            raise InputError(f"{path} is no result that can be used: it holds {sorted(names)}")
        _check_project(project, path, manifest)
        notes = [*_check_classes(project, path, manifest), *changes_since(project, manifest)]
        _merged_roles(project, manifest)
        models = ProjectModels(project.folder)
        folder = _free_folder(project.folder / "runs", f"job-{manifest.id[:8]}")
        with atomic_folder(folder) as temporary:
            archive.unpack(temporary, manifest.packed, on_bytes, should_stop)
            _check_model(temporary / MODEL, path, manifest, read_training)
    model = folder / MODEL
    try:
        known = {item.sha256 for item in models.read().models}
        is_new = hash_file(model) not in known
        if is_new:
            _keep_roles(project, manifest)
        record = models.add(
            model,
            manifest.start,
            str(folder),
            manifest.comparison,
            JudgedBeside(manifest.current),
        )
        if not is_new:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            with suppress(OSError):
                model.unlink()  # it lies among the project's models now
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if record.overtaken:
        notes.append(
            f"it was compared with {_judged_with(manifest)}, and the project's model is another by "
            "now: look at both and choose"
        )
    if manifest.comparison is None:
        notes.append(f"it was not compared: {manifest.not_compared or 'no slice was held out'}")
    adopted = models.read().current == record
    return Imported(record, tuple(notes), is_new, adopted, manifest.steps, manifest.seconds)


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


def _check_project(project: Project, path: Path, manifest: ResultManifest) -> None:
    known = {image.id for image in project.images} & set(manifest.images)
    if manifest.project_uid != project.settings.uid or not known:
        raise InputError(
            f"{path} is the result of a job of the project '{manifest.project}', not of "
            f"{project.folder}; open that one and import it there"
        )


def _check_classes(project: Project, path: Path, manifest: ResultManifest) -> list[str]:
    """Refuse other classes; return what was only renamed."""
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


def _check_model(
    model: Path, path: Path, manifest: ResultManifest, read_training: ReadTraining
) -> None:
    """The model says of itself what the result says of it."""
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


def _merged_roles(project: Project, manifest: ResultManifest) -> Any:
    try:
        return project.roles.merged(manifest.roles)
    except InputError as error:
        raise InputError(
            f"the result was not imported: {error}. The project's held-out slices are no test of "
            "this model; export a new job, and import its result instead"
        ) from error


def _keep_roles(project: Project, manifest: ResultManifest) -> None:
    with FolderLock(project.folder, "roles", "beginning a training", "try again in a moment"):
        roles = _merged_roles(project, manifest)
        if roles != project.roles:
            project.save_roles(roles)


def _free_folder(above: Path, name: str) -> Path:
    number = 1
    while (folder := above / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def _judged_with(manifest: ResultManifest) -> str:
    return (manifest.comparison.before if manifest.comparison else None) or "no other model"


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
