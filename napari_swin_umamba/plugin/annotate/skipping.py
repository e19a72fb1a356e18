"""*Skip* and *Show skipped*: slices that are not to be suggested, kept in the project."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QToolButton, QWidget

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.suggest_list import Row
from napari_swin_umamba.plugin.annotate.suggestions import slice_words
from napari_swin_umamba.plugin.parts import MENU_STYLE, set_blocked
from napari_swin_umamba.plugin.words import sentence
from napari_swin_umamba.project import Skipped, Slice

__all__ = ["SkipRow"]

_SKIP_TIP = "This slice is not worth painting: suggests another one in its place, now and later."
_BACK_TIP = "Lets this slice be suggested again."


class SkipRow(QWidget):
    """Two buttons below the list; what they say depends on what the list shows."""

    skipped = Signal(tuple, bool)
    """A slice, and whether it is skipped from now on."""
    toggled = Signal()
    """Skipped slices are to be listed, or no longer."""
    failed = Signal(str)

    def __init__(self, opened: OpenProject) -> None:
        super().__init__()
        self._opened = opened
        self._known = Skipped()
        self._ids: Sequence[str] = ()
        self._chosen: Slice | None = None
        self._blocked: str | None = None
        self._problem = ""
        self.skip_button = QPushButton("Skip")
        self.skip_button.clicked.connect(self._on_skip)
        self.show_button = QToolButton()
        self.show_button.setStyleSheet(MENU_STYLE)
        self.show_button.setCheckable(True)
        self.show_button.setToolTip("Lists the slices that were skipped, to take that back.")
        self.show_button.toggled.connect(lambda _on: self.toggled.emit())
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.skip_button, stretch=1)
        row.addWidget(self.show_button)

    @property
    def shown(self) -> bool:
        """Whether skipped slices are listed."""
        return self.show_button.isChecked()

    def show_skipped(self, on: bool) -> None:
        """List skipped slices, or suggestions again; what *Show skipped* does."""
        self.show_button.setChecked(on)

    def refresh(self, image_ids: Sequence[str], blocked: str | None) -> None:
        """Show what can be skipped or taken back.

        Parameters
        ----------
        image_ids
            Whose slices are listed.
        blocked
            Why nothing can be changed; None: it can.
        """
        self._ids, self._blocked = image_ids, blocked
        self._read()
        number = len(self._known.slices(image_ids))
        if not number and self.shown:
            self.show_skipped(False)
        self.show_button.setText("Show suggestions" if self.shown else f"Show skipped ({number:,})")
        self.show_button.setVisible(number > 0)
        self.skip_button.setText("No longer skip" if self.shown else "Skip")
        self.choose(self._chosen)

    def choose(self, where: Slice | None) -> None:
        """Take note of which row of the list is chosen."""
        self._chosen = where
        why = self._blocked
        if where is None and why is None:
            why = "Choose a slice of the list."
        set_blocked(self.skip_button, why)
        if why is None:
            self.skip_button.setToolTip(_BACK_TIP if self.shown else _SKIP_TIP)

    def rows(self) -> list[Row]:
        """The skipped slices for the list."""
        rows = []
        for image_id, position in self._known.slices(self._ids):
            image = self._opened.project.image(image_id)
            place = slice_words(image, (image_id, position), len(self._ids) > 1)
            rows.append(Row((image_id, position), f"{place} · skipped", "Click to go there."))
        return rows

    def _on_skip(self) -> None:
        where, skip = self._chosen, not self.shown
        if where is None:
            return
        folder = self._opened.project.folder
        try:
            changed = Skipped.read(folder).with_slice(*where, skip)
            changed.write(folder)
        except InputError as error:
            self.failed.emit(sentence(str(error)))
            return
        self._known = changed
        self.skipped.emit(where, skip)

    def _read(self) -> None:
        """Read the file anew; a person is told once what is wrong with it."""
        try:
            self._known, problem = Skipped.read(self._opened.project.folder), ""
        except InputError as error:
            self._known, problem = Skipped(), str(error)
        if problem and problem != self._problem:
            self.failed.emit(sentence(problem))
        self._problem = problem
