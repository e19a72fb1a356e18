"""While a training goes on, the slice shown is predicted again with the weights of the moment."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.live_layer import LiveLayer
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.prediction_task import prediction_task
from napari_swin_umamba.plugin.annotate.training_watch import TrainingWatch
from napari_swin_umamba.plugin.job import run_segmentation
from napari_swin_umamba.plugin.job_messages import (
    AskBeside,
    Begun,
    SegmentedSlice,
    SegmentTask,
    TakeOut,
)
from napari_swin_umamba.plugin.loaded_model import LoadedModel
from napari_swin_umamba.plugin.runner import Runner
from napari_swin_umamba.plugin.slice_cache import SliceCache
from napari_swin_umamba.plugin.worker import Failure

__all__ = ["LivePrediction"]

_INTERVAL = 400
"""Milliseconds between two looks whether there is anything new to predict."""


class LivePrediction(QObject):
    """Predicts while it is on and a training goes on."""

    drawn = Signal(int)
    """A slice was predicted with the weights after this step."""

    def __init__(self, opened: OpenProject, watch: TrainingWatch) -> None:
        super().__init__(watch)
        self._opened, self._watch = opened, watch
        self._on = True
        self._models = LoadedModel(changes=True)
        self._runner = Runner(self)
        self._runner.delivered.connect(self._take)
        self._runner.ended.connect(self._on_end)
        self._task: SegmentTask | None = None
        self._begun: Begun | None = None
        self._layer: LiveLayer | None = None
        self._step = 0
        self._wanted: Any = None
        self._done: Any = None
        self.problem = ""
        """Why the last prediction failed."""
        self._timer = QTimer(self)
        self._timer.setInterval(_INTERVAL)
        self._timer.timeout.connect(self.look)
        watch.begun.connect(self._on_begun)
        watch.ended.connect(self._on_training_ended)
        opened.closed.connect(self.shut_down)
        self._on_begun()

    def set_on(self, on: bool) -> None:
        """Predict, or do not; what is shown is taken away in that case."""
        self._on = on
        if not on:
            self._runner.stop()
            self.clear()

    def clear(self) -> None:
        """Hide what is shown."""
        self._done = None
        if self._layer is not None:
            self._layer.rest()

    def look(self) -> None:
        """Predict the slice shown if it, or the weights, are new."""
        process, image = self._watch.process, self._opened.images.shown_image
        if not self._watch.running:
            self._timer.stop()
        if not (self._on and self._watch.running) or self._runner.running:
            return
        if process is None or image is None or process.state.live_step is None:
            return
        layer = image.image_layer
        wanted = (process.state.live_step, image.reference.id, self._opened.position())
        if wanted[-1] is None:  # the viewer cuts through all slices
            return
        if wanted == self._done or layer not in self._opened.viewer.layers:
            return
        try:
            task, _ = prediction_task(
                self._opened.viewer, image, process.live_model, "auto", whole=False
            )
        except InputError as error:
            self.problem = str(error)
            return
        if self._layer is None or self._layer.image != layer:
            self._remove()
            name = f"{image.reference.name} – live"
            self._layer = LiveLayer(self._opened.viewer, layer, name)
        self._task, self._begun, self._step = task, None, wanted[0]
        self._wanted = wanted
        self._runner.start(partial(run_segmentation, task, self._models, SliceCache()))

    def shut_down(self) -> None:
        """Stop; what is shown goes, unless a person painted on it."""
        self._timer.stop()
        self._runner.abandon()
        self._remove()
        self._models.release()

    def _remove(self) -> None:
        if self._layer is not None:
            self._layer.remove()
            self._layer = None

    def _on_begun(self) -> None:
        self.clear()
        self._timer.start()

    def _on_training_ended(self, _trouble: object) -> None:
        self._timer.stop()
        self._runner.stop()
        self._models.release()

    def _take(self, result: Any) -> None:
        if isinstance(result, TakeOut | AskBeside):
            result.reply(None)
        elif isinstance(result, Begun):
            result.provenance["model"] = "live"
            self._begun = result
        elif isinstance(result, SegmentedSlice) and self._begun is not None:
            assert self._task is not None
            if self._layer is not None and self._layer.image in self._opened.viewer.layers:
                self._layer.write(self._task, self._begun, result)
                self.drawn.emit(self._step)

    def _on_end(self, outcome: Any) -> None:
        self.problem = outcome.message if isinstance(outcome, Failure) else ""
        self._done = self._wanted
