"""The model used last, kept between runs. Torch is imported when the first one is loaded."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from napari_swin_umamba.errors import InputError

if TYPE_CHECKING:
    from napari_swin_umamba.segmentation import Model

__all__ = ["LoadedModel"]


class LoadedModel:
    """The model used last, kept so that the next run starts at once. Safe between threads.

    Parameters
    ----------
    changes
        Its file is written again and again, and what was got before is not used after the next
        :meth:`get`: the network is kept and filled with the new weights.
    """

    def __init__(self, changes: bool = False) -> None:
        self._changes = changes
        self._lock = threading.Lock()
        self._key: tuple[tuple[Path, int, int], ...] | None = None
        self._loaded: tuple[Model, str] | None = None

    def get(self, path: Path) -> tuple[Model, str]:
        """Return the model of a file or folder and the SHA-256 of its content.

        It is read again only if that has changed.

        Raises
        ------
        InputError
            The file is gone or cannot be used.
        """
        from napari_swin_umamba.segmentation import load_model, load_model_into, model_files

        try:
            path.stat()
            files = model_files(path)
            key = tuple((file, *_stamp(file)) for file in files)
        except OSError as error:
            raise InputError(
                f"the model file {path} is gone; choose another model or import it again"
            ) from error
        with self._lock:
            if self._loaded is None or self._key != key:
                # Two models at once may not fit into memory.
                former, self._loaded = self._loaded if self._changes else None, None
                digest = _digest(files)
                model = load_model_into(former[0], path) if former else load_model(path)
                self._loaded = model, digest
                self._key = key
            return self._loaded

    def release(self) -> bool:
        """Forget the model and hand the memory of a GPU back; return whether one was loaded."""
        with self._lock:
            loaded, self._loaded, self._key = self._loaded, None, None
        if loaded is None:
            return False
        del loaded
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return True


def _stamp(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size


def _digest(files: tuple[Path, ...]) -> str:
    """SHA-256 of a file, or of those of several."""
    digests = []
    for path in files:
        with open(path, "rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()
