"""Chooses a model: bundled ones, imported files; has a button to import another."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QMenu, QPushButton, QWidget

from napari_swin_umamba.plugin.model_list import (
    ModelChoice,
    file_stamp,
    list_models,
    read_choice,
    titles,
)
from napari_swin_umamba.plugin.parts import make_narrow
from napari_swin_umamba.plugin.settings import Settings

__all__ = ["ModelRow"]


class ModelRow(QWidget):
    """A list of models; ``chosen`` when that changes. *Import…* is for the form to place."""

    chosen = Signal()
    refused = Signal(str)
    """A file could not be imported, and why."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._choices: list[ModelChoice] = []
        self.combo = QComboBox()
        self.combo.setToolTip("The model to segment with.")
        make_narrow(self.combo)
        self.import_button = QPushButton("Import…")
        self.import_button.setToolTip(
            "Adds a model from a file, for example one that you trained, or from a folder that "
            "nnU-Net's Swin-UMamba trainers made."
        )
        menu = QMenu(self.import_button)
        self.file_action = QAction("Model file…", self)
        self.file_action.setToolTip("A .safetensors file, or a checkpoint of nnU-Net (.pth).")
        self.file_action.triggered.connect(lambda _: self._ask_for_file())
        self.folder_action = QAction("nnU-Net folder…", self)
        self.folder_action.setToolTip("A folder with plans.json, dataset.json and fold_… in it.")
        self.folder_action.triggered.connect(lambda _: self._ask_for_folder())
        menu.addActions([self.file_action, self.folder_action])
        menu.setToolTipsVisible(True)
        self.import_button.setMenu(menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.combo)  # alone: beside the button names would be cut off
        self.reload()
        self.combo.currentIndexChanged.connect(self._on_chosen)

    def choice(self) -> ModelChoice | None:
        """Return the model chosen."""
        index = self.combo.currentIndex()
        return self._choices[index] if 0 <= index < len(self._choices) else None

    def reread_if_replaced(self) -> None:
        """Read the model chosen again if its file was replaced; ``chosen`` follows."""
        choice = self.choice()
        if choice is None:
            return
        stamp = file_stamp(choice.path)
        if stamp is None or stamp == choice.stamp:
            return  # a file that is gone is told of by the run that needs it
        index = self.combo.currentIndex()
        self._choices[index] = read_choice(choice.path, choice.bundled)
        for place, title in enumerate(titles(self._choices)):
            self.combo.setItemText(place, title)
        self.combo.setItemData(index, self._choices[index].details(), Qt.ItemDataRole.ToolTipRole)
        self.chosen.emit()

    def reload(self) -> None:
        """Read the list again; the model chosen last stays chosen."""
        self._choices = list_models(self._settings.imported_models)
        remembered = [str(choice.path) for choice in self._choices]
        self.combo.blockSignals(True)
        self.combo.clear()
        for index, title in enumerate(titles(self._choices)):
            choice = self._choices[index]
            self.combo.addItem(title)
            self.combo.setItemData(index, choice.details(), Qt.ItemDataRole.ToolTipRole)
        last = self._settings.model
        self.combo.setCurrentIndex(remembered.index(last) if last in remembered else 0)
        self.combo.blockSignals(False)

    def import_file(self, path: str | Path) -> None:
        """Add a model file or folder to the list and choose it; a bad one is refused."""
        path = Path(path).resolve()
        choice = read_choice(path)
        if choice.plan is None:
            self.refused.emit(choice.problem)
            return
        kept = [known for known in self._settings.imported_models if known != str(path)]
        self._settings.imported_models = [*kept, str(path)]
        self._settings.model = str(path)
        self.reload()
        self.chosen.emit()

    def _on_chosen(self, _index: int) -> None:
        choice = self.choice()
        if choice is not None:
            self._settings.model = str(choice.path)
        self.chosen.emit()

    def _ask_for_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self,
            "Import a model",
            self._settings.model_folder,
            "Swin-UMamba models (*.safetensors *.pth *.pt)",
        )
        if path:
            self._settings.model_folder = str(Path(path).parent)
            self.import_file(path)

    def _ask_for_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(
            self, "Import a model of nnU-Net", self._settings.model_folder
        )
        if path:
            self._settings.model_folder = str(Path(path).parent)
            self.import_file(path)
