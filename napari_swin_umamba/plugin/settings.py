"""What the widget remembers between sessions."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

from qtpy.QtCore import QSettings

from napari_swin_umamba.plugin.options import SegmentOptions

__all__ = ["Settings"]

_IMPORTED = "segment/imported_models"
_MODEL = "segment/model"
_FOLDER = "segment/model_folder"
_IMAGE = "segment/image"
_FOLLOW = "segment/follow"
_OPTIONS = "segment/options"
_PROJECTS = "annotate/projects"
_MOST_PROJECTS = 8
_REMEMBERED = ("mirror", "overlap", "device", "bf16", "probabilities")


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

    @property
    def image(self) -> str:
        """Name of the image layer chosen last; empty if none."""
        return str(self._store.value(_IMAGE) or "")

    @image.setter
    def image(self, name: str) -> None:
        self._store.setValue(_IMAGE, name)

    @property
    def follow(self) -> bool:
        """Whether previews follow the slider."""
        return str(self._store.value(_FOLLOW)).lower() == "true"  # Qt reads back text

    def remember_follow(self, on: bool) -> None:
        """Store whether previews follow the slider."""
        self._store.setValue(_FOLLOW, on)

    @property
    def recent_projects(self) -> list[str]:
        """Folders of annotation projects, the one opened last first."""
        stored = self._store.value(_PROJECTS)
        if isinstance(stored, str):  # how Qt reads back a list of one
            return [stored]
        return [str(path) for path in stored or []]

    def remember_project(self, folder: Path) -> None:
        """Put a project first among those remembered."""
        others = [path for path in self.recent_projects if path != str(folder)]
        self._store.setValue(_PROJECTS, [str(folder), *others][:_MOST_PROJECTS])

    def options(self, default: SegmentOptions) -> SegmentOptions:
        """Return the options set last in the dock; `default` for what nobody has set."""
        try:
            stored = json.loads(str(self._store.value(_OPTIONS) or "{}"))
            known = {name: stored[name] for name in _REMEMBERED if name in stored}
        except (ValueError, TypeError):
            return default  # edited by hand, or by another version
        return replace(default, **{name: v for name, v in known.items() if _fits(name, v)})

    def remember_options(self, options: SegmentOptions, default: SegmentOptions) -> None:
        """Store what differs from `default`, so that a new default reaches the rest."""
        values, usual = asdict(options), asdict(default)
        changed = {name: values[name] for name in _REMEMBERED if values[name] != usual[name]}
        self._store.setValue(_OPTIONS, json.dumps(changed))


def _fits(name: str, value: object) -> bool:
    """Whether a stored value is one that this version takes."""
    if name == "overlap":
        return value is None or (isinstance(value, int | float) and 0 <= value <= 0.9)
    return isinstance(value, type(getattr(SegmentOptions(), name)))
