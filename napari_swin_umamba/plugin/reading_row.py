"""How the image is read, in words, and a fold-out to correct it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import floor, inf, log10

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_swin_umamba.plugin.parts import WrappedLabel, make_narrow
from napari_swin_umamba.plugin.reading import Correction, Reading
from napari_swin_umamba.plugin.words import axis_name, count

__all__ = ["ReadingRow"]

_UNITS = {"not known": None, "nm": "nanometer", "µm": "micrometer", "mm": "millimeter"}
_SHORT = {"centimeter": "cm", "meter": "m", "inch": "in"}
_LARGEST = 1e6
_DECIMALS = 4
_MOST_DECIMALS = 12


class ReadingRow(QWidget):
    """A sentence and *Edit…*."""

    corrected = Signal(object)
    """A ``Correction`` of the image chosen."""
    slice_axis_chosen = Signal(int)
    """Slices are to follow this axis of the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.text = WrappedLabel("–")
        self.text.setToolTip("How the image goes into the model. Edit… corrects it.")
        self.edit_button = QPushButton("Edit…")
        self.edit_button.setCheckable(True)
        self.edit_button.setToolTip("Corrects the slice axis, the channels and the pixel size.")
        self.slices = QComboBox()
        self.slices.setToolTip(
            "The axis that slices follow. The viewer turns, so that you see what is segmented."
        )
        self.channels = QComboBox()
        self.channels.setToolTip("The axis that holds the channels.")
        self.unit = QComboBox()
        self.unit.setToolTip("Unit of the sizes above.")
        for name, unit in _UNITS.items():
            self.unit.addItem(name, unit)
        for combo in (self.slices, self.channels, self.unit):
            make_narrow(combo)
        self.steps: dict[int, QDoubleSpinBox] = {}
        """Size of a pixel along each axis of the layer that is a length."""
        self._exact: dict[int, float] = {}
        """The sizes before they were rounded to the decimals of a field."""
        self.reset_button = QPushButton("As the image says")
        self.reset_button.setToolTip("Drops the corrections.")
        self._grid_widget = QWidget()
        self._grid = QGridLayout(self._grid_widget)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setColumnStretch(1, 1)
        self._grid_widget.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addWidget(self.edit_button, alignment=Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._grid_widget)
        self._reading: Reading | None = None
        self.edit_button.toggled.connect(self._grid_widget.setVisible)
        self.slices.activated.connect(self._choose_slices)
        self.channels.activated.connect(self._correct_channels)
        self.unit.activated.connect(lambda _: self._correct_sizes())
        self.reset_button.clicked.connect(lambda: self.corrected.emit(Correction()))

    def show_reading(self, reading: Reading | None, text: str) -> None:
        """Show how the image chosen is read; None: there is no image."""
        self.text.setText(text)
        self.edit_button.setVisible(reading is not None)
        if reading is None:
            self.edit_button.setChecked(False)
        else:
            if self._reading is None or _structure(reading) != _structure(self._reading):
                self._rebuild(reading)
            self._show_values(reading)
        self._reading = reading

    def _rebuild(self, reading: Reading) -> None:
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = item.widget() if item is not None else None
            keep = (self.slices, self.channels, self.unit, self.reset_button)
            if widget is not None and widget not in keep:
                widget.hide()  # it lives on until the event loop gets to it
                widget.deleteLater()
        self._fill(self.slices, reading, reading.kept_axes)
        self.slices.setCurrentIndex(
            self.slices.findData(reading.fixed_axes[-1] if reading.fixed_axes else None)
        )
        axes = () if reading.view.colours else tuple(range(len(reading.view.shape)))
        self.channels.clear()
        none = "colours" if reading.view.colours else "only one"
        self.channels.addItem(none, None)
        for axis in axes if len(axes) > 2 else ():
            size = reading.view.shape[axis]
            self.channels.addItem(f"{axis_name(reading, axis)} ({size:,})", axis)
        self.channels.setCurrentIndex(max(0, self.channels.findData(reading.channel_axis)))
        rows: list[tuple[str, QWidget]] = []
        if reading.fixed_axes:
            rows.append(("Slices along", self.slices))
        self.slices.setVisible(bool(reading.fixed_axes))
        rows.append(("Channels", self.channels))
        self.steps = {axis: self._step(axis) for axis in reading.spatial_axes}
        rows += [(f"Pixel {axis_name(reading, axis)}", spin) for axis, spin in self.steps.items()]
        rows.append(("Unit", self.unit))
        for row, (caption, widget) in enumerate(rows):
            label = QLabel(caption)
            label.setIndent(0)
            self._grid.addWidget(label, row, 0)
            self._grid.addWidget(widget, row, 1)
        self._grid.addWidget(self.reset_button, len(rows), 0, 1, 2)
        before: QWidget = self.edit_button
        for widget in (*(widget for _, widget in rows), self.reset_button):
            QWidget.setTabOrder(before, widget)
            before = widget

    def _fill(self, combo: QComboBox, reading: Reading, axes: tuple[int, ...]) -> None:
        combo.clear()
        for axis in axes:
            slices = count(reading.view.shape[axis], "slice")
            combo.addItem(f"{axis_name(reading, axis)} ({slices})", axis)

    def _show_values(self, reading: Reading) -> None:
        sizes, unit = reading.steps
        while self.unit.count() > len(_UNITS):
            self.unit.removeItem(self.unit.count() - 1)
        if unit not in _UNITS.values():  # the image's own
            self.unit.addItem(_SHORT.get(str(unit), str(unit)), unit)
        self.unit.setCurrentIndex(self.unit.findData(unit))
        self._exact = sizes
        for axis, spin in self.steps.items():
            spin.blockSignals(True)
            spin.setDecimals(_decimals(sizes[axis]))
            spin.setMinimum(10.0 ** -spin.decimals())
            spin.setValue(sizes[axis])
            spin.blockSignals(False)

    def _step(self, axis: int) -> QDoubleSpinBox:
        spin = QDoubleSpinBox()
        spin.setMaximum(_LARGEST)
        spin.setKeyboardTracking(False)
        spin.setToolTip("Distance between the centres of neighbouring pixels along this axis.")
        spin.valueChanged.connect(lambda size: self._correct_sizes({axis: size}))
        return spin

    def _choose_slices(self, _index: int) -> None:
        axis = self.slices.currentData()
        if axis is not None:
            self.slice_axis_chosen.emit(int(axis))

    def _correct_channels(self, _index: int) -> None:
        if self._reading is not None:
            before = self._reading.correction
            self.corrected.emit(replace(before, channel_axis=self.channels.currentData()))

    def _correct_sizes(self, changed: Mapping[int, float] | None = None) -> None:
        """Take the sizes changed and the unit chosen; what was not touched stays exact."""
        reading = self._reading
        if reading is None:
            return
        spacing = list(reading.view.spacing)
        for axis, size in {**self._exact, **(changed or {})}.items():
            spacing[axis] = size
        self.corrected.emit(
            replace(reading.correction, spacing=tuple(spacing), unit=self.unit.currentData())
        )


def _decimals(size: float) -> int:
    """Decimals that show four figures of a size, four at least."""
    if not 0 < size < inf:
        return _DECIMALS
    return min(_MOST_DECIMALS, max(_DECIMALS, 3 - floor(log10(size))))


def _structure(reading: Reading) -> tuple[object, ...]:
    """What decides which fields there are: they must stay while a person types into them."""
    view = reading.view
    return view.shape, view.axis_labels, view.colours, reading.plane, reading.channel_axis
