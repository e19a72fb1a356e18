"""Slices that a person does not want suggested: ``skipped.json``. Training does not look at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_swin_umamba.project.annotation import Position
from napari_swin_umamba.project.json_file import read_json, write_json

__all__ = ["Skipped"]

_FILE = "skipped.json"


class Skipped(BaseModel):
    """The whole of ``skipped.json``. Immutable: :meth:`with_slice` returns another one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    images: Mapping[str, tuple[Position, ...]] = Field(default_factory=dict)
    """For each image's id, its skipped slices, in order."""

    def of(self, image_id: str) -> tuple[Position, ...]:
        """Skipped slices of an image."""
        return self.images.get(image_id, ())

    def slices(self, image_ids: Iterable[str]) -> list[tuple[str, Position]]:
        """Skipped slices of some images: id of the image and position."""
        return [(one, position) for one in image_ids for position in self.of(one)]

    def with_slice(self, image_id: str, position: Position, skipped: bool) -> Skipped:
        """Return these and one slice more, or one less.

        Parameters
        ----------
        image_id
            Of the image.
        position
            Of the slice.
        skipped
            Whether it is to be skipped from now on.
        """
        positions = set(self.of(image_id)) - {position} | ({position} if skipped else set())
        images = {**self.images, image_id: tuple(sorted(positions))}
        return Skipped(images={one: kept for one, kept in images.items() if kept})

    @classmethod
    def read(cls, folder: Path) -> Skipped:
        """Read it; without such a file, nothing is skipped.

        Parameters
        ----------
        folder
            Of the project.

        Raises
        ------
        InputError
            The file cannot be read.
        """
        return read_json(folder / _FILE, cls, "remove it to skip nothing any more")

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
        write_json(folder / _FILE, self)
