"""A result: what a job was trained to, in one archive that its project can import.

::

    result.zip
      result.json         what it is, of which job, how the model was judged (manifests.py)
      model.safetensors   the model
      report.html         the run for people; scores.csv, curves.png, recipe.yaml beside it
"""

from __future__ import annotations

from pathlib import Path

from napari_swin_umamba.archives import writing_archive
from napari_swin_umamba.project.comparison import Comparison
from napari_swin_umamba.project.job_opening import OpenedJob
from napari_swin_umamba.project.json_file import json_bytes, now
from napari_swin_umamba.project.manifests import (
    RESULT_FILE,
    ResultManifest,
    file_entries,
    program_version,
)
from napari_swin_umamba.project.project import Project

__all__ = ["MODEL", "RESULT_FILES", "write_result"]

MODEL = "model.safetensors"
_BESIDE = ("report.html", "scores.csv", "curves.png", "recipe.yaml")
RESULT_FILES = (MODEL, *_BESIDE)
"""Files that a result may hold."""


def write_result(
    job: OpenedJob,
    run: Path,
    path: Path,
    start: str,
    steps: int,
    seconds: float,
    reason: str,
    comparison: Comparison | None,
    not_compared: str = "",
) -> ResultManifest:
    """Write the result of a job; a former one is replaced.

    Parameters
    ----------
    job
        As it was unpacked.
    run
        Folder with the model.
    path
        The archive.
    start
        What was trained from, for people.
    steps, seconds, reason
        How long, and why it ended.
    comparison
        How the model was judged.
    not_compared
        Why it was not.

    Raises
    ------
    InputError
        The model cannot be read, or the disk refuses.
    """
    sent = job.manifest
    with writing_archive(path, overwrite=True) as archive:
        for name in RESULT_FILES:
            if name == MODEL or (run / name).is_file():
                archive.add_file(name, run / name)
        manifest = ResultManifest(
            id=sent.id,
            created=now(),
            program=program_version(),
            project=sent.project,
            project_uid=sent.project_uid,
            kind=sent.kind,
            classes=sent.classes,
            images=sent.images,
            annotations=sent.annotations,
            current=sent.current,
            files=file_entries(archive.files),
            start=start,
            steps=steps,
            seconds=seconds,
            reason=reason,
            roles=Project.open(job.project).roles,
            comparison=comparison,
            not_compared=not_compared,
        )
        archive.add_bytes(RESULT_FILE, json_bytes(manifest))
    return manifest
