"""Asks which folder to segment, and where the labels go."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_swin_umamba.plugin.parts import Notice, WrappedLabel

__all__ = ["FolderDialog"]

_WIDTH = 520


class FolderDialog(QDialog):
    """Two folders and two switches.

    Parameters
    ----------
    parent
        The dock.
    model
        Name of the model.
    min_area
        The smallest object as the dock shows it, such as ``20 µm²``; empty: any.
    """

    def __init__(self, parent: QWidget, model: str, min_area: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle("Segment a folder of images")
        self.images = _path_edit("The folder with the images. Folders inside it are left alone.")
        self.labels = _path_edit("The folder for the labels: one file for each image.")
        self.overwrite = QCheckBox("Replace label files that exist")
        self.overwrite.setToolTip("Without it nothing begins if a file would be replaced.")
        self.measure = QCheckBox("Also save a table of what was found (measurements.csv)")
        self.measure.setToolTip("Sizes and numbers of classes or objects, for all images.")
        self.measure.setChecked(True)
        flags = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(flags.Ok | flags.Cancel)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        ok = self.buttons.button(flags.Ok)
        assert ok is not None
        self.ok_button: QPushButton = ok
        self.ok_button.setText("Segment")
        for button in self.buttons.buttons():
            button.setIcon(QIcon())  # of the system's style, which is not napari's
        grid = QGridLayout()
        for row, (caption, edit) in enumerate((("Images", self.images), ("Labels", self.labels))):
            browse = QPushButton("Browse…")
            browse.setToolTip("Chooses a folder.")
            browse.clicked.connect(lambda _=False, edit=edit: self._browse(edit))
            grid.addWidget(QLabel(caption), row, 0)
            grid.addWidget(edit, row, 1)
            grid.addWidget(browse, row, 2)
        layout = QVBoxLayout(self)
        layout.addWidget(WrappedLabel(f"With the model “{model}” and the settings of the dock."))
        layout.addLayout(grid)
        layout.addWidget(self.overwrite)
        layout.addWidget(self.measure)
        self.units = Notice()
        layout.addWidget(self.units)
        layout.addWidget(self.buttons)
        self.setMinimumWidth(_WIDTH)
        self.images.textChanged.connect(self._suggest)
        self.labels.textChanged.connect(self._check)
        self._suggested = ""
        self._check()
        if min_area:
            number = min_area.split()[0]
            self.units.say(
                "warning",
                f"Smallest object is {min_area} for the image in the dock. Each file is measured "
                f"in the unit of its own pixel size: {number} µm², {number} mm², or {number} "
                "pixels where a file does not say how large its pixels are.",
            )

    def _browse(self, edit: QLineEdit) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a folder", edit.text())
        if folder:
            edit.setText(folder)

    def _suggest(self, images: str) -> None:
        """Propose a folder beside the images, until a person has typed another."""
        if self.labels.text() in ("", self._suggested):
            self._suggested = f"{Path(images)}-labels" if images.strip() else ""
            self.labels.setText(self._suggested)
        self._check()

    def _check(self) -> None:
        images, labels = self.images.text().strip(), self.labels.text().strip()
        exists = bool(images) and Path(images).is_dir()
        why = "" if exists else "Choose a folder of images that exists."
        self.ok_button.setEnabled(exists and bool(labels))
        self.ok_button.setToolTip(why or ("" if labels else "Choose a folder for the labels."))


def _path_edit(tooltip: str) -> QLineEdit:
    edit = QLineEdit()
    edit.setToolTip(tooltip)
    return edit
