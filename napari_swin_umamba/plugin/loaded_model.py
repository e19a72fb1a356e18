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
    """The model used last, kept so that the next run starts at once. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: tuple[Path, int, int] | None = None
        self._loaded: tuple[Model, str] | None = None

    def get(self, path: Path) -> tuple[Model, str]:
        """Return the model of a file and the file's SHA-256; read again only if it has changed.

        Raises
        ------
        InputError
            The file is gone or cannot be used.
        """
        from napari_swin_umamba.segmentation import load_model

        try:
            status = path.stat()
        except OSError as error:
            raise InputError(
                f"the model file {path} is gone; choose another model or import it again"
            ) from error
        key = (path, status.st_mtime_ns, status.st_size)
        with self._lock:
            if self._loaded is None or self._key != key:
                self._loaded = None  # two models at once may not fit into memory
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                self._loaded = load_model(path), digest
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
