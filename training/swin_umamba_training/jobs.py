"""Jobs of annotation projects: unpacked in the run's folder, trained there, sent back as a result.

A job is a whole project, so that it is trained, compared and kept as any other
(docs/decisions/0079).
"""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress
from pathlib import Path

from napari_swin_umamba.archives import Archive
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import hash_file
from napari_swin_umamba.project import (
    OpenedJob,
    ProjectModels,
    job_in,
    unpack_job,
    write_result,
)
from napari_swin_umamba.project.manifests import JobManifest, read_manifest
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.ranks import is_main_process
from swin_umamba_training.run_folder import RunFolder

__all__ = ["discard_unbegun", "is_job", "send_back", "take_job"]

_PATIENCE = 600.0
"""Seconds that other processes wait until the first one has unpacked a job."""


def is_job(dataset: Path) -> bool:
    """Whether a data set is an archive.

    Parameters
    ----------
    dataset
        As given to ``swin-umamba train``.
    """
    return dataset.suffix.lower() == ".zip" and dataset.is_file()


def take_job(archive: Path, run: Path, resume: bool, overwrite: bool) -> OpenedJob:
    """Unpack a job into the folder of its run, or find it there.

    Parameters
    ----------
    archive
        The job.
    run
        Folder of the run.
    resume
        The run was begun before, with this job.
    overwrite
        Whether a run in that folder may be replaced.

    Raises
    ------
    InputError
        It is no job, or damaged; the folder holds another run, or cannot be written.
    """
    folder = RunFolder(run)
    there = job_in(folder.job)
    if resume:
        with Archive(archive) as source:
            wanted = read_manifest(source, JobManifest).id
        if there is None or there.manifest.id != wanted:
            raise InputError(
                f"{run} holds no run of the job {archive}; leave out --resume, or choose its run "
                "(-o)"
            )
        return there
    if not is_main_process():
        return _wait_for(archive, folder)
    folder.check(overwrite)
    try:
        return unpack_job(archive, folder.job, overwrite=there is not None)
    except InputError:
        with suppress(OSError):
            run.rmdir()  # if it was made for this
        raise


def _wait_for(archive: Path, folder: RunFolder) -> OpenedJob:
    with Archive(archive) as source:
        wanted = read_manifest(source, JobManifest).id
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        there = job_in(folder.job)
        if there is not None and there.manifest.id == wanted:
            return there
        time.sleep(0.5)
    raise InputError(
        f"the first process has not unpacked {archive} into {folder.job}: all computers must see "
        "the same folder (-o)"
    )


def discard_unbegun(run: Path) -> None:
    """Remove what was unpacked for a run that did not begin.

    Parameters
    ----------
    run
        Its folder.
    """
    folder = RunFolder(run)
    if folder.config.exists() or not is_main_process():
        return
    shutil.rmtree(folder.job, ignore_errors=True)
    with suppress(OSError):
        run.rmdir()


def send_back(
    config: TrainConfig, folder: RunFolder, steps: int, seconds: float, reason: str
) -> Path | None:
    """Write the result of a run on a job; None if it is none, or if the run chose for itself what
    is held out: such a model becomes none of a project's here either.

    Parameters
    ----------
    config, folder
        Of the run.
    steps, seconds, reason
        As in :class:`swin_umamba_training.train.TrainResult`.

    Raises
    ------
    InputError
        The disk refuses; the model of the run is kept.
    """
    job = job_in(config.dataset.parent)
    if job is None or job.project != config.dataset or config.val or config.fold is not None:
        return None
    digest = hash_file(folder.model)
    models = ProjectModels(job.project).read().models
    record = next((item for item in models if item.sha256 == digest), None)
    write_result(
        job,
        folder.path,
        folder.result,
        record.start if record else Path(config.init).stem,
        steps,
        seconds,
        reason,
        record.comparison if record else None,
        "" if record else _why_not_compared(folder.events),
    )
    return folder.result


def _why_not_compared(events: Path) -> str:
    told = ""
    for line in events.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):
            event = json.loads(line)
            if event.get("event") == "comparison":
                told = str(event.get("message", ""))
    return told
