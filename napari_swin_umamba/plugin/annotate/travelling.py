"""Jobs leave a project, results come back: the work in a thread. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_swin_umamba.checkpoints import read_model_header
from napari_swin_umamba.errors import Cancelled
from napari_swin_umamba.plugin.words import count, duration, file_size, sentence
from napari_swin_umamba.plugin.worker import Channel, Progress, Question
from napari_swin_umamba.project import (
    Imported,
    JobPlan,
    Project,
    import_result,
    plan_job,
    settle_roles,
    write_job,
)

__all__ = [
    "LARGE",
    "AskSize",
    "Exported",
    "JobWish",
    "describe_import",
    "export_job",
    "take_result",
]

LARGE = 1_000_000_000
"""Bytes from which on a person is asked before a job is written."""


@dataclass(frozen=True)
class JobWish:
    """How a job is to be trained, and where it is written."""

    start: str
    arch: str | None
    recipe: str
    file: Path


@dataclass(frozen=True)
class Exported:
    """A job was written."""

    file: Path
    size: int
    images: int


class AskSize(Question):
    """Asks whether a large job is to be written; the answer is True or False."""

    def __init__(self, plan: JobPlan) -> None:
        super().__init__()
        self.text = (
            f"The job will have {file_size(plan.total)}: "
            f"{count(len(plan.images), 'annotated image')} "
            f"{'is' if len(plan.images) == 1 else 'are'} copied into it."
        )


def export_job(project: Project, wish: JobWish, settle: bool, channel: Channel) -> Exported:
    """Write a job.

    Parameters
    ----------
    project
        With all strokes on disk.
    wish
        How it is trained, and where it goes.
    settle
        Write down in the project what is held out; it may be open to read only.
    channel
        To report to.

    Raises
    ------
    InputError
        Nothing is painted, a file is not there, or the disk refuses.
    Cancelled
        The channel said so, or the person did when told the size.
    """
    channel.report(Progress("Looking what goes into the job…"))
    plan = plan_job(project, wish.start, wish.recipe, wish.arch)
    channel.stop_if_asked()
    if plan.total >= LARGE and not channel.ask(AskSize(plan)):
        raise Cancelled("stopped")
    if settle:
        settle_roles(plan)

    def tell(done: int, total: int) -> None:
        words = f"Writing the job: {file_size(done)} of {file_size(total)}"
        channel.report(Progress(words, done / max(1, total)))

    write_job(plan, wish.file, True, tell, channel.should_stop)
    return Exported(wish.file, wish.file.stat().st_size, len(plan.images))


def take_result(project: Project, file: Path, channel: Channel) -> Imported:
    """Import a result.

    Raises
    ------
    InputError
        It is none, or does not fit the project.
    Cancelled
        The channel said so.
    """
    channel.report(Progress("Checking the result…"))

    def tell(done: int, total: int) -> None:
        channel.report(Progress("Importing the result…", done / max(1, total)))

    return import_result(
        project,
        file,
        lambda path: read_model_header(path)[2].training,
        tell,
        channel.should_stop,
    )


def describe_import(imported: Imported) -> str:
    """Say what became of a result, in a sentence or more."""
    record = imported.record
    if not imported.is_new:
        return f"The project has this model already, as {record.name}."
    took = f", after {imported.steps:,} steps in {duration(imported.seconds)}"
    first = f"The model is back{took}: {record.name}."
    return " ".join([first, *(sentence(note) for note in imported.notes)])
