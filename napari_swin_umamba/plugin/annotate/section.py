"""What all sections of the dock have: a heading, room below it, a place for one message."""

from __future__ import annotations

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_swin_umamba.plugin.parts import Notice, WrappedLabel

__all__ = ["Section"]

READ_ONLY = "The project is open to read only."
"""Why nothing can be changed."""
OTHER_SLICES = (
    "The viewer cuts through all slices. To see one again, click it in a list, or use the buttons "
    "below the layers: order of the axes, 2D and 3D."
)
"""Why nothing can be done with the slice shown."""
_LAYOUT_TIME = 50
"""Milliseconds after which what is shown anew has its place in the dock."""


class Section(QWidget):
    """A part of the dock.

    Parameters
    ----------
    title
        Heading; empty for none.
    """

    def __init__(self, title: str = "") -> None:
        super().__init__()
        self.rows = QVBoxLayout(self)
        self.rows.setContentsMargins(0, 0, 0, 4)
        if title:
            line = QFrame()
            line.setFrameShape(QFrame.Shape.HLine)
            self.rows.addWidget(line)
            self.heading = QLabel(f"<b>{title}</b>")
            self.heading.setIndent(0)
            self.rows.addWidget(self.heading)
        self.notice = Notice()
        self._wanted: QWidget | None = None
        self._look = QTimer(self)
        self._look.setSingleShot(True)
        self._look.setInterval(_LAYOUT_TIME)
        self._look.timeout.connect(self._scroll_to_wanted)

    def add(self, widget: QWidget) -> QWidget:
        """Add a widget below what is there."""
        self.rows.addWidget(widget)
        return widget

    def text(self, words: str = "") -> WrappedLabel:
        """Add a paragraph."""
        label = WrappedLabel(words)
        self.rows.addWidget(label)
        return label

    def scroll_to(self, widget: QWidget) -> None:
        """Scroll the dock to a widget that was just shown: it could lie below the window."""
        self._wanted = widget
        self._look.start()

    def _scroll_to_wanted(self) -> None:
        above = self.parentWidget()
        while above is not None and not isinstance(above, QScrollArea):
            above = above.parentWidget()
        if above is not None and self._wanted is not None:
            above.ensureWidgetVisible(self._wanted)
