"""The work of a run, without Qt: load the model, segment plane after plane, stop when asked.

Torch is imported here and nowhere else in the plugin, and only when a run begins: the thread of
the worker calls :func:`run_segmentation`, the window stays free of it.
"""

from __future__ import annotations

import time
from dataclasses import replace

from napari_swin_umamba.plugin.job_messages import (
    AskBeside,
    Begun,
    Checked,
    SegmentedSlice,
    SegmentTask,
    Summary,
    TakeOut,
)
from napari_swin_umamba.plugin.job_progress import SliceProgress, announced_compilation
from napari_swin_umamba.plugin.loaded_model import LoadedModel
from napari_swin_umamba.plugin.numbering import numbered_beside
from napari_swin_umamba.plugin.planes import Planes
from napari_swin_umamba.plugin.provenance import describe_origin, describe_run, describe_runtime
from napari_swin_umamba.plugin.slice_cache import SliceCache
from napari_swin_umamba.plugin.volume_job import VolumePlanes
from napari_swin_umamba.plugin.worker import Channel, Progress

__all__ = ["run_segmentation"]

_SAID_BEFORE = ("axes of", "colours turned", "grey image repeated", "transparency", "the image's")
"""Beginnings of notes on what the widget said above the button before the run."""


def run_segmentation(
    task: SegmentTask, models: LoadedModel, cache: SliceCache, channel: Channel
) -> Summary:
    """Segment what a task describes; a :class:`Begun` and the slices go through the channel.

    Parameters
    ----------
    task
        Image and settings.
    models
        Keeps the model between runs.
    cache
        Planes segmented before.
    channel
        Takes progress and results, and tells whether to stop.

    Raises
    ------
    InputError
        The image or the model cannot be used.
    Cancelled
        The channel said so.
    """
    channel.report(Progress("Loading…"))
    from napari_swin_umamba.segmentation import (
        ObjectLinker,
        ObjectRules,
        PlaneSegmenter,
        resolve_device,
    )
    from napari_swin_umamba.segmentation.object_size import FoundSizes
    from napari_swin_umamba.segmentation.volume import VolumeSegmenter

    started = time.perf_counter()
    model, model_sha256 = models.get(task.model_path)
    options, reading = task.options.for_plan(model.plan), task.reading
    device, _ = resolve_device(options.device)
    how = (model, device, options.mirror, options.overlap, options.objects)
    # Objects are left out of what the network found: other rules need no other run of it.
    settings = (model_sha256, replace(options, min_area=None, edge_objects=True))
    rules = ObjectRules(options.min_area, options.edge_objects)
    planes: Planes | VolumePlanes
    sizes = FoundSizes(None)
    if model.plan.volume is None:
        spacing = reading.spacing_in(model.plan.unit)
        by_plane = PlaneSegmenter(
            *how,
            options.resample,
            options.probabilities,
            options.object_diameter,
            options.precision,
        )
        sizes = FoundSizes(by_plane.size_to_compare(spacing))
        planes = Planes(task.data, task.layout, spacing, by_plane, settings, cache)
    else:
        by_volume = VolumeSegmenter(*how, options.probabilities, options.precision)
        planes = VolumePlanes(by_volume, task.data, reading, task.layout, settings, cache, channel)
    instances = planes.segmenter.instances
    rules.check(instances)
    channel.deliver(
        Begun(
            plan=model.plan,
            instances=instances,
            provenance=describe_origin(reading.view.name, model, task.model_path, model_sha256),
            run=describe_run(options, reading, task.scope, str(device)),
            runtime=describe_runtime(device),
        )
    )
    linker = None
    if instances and len(task.positions) > 1 and reading.links_objects:
        linker = ObjectLinker()
    progress = SliceProgress(channel, len(task.positions))
    waiting = task.positions
    with announced_compilation(channel):
        while waiting:
            channel.stop_if_asked()
            group = planes.next_group(waiting)
            found = planes.segment(group, progress.tiles_of(len(group)), channel.should_stop)
            waiting = waiting[len(group) :]
            for position, (labels, probabilities) in zip(group, found, strict=True):
                channel.stop_if_asked()
                sizes.add(labels)
                if instances:
                    labels = rules.keep(labels, reading.spacing)
                if linker is not None:
                    labels = linker.link(labels, position)
                if task.whole and position == task.positions[0]:
                    channel.deliver(_check_earlier(channel))
                if instances and len(task.positions) == 1:
                    beside = channel.ask(AskBeside())
                    labels = labels if beside is None else numbered_beside(beside, labels)
                channel.deliver(SegmentedSlice(position, labels, probabilities))
                progress.slice_done()
    notes = (*planes.notes, *sizes.notes())
    return Summary(
        notes=tuple(note for note in notes if not note.startswith(_SAID_BEFORE)),
        seconds=time.perf_counter() - started,
    )


def _check_earlier(channel: Channel) -> Checked:
    earlier = channel.ask(TakeOut())
    return Checked(earlier is None or earlier.is_untouched())
