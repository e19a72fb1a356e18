"""A list of slices, each with a small bar: how much predictions of it disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import QRectF, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem

from napari_swin_umamba.project import Slice

__all__ = ["Row", "SuggestList"]

_SLICE = Qt.ItemDataRole.UserRole
_BAR = QSize(40, 10)
_FULL, _EMPTY = "#e69f00", "#80808066"
_ROWS_SHOWN = 6


@dataclass(frozen=True)
class Row:
    """What one row shows."""

    slice: Slice
    text: str
    tooltip: str
    share: float | None = None
    """Length of the bar, 0 to 1; None: no bar."""


class SuggestList(QListWidget):
    """As high as its rows."""

    def __init__(self) -> None:
        super().__init__()
        self.setIconSize(_BAR)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.show_rows(())

    def show_rows(self, rows: Sequence[Row]) -> None:
        """Show other rows; the one that was chosen stays so if it is still there."""
        chosen = self.chosen()
        self.clear()
        for row in rows:
            item = QListWidgetItem(row.text)
            item.setData(_SLICE, row.slice)
            item.setToolTip(row.tooltip)
            if row.share is not None:
                item.setIcon(_bar(row.share, self.devicePixelRatioF()))
            self.addItem(item)
        self.select(chosen)
        height = self.sizeHintForRow(0) if rows else 0
        self.setFixedHeight(min(_ROWS_SHOWN, len(rows)) * height + 8)
        self.setVisible(bool(rows))

    def chosen(self) -> Slice | None:
        """The slice of the row that is chosen."""
        item = self.currentItem()
        return None if item is None else self.slice_of(item)

    def slice_of(self, item: QListWidgetItem) -> Slice:
        """The slice of a row."""
        image_id, position = item.data(_SLICE)
        return image_id, tuple(position)

    def select(self, wanted: Slice | None) -> None:
        """Choose the row of a slice; none if it has none."""
        for row in range(self.count()):
            item = self.item(row)
            if item is not None and self.slice_of(item) == wanted:
                self.setCurrentRow(row)
                return
        self.setCurrentRow(-1)


def _bar(share: float, ratio: float) -> QIcon:
    """A bar that is filled from the left."""
    pixmap = QPixmap(_BAR * ratio)
    pixmap.setDevicePixelRatio(ratio)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setPen(Qt.PenStyle.NoPen)
    for color, width in ((_EMPTY, 1.0), (_FULL, share)):
        painter.setBrush(_color(color))
        painter.drawRect(QRectF(0, 1, width * _BAR.width(), _BAR.height() - 2))
    painter.end()
    icon = QIcon()
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):
        icon.addPixmap(pixmap, mode)
    return icon


def _color(text: str) -> QColor:
    """Colour of ``#rrggbb`` or ``#rrggbbaa``."""
    color = QColor(text[:7])
    color.setAlpha(int(text[7:] or "ff", 16))
    return color
