"""The work of a run, without Qt: load the model, segment plane after plane, stop when asked.

Torch is imported here and nowhere else in the plugin, and only when a run begins: the thread of
the worker calls :func:`run_segmentation`, the window stays free of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_swin_umamba.images.slices import Position, SliceLayout
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.layer_view import Window
from napari_swin_umamba.plugin.loaded_model import LoadedModel
from napari_swin_umamba.plugin.numbering import numbered_beside
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.planes import Planes
from napari_swin_umamba.plugin.provenance import (
    Runtime,
    describe_origin,
    describe_run,
    describe_runtime,
)
from napari_swin_umamba.plugin.reading import Reading
from napari_swin_umamba.plugin.slice_cache import SliceCache
from napari_swin_umamba.plugin.volume_job import VolumePlanes
from napari_swin_umamba.plugin.words import duration
from napari_swin_umamba.plugin.worker import Channel, Progress, Question

__all__ = [
    "AskBeside",
    "Begun",
    "Checked",
    "SegmentTask",
    "SegmentedSlice",
    "Summary",
    "TakeOut",
    "run_segmentation",
]

_NETWORK_LOGGER = "napari_swin_umamba.network"
_SAID_BEFORE = ("axes of", "colours turned", "grey image repeated", "transparency", "the image's")
"""Beginnings of notes on what the widget said above the button before the run."""


@dataclass(frozen=True)
class SegmentTask:
    """What a run needs: plain values and the layer's data, not the layer."""

    data: Any
    """The image layer's data (finest level)."""
    reading: Reading
    model_path: Path
    positions: tuple[Position, ...]
    """Planes to segment, in this order."""
    options: SegmentOptions = SegmentOptions()
    window: Window | None = None
    """Part of each plane; None: whole planes."""

    @property
    def whole(self) -> bool:
        """Whether all planes are segmented and there is more than one."""
        return self.reading.has_slices and len(self.positions) == self.reading.layout.count

    @property
    def layout(self) -> SliceLayout:
        """The planes."""
        return self.reading.in_window(self.window)

    @property
    def scope(self) -> str:
        """What is segmented, as provenance has it."""
        return "all slices" if self.whole else "slice" if self.window is None else "region"


@dataclass(frozen=True)
class Begun:
    """Told once, when the model is loaded and before the first plane."""

    plan: Plan
    instances: bool
    """The labels number objects."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Image and model: JSON values only."""
    run: dict[str, Any] = field(default_factory=dict)
    """Settings, device, versions: JSON values only."""
    runtime: Runtime | None = None


class TakeOut(Question):
    """Asks for what an earlier result holds, before a run over all planes fills it anew.

    The answer is its :class:`~napari_swin_umamba.plugin.reruns.Content`, which the window has taken
    out of the layer, or None if there is no such layer.
    """


class AskBeside(Question):
    """Asks for what lies around the one slice of a run: its objects are numbered with regard to it.

    The answer is a :class:`~napari_swin_umamba.plugin.numbering.Beside`, or None.
    """


@dataclass(frozen=True)
class Checked:
    """What the worker found out about the content that it was given."""

    untouched: bool
    """Nobody has changed it, so that it may be replaced."""


@dataclass(frozen=True)
class SegmentedSlice:
    """One plane."""

    position: Position
    labels: np.ndarray
    """(rows, columns) integers: class ids, or object numbers, counted from 1 through all slices of
    the run; where it has a single one, numbered to fit into the layer."""
    probabilities: np.ndarray | None = None
    """(classes, rows, columns), float32, if asked for."""


@dataclass(frozen=True)
class Summary:
    """How a run ended that was not stopped."""

    notes: tuple[str, ...]
    """What was assumed on the way, in words."""
    seconds: float


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
    from napari_swin_umamba.segmentation.volume import VolumeSegmenter

    started = time.perf_counter()
    model, model_sha256 = models.get(task.model_path)
    options, reading = task.options, task.reading
    device, _ = resolve_device(options.device)
    how = (model, device, options.mirror, options.overlap, options.objects)
    # Objects are left out of what the network found: other rules need no other run of it.
    settings = (model_sha256, replace(options, min_area=None, edge_objects=True))
    rules = ObjectRules(options.min_area, options.edge_objects)
    planes: Planes | VolumePlanes
    if model.plan.volume is None:
        spacing = reading.spacing_in(model.plan.unit)
        by_plane = PlaneSegmenter(
            *how, options.resample, options.probabilities, options.object_diameter
        )
        planes = Planes(task.data, task.layout, spacing, by_plane, settings, cache)
    else:
        by_volume = VolumeSegmenter(*how, options.probabilities)
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
    progress = _SliceReport(channel, len(task.positions))
    waiting = task.positions
    with _announced_compilation(channel):
        while waiting:
            channel.stop_if_asked()
            group = planes.next_group(waiting)
            found = planes.segment(group, progress.tiles_of(len(group)), channel.should_stop)
            waiting = waiting[len(group) :]
            for position, (labels, probabilities) in zip(group, found, strict=True):
                channel.stop_if_asked()
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
    return Summary(
        notes=tuple(note for note in planes.notes if not note.startswith(_SAID_BEFORE)),
        seconds=time.perf_counter() - started,
    )


def _check_earlier(channel: Channel) -> Checked:
    earlier = channel.ask(TakeOut())
    return Checked(earlier is None or earlier.is_untouched())


@contextmanager
def _announced_compilation(channel: Channel) -> Iterator[None]:
    """Report that kernels are being compiled: the network logs it, and it takes seconds."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("compiling"):
                channel.report(Progress("Compiling for this processor, once: about 10 s…"))

    logger, listener = logging.getLogger(_NETWORK_LOGGER), Listener()
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)


class _SliceReport:
    """Turns slices and tiles into a fraction and the time left."""

    def __init__(self, channel: Channel, total: int) -> None:
        self._report = channel.report
        self._slices = total
        self._slices_done = 0
        self._fraction = 0.0
        self._first: tuple[float, float] | None = None
        self._report(Progress("Segmenting…"))

    def tiles_of(self, slices: int) -> Callable[[int, int], None]:
        """Return what takes the tiles done of the next slices, and their total."""

        def tile(done: int, total: int) -> None:
            if self._slices == 1 and done >= total:
                self._report(Progress("Finishing…", 1.0))
                return
            self._tell((self._slices_done + slices * done / total) / self._slices, done, total)

        return tile

    def slice_done(self) -> None:
        """Count a slice."""
        self._slices_done += 1
        if self._slices > 1:
            self._tell(self._slices_done / self._slices, 0, 0)

    def _tell(self, fraction: float, done: int, total: int) -> None:
        # Never back: slices of a group are counted after all of their tiles, and tiles begin anew
        # where memory was short.
        self._fraction = fraction = max(fraction, self._fraction)
        now = time.perf_counter()
        if self._slices > 1:
            text = f"{self._slices_done:,} of {self._slices:,} slices"
        else:
            text = f"{done:,} of {total:,} tiles"
        if self._first is None:
            # The first tile may include compiling: the time left is estimated from the others.
            self._first = (fraction, now)
        elif fraction > self._first[0]:
            left = (now - self._first[1]) / (fraction - self._first[0]) * (1 - fraction)
            text += f" · {duration(left)} left" if left > 1 else ""
        self._report(Progress(text, fraction))
