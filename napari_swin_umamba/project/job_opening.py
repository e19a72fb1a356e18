"""A job that came from another computer becomes a folder that can be trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_swin_umamba.archives import Archive, Limits, OnBytes
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import atomic_folder
from napari_swin_umamba.project.json_file import json_bytes
from napari_swin_umamba.project.manifests import (
    JOB_FILE,
    RECIPE_FILE,
    JobManifest,
    class_names,
    read_manifest,
)
from napari_swin_umamba.project.project import Project

__all__ = ["OpenedJob", "job_in", "unpack_job"]


@dataclass(frozen=True)
class OpenedJob:
    """A job in a folder."""

    folder: Path
    manifest: JobManifest

    @property
    def project(self) -> Path:
        """The project's folder."""
        return self.folder / self.manifest.folder

    @property
    def recipe(self) -> Path:
        """How to train."""
        return self.folder / RECIPE_FILE

    @property
    def init(self) -> str:
        """What to start from, as ``--init`` takes it."""
        start = self.manifest.start
        return str(self.folder / start.file) if start.init == "file" else start.init


def unpack_job(
    archive: Path,
    folder: Path,
    overwrite: bool = False,
    on_bytes: OnBytes | None = None,
    limits: Limits | None = None,
) -> OpenedJob:
    """Unpack a job; the folder is there once all of it was found good.

    Parameters
    ----------
    archive
        The job.
    folder
        New.
    overwrite
        Whether an existing one may be replaced.
    on_bytes
        Told about the progress.
    limits
        What it may ask for; None: what is usual.

    Raises
    ------
    InputError
        It is no job, damaged, tampered with or too large, or the disk refuses.
    """
    with Archive(archive, limits or Limits()) as source:
        manifest = read_manifest(source, JobManifest)
        _check(source, manifest)
        with atomic_folder(folder, overwrite) as temporary:
            source.unpack(temporary, manifest.packed, on_bytes)
            (temporary / JOB_FILE).write_bytes(json_bytes(manifest))
            _check_project(archive, temporary / manifest.folder, manifest)
    return OpenedJob(folder, manifest)


def job_in(folder: Path) -> OpenedJob | None:
    """The job that was unpacked into a folder; None if none was."""
    try:
        text = (folder / JOB_FILE).read_bytes()
    except OSError:
        return None
    try:
        return OpenedJob(folder, JobManifest.model_validate_json(text))
    except ValueError:
        return None


def _check(archive: Archive, manifest: JobManifest) -> None:
    listed = {file.name for file in manifest.files}
    start = manifest.start
    if RECIPE_FILE not in listed or (start.init == "file" and start.file not in listed):
        missing = start.file if RECIPE_FILE in listed else RECIPE_FILE
        raise InputError(f"{archive.path} lacks '{missing}'; export the job again")


def _check_project(archive: Path, folder: Path, manifest: JobManifest) -> None:
    """The project inside is the one that is announced, and looks at no file outside."""
    try:
        project = Project.open(folder)
    except InputError as error:
        reason = str(error).replace(f"{folder.parent}", str(archive))
        raise InputError(f"the project in the job cannot be read: {reason}") from error
    settings = project.settings
    same = (
        settings.uid == manifest.project_uid
        and settings.kind == manifest.kind
        and class_names(settings.classes) == manifest.classes
        and {image.id for image in settings.images} == set(manifest.images)
    )
    outside = [
        file.path
        for image in settings.images
        for file in image.files
        if not file.inside or not (folder / file.path).is_file()
    ]
    if not same or outside:
        why = f"its project names a file outside: {outside[0]}" if outside else "it is not whole"
        raise InputError(f"{archive} is no job that can be used: {why}; export it again")
