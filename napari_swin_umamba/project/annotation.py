"""What was painted on one image: a file for each slice, each replaced whole or not at all.

A slice is a TIFF image of 8, 16 or 32 bits, compressed without loss, which other programs open too.
A slice that nobody painted has no file. An empty file ``….complete`` beside it says that what is
unpainted there is background; it is a file of its own, so that saying so never touches strokes.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import atomic_path
from napari_swin_umamba.project.settings import BACKGROUND, UNLABELLED, ImageReference

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Annotation", "Position"]

Position = tuple[int, ...]
"""One index along each of :attr:`ImageReference.fixed_axes`; ``()`` in a 2D image."""

_SUFFIX, _COMPLETE = ".tif", ".complete"
_LARGEST = 2**31 - 1


class Annotation:
    """The annotation of one image.

    Parameters
    ----------
    folder
        ``annotations/IMAGE``; made when first written to.
    image
        Its grid.
    """

    def __init__(self, folder: Path, image: ImageReference) -> None:
        self.folder = folder
        self.image = image
        sizes = dict(zip(image.label_axes, image.label_shape, strict=True))
        self.slice_shape = (sizes[image.plane_axes[0]], sizes[image.plane_axes[1]])
        """Rows and columns of a slice."""
        self._extent = tuple(sizes[axis] for axis in image.fixed_axes)

    def positions(self) -> Iterator[Position]:
        """Go through all slices that there could be, the last fixed axis fastest."""
        return product(*(range(size) for size in self._extent))

    def painted(self) -> tuple[Position, ...]:
        """Slices that hold paint, in order. Files of slices that cannot be are left out."""
        return self._listed(_SUFFIX)

    def complete(self) -> tuple[Position, ...]:
        """Slices of which it was said that what is unpainted is background, in order."""
        return self._listed(_COMPLETE)

    def annotated(self) -> tuple[Position, ...]:
        """Slices that teach something: painted or complete, in order."""
        return tuple(sorted({*self.painted(), *self.complete()}))

    def file(self, position: Position) -> Path:
        """Where a slice lies once it is painted."""
        return self._file(position, _SUFFIX)

    def read(self, position: Position) -> np.ndarray:
        """Read one slice as painted.

        Parameters
        ----------
        position
            Which slice.

        Returns
        -------
        np.ndarray
            ``(rows, columns)``, int32; all :data:`~napari_swin_umamba.project.UNLABELLED` where
            nobody painted.

        Raises
        ------
        InputError
            There is no such slice, or its file is damaged or of another size.
        """
        import numpy as np
        import tifffile

        path = self._file(position, _SUFFIX)
        try:
            labels = tifffile.imread(path)
        except FileNotFoundError:
            return np.full(self.slice_shape, UNLABELLED, np.int32)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
        except Exception as error:  # noqa: BLE001 - parsers raise anything on damaged bytes
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"{path} cannot be read, it may be damaged: {reason}") from error
        if labels.shape != self.slice_shape or labels.dtype.kind not in "bui":
            raise InputError(
                f"{path} holds {labels.dtype} {labels.shape}, but a slice of '{self.image.name}' "
                f"has {self.slice_shape[0]} x {self.slice_shape[1]} whole numbers"
            )
        if labels.size and not 0 <= int(labels.min()) <= int(labels.max()) <= _LARGEST:
            raise InputError(f"{path} holds values outside 0..2^31-1")
        return labels.astype(np.int32)

    def read_filled(self, position: Position) -> np.ndarray:
        """Read one slice with what a complete slice leaves unpainted as background: :meth:`read`.

        Parameters
        ----------
        position
            Which slice.
        """
        labels = self.read(position)
        if self.is_complete(position):
            labels[labels == UNLABELLED] = BACKGROUND
        return labels

    def write(self, position: Position, labels: np.ndarray) -> None:
        """Replace one slice. One without paint loses its file; completeness is left as it is.

        Parameters
        ----------
        position
            Which slice.
        labels
            ``(rows, columns)``, whole numbers from 0.

        Raises
        ------
        InputError
            The slice does not exist or has another size, values are negative, or the disk refuses
            the data; the slice is then as it was.
        """
        import numpy as np
        import tifffile

        path = self._file(position, _SUFFIX)
        if labels.shape != self.slice_shape or labels.dtype.kind not in "bui":
            raise InputError(
                f"a slice of '{self.image.name}' has {self.slice_shape[0]} x "
                f"{self.slice_shape[1]} whole numbers, not {labels.dtype} {labels.shape}"
            )
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high > _LARGEST:
            raise InputError(f"annotations hold values of 0..2^31-1, not {low}..{high}")
        if high == UNLABELLED:
            self._remove(path)
            return
        with atomic_path(path, overwrite=True) as temporary:
            tifffile.imwrite(
                temporary,
                labels.astype(np.min_scalar_type(high), copy=False),
                compression="zlib",
                photometric="minisblack",
                metadata=None,
            )

    def is_complete(self, position: Position) -> bool:
        """Whether what is unpainted in a slice is background."""
        return self._file(position, _COMPLETE).exists()

    def set_complete(self, position: Position, complete: bool = True) -> None:
        """Say whether what is unpainted in a slice is background.

        Parameters
        ----------
        position
            Which slice.
        complete
            What is said.

        Raises
        ------
        InputError
            The slice does not exist, or the disk refuses.
        """
        path = self._file(position, _COMPLETE)
        if not complete:
            self._remove(path)
        elif not path.exists():
            with atomic_path(path, overwrite=True) as temporary:
                temporary.write_bytes(b"")

    def digest(self) -> str:
        """SHA-256 over all that is annotated, by content: two equal annotations have one digest."""
        total = hashlib.sha256()
        complete = set(self.complete())
        for position in self.annotated():
            total.update(f"{position}{position in complete}{self.slice_shape}".encode())
            total.update(self.read(position).tobytes())
        return total.hexdigest()

    def clean_up(self) -> None:
        """Remove what writers left that were killed. For whoever holds the lock on painting."""
        for path in self.folder.glob(".*.part*"):
            self._remove(path)

    def _listed(self, suffix: str) -> tuple[Position, ...]:
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise InputError(f"cannot read {self.folder}: {error.strerror or error}") from error
        found = (self._position(name.removesuffix(suffix)) for name in names if suffix in name)
        return tuple(sorted(position for position in found if position is not None))

    def _position(self, stem: str) -> Position | None:
        """Undo the naming of :meth:`_file`; None for a file that is none of ours."""
        axes = self.image.fixed_axes
        if not axes:
            return () if stem == "plane" else None
        match = re.fullmatch("-".join(f"{axis.lower()}(\\d{{5,9}})" for axis in axes), stem)
        if match is None:
            return None
        position = tuple(int(number) for number in match.groups())
        inside = all(place < size for place, size in zip(position, self._extent, strict=True))
        return position if inside else None

    def _file(self, position: Position, suffix: str) -> Path:
        position = tuple(int(place) for place in position)
        if len(position) != len(self._extent) or not all(
            0 <= place < size for place, size in zip(position, self._extent, strict=True)
        ):
            raise InputError(
                f"'{self.image.name}' has no slice {position}: along "
                f"{self.image.fixed_axes or 'no axis'} there are {self._extent}"
            )
        axes = self.image.fixed_axes.lower()
        stem = "-".join(f"{axis}{place:05d}" for axis, place in zip(axes, position, strict=True))
        return self.folder / f"{stem or 'plane'}{suffix}"

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}") from error
