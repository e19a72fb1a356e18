"""What is chosen before a training: start, time, and a fold-out with the rest."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QLabel,
    QWidget,
)

from napari_swin_umamba.plugin.annotate.fold import Fold
from napari_swin_umamba.plugin.annotate.training_options import (
    FROM_FILE,
    MINUTES,
    PATCHES,
    StartChoice,
    TrainingOptions,
)
from napari_swin_umamba.plugin.options_box import DEVICES
from napari_swin_umamba.plugin.parts import make_narrow

__all__ = ["TrainingForm"]

_NETWORKS = {
    "": "usual",
    "swin-umamba-d-tiny": "Swin-UMamba† tiny (fast)",
    "swin-umamba-tiny": "Swin-UMamba tiny (fast)",
    "swin-umamba-d": "Swin-UMamba†",
    "swin-umamba": "Swin-UMamba",
}
_BATCHES = (1, 2, 4, 8, 16)


class TrainingForm(QWidget):
    """Start, time, options."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._choices: list[StartChoice] = []
        self._chosen = False
        self.start = _combo("What the network knows when it begins.")
        self.time = _combo("How long to train. Stop ends it earlier and keeps the best.")
        for minutes in MINUTES:
            text = f"{minutes} min" if minutes < 60 else f"{minutes // 60} h"
            self.time.addItem(text, minutes)
        self.time.setCurrentIndex(MINUTES.index(5))
        self.network = _combo("Larger networks learn more, and slower. Models keep their own.")
        for name, text in _NETWORKS.items():
            self.network.addItem(text, name)
        self.device = _combo("What computes. Automatic takes a GPU if its scan is fast.")
        for name, text in DEVICES.items():
            self.device.addItem(text, name)
        self.patch = _combo("Edge of the squares that are learned from. Smaller: less memory.")
        self.patch.addItem("by the images", 0)
        for size in PATCHES:
            self.patch.addItem(f"{size} × {size} pixels", size)
        self.batch = _combo("Squares in each step. Fewer: less memory.")
        self.batch.addItem("by the patch", 0)
        for size in _BATCHES:
            self.batch.addItem(str(size), size)
        self.careful = QCheckBox("Learn more carefully")
        self.careful.setToolTip(
            "A much lower learning rate, in full precision. If a training broke down."
        )
        body = QWidget()
        grid = QGridLayout(body)
        grid.setContentsMargins(12, 0, 0, 0)
        grid.setColumnStretch(1, 1)
        rows = (
            ("Network", self.network),
            ("Device", self.device),
            ("Patch", self.patch),
            ("Batch", self.batch),
        )
        for row, (caption, widget) in enumerate(rows):
            grid.addWidget(_caption(caption), row, 0)
            grid.addWidget(widget, row, 1)
        grid.addWidget(self.careful, len(rows), 0, 1, 2)
        self.fold = Fold("Options", "Shows or hides further settings.", body)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setColumnStretch(1, 1)
        layout.addWidget(_caption("Start from"), 0, 0)
        layout.addWidget(self.start, 0, 1)
        layout.addWidget(_caption("Time"), 1, 0)
        layout.addWidget(self.time, 1, 1)
        layout.addWidget(self.fold, 2, 0, 1, 2)
        self.start.activated.connect(self._on_start)

    def show_choices(self, choices: list[StartChoice]) -> None:
        """Show where a training may begin; what a person chose stays, if it is still there.

        Parameters
        ----------
        choices
            The usual one first.
        """
        chosen = self.start.currentData() if self._chosen else None
        self._choices = choices
        self.start.blockSignals(True)
        self.start.clear()
        for choice in choices:
            self.start.addItem(choice.text, choice.init)
        found = self.start.findData(chosen) if chosen is not None else -1
        self.start.setCurrentIndex(max(0, found))
        self.start.blockSignals(False)
        self._show_start()

    def forget_start(self) -> None:
        """Begin from the usual place next time: a training has begun."""
        self._chosen = False

    def options(self) -> TrainingOptions:
        """What is set."""
        return TrainingOptions(
            init=str(self.start.currentData()),
            minutes=float(self.time.currentData()),
            network=str(self.network.currentData()),
            device=str(self.device.currentData()),
            patch=int(self.patch.currentData()),
            batch=int(self.batch.currentData()),
            careful=self.careful.isChecked(),
        )

    def show_options(self, options: TrainingOptions) -> None:
        """Show what is set, start and time aside."""
        for combo, value in (
            (self.network, options.network),
            (self.device, options.device),
            (self.patch, options.patch),
            (self.batch, options.batch),
        ):
            combo.setCurrentIndex(max(0, combo.findData(value)))
        self.careful.setChecked(options.careful)

    def choose_file(self, path: Path) -> None:
        """Begin from a model file; what *a model file…* does."""
        entry = StartChoice(path.name, str(path), str(path))
        choices = [choice for choice in self._choices if choice.init != entry.init]
        self.show_choices([*choices[:-1], entry, choices[-1]])
        self.start.setCurrentIndex(self.start.findData(entry.init))
        self._chosen = True
        self._show_start()

    def _on_start(self, _index: int) -> None:
        self._chosen = True
        if self.start.currentData() == FROM_FILE:
            name, _ = QFileDialog.getOpenFileName(
                self, "Start from a model", "", "Models (*.safetensors)"
            )
            if name:
                self.choose_file(Path(name))
            else:
                self.start.setCurrentIndex(0)
        self._show_start()

    def _show_start(self) -> None:
        index = self.start.currentIndex()
        choice = self._choices[index] if 0 <= index < len(self._choices) else None
        self.start.setToolTip((choice.tooltip or choice.text) if choice else "")
        self.network.setEnabled(choice is not None and choice.is_new)
        self.changed.emit()


def _combo(tooltip: str) -> QComboBox:
    combo = QComboBox()
    make_narrow(combo)
    combo.setToolTip(tooltip)
    return combo


def _caption(text: str) -> QLabel:
    label = QLabel(text)
    label.setIndent(0)
    return label
