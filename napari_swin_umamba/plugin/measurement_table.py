"""The table of what was found, to read, copy and save."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.parts import WrappedLabel
from napari_swin_umamba.plugin.words import sentence

if TYPE_CHECKING:
    from napari_swin_umamba.segmentation import Measurements

__all__ = ["MeasurementTable"]

_HEIGHT = 150
_ROWS_LOOKED_AT = 30
"""For the widths of columns: all of a thousand rows take a tenth of a second."""
Index = QModelIndex | QPersistentModelIndex


class MeasurementTable(QWidget):
    """Rows per class or object, *Copy* and *Save CSV…*."""

    said = Signal(str, str)
    """Kind of notice and text: what became of a click."""

    def __init__(self) -> None:
        super().__init__()
        self.title = WrappedLabel()
        self.title.setToolTip("The Labels layer that was counted.")
        self.view = QTableView()
        self.view.setToolTip("What the Labels layer holds; counted again after you paint.")
        self.view.setFixedHeight(_HEIGHT)
        for header in (self.view.verticalHeader(), self.view.horizontalHeader()):
            assert header is not None
            header.setMinimumSectionSize(20)
        columns = self.view.horizontalHeader()
        assert columns is not None
        columns.setResizeContentsPrecision(_ROWS_LOOKED_AT)
        rows = self.view.verticalHeader()
        assert rows is not None
        rows.setDefaultSectionSize(22)
        rows.hide()
        self.copy_button = QPushButton("Copy")
        self.copy_button.setToolTip("Copies the table, ready to paste into a spreadsheet.")
        self.save_button = QPushButton("Save CSV…")
        self.save_button.setToolTip("Saves the table as a text file that spreadsheets open.")
        self.copy_button.clicked.connect(self.copy)
        self.save_button.clicked.connect(self._ask_and_save)
        buttons = QHBoxLayout()
        buttons.addWidget(self.copy_button)
        buttons.addWidget(self.save_button)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.title)
        layout.addWidget(self.view)
        layout.addLayout(buttons)
        self.measurements: Measurements | None = None
        self._name = ""
        self.hide()

    def show_measurements(self, name: str, measurements: Measurements) -> None:
        """Show what a Labels layer holds."""
        self.measurements, self._name = measurements, name
        self.title.setText(f"{name}: {measurements.summary()}")
        before, model = self.view.model(), _Model(measurements, self)
        self.view.setModel(model)
        if before is not None:
            before.deleteLater()
        self.view.resizeColumnsToContents()
        if measurements.rows:  # the last object has the longest number
            last = self.view.sizeHintForIndex(model.index(len(measurements.rows) - 1, 0)).width()
            self.view.setColumnWidth(0, max(last + 1, self.view.columnWidth(0)))
        self._show_rows(True)

    def show_problem(self, name: str, why: str) -> None:
        """Say why there is no table of a Labels layer."""
        self.measurements = None
        self.title.setText(f"{name}: no table. {why}")
        self._show_rows(False)

    def _show_rows(self, shown: bool) -> None:
        for widget in (self.view, self.copy_button, self.save_button):
            widget.setVisible(shown)
        self.show()

    def clear(self) -> None:
        """Show nothing."""
        self.measurements = None
        self.hide()

    def copy(self) -> None:
        """Copy the table to the clipboard."""
        clipboard = QGuiApplication.clipboard()
        if self.measurements is not None and clipboard is not None:
            clipboard.setText(self.measurements.to_text())
            self.said.emit("done", "The table was copied.")

    def save(self, path: str | Path) -> None:
        """Save the table as CSV; the file dialog has asked before it replaces one."""
        if self.measurements is None:
            return
        try:
            self.measurements.to_csv(Path(path), overwrite=True)
        except InputError as error:
            self.said.emit("error", sentence(str(error)))
        else:
            self.said.emit("done", f"The table was saved as {Path(path).name}.")

    def _ask_and_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the table", f"{self._name}.csv", "Comma-separated values (*.csv)"
        )
        if path:
            self.save(path if Path(path).suffix else f"{path}.csv")


class _Model(QAbstractTableModel):
    """A table that makes cells only when they are looked at: there may be 100,000 objects."""

    def __init__(self, measurements: Measurements, parent: QWidget) -> None:
        super().__init__(parent)
        self._table = measurements

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's
        return 0 if parent.isValid() else len(self._table.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's
        return 0 if parent.isValid() else len(self._table.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a cell's text or alignment."""
        value = self._table.rows[index.row()][index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return _cell(value)
        if role == Qt.ItemDataRole.TextAlignmentRole and not isinstance(value, str):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def headerData(  # noqa: N802 - Qt's name
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """Return a column's title with its unit."""
        if role != Qt.ItemDataRole.DisplayRole or orientation != Qt.Orientation.Horizontal:
            return None
        return self._table.columns[section].header


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)
