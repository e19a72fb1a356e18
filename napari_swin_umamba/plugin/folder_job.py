"""Segments all images of a folder into label files, in a thread. Without Qt and without layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_swin_umamba.plugin.loaded_model import LoadedModel
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.words import count, sentence
from napari_swin_umamba.plugin.worker import Channel, Progress
from napari_swin_umamba.segmentation.object_size import is_size_note

if TYPE_CHECKING:
    from napari_swin_umamba.segmentation import BatchSummary
    from napari_swin_umamba.segmentation.batch_report import BatchEvent

__all__ = ["FolderTask", "describe_summary", "run_folder"]


@dataclass(frozen=True)
class FolderTask:
    """What a person chose in the dialog."""

    images: Path
    labels: Path
    model_path: Path
    options: SegmentOptions
    overwrite: bool = False
    """Replace label files that exist."""
    measure: bool = True
    """Also write a table of what was found."""


def run_folder(task: FolderTask, models: LoadedModel, channel: Channel) -> BatchSummary:
    """Segment the images of a folder.

    Raises
    ------
    InputError
        Nothing was begun: no images, a folder that cannot be written, files that would be replaced.
    """
    channel.report(Progress("Loading…"))
    from napari_swin_umamba.segmentation import BatchOptions, ObjectRules, plan_batch, run_batch
    from napari_swin_umamba.segmentation.batch_report import FileStarted, TileDone

    model, _ = models.get(task.model_path)
    batch = plan_batch(
        [task.images],
        task.labels,
        overwrite=task.overwrite,
        measure=task.measure,
        plan=model.plan,
    )
    place = 0

    def tell(event: BatchEvent) -> None:
        nonlocal place
        if isinstance(event, FileStarted):
            place = event.index
            within = 0.0
        elif isinstance(event, TileDone):
            within = event.done / event.total
        else:
            within = 1.0
        total = len(batch.jobs)
        name = batch.jobs[place].input.name
        channel.report(Progress(f"{place + 1} of {total}: {name}", (place + within) / total))

    options = task.options
    return run_batch(
        batch,
        model,
        BatchOptions(
            device=options.device,
            mirror=options.mirror,
            precision=options.precision,
            overlap=options.overlap,
            objects=options.objects,
            resample=options.resample,
            object_diameter=options.object_diameter,
            object_rules=ObjectRules(options.min_area, options.edge_objects),
        ),
        tell,
        channel.should_stop,
    )


def describe_summary(summary: BatchSummary, labels: Path) -> str:
    """Say what became of a folder, the files that failed one a line."""
    done = f"{summary.done} of {count(summary.total, 'image')} segmented. Labels: {labels}."
    lines = [done if not summary.cancelled else f"Stopped; {done}"]
    lines += [sentence(report.error or "") for report in summary.failed]
    other = [report for report in summary.reports if any(map(is_size_note, report.notes))]
    if other:
        lines.append(
            f"In {count(len(other), 'image')} (the first: {other[0].input.name}) objects are of "
            "another size than in training, or none were found: Object diameter under Options may "
            "help."
        )
    if summary.measurements is not None:
        lines.append(f"Table: {summary.measurements.name}.")
    if summary.problem is not None:
        lines.append(sentence(summary.problem))
    return "\n".join(lines)
