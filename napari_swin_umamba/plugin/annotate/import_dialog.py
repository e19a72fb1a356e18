"""Asks what the values of labels mean, before they become annotation."""

from __future__ import annotations

from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_swin_umamba.plugin.annotate.importing import Found
from napari_swin_umamba.plugin.parts import WrappedLabel
from napari_swin_umamba.plugin.words import count
from napari_swin_umamba.project import BACKGROUND, UNLABELLED, Settings

__all__ = ["ImportDialog"]

_NEW = -1


class ImportDialog(QDialog):
    """A row for each value, and what 0 means."""

    def __init__(self, parent: QWidget | None, settings: Settings, found: Found, what: str) -> None:
        super().__init__(parent)
        self.setWindowTitle("Import labels")
        self._found, self._objects = found, settings.kind == "instances"
        self.combos: dict[int, QComboBox] = {}
        self.background = QCheckBox("0 is background: imported slices are complete")
        self.background.setToolTip("Otherwise 0 is unlabelled: nobody has looked there.")
        self.background.setChecked(True)
        layout = QVBoxLayout(self)
        layout.addWidget(WrappedLabel(f"Import {what}. What is painted already stays as it is."))
        if self._objects:
            layout.addWidget(
                WrappedLabel(f"{count(len(found.values), 'object')}, each gets a new number.")
            )
        else:
            layout.addWidget(self._rows(settings), stretch=1)
        layout.addWidget(self.background)
        flags = QDialogButtonBox.StandardButton
        buttons = QDialogButtonBox(flags.Ok | flags.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        ok = buttons.button(flags.Ok)
        assert ok is not None
        ok.setText("Import")
        for button in buttons.buttons():
            button.setIcon(QIcon())  # of the system's style, which is not napari's
        layout.addWidget(buttons)
        self.setMinimumWidth(420)

    def _rows(self, settings: Settings) -> QWidget:
        content = QWidget()
        grid = QGridLayout(content)
        grid.setColumnStretch(1, 1)
        known = {item.name.casefold(): item.id for item in settings.classes}
        for row, value in enumerate(self._found.values):
            name = self._found.names.get(value, "")
            combo = QComboBox()
            combo.setToolTip("The class that this value becomes.")
            for item in settings.classes:
                combo.addItem(item.name, item.id)
            combo.addItem(f"new class “{name or f'class {value}'}”", _NEW)
            combo.addItem("background", BACKGROUND)
            combo.addItem("unlabelled", UNLABELLED)
            place = known.get(name.casefold(), 0)
            if not place and not name and row < len(settings.classes):
                place = settings.classes[row].id
            combo.setCurrentIndex(combo.findData(place or _NEW))
            self.combos[value] = combo
            grid.addWidget(QLabel(f"{value}  {name}".strip()), row, 0)
            grid.addWidget(combo, row, 1)
        area = QScrollArea()
        area.setWidget(content)
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        return area

    @property
    def new_classes(self) -> dict[int, str]:
        """Value -> name of the class to be made for it."""
        return {
            value: self._found.names.get(value, "") or f"class {value}"
            for value, combo in self.combos.items()
            if combo.currentData() == _NEW
        }

    @property
    def becomes(self) -> dict[int, int] | None:
        """Value -> id, for those that need no new class; None: values number objects."""
        if self._objects:
            return None
        chosen = {value: int(combo.currentData()) for value, combo in self.combos.items()}
        return {value: number for value, number in chosen.items() if number != _NEW}
