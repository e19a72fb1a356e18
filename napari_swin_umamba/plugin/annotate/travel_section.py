"""*On another computer*: a job leaves in one file, its result comes back in another."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QWidget,
)

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.section import READ_ONLY, Section
from napari_swin_umamba.plugin.annotate.travelling import (
    AskSize,
    Exported,
    JobWish,
    describe_import,
    export_job,
    take_result,
)
from napari_swin_umamba.plugin.parts import NoticeKind, set_blocked
from napari_swin_umamba.plugin.runner import Runner
from napari_swin_umamba.plugin.words import file_size, sentence
from napari_swin_umamba.plugin.worker import Failure, Progress
from napari_swin_umamba.project import Imported

__all__ = ["TravelSection"]

_STEPS = 1000
_FILTER = "Archives (*.zip)"
_WRITE, _COPY = "Write it", "Copy the command"


class TravelSection(Section):
    """Two buttons; while one works, progress and Cancel in their place.

    Parameters
    ----------
    opened
        The project.
    wish
        Returns how a job is to be trained, written to a file: what is set above. Raises
        :class:`InputError` where nothing sensible is set.
    has_paint
        Whether anything is painted.
    """

    imported = Signal(object)
    """An :class:`Imported`: the project has another model."""
    exported = Signal()
    """A job was written; what is held out may be settled by it."""

    def __init__(
        self,
        opened: OpenProject,
        wish: Callable[[Path], JobWish],
        has_paint: Callable[[], bool],
    ) -> None:
        super().__init__("On another computer")
        self._opened, self._wish, self._has_paint = opened, wish, has_paint
        self._question: AskSize | None = None
        self._work = ""
        self._command = ""
        self.export_button = QPushButton("Export job…")
        self.export_button.setToolTip(
            "Writes images, annotations and the settings above into one file, to be trained "
            "elsewhere."
        )
        self.export_button.clicked.connect(self._ask_where)
        self.import_button = QPushButton("Import result…")
        self.import_button.setToolTip("Brings the model of a job back: the result.zip of its run.")
        self.import_button.clicked.connect(self._ask_which)
        self._idle = QWidget()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setToolTip("How far it is.")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Ends it; nothing is left behind.")
        self.cancel_button.clicked.connect(self.cancel)
        self._busy = QWidget()
        for holder, widgets in (
            (self._idle, (self.export_button, self.import_button)),
            (self._busy, (self.bar, self.cancel_button)),
        ):
            row = QHBoxLayout(holder)
            row.setContentsMargins(0, 0, 0, 0)
            for widget in widgets:
                row.addWidget(widget, stretch=widget is not self.cancel_button)
            self.add(holder)
        self.status = self.text()
        self.add(self.notice)
        self.notice.remedy_clicked.connect(self._do_remedy)
        self._runner = Runner(self)
        self._runner.progress.connect(self._show_progress)
        self._runner.delivered.connect(self._on_question)
        self._runner.ended.connect(self._on_ended)
        opened.closed.connect(self._runner.abandon)
        opened.changed.connect(self.refresh)
        opened.annotated.connect(self._on_annotated)
        self.refresh()

    @property
    def running(self) -> bool:
        """Whether a job is written or a result read."""
        return self._runner.running

    def refresh(self) -> None:
        """Show what can be done now."""
        self._idle.setVisible(not self.running)
        self._busy.setVisible(self.running)
        self.status.setVisible(self.running)
        nothing = None if self._has_paint() else "Paint a few strokes first."
        set_blocked(self.export_button, nothing)
        set_blocked(self.import_button, READ_ONLY if self._opened.read_only else None)

    def _on_annotated(self, _image: str, _position: tuple[int, ...]) -> None:
        self.refresh()

    def export_to(self, file: Path) -> None:
        """Write a job; a file that is there is replaced."""
        if self.running:
            return
        file = file if file.suffix.lower() == ".zip" else file.with_name(f"{file.name}.zip")
        try:
            wish = self._wish(file)
            self._opened.flush()
        except InputError as error:
            self._say("error", sentence(str(error)))
            return
        settle = not self._opened.read_only
        self._begin("export", partial(export_job, self._opened.project, wish, settle))

    def import_from(self, file: Path) -> None:
        """Import a result."""
        if self.running or self._opened.read_only:
            return
        try:
            self._opened.flush()
        except InputError as error:
            self._say("error", sentence(str(error)))
            return
        self._begin("import", partial(take_result, self._opened.project, file))

    def cancel(self) -> None:
        """End what goes on."""
        self._question = None
        self.notice.clear()
        self.status.setText("Ending…")
        self._runner.stop()

    def _begin(self, work: str, task: Callable[..., Any]) -> None:
        self._work = work
        self.notice.clear()
        self.status.setText("")
        self.bar.setRange(0, 0)
        self._runner.start(task)
        self.refresh()

    def _say(self, kind: NoticeKind, text: str, details: str = "", remedy: str = "") -> None:
        """Show a message: this is the last section, so it could lie below the window."""
        self.notice.say(kind, text, details, remedy)
        self.scroll_to(self.notice)

    def _ask_where(self) -> None:
        folder = self._opened.project.folder.absolute()
        name = str(folder.with_name(f"{folder.name}-job.zip"))
        chosen, _ = QFileDialog.getSaveFileName(self, "Export job", name, _FILTER)
        if chosen:
            self.export_to(Path(chosen))

    def _ask_which(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Import result", "", _FILTER)
        if chosen:
            self.import_from(Path(chosen))

    def _show_progress(self, progress: Progress) -> None:
        self.status.setText(progress.text)
        if progress.fraction is None:
            self.bar.setRange(0, 0)
        else:
            self.bar.setRange(0, _STEPS)
            self.bar.setValue(round(_STEPS * progress.fraction))

    def _on_question(self, question: Any) -> None:
        if isinstance(question, AskSize):
            self._question = question
            self.status.setText("Waiting for you…")
            self._say("warning", question.text, remedy=_WRITE)

    def _do_remedy(self) -> None:
        if self._question is not None:
            question, self._question = self._question, None
            self.notice.clear()
            question.reply(True)
            return
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self._command)

    def _on_ended(self, outcome: Any) -> None:
        self._question = None
        if isinstance(outcome, Failure):
            self._say("error", outcome.message, outcome.details)
        elif isinstance(outcome, Exported):
            self._show_exported(outcome)
        elif isinstance(outcome, Imported):
            self._say("warning" if outcome.notes else "done", describe_import(outcome))
        else:
            what = "No file was written." if self._work == "export" else "Nothing has changed."
            self._say("hint", f"Cancelled. {what}")
        self.refresh()
        if isinstance(outcome, Imported):
            self.imported.emit(outcome)
        elif self._work == "export":
            self.exported.emit()

    def _show_exported(self, outcome: Exported) -> None:
        run = outcome.file.stem.removesuffix("-job") + "-run"
        self._command = f"swin-umamba train {shlex.quote(outcome.file.name)} -o {shlex.quote(run)}"
        self._say(
            "done",
            f"{outcome.file.name} is written, {file_size(outcome.size)}. On the other computer:\n"
            f"{self._command}\nThen import {run}/result.zip here.",
            remedy=_COPY,
        )
