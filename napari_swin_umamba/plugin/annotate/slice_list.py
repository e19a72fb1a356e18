"""A list of slice numbers that flows like text and is as high as it needs to be."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QListView, QListWidget

__all__ = ["SliceList"]

_LINES_SHOWN = 3
_SPACING = 2
_FRAME = 8
"""Pixels above and below the lines."""


class SliceList(QListWidget):
    """At most three lines are seen at once; there may be more to scroll to."""

    def __init__(self) -> None:
        super().__init__()
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setSpacing(_SPACING)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def fit_height(self) -> None:
        """Take the height of the lines that there are."""
        line = self.sizeHintForRow(0) + 2 * self.spacing() if self.count() else 0
        self.executeDelayedItemsLayout()
        last = self.item(self.count() - 1)
        bottom = 0 if last is None else self.visualItemRect(last).bottom() + self.verticalOffset()
        lines = min(_LINES_SHOWN, max(1, -(-bottom // line))) if line else 0
        self.setFixedHeight(lines * line + _FRAME)

    def resizeEvent(self, e: QResizeEvent | None) -> None:  # noqa: N802 - Qt's name
        """Another width: perhaps other lines."""
        super().resizeEvent(e)
        if e is not None and e.size().width() != e.oldSize().width():
            self.fit_height()
