"""*Train*: what to begin from, how long; while it goes on, curves, time left and Stop."""

from __future__ import annotations

from typing import Literal

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QWidget,
)

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.held_out_box import HeldOutBox
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.section import READ_ONLY, Section
from napari_swin_umamba.plugin.annotate.training_end import Trouble
from napari_swin_umamba.plugin.annotate.training_form import TrainingForm
from napari_swin_umamba.plugin.annotate.training_options import start_choices
from napari_swin_umamba.plugin.annotate.training_process import running_elsewhere
from napari_swin_umamba.plugin.annotate.training_progress import TrainingProgress
from napari_swin_umamba.plugin.annotate.training_state import TrainingState
from napari_swin_umamba.plugin.annotate.training_watch import TrainingWatch
from napari_swin_umamba.plugin.notifications import notify
from napari_swin_umamba.plugin.parts import PRIMARY_STYLE, set_blocked
from napari_swin_umamba.plugin.words import duration, sentence
from napari_swin_umamba.project import ModelList, ProjectModels

__all__ = ["TrainSection"]

_REMEDIES: dict[str, str] = {
    "less_memory": "Train with less memory",
    "resume": "Resume",
    "restart": "Train again",
    "careful": "Train more carefully",
}


class TrainSection(Section):
    """Begins, shows and ends trainings of the project."""

    live_toggled = Signal(bool)

    def __init__(self, opened: OpenProject, watch: TrainingWatch) -> None:
        super().__init__("Train")
        self._opened, self._watch = opened, watch
        self._models = ProjectModels(opened.project.folder)
        self._remedy: str = ""
        self.form = TrainingForm()
        self.held_out = HeldOutBox(opened)
        self.progress = TrainingProgress(READ_ONLY if opened.read_only else None)
        self.train_button = QPushButton("Train")
        self.train_button.setStyleSheet(PRIMARY_STYLE)
        self.train_button.clicked.connect(self.train)
        self.resume_button = QPushButton("Resume")
        self.resume_button.setToolTip("Goes on with the last training, exactly where it ended.")
        self.resume_button.clicked.connect(self.resume)
        self._idle = QWidget()
        row = QHBoxLayout(self._idle)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.train_button, stretch=1)
        row.addWidget(self.resume_button)
        for widget in (self.form, self.held_out, self._idle, self.progress, self.notice):
            self.add(widget)
        self.progress.stop_clicked.connect(self.stop)
        self.progress.live_toggled.connect(self._on_live)
        self.notice.remedy_clicked.connect(self._do_remedy)
        watch.news.connect(self.show_news)
        watch.begun.connect(self._on_begun)
        watch.ended.connect(self._on_ended)
        opened.annotated.connect(self._on_annotated)
        opened.changed.connect(self.refresh)
        self.refresh()

    # --- what a person does --------------------------------------------------------------------

    def train(self) -> None:
        """Begin a training; what *Train* does."""
        try:
            arguments = self.form.options().arguments()
            self._opened.flush()
            self.held_out.keep()
            self._watch.set_live(self.progress.live_check.isChecked())
            self._watch.start(arguments)
            self.form.forget_start()
            self.scroll_to(self.progress)
        except InputError as error:
            self._say("error", sentence(str(error)))

    def resume(self) -> None:
        """Go on with the last training; what *Resume* does."""
        try:
            self._opened.flush()
            self._watch.resume(self.form.options().device)
        except InputError as error:
            self._say("error", sentence(str(error)))

    def stop(self) -> None:
        """End the training and keep the best; what *Stop* does."""
        try:
            self._watch.stop()
        except InputError as error:
            self._say("error", sentence(str(error)))

    def _on_live(self, on: bool) -> None:
        self._watch.set_live(on)
        self.live_toggled.emit(on)

    def _do_remedy(self) -> None:
        options = self.form.options()
        if self._remedy == "less_memory":
            self.form.show_options(options.with_less_memory())
            self.form.fold.header.setChecked(True)
        elif self._remedy == "careful":
            self.form.careful.setChecked(True)
        if self._remedy == "resume":
            self.resume()
        elif self._remedy:
            self.train()

    # --- what is shown -------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show what can be done now."""
        running = self._watch.running
        self._idle.setVisible(not running)
        self.form.setVisible(not running)
        self.held_out.setVisible(not running)
        if not running:
            known = self._known_models()
            files = {item.number: str(self._models.path(item)) for item in known.models}
            self.form.show_choices(start_choices(known, files))
            self.held_out.refresh()
            self._show_buttons()
        self.show_news()

    def _show_buttons(self) -> None:
        blocked = self._why_not()
        if self.train_button.isEnabled():
            self.train_button.setToolTip("Trains in a program of its own; you can go on painting.")
        set_blocked(self.train_button, blocked)
        process = self._watch.process
        unfinished = process is not None and process.resumable and self._unfinished(process.state)
        offered = self._remedy == "resume"  # below, with the reason
        self.resume_button.setVisible(unfinished and not offered)
        set_blocked(self.resume_button, blocked)

    @staticmethod
    def _unfinished(state: TrainingState) -> bool:
        return state.phase != "done" or state.reason == "stopped"

    def _why_not(self) -> str | None:
        if self._opened.read_only:
            return READ_ONLY
        if not self._opened.project.images:
            return "Add an image and paint on it first."
        if not self.held_out.has_paint:
            return "Paint a few strokes first: of each class, and of the background."
        if host := running_elsewhere(self._opened.project.folder):
            return f"The project is being trained on {host}."
        return None

    def _known_models(self) -> ModelList:
        try:
            return self._models.read()
        except InputError as error:
            self._say("error", sentence(str(error)))
            return ModelList()

    def show_news(self) -> None:
        """Show where the training stands."""
        process = self._watch.process
        if process is not None:
            colors = {item.name: item.color for item in self._opened.project.classes}
            self.progress.show_state(process.state, colors, self._watch.running, process.stopping)

    def _on_begun(self) -> None:
        self.progress.begin()
        self._remedy = ""
        self.notice.clear()
        self.refresh()
        if not self._watch.running and self._watch.trouble is not None:
            self._tell(self._watch.trouble)

    def _on_ended(self, trouble: Trouble | None) -> None:
        self.refresh()
        process = self._watch.process
        assert process is not None
        state = process.state
        if trouble is not None:
            self._tell(trouble)
            notify("error", trouble.text, trouble.details)
        elif state.phase != "done":
            self._say("hint", "The training was ended before its first step.")
        elif state.not_compared:
            self._say("error", f"The model was not compared: {sentence(state.not_compared)}")
        else:
            how = "Stopped after" if state.reason == "stopped" else "Trained for"
            steps = f"{state.step:,} steps, {duration(state.seconds)}"
            self._say("done", f"{how} {steps}.")

    def _tell(self, trouble: Trouble) -> None:
        self._remedy = trouble.remedy
        words = _REMEDIES.get(trouble.remedy, "")
        self.notice.say("error", trouble.text, trouble.details, words if self._can() else "")
        self._show_buttons()

    def _can(self) -> bool:
        return not self._opened.read_only

    def _say(self, kind: Literal["hint", "done", "warning", "error"], text: str) -> None:
        self._remedy = ""
        self.notice.say(kind, text)

    def _on_annotated(self, _image: str, _position: tuple[int, ...]) -> None:
        if not self._watch.running:
            self.held_out.refresh()
            self._show_buttons()
