"""The dock's first row: which project is open, New…, Open…, and how saving goes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton

from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.project_dialog import ProjectDialog
from napari_swin_umamba.plugin.annotate.section import Section
from napari_swin_umamba.plugin.parts import PRIMARY_STYLE, Notice, WrappedLabel
from napari_swin_umamba.plugin.words import sentence
from napari_swin_umamba.project import Project

__all__ = ["ProjectSection"]

_WELCOME = (
    "A project is a folder that keeps what you paint on your images. Make one, paint a few "
    "strokes, and train on them."
)


class ProjectSection(Section):
    """Opens and closes projects."""

    create_wanted = Signal(object, str, tuple)
    """Folder, kind and class names of a new project."""
    open_wanted = Signal(object)
    """Folder of a project."""
    close_wanted = Signal()
    retry_wanted = Signal()
    """Try again: to save, or to open for painting."""

    def __init__(self) -> None:
        super().__init__()
        self.title = WrappedLabel()
        self.new_button = QPushButton("New…")
        self.new_button.setToolTip("Makes a new project.")
        self.new_button.clicked.connect(self._ask_for_new)
        self.open_button = QPushButton("Open…")
        self.open_button.setToolTip("Opens a project: a folder with a project.yaml.")
        self.open_button.clicked.connect(self._ask_for_folder)
        self.close_button = QPushButton("Close")
        self.close_button.setToolTip("Saves and closes the project.")
        self.close_button.clicked.connect(self.close_wanted)
        self.again_button = QPushButton()
        self.again_button.setStyleSheet(PRIMARY_STYLE)
        self.again_button.clicked.connect(self._open_again)
        buttons = QHBoxLayout()
        for button in (self.new_button, self.open_button, self.close_button):
            buttons.addWidget(button)
        self.add(self.title)
        self.rows.addLayout(buttons)
        self.add(self.again_button)
        self.add(self.notice)
        self.saving = Notice()
        self.add(self.saving)
        self.notice.remedy_clicked.connect(self.retry_wanted)
        self.saving.remedy_clicked.connect(self.retry_wanted)
        self._recent: Sequence[str] = ()

    def show_project(self, opened: OpenProject | None, recent: Sequence[str]) -> None:
        """Show which project is open.

        Parameters
        ----------
        opened
            It; None: none is.
        recent
            Folders of projects opened before, the last one first.
        """
        self._recent = recent
        self.saving.clear()
        self.notice.clear()
        self.close_button.setVisible(opened is not None)
        last = Path(recent[0]) if recent else None
        again = opened is None and last is not None and Project.is_project(last)
        self.again_button.setVisible(again)
        if again and last is not None:
            self.again_button.setText(f"Open “{last.name}” again")
            self.again_button.setToolTip(f"Opens the project that was open last: {last}")
        self.new_button.setStyleSheet(PRIMARY_STYLE if opened is None and not again else "")
        if opened is None:
            self.title.setText(_WELCOME)
            self.title.setToolTip("")
            return
        kind = opened.project.settings.kind
        what = "classes" if kind == "semantic" else "objects"
        self.title.setText(f"Project “{opened.name}” · {what}")
        self.title.setToolTip(str(opened.project.folder.absolute()))
        if opened.read_only:
            self.notice.say(
                "warning",
                f"Open to read only: {sentence(opened.why_read_only)}",
                remedy="Try again",
            )

    def say_problem(self, text: str) -> None:
        """Say why a project could not be made or opened."""
        self.notice.say("error", text)

    def show_saving(self, problem: str) -> None:
        """Say that strokes cannot be saved; empty: they can, again."""
        if problem:
            self.saving.say(
                "error",
                f"What you paint is not saved: {sentence(problem)} It is kept in memory and tried "
                "again every two seconds; do not close napari before it is saved.",
                remedy="Save now",
            )
        elif self.saving.text:
            self.saving.say("done", "All that you painted is saved.")

    def _ask_for_new(self) -> None:
        place = Path(self._recent[0]).parent if self._recent else Path.home()
        dialog = ProjectDialog(self, place)
        if dialog.exec():
            self.create_wanted.emit(dialog.folder, dialog.kind, dialog.class_names)
        dialog.deleteLater()

    def _ask_for_folder(self) -> None:
        start = self._recent[0] if self._recent else str(Path.home())
        folder = QFileDialog.getExistingDirectory(self, "Open a project", start)
        if folder:
            self.open_wanted.emit(Path(folder))

    def _open_again(self) -> None:
        self.open_wanted.emit(Path(self._recent[0]))
