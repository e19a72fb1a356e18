"""Small squares of colour, and a button that lets a person choose one."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QColorDialog, QToolButton

__all__ = ["ColorButton", "swatch"]

_SIZE = 14


def swatch(color: str) -> QIcon:
    """A square of one colour, ``#rrggbb``; of none, if it is empty."""
    pixmap = QPixmap(_SIZE, _SIZE)
    pixmap.fill(QColor(color) if color else QColor(0, 0, 0, 0))
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)  # not tinted where the row is chosen
    return icon


class ColorButton(QToolButton):
    """Shows a colour; a click asks for another one."""

    picked = Signal(str)
    """The colour that a person chose, ``#rrggbb``."""

    def __init__(self, color: str) -> None:
        super().__init__()
        self.setToolTip("The class's colour. Click to choose another one.")
        self.set_color(color)
        self.clicked.connect(self._ask)

    def set_color(self, color: str) -> None:
        """Show a colour."""
        self.color = color
        self.setIcon(swatch(color))

    def _ask(self) -> None:
        chosen = QColorDialog.getColor(QColor(self.color), self, "Colour of the class")
        if chosen.isValid():
            self.set_color(chosen.name())
            self.picked.emit(self.color)
