"""Asks what a new project is about, and where it lies."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from napari_swin_umamba.plugin.parts import Notice

__all__ = ["ProjectDialog"]

_WIDTH = 520
_FORBIDDEN = '\\/:*?"<>|'


class ProjectDialog(QDialog):
    """Name, place, kind, classes."""

    def __init__(self, parent: QWidget | None, place: Path) -> None:
        super().__init__(parent)
        self.setWindowTitle("New annotation project")
        self.name = QLineEdit()
        self.name.setToolTip("The project becomes a folder of this name.")
        self.place = QLineEdit(str(place))
        self.place.setToolTip("The folder in which the project's folder is made.")
        browse = QPushButton("Browse…")
        browse.setToolTip("Chooses a folder.")
        browse.clicked.connect(self._browse)
        self.semantic = QRadioButton("Classes: every pixel gets a class")
        self.semantic.setToolTip("For organs, tissue, background and the like.")
        self.semantic.setChecked(True)
        self.instances = QRadioButton("Objects: every object gets its own number")
        self.instances.setToolTip("For nuclei, cells and other things to be counted.")
        self.classes = QLineEdit()
        self.classes.setPlaceholderText("liver, vessel")
        self.classes.setToolTip("Names with commas between them. More can be added later.")
        self._caption = QLabel("Classes")
        self.notice = Notice()
        flags = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(flags.Ok | flags.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        ok = self.buttons.button(flags.Ok)
        assert ok is not None
        self.ok_button: QPushButton = ok
        ok.setText("Make project")
        for button in self.buttons.buttons():
            button.setIcon(QIcon())  # of the system's style, which is not napari's
        grid = QGridLayout()
        rows: list[tuple[str | QLabel, list[QWidget]]] = [
            ("Name", [self.name]),
            ("In folder", [self.place, browse]),
            ("Paint", [self.semantic]),
            ("", [self.instances]),
            (self._caption, [self.classes]),
        ]
        for row, (caption, widgets) in enumerate(rows):
            label = caption if isinstance(caption, QLabel) else QLabel(caption)
            grid.addWidget(label, row, 0)
            for column, widget in enumerate(widgets):
                grid.addWidget(widget, row, 1 + column, 1, 1 if len(widgets) > 1 else 2)
        layout = QVBoxLayout(self)
        layout.addLayout(grid)
        layout.addWidget(self.notice)
        layout.addWidget(self.buttons)
        self.setMinimumWidth(_WIDTH)
        self.semantic.toggled.connect(self._show_kind)
        for edit in (self.name, self.place, self.classes):
            edit.textChanged.connect(self._check)
        self._check()

    @property
    def folder(self) -> Path:
        """The project's folder."""
        return Path(self.place.text().strip()).expanduser() / self.name.text().strip()

    @property
    def kind(self) -> str:
        """``"semantic"`` or ``"instances"``."""
        return "semantic" if self.semantic.isChecked() else "instances"

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, or of the one kind of objects."""
        names = (name.strip() for name in self.classes.text().split(","))
        return tuple(name for name in names if name)

    def _show_kind(self) -> None:
        semantic = self.semantic.isChecked()
        self._caption.setText("Classes" if semantic else "Objects are")
        self.classes.setPlaceholderText("liver, vessel" if semantic else "nucleus")
        self._check()

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a folder", self.place.text())
        if folder:
            self.place.setText(folder)

    def _obstacle(self) -> str:
        """Why the folder cannot be made, as far as can be told before."""
        try:
            if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
                return "There is such a folder already, and it is not empty. Choose another name."
        except (OSError, RuntimeError) as error:  # too long, not to be read; ~somebody
            reason = error.strerror if isinstance(error, OSError) else None
            return f"There cannot be such a folder: {reason or error}."
        return ""

    def _check(self) -> None:
        name, names = self.name.text().strip(), self.class_names
        why = ""
        if not name:
            why = "Give the project a name."
        elif set(name) & set(_FORBIDDEN) or name.strip(". ") != name:
            why = f"A folder cannot be called “{name}”."
        elif not self.place.text().strip():
            why = "Choose a folder for the project."
        elif obstacle := self._obstacle():
            why = obstacle
        elif len({one.casefold() for one in names}) < len(names):
            why = "Two classes have the same name."
        elif "background" in (one.casefold() for one in names):
            why = "Background is there by itself; leave it out."
        elif self.kind == "instances" and len(names) > 1:
            why = "Objects are of one kind. For several, paint classes."
        self.ok_button.setEnabled(not why)
        self.ok_button.setToolTip(why)
        if why and name:
            self.notice.say("hint", why)
        else:
            self.notice.clear()
