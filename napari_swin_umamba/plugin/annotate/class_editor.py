"""*Edit…* of the classes: names, colours, keys, new classes, and which are removed or merged.

Nothing happens before the person confirms; until then everything can be taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plan import default_color
from napari_swin_umamba.plugin.annotate.keys import KEYS
from napari_swin_umamba.plugin.annotate.swatch import ColorButton
from napari_swin_umamba.plugin.parts import Notice, WrappedLabel
from napari_swin_umamba.plugin.words import sentence
from napari_swin_umamba.project import BACKGROUND, UNLABELLED, ProjectClass, Settings

__all__ = ["ClassEditor", "Edited"]

_NO_KEY = "no key"


@dataclass(frozen=True)
class Edited:
    """What the person confirmed."""

    settings: Settings
    keys: dict[int, str]
    """Value -> key that was chosen; empty for none."""
    becomes: dict[int, int]
    """Id of a class that goes -> value that takes its place."""


class _Row:
    """The controls of one class."""

    def __init__(self, number: int, name: str, color: str, key: str) -> None:
        self.id = number
        self.removed = False
        self.color = ColorButton(color)
        self.name = QLineEdit(name)
        self.name.setToolTip("The class's name.")
        self.key = QComboBox()
        self.key.addItems([_NO_KEY, *KEYS])
        self.key.setCurrentText(key or _NO_KEY)
        self.key.setToolTip("The key that chooses this class for painting.")
        self.becomes = QComboBox()
        self.becomes.setToolTip("What this class's strokes become, on all images.")
        self.button = QPushButton("Remove…")

    @property
    def label(self) -> str:
        return self.name.text().strip()


class ClassEditor(QDialog):
    """A row for each class."""

    def __init__(self, parent: QWidget | None, settings: Settings, keys: Mapping[int, str]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Classes of the project")
        self._settings, self._keys = settings, keys
        self._next = settings.next_class_id
        self.rows = [
            _Row(item.id, item.name, item.color, keys.get(item.id, "")) for item in settings.classes
        ]
        self._grid = QGridLayout()
        self._grid.setColumnStretch(1, 1)
        content = QWidget()
        column = QVBoxLayout(content)
        column.addLayout(self._grid)
        column.addStretch(1)
        area = QScrollArea()
        area.setWidget(content)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        self.add_button = QPushButton("Add a class")
        self.add_button.setToolTip("Adds a class under an id that no class ever had.")
        self.add_button.clicked.connect(self.add_row)
        self.add_button.setVisible(settings.kind == "semantic")
        self.notice = Notice()
        flags = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(flags.Ok | flags.Cancel)
        ok = self.buttons.button(flags.Ok)
        assert ok is not None
        self.ok_button: QPushButton = ok
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        for button in self.buttons.buttons():
            button.setIcon(QIcon())  # of the system's style, which is not napari's
        layout = QVBoxLayout(self)
        layout.addWidget(
            WrappedLabel(
                "Ids never change: a new name or colour leaves all strokes as they are. "
                "Nothing is changed before you confirm."
            )
        )
        layout.addWidget(area, stretch=1)
        layout.addWidget(self.add_button)
        layout.addWidget(self.notice)
        layout.addWidget(self.buttons)
        self.resize(520, 360)
        for row in self.rows:
            self._connect(row)
        self._lay_out()

    @property
    def removed(self) -> list[_Row]:
        """Rows of classes that go."""
        return [row for row in self.rows if row.removed]

    def add_row(self) -> None:
        """Add a class; what *Add a class* does."""
        row = _Row(self._next, "", default_color(self._next - BACKGROUND), "")
        self._next += 1
        self.rows.append(row)
        self._connect(row)
        self._lay_out()
        row.name.setFocus()

    def toggle_removed(self, row: _Row) -> None:
        """Remove a class or take that back; a class that is new disappears at once."""
        if row.id >= self._settings.next_class_id:
            self.rows.remove(row)
            for widget in (row.color, row.name, row.key, row.becomes, row.button):
                widget.deleteLater()
        else:
            row.removed = not row.removed
        self._lay_out()

    def edited(self) -> Edited:
        """Return what the rows say.

        Raises
        ------
        InputError
            A name is missing or there twice.
        """
        kept = [row for row in self.rows if not row.removed]
        names = [row.label for row in kept]
        if "" in names:
            raise InputError("give every class a name")
        if "background" in (name.casefold() for name in names):
            raise InputError("background is there by itself; choose another name")
        plain = [name.casefold() for name in names]  # predictions find classes whatever the case
        twice = [name for name in names if plain.count(name.casefold()) > 1]
        if twice:
            raise InputError(f"two classes are called '{twice[0]}'; choose another name")
        try:
            classes = tuple(
                ProjectClass(id=row.id, name=row.label, color=row.color.color) for row in kept
            )
        except ValueError as error:
            raise InputError("a name has 100 letters at most") from error
        keys = {
            row.id: "" if row.key.currentText() == _NO_KEY else row.key.currentText()
            for row in kept
            if row.key.currentText() != (self._keys.get(row.id, "") or _NO_KEY)
        }
        return Edited(
            self._settings.model_copy(update={"classes": classes, "next_class_id": self._next}),
            keys,
            {row.id: int(row.becomes.currentData() or UNLABELLED) for row in self.removed},
        )

    def _connect(self, row: _Row) -> None:
        row.button.clicked.connect(lambda: self.toggle_removed(row))
        row.name.textChanged.connect(self._check)
        row.key.activated.connect(lambda _: self._take_key(row))

    def _take_key(self, row: _Row) -> None:
        """A key belongs to one class: the one it was taken from has none."""
        for other in self.rows:
            if other is not row and other.key.currentText() == row.key.currentText():
                other.key.setCurrentText(_NO_KEY)

    def _lay_out(self) -> None:
        only = self._settings.kind == "instances"
        for row in self.rows:
            number = self.rows.index(row)
            for column, widget in enumerate((row.color, row.name, row.key, row.button)):
                self._grid.addWidget(widget, number, column)
            self._grid.addWidget(row.becomes, number, 2)
            row.color.setEnabled(not row.removed)
            row.name.setEnabled(not row.removed)
            row.key.setVisible(not row.removed and not only)
            row.becomes.setVisible(row.removed)
            row.button.setVisible(not only)
            row.button.setText("Keep it" if row.removed else "Remove…")
            row.button.setToolTip(
                "Takes the removal back."
                if row.removed
                else "Removes the class, or merges it into another one; once you confirm."
            )
            self._offer_targets(row)
        self._check()

    def _offer_targets(self, row: _Row) -> None:
        chosen = row.becomes.currentData()
        row.becomes.clear()
        row.becomes.addItem("becomes unlabelled", UNLABELLED)
        row.becomes.addItem("becomes background", BACKGROUND)
        for other in self.rows:
            if other is not row and not other.removed:
                row.becomes.addItem(f"merge into {other.label or 'the new class'}", other.id)
        row.becomes.setCurrentIndex(max(0, row.becomes.findData(chosen)))

    def _check(self) -> None:
        try:
            self.edited()
            why = ""
        except InputError as error:
            why = sentence(str(error))
        self.ok_button.setEnabled(not why)
        self.ok_button.setToolTip(why)
        gone = ", ".join(f"“{row.label}”" for row in self.removed)
        self.ok_button.setText("Change all images" if gone else "Save")
        if why:
            self.notice.say("hint", why)
        elif gone:
            self.notice.say(
                "warning",
                f"All that is painted as {gone} is changed, on all images of the project. Once "
                "you confirm, that cannot be undone.",
            )
        else:
            self.notice.clear()
