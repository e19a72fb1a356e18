"""An annotation in memory and on disk: read whole once, written slice by slice. Without napari."""

from __future__ import annotations

import os
import threading
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.touched import slice_index
from napari_swin_umamba.project import Annotation, ImageReference, Project
from napari_swin_umamba.project.annotation import Position

__all__ = ["StoredAnnotation", "read_annotation"]

_DAMAGED = ".damaged"


@dataclass(eq=False)
class StoredAnnotation:
    """The annotation of one image and what its files hold, so that only changes are written."""

    annotation: Annotation
    damaged: dict[Position, str]
    """Slices whose files could not be read, and why; the files are kept when one is painted on."""
    largest: int = 0
    """The largest value that any slice ever held, since the annotation was read."""
    _written: dict[Position, int] = field(default_factory=dict)
    """Checksum of each slice's file; of a slice without paint there is none."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def image(self) -> ImageReference:
        """The grid."""
        return self.annotation.image

    def write_slice(self, data: Any, position: Position) -> bool:
        """Write a slice if it is not what its file holds; for any thread.

        Parameters
        ----------
        data
            The array of the whole annotation.
        position
            Which slice.

        Returns
        -------
        bool
            Whether it was written.

        Raises
        ------
        InputError
            The disk refuses it.
        """
        labels = np.array(data[slice_index(self.image, position)])
        with self._lock:
            check = _checksum(labels)
            self.largest = max(self.largest, int(labels.max(initial=0)))
            if check == self._written.get(position):
                return False
            self.check_home()
            if position in self.damaged:
                self._put_aside(position)
            self.annotation.write(position, labels)
            if check is None:
                self._written.pop(position, None)
            else:
                self._written[position] = check
            return True

    def check_home(self) -> None:
        """Make sure that the project is where it was: nobody looks for strokes in a new folder.

        Raises
        ------
        InputError
            It was moved, or its disk is not connected any more.
        """
        home = self.annotation.folder.parents[1]
        if not Project.is_project(home):
            raise InputError(
                f"the project's folder {home} is not there any more; put it back, or connect its "
                "disk"
            )

    def changed_slices(self, data: Any) -> list[Position]:
        """Slices that are not what their files hold, however that came about.

        Parameters
        ----------
        data
            The array of the whole annotation.
        """
        changed = []
        for position in self.annotation.positions():
            labels = np.ascontiguousarray(data[slice_index(self.image, position)])
            if _checksum(labels) != self._written.get(position):
                changed.append(position)
        return changed

    def note(self, position: Position, labels: np.ndarray) -> None:
        """Remember what a file holds."""
        check = _checksum(labels)
        self.largest = max(self.largest, int(labels.max(initial=0)))
        if check is not None:
            self._written[position] = check

    def _put_aside(self, position: Position) -> None:
        file = self.annotation.file(position)
        with suppress(FileNotFoundError):
            os.replace(file, file.with_name(file.name + _DAMAGED))
        del self.damaged[position]


def read_annotation(
    annotation: Annotation, dtype: np.dtype[Any]
) -> tuple[np.ndarray, StoredAnnotation]:
    """Read all that was painted on an image.

    Parameters
    ----------
    annotation
        Of the image.
    dtype
        Of the array; a wider one is taken where values need it.

    Returns
    -------
    tuple of np.ndarray and StoredAnnotation
        The array, ``image.label_shape``, and what writes its slices.

    Raises
    ------
    InputError
        The folder cannot be read. A damaged slice is no error: see
        :attr:`StoredAnnotation.damaged`.
    """
    stored = StoredAnnotation(annotation, {})
    data = np.zeros(annotation.image.label_shape, dtype)
    for position in annotation.painted():
        try:
            labels = annotation.read(position)
        except InputError as error:
            stored.damaged[position] = str(error)
            continue
        if labels.max(initial=0) > np.iinfo(data.dtype).max:
            data = data.astype(np.int32)
        data[slice_index(annotation.image, position)] = labels
        stored.note(position, labels)
    return data, stored


def _checksum(labels: np.ndarray) -> int | None:
    """CRC-32 of the values, whatever their type; None: nothing is painted."""
    if not labels.any():
        return None
    return zlib.crc32(np.ascontiguousarray(labels, dtype=np.int32).tobytes())
