"""A heading that shows or hides what lies below it."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QToolButton, QVBoxLayout, QWidget

__all__ = ["Fold"]


class Fold(QWidget):
    """Folded at first.

    Parameters
    ----------
    title
        On the heading.
    tooltip
        Of the heading.
    body
        What is shown or hidden.
    """

    def __init__(self, title: str, tooltip: str, body: QWidget) -> None:
        super().__init__()
        self.header = QToolButton()
        self.header.setText(title)
        self.header.setToolTip(tooltip)
        self.header.setCheckable(True)
        self.header.setArrowType(Qt.ArrowType.RightArrow)
        self.header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.header.setStyleSheet("QToolButton { border: none; }")
        self.header.toggled.connect(self._fold)
        self._body = body
        body.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.header)
        layout.addWidget(body)

    def _fold(self, opened: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow
        self.header.setArrowType(arrow)
        self._body.setVisible(opened)
