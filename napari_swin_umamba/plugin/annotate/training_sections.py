"""*Train*, *Did it help?* and *On another computer*, put together: what an end sets off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.live_prediction import LivePrediction
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.section import Section
from napari_swin_umamba.plugin.annotate.train_section import TrainSection
from napari_swin_umamba.plugin.annotate.training_watch import TrainingWatch
from napari_swin_umamba.plugin.annotate.travel_section import TravelSection
from napari_swin_umamba.plugin.annotate.travelling import JobWish
from napari_swin_umamba.plugin.annotate.verdict_section import VerdictSection
from napari_swin_umamba.plugin.annotate.volume_prediction import VolumePrediction
from napari_swin_umamba.plugin.words import sentence
from napari_swin_umamba.project import Imported, ProjectModels

__all__ = ["TrainingSections"]


class TrainingSections:
    """The sections that are about training, and what works behind them.

    Parameters
    ----------
    opened
        The project.
    """

    def __init__(self, opened: OpenProject) -> None:
        self._opened = opened
        self.watch = TrainingWatch(opened.project.folder, opened, opened.read_only)
        self.train = TrainSection(opened, self.watch)
        self.verdict = VerdictSection(opened)
        self.live = LivePrediction(opened, self.watch)
        self.travel = TravelSection(opened, self._wish, lambda: self.train.held_out.has_paint)
        self.volume = VolumePrediction(opened, self.watch)
        self._models = ProjectModels(opened.project.folder)
        self.train.live_toggled.connect(self.live.set_on)
        self.watch.ended.connect(self._on_ended)
        self.verdict.chosen.connect(self._on_chosen)
        self.travel.imported.connect(self._on_imported)
        self.travel.exported.connect(self.train.refresh)
        self.volume.progress.connect(self._on_progress)
        self.volume.failed.connect(self._on_failed)
        opened.closed.connect(self.watch.shut_down)
        self.watch.attach()

    def __iter__(self) -> Iterator[Section]:
        """The sections, from top to bottom."""
        return iter((self.train, self.verdict, self.travel))

    def _wish(self, file: Path) -> JobWish:
        """How a job is trained: as *Train* would, held-out slices included."""
        options = self.train.form.options()
        wish = JobWish(options.init, options.arch, options.recipe(), file)
        if not self._opened.read_only:
            self.train.held_out.keep()
        return wish

    def _on_imported(self, imported: Imported) -> None:
        self.verdict.refresh()
        self.train.refresh()
        if imported.is_new:
            self._predict(imported.record.number if imported.asks else None)

    def _on_ended(self, _trouble: object) -> None:
        """Judge, and predict with the model that a person wants to look at now."""
        self.verdict.refresh()
        self.live.clear()
        process = self.watch.process
        if process is None or process.state.comparison is None:
            return
        asks = process.state.comparison.outcome == "too_little"
        self._predict(process.state.model_number if asks else None)

    def _on_chosen(self) -> None:
        self.train.refresh()
        self._predict(None)

    def _predict(self, number: int | None) -> None:
        """Predict the image shown by a model of the project; None: by the current one."""
        try:
            known = self._models.read()
            record = known.current if number is None else known.record(number)
        except InputError as error:
            self._on_failed(str(error))
            return
        if record is not None:
            self.volume.start(self._models.path(record), f"{self._opened.name} {record.name}")

    def _on_progress(self, text: str) -> None:
        if not self.watch.running:
            self.train.progress.say(text)

    def _on_failed(self, message: str) -> None:
        self.verdict.notice.say("error", f"The image was not predicted. {sentence(message)}")
