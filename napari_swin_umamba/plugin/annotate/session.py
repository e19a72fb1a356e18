"""Where a person was in a project: ``session.json``, which may be lost without harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.project.json_file import read_json, write_json

__all__ = ["Session", "View", "restore_transform", "transform_of"]

SESSION_FILE = "session.json"
_PARTS = ("scale", "translate", "rotate", "shear")


class View(BaseModel):
    """How one image was looked at."""

    step: tuple[int, ...] = ()
    """The sliders."""
    order: tuple[int, ...] = ()
    """napari's order of the axes."""
    transform: dict[str, list[Any]] = Field(default_factory=dict)
    """Where the person put the image in the world, which its file may say otherwise."""


class Session(BaseModel):
    """The whole of ``session.json``."""

    image: str = ""
    """Id of the image that was open last."""
    label: int = 0
    """Value that was painted with last; 0: none yet."""
    copy_files: bool | None = None
    """Whether files are copied into the project; None: nobody was asked yet."""
    keys: dict[int, str] = Field(default_factory=dict)
    """Keys of values that a person chose, such as ``Alt+4``."""
    views: dict[str, View] = Field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Session:
        """Read it; an empty one, where it is not there or damaged.

        Parameters
        ----------
        folder
            Of the project.
        """
        try:
            return read_json(folder / SESSION_FILE, cls, "remove it")
        except InputError:
            return cls()

    def write(self, folder: Path) -> None:
        """Write it whole or not at all.

        Parameters
        ----------
        folder
            Of the project.

        Raises
        ------
        InputError
            The disk refuses.
        """
        write_json(folder / SESSION_FILE, self)


def transform_of(layer: Any) -> dict[str, list[Any]]:
    """Where a layer lies, as :attr:`View.transform` keeps it.

    Parameters
    ----------
    layer
        An image layer.
    """
    parts = {name: np.asarray(getattr(layer, name), dtype=float) for name in _PARTS}
    parts["affine"] = np.asarray(layer.affine.affine_matrix, dtype=float)
    return {name: value.tolist() for name, value in parts.items()}


def restore_transform(layer: Any, transform: dict[str, list[Any]]) -> None:
    """Put a layer where it lay; nothing happens where it has other axes now.

    Parameters
    ----------
    layer
        An image layer.
    transform
        From :func:`transform_of`.
    """
    now = transform_of(layer)
    for name, value in transform.items():
        known = now.get(name, [])
        if np.shape(known) == np.shape(value) and not np.allclose(known, value):
            setattr(layer, name, np.asarray(value))
