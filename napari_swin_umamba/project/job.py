"""A job: one archive with all that a training elsewhere needs of a project.

::

    job.zip
      job.json                  what it is, for which project, what every file holds (manifests.py)
      recipe.yaml               how to train
      NAME/                     the project, with the images that are annotated in it
      NAME/models/v0003.safetensors   its model, and the one to start from
      start/MODEL.safetensors   what to start from, if that is no model of the project

It is written while people go on painting: each slice as it is at that moment.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from napari_swin_umamba.archives import (
    ArchiveWriter,
    OnBytes,
    ShouldStop,
    why_unsafe,
    writing_archive,
)
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.project.job_plan import JobPlan
from napari_swin_umamba.project.json_file import json_bytes, now
from napari_swin_umamba.project.lock import FolderLock
from napari_swin_umamba.project.manifests import (
    JOB_FILE,
    RECIPE_FILE,
    JobManifest,
    class_names,
    file_entries,
    program_version,
)
from napari_swin_umamba.project.models import ProjectModels
from napari_swin_umamba.project.settings_file import PROJECT_FILE, settings_text

__all__ = ["settle_roles", "write_job"]


def write_job(
    plan: JobPlan,
    path: Path,
    overwrite: bool = False,
    on_bytes: OnBytes | None = None,
    should_stop: ShouldStop | None = None,
) -> JobManifest:
    """Write a job. Blocks that it gives a role keep that only if the caller saves ``plan.roles``.

    Parameters
    ----------
    plan
        What goes into it.
    path
        The archive; it is there once all is in it.
    overwrite
        Whether an existing file may be replaced.
    on_bytes
        Told about the progress.
    should_stop
        Asked now and then.

    Raises
    ------
    InputError
        A file is not there any more, an image is not the one that was annotated, or the disk
        refuses.
    Cancelled
        The work was stopped; nothing is left of it.
    """
    project = plan.project
    name = re.sub(r"[^a-z0-9_-]+", "-", project.folder.absolute().name.lower()).strip("-_")[:60]
    folder = name if not why_unsafe(name) else f"project-{name}".strip("-")
    with writing_archive(path, overwrite, plan.total, on_bytes, should_stop) as archive:
        _add_images(plan, archive, folder)
        annotations = _add_annotations(plan, archive, folder)
        current = None
        for model, file in plan.model_files.items():
            packed = archive.add_file(f"{folder}/models/{model}", file)
            record = plan.models.current
            if record is not None and model == ProjectModels(project.folder).path(record).name:
                current = packed.sha256
        if plan.start_file is not None:
            archive.add_file(plan.start.file, plan.start_file)
        settings = project.settings.model_copy(update={"images": plan.images})
        archive.add_bytes(f"{folder}/{PROJECT_FILE}", settings_text(settings).encode())
        archive.add_bytes(f"{folder}/roles.json", json_bytes(plan.roles))
        archive.add_bytes(f"{folder}/models/models.json", json_bytes(plan.models))
        archive.add_bytes(RECIPE_FILE, plan.recipe.encode())
        start = plan.start
        if start.init == "file" and plan.start_file is None:
            start = start.model_copy(update={"file": f"{folder}/{start.file}"})
        manifest = JobManifest(
            id=secrets.token_hex(8),
            created=now(),
            program=program_version(),
            project=project.folder.absolute().name[:200],
            project_uid=project.settings.uid,
            kind=project.settings.kind,
            classes=class_names(project.classes),
            images={image.id: tuple(file.sha256 for file in image.files) for image in plan.images},
            annotations=annotations,
            current=current,
            files=file_entries(archive.files),
            folder=folder,
            start=start,
        )
        archive.add_bytes(JOB_FILE, json_bytes(manifest))
    return manifest


def _add_images(plan: JobPlan, archive: ArchiveWriter, folder: str) -> None:
    wanted = {file.path: (image, file) for image in plan.images for file in image.files}
    for place, path in plan.image_files.items():
        packed = archive.add_file(f"{folder}/{place}", path)
        if place not in wanted:
            continue
        image, file = wanted[place]
        if packed.sha256 != file.sha256:
            raise InputError(
                f"{path} is not the file that was annotated as '{image.name}': its content has "
                "changed; put the former file back, or add this one as a new image"
            )


def _add_annotations(plan: JobPlan, archive: ArchiveWriter, folder: str) -> dict[str, str]:
    """Add slices as they are now; return the content of each. One may be gone by now."""
    hashes = {}
    for name, file in plan.annotation_files.items():
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InputError(f"cannot read {file}: {error.strerror or error}") from error
        hashes[name] = archive.add_bytes(f"{folder}/annotations/{name}", content).sha256
    return hashes


def settle_roles(plan: JobPlan) -> None:
    """Write down in the project which blocks a job holds out, before it is written.

    Raises
    ------
    InputError
        Another training settled them otherwise meanwhile, or the disk refuses.
    """
    if not plan.settles_roles:
        return
    project = plan.project
    with FolderLock(project.folder, "roles", "beginning a training", "try again in a moment"):
        project.save_roles(project.roles.merged(plan.roles))
