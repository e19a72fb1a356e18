"""What the widget remembers between sessions."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSettings

__all__ = ["Settings"]

_IMPORTED = "segment/imported_models"
_MODEL = "segment/model"
_FOLDER = "segment/model_folder"


class Settings:
    """A few values in the user's configuration folder."""

    def __init__(self) -> None:
        # A text file on every system: nothing of ours in the Windows registry.
        self._store = QSettings(
            QSettings.Format.IniFormat,
            QSettings.Scope.UserScope,
            "napari-swin-umamba",
            "napari-swin-umamba",
        )

    @property
    def imported_models(self) -> list[str]:
        """Files that a person imported, oldest first."""
        stored = self._store.value(_IMPORTED)
        if isinstance(stored, str):  # how Qt reads back a list of one
            return [stored]
        return [str(path) for path in stored or []]

    @imported_models.setter
    def imported_models(self, paths: list[str]) -> None:
        self._store.setValue(_IMPORTED, paths)

    @property
    def model(self) -> str:
        """File of the model chosen last; empty if none."""
        return str(self._store.value(_MODEL) or "")

    @model.setter
    def model(self, path: str) -> None:
        self._store.setValue(_MODEL, path)

    @property
    def model_folder(self) -> str:
        """Folder that *Import…* opens first."""
        return str(self._store.value(_FOLDER) or Path.home())

    @model_folder.setter
    def model_folder(self, folder: str) -> None:
        self._store.setValue(_FOLDER, folder)
