"""What all sections of the dock have: a heading, room below it, a place for one message."""

from __future__ import annotations

from qtpy.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from napari_swin_umamba.plugin.parts import Notice, WrappedLabel

__all__ = ["Section"]

READ_ONLY = "The project is open to read only."
"""Why nothing can be changed."""


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

    def add(self, widget: QWidget) -> QWidget:
        """Add a widget below what is there."""
        self.rows.addWidget(widget)
        return widget

    def text(self, words: str = "") -> WrappedLabel:
        """Add a paragraph."""
        label = WrappedLabel(words)
        self.rows.addWidget(label)
        return label
