"""Settings of a run: classes or objects, and a fold-out with the rest."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QRadioButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.parts import make_narrow, set_blocked
from napari_swin_umamba.plugin.words import unit_symbol

__all__ = ["DEVICES", "OptionsBox", "ResultRow"]

DEVICES = {
    "auto": "automatic",
    "cpu": "CPU",
    "cuda": "NVIDIA GPU (cuda)",
    "mps": "Apple GPU (mps)",
}


class ResultRow(QWidget):
    """*Classes* or *Objects*."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.classes = QRadioButton("Classes")
        self.classes.setToolTip("Each pixel gets the number of its class.")
        self.objects = QRadioButton("Objects")
        self.objects.setToolTip(
            "Each object gets a number of its own; objects that go on from slice to slice keep it."
        )
        self._group = QButtonGroup(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for button in (self.classes, self.objects):
            self._group.addButton(button)
            layout.addWidget(button)
        layout.addStretch(1)
        self.classes.setChecked(True)
        self.classes.toggled.connect(lambda _: self.changed.emit())

    def show_model(self, plan: Plan | None) -> None:
        """Choose what a model was trained for."""
        objects = plan is not None and plan.numbers_objects
        (self.objects if objects else self.classes).setChecked(True)

    @property
    def value(self) -> bool:
        """Whether objects are wanted."""
        return self.objects.isChecked()


class OptionsBox(QWidget):
    """A fold-out with what most people leave as it is."""

    changed = Signal()
    release_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.header = QToolButton()
        self.header.setText("Options")
        self.header.setToolTip("Shows or hides further settings.")
        self.header.setCheckable(True)
        self.header.setArrowType(Qt.ArrowType.RightArrow)
        self.header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.header.setStyleSheet("QToolButton { border: none; }")
        self.header.toggled.connect(self._fold)

        self.device = QComboBox()
        make_narrow(self.device)
        for name, text in DEVICES.items():
            self.device.addItem(text, name)
        self.device.setToolTip("What computes. Automatic takes a GPU if its scan is fast.")
        self.overlap = QDoubleSpinBox()
        self.overlap.setRange(0, 0.9)
        self.overlap.setSingleStep(0.1)
        self.overlap.setToolTip(
            "The share of a tile that its neighbour covers too. More is slower and hides seams "
            "better; 0 is as the model says."
        )
        self.mirror = QCheckBox("Average over mirrored images")
        self.mirror.setToolTip(
            "Four times slower, a little better. Not for models that tell left from right."
        )
        self.bf16 = QCheckBox("Compute in bfloat16")
        self.bf16.setToolTip(
            "Faster on GPUs and processors that have this number format, and a little less exact."
        )
        self.resample = QCheckBox("Resample to the training pixel size")
        self.resample.setToolTip(
            "Brings each slice to the pixel size of the training images first. The labels come "
            "back on the image’s own grid."
        )
        self.object_diameter = QDoubleSpinBox()
        self.object_diameter.setRange(0, 9999)
        self.object_diameter.setDecimals(1)
        self.object_diameter.setSuffix(" px")
        self.object_diameter.setSpecialValueText("as in training")
        self.min_area = QDoubleSpinBox()
        self.min_area.setRange(0, 1e9)
        self.min_area.setSpecialValueText("any")
        self.edge_objects = QCheckBox("Keep objects at the image’s edge")
        self.edge_objects.setChecked(True)
        self.edge_objects.setToolTip(
            "Switch this off where sizes are measured: the edge may cut these objects."
        )
        self.probabilities = QCheckBox("Show probabilities too")
        self.probabilities.setToolTip("Adds an image layer for each class.")
        self.release_button = QPushButton("Release GPU memory")
        self.release_button.setToolTip(
            "Forgets the loaded model and the slices kept, on the GPU or the CPU. The next run "
            "loads the model again."
        )
        self.release_button.clicked.connect(self.release_clicked)

        self._body = QWidget()
        grid = QGridLayout(self._body)
        grid.setContentsMargins(12, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        for row, (caption, widget) in enumerate(
            (
                ("Device", self.device),
                ("Overlap", self.overlap),
                ("Object diameter", self.object_diameter),
                ("Smallest object", self.min_area),
            )
        ):
            label = QLabel(caption)
            label.setIndent(0)
            grid.addWidget(label, row, 0)
            grid.addWidget(widget, row, 1)
        checks = (self.edge_objects, self.mirror, self.bf16, self.resample, self.probabilities)
        for row, check in enumerate(checks, grid.rowCount()):
            grid.addWidget(check, row, 0, 1, 2)
            check.toggled.connect(lambda _: self.changed.emit())
        grid.addWidget(self.release_button, grid.rowCount(), 0, 1, 2)
        self._body.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.header)
        layout.addWidget(self._body)
        self.show_options(SegmentOptions())
        self.device.currentIndexChanged.connect(lambda _: self.changed.emit())
        for box in (self.overlap, self.object_diameter, self.min_area):
            box.valueChanged.connect(lambda _: self.changed.emit())
        self.resample.toggled.connect(self._scale_one_way)
        self.object_diameter.valueChanged.connect(self._scale_one_way)
        self.show_model(None)
        self._shown_for: tuple[bool, str | None] | None = None
        self.show_objects(False, None)

    def options(self, objects: bool) -> SegmentOptions:
        """Return the settings shown."""
        return SegmentOptions(
            objects=objects,
            mirror=self.mirror.isChecked(),
            overlap=round(self.overlap.value(), 2) or None,
            device=str(self.device.currentData()),
            bf16=self.bf16.isChecked(),
            resample=self.resample.isChecked(),
            probabilities=self.probabilities.isChecked(),
            object_diameter=self._diameter(),
            min_area=round(self.min_area.value(), 2) or None if objects else None,
            edge_objects=self.edge_objects.isChecked() or not objects,
        )

    def _diameter(self) -> float | None:
        chosen = self.object_diameter.value() if self.object_diameter.isEnabled() else 0.0
        return round(chosen, 1) or None

    def show_model(self, plan: Plan | None) -> None:
        """Offer what a model leaves to choose."""
        always = plan is not None and plan.volume is not None
        why = "This model always brings volumes to the pixel size of its training images."
        set_blocked(self.resample, why if always else None)
        self.resample.setChecked(plan is not None and plan.resample)
        own = "" if plan is None else f" ({plan.overlap:g})"
        self.overlap.setSpecialValueText(f"the model’s{own}")
        trained = None if plan is None else plan.object_diameter
        set_blocked(self.object_diameter, None)
        self.object_diameter.setToolTip(
            "How large typical objects are in this image. Slices are scaled until they are "
            + ("as large as in training." if trained is None else f"{trained:g} pixels across.")
        )
        why = "This model does not say how large its training objects were."
        set_blocked(self.object_diameter, None if trained else why)

    def show_objects(self, objects: bool, unit: str | None) -> None:
        """Offer to leave objects out, where the result is objects.

        Parameters
        ----------
        objects
            Whether it is.
        unit
            Of the pixel size of the image chosen; None if it is not known. Another one makes the
            smallest object "any" again.
        """
        if (objects, unit) == self._shown_for:
            return
        self._shown_for = objects, unit
        for control in (self.min_area, self.edge_objects):
            set_blocked(control, None)
        suffix = f" {unit_symbol(unit)}²" if unit else " px"
        if suffix != self.min_area.suffix():
            self.min_area.setValue(0)
            self.min_area.setSuffix(suffix)
            self.min_area.setDecimals(2 if unit else 0)
        self.min_area.setToolTip(
            "Objects of a smaller area on a slice are left out. “any” keeps all that are large "
            "enough to be learned. In a folder each file is measured in the unit of its own pixel "
            "size."
        )
        for control in (self.min_area, self.edge_objects):
            set_blocked(control, None if objects else "Only where the result is objects.")

    def _scale_one_way(self) -> None:
        """Of two ways to scale an image, the one chosen last counts."""
        if self.sender() is self.resample and self.resample.isChecked():
            self.object_diameter.setValue(0)
        elif self.object_diameter.value():
            self.resample.setChecked(False)

    def show_options(self, options: SegmentOptions) -> None:
        """Show settings; ``changed`` is emitted once if they differ from those shown."""
        before = self.options(True)
        self.blockSignals(True)
        self.device.setCurrentIndex(max(0, self.device.findData(options.device)))
        self.overlap.setValue(options.overlap or 0)
        self.mirror.setChecked(options.mirror)
        self.bf16.setChecked(options.bf16)
        self.resample.setChecked(bool(options.resample))
        self.probabilities.setChecked(options.probabilities)
        self.object_diameter.setValue(options.object_diameter or 0)
        self.min_area.setValue(options.min_area or 0)
        self.edge_objects.setChecked(options.edge_objects)
        self.blockSignals(False)
        if self.options(True) != before:
            self.changed.emit()

    def _fold(self, opened: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow
        self.header.setArrowType(arrow)
        self._body.setVisible(opened)
