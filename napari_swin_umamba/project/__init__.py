"""Annotation projects: a folder that holds classes, images by reference, and what was painted.

::

    PROJECT/
      project.yaml                 kind, classes with ids that never change, images (settings.py)
      roles.json                   which blocks of slices are held out (roles.py)
      skipped.json                 slices that are not to be suggested (skipped.py)
      models/                      every model that was trained, and which is current (models.py)
      runs/RUN/                    trainings that napari began
      images/                      files that were copied into the project (image_files.py)
      annotations/IMAGE/z00012.tif a painted slice (annotation.py)
      annotations/IMAGE/z00012.complete   what is unpainted there is background
      .locks/                      who works on the project (lock.py)

A job is all that a training on another computer needs of a project, in one archive (job.py); its
result comes back in another (result.py, result_import.py).

Every file is replaced whole or not at all, so a program that dies at any moment leaves the project
as it was after some earlier write. A reader needs no lock.
"""

from napari_swin_umamba.project.annotation import Annotation
from napari_swin_umamba.project.comparison import ClassScore, Comparison
from napari_swin_umamba.project.job import settle_roles, write_job
from napari_swin_umamba.project.job_opening import OpenedJob, job_in, unpack_job
from napari_swin_umamba.project.job_plan import JobPlan, plan_job
from napari_swin_umamba.project.lock import FolderLock, LockedError
from napari_swin_umamba.project.models import (
    JudgedBeside,
    ModelList,
    ModelRecord,
    ProjectModels,
)
from napari_swin_umamba.project.open_slices import OpenSlices, Slice, list_slices
from napari_swin_umamba.project.project import Project
from napari_swin_umamba.project.relabelling import relabel
from napari_swin_umamba.project.result import write_result
from napari_swin_umamba.project.result_import import Imported, import_result
from napari_swin_umamba.project.roles import Roles
from napari_swin_umamba.project.settings import (
    BACKGROUND,
    FIRST_CLASS,
    UNLABELLED,
    FileReference,
    ImageReference,
    ProjectClass,
    Settings,
)
from napari_swin_umamba.project.skipped import Skipped
from napari_swin_umamba.project.suggestion import (
    SliceScore,
    Suggestion,
    suggest_evenly,
    suggest_unsure,
)

__all__ = [
    "BACKGROUND",
    "FIRST_CLASS",
    "UNLABELLED",
    "Annotation",
    "ClassScore",
    "Comparison",
    "FileReference",
    "FolderLock",
    "ImageReference",
    "Imported",
    "JobPlan",
    "JudgedBeside",
    "LockedError",
    "ModelList",
    "ModelRecord",
    "OpenSlices",
    "OpenedJob",
    "Project",
    "ProjectClass",
    "ProjectModels",
    "Roles",
    "Settings",
    "Skipped",
    "Slice",
    "SliceScore",
    "Suggestion",
    "import_result",
    "job_in",
    "list_slices",
    "plan_job",
    "relabel",
    "settle_roles",
    "suggest_evenly",
    "suggest_unsure",
    "unpack_job",
    "write_job",
    "write_result",
]
