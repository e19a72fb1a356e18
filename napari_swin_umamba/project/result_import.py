"""A result comes back into its project: checked, then a model like all others."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from napari_swin_umamba.archives import Archive, Limits, OnBytes, ShouldStop
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import atomic_folder, hash_file
from napari_swin_umamba.project.lock import FolderLock
from napari_swin_umamba.project.manifests import ResultManifest, read_manifest
from napari_swin_umamba.project.models import JudgedBeside, ModelRecord, ProjectModels
from napari_swin_umamba.project.project import Project
from napari_swin_umamba.project.result import MODEL, RESULT_FILES
from napari_swin_umamba.project.result_checks import (
    ReadTraining,
    changes_since,
    check_classes,
    check_model,
    check_project,
)
from napari_swin_umamba.project.roles import Roles

__all__ = ["Imported", "import_result"]

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
        check_project(project, path, manifest)
        notes = [*check_classes(project, path, manifest), *changes_since(project, manifest)]
        _merged_roles(project, manifest)
        models = ProjectModels(project.folder)
        folder = _free_folder(project.folder / "runs", f"job-{manifest.id[:8]}")
        with atomic_folder(folder) as temporary:
            archive.unpack(temporary, manifest.packed, on_bytes, should_stop)
            check_model(temporary / MODEL, path, manifest, read_training)
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


def _merged_roles(project: Project, manifest: ResultManifest) -> Roles:
    here = {image.id for image in project.images}
    images = {name: blocks for name, blocks in manifest.roles.images.items() if name in here}
    try:
        return project.roles.merged(manifest.roles.model_copy(update={"images": images}))
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
