"""One program at a time does a thing with a folder: paint in a project, train it.

The lock is the operating system's, on a file: it falls when its holder dies, however that happens,
so there are no stale locks to guess about. Who holds it stands in a second file, for the message.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import atomic_path

__all__ = ["FolderLock", "LockedError"]

_FOLDER = ".locks"


class LockedError(InputError):
    """Another program holds the lock."""


class FolderLock:
    """Who may do a thing with a folder. A context manager, or :meth:`acquire` and :meth:`release`.

    Parameters
    ----------
    folder
        It gets a folder ``.locks``.
    purpose
        Short name of what is locked, such as ``"edit"`` or ``"train"``; different ones do not
        disturb each other.
    what
        The same in words, for the message: ``"open in napari"``.
    remedy
        What whoever is refused can do.
    note
        More that others may read of the holder (:meth:`holder`).
    """

    def __init__(
        self,
        folder: Path,
        purpose: str,
        what: str,
        remedy: str = "close that first, or open it to read only",
        note: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._what = what
        self._remedy = remedy
        self._note = dict(note or {})
        self._file = folder / _FOLDER / f"{purpose}.lock"
        self._info = folder / _FOLDER / f"{purpose}.json"
        self._lock: Any = None
        self.enforced = True
        """False once :meth:`acquire` found that the file system knows no locks."""

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._lock is not None

    def acquire(self, patience: float = 0.0) -> Self:
        """Take the lock, or say who has it.

        Parameters
        ----------
        patience
            Seconds to wait for it.

        Raises
        ------
        LockedError
            Another program, or another window of this one, holds it.
        InputError
            Nothing can be written in the folder.
        """
        from filelock import FileLock, Timeout

        if self.held:
            return self
        try:
            self._file.parent.mkdir(exist_ok=True)
            lock = FileLock(self._file, is_singleton=False, thread_local=False)
            lock.acquire(timeout=patience)
        except Timeout as error:
            raise LockedError(self._refusal()) from error
        except NotImplementedError:
            self.enforced = False  # some network folders: without a lock rather than not at all
            return self
        except OSError as error:
            raise InputError(
                f"cannot write in {self._folder}: {error.strerror or error}; choose another folder "
                "or open it to read only"
            ) from error
        self._lock = lock
        with suppress(InputError), atomic_path(self._info, overwrite=True) as temporary:
            process = {"pid": os.getpid(), "host": platform.node(), "time": time.time()}
            holder = {**self._note, **process}
            temporary.write_text(json.dumps(holder), encoding="utf-8")
        return self

    def release(self) -> None:
        """Give the lock back; nothing happens if it is not held."""
        if self._lock is None:
            return
        with suppress(OSError):
            self._info.unlink(missing_ok=True)
        self._lock.release()
        self._lock = None

    def is_taken(self) -> bool:
        """Whether another program, or another object of this one, holds the lock now."""
        from filelock import FileLock, Timeout

        if self.held or not self._file.exists():
            return False
        lock = FileLock(self._file, is_singleton=False, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        except (OSError, NotImplementedError):
            return False
        lock.release()
        return False

    def holder(self) -> dict[str, Any] | None:
        """``pid``, ``host``, ``time`` and the note of the last holder; None if not known."""
        try:
            value = json.loads(self._info.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def _refusal(self) -> str:
        holder = self.holder()
        who = (
            f"process {holder.get('pid')} on {holder.get('host')}" if holder else "another program"
        )
        return f"{self._folder} is {self._what} already ({who}); {self._remedy}"

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.release()
