"""After a training, the whole image shown is predicted by the new model, in the background."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.accepting import CLASS_IDS
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.prediction_task import class_ids, prediction_task
from napari_swin_umamba.plugin.job_messages import Begun
from napari_swin_umamba.plugin.result_layer import METADATA_KEY
from napari_swin_umamba.plugin.segment_run import RunEnd, SegmentRun
from napari_swin_umamba.plugin.worker import Progress

__all__ = ["VolumePrediction"]

_MARK = "project_model"


class VolumePrediction(QObject):
    """Runs one model on the image shown; each model's result is a layer of its own."""

    progress = Signal(str)
    """What is being done; empty: nothing any more."""
    failed = Signal(str)
    ended = Signal()

    def __init__(self, opened: OpenProject, parent: QObject) -> None:
        super().__init__(parent)
        self._opened = opened
        self._run = SegmentRun(opened.viewer, self)
        self._run.progress.connect(self._on_progress)
        self._run.begun.connect(self._on_begun)
        self._run.ended.connect(self._on_ended)
        self._name = ""
        self._ids: dict[str, int] = {}
        self._next: tuple[Path, str] | None = None
        opened.closed.connect(self.shut_down)

    @property
    def running(self) -> bool:
        """Whether something is being predicted."""
        return self._run.current is not None

    def start(self, model: Path, name: str) -> None:
        """Predict all slices of the image shown.

        Parameters
        ----------
        model
            File of the model.
        name
            Of the model, for the layer's name.
        """
        if self.running:
            self._next = (model, name)
            self._run.stop()
            return
        image = self._opened.images.shown_image
        if image is None or image.image_layer not in self._opened.viewer.layers:
            return
        try:
            task, plan = prediction_task(self._opened.viewer, image, model, "auto", whole=True)
            self._ids = class_ids(model, self._opened.project.settings.uid)
        except InputError as error:
            self.failed.emit(str(error))
            return
        self._name = name
        self._run.start(image.image_layer, task, plan, plan.numbers_objects, quiet=True)
        self.progress.emit(f"Predicting with {name}…")

    def stop(self) -> None:
        """End it; what was predicted stays."""
        self._next = None
        self._run.stop()

    def shut_down(self) -> None:
        """Stop without waiting."""
        self._next = None
        self._run.shut_down()

    def _on_begun(self, begun: Begun) -> None:
        # Its file is called by a number, its layer by what people call it.
        begun.provenance["model"] = self._name
        begun.provenance[CLASS_IDS] = self._ids
        begun.provenance[_MARK] = str(self._opened.project.folder.absolute())

    def _on_progress(self, progress: Progress) -> None:
        self.progress.emit(f"Predicting with {self._name}: {progress.text}")

    def _on_ended(self, end: RunEnd) -> None:
        self.progress.emit("")
        if end.layer is not None:
            self._tidy(end.layer)
        if end.failure is not None:
            self.failed.emit(end.failure.message)
        following, self._next = self._next, None
        if following is not None:
            self.start(*following)
            return
        self._run.release_memory()
        self.ended.emit()

    def _tidy(self, newest: Labels) -> None:
        """Hide predictions of earlier models, and keep what is painted on top."""
        layers = self._opened.viewer.layers
        for layer in list(layers):
            ours: Any = layer.metadata.get(METADATA_KEY)
            if layer == newest or not isinstance(ours, dict) or _MARK not in ours:
                continue
            if ours.get("image_id") == newest.metadata[METADATA_KEY].get("image_id"):
                layer.visible = False
        newest.visible = True  # it was hidden if it is of a model that was in use before
        painted = self._opened.annotation_layer()
        if painted is not None and painted in layers:
            layers.move(list(layers).index(newest), list(layers).index(painted))
        self._opened.predicted.emit(newest)
