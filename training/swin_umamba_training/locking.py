"""One training per project. Imports no torch: the lock is to be taken at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.project import FolderLock, LockedError, Project
from swin_umamba_training.config import TrainConfig

__all__ = ["project_lock"]

_PATIENCE = 2.0
"""Seconds: whoever looks whether a training goes on holds its lock for a moment."""

_holder: ContextVar[TrainConfig | None] = ContextVar("run that holds the lock", default=None)


@contextmanager
def project_lock(config: TrainConfig) -> Iterator[None]:
    """Keep others from training the same project; nothing is locked where there is none.

    The command line takes the lock before it imports what trains, which takes seconds: whoever
    looks whether a training goes on finds it from the first moment. Asked again for the same run,
    inside, nothing happens.

    Parameters
    ----------
    config
        Of the run.

    Raises
    ------
    LockedError
        Another training goes on.
    """
    if _holder.get() is config or not Project.is_project(config.dataset):
        yield
        return
    lock = FolderLock(
        Project.open(config.dataset).folder,
        "train",
        "being trained",
        "wait for its end or stop it",
        {"run": str(config.run.absolute())},
    )
    try:
        lock.acquire(_PATIENCE)
    except LockedError:
        raise
    except InputError:  # a project that may only be read: another one cannot write either
        yield
        return
    token = _holder.set(config)
    try:
        with lock:
            yield
    finally:
        _holder.reset(token)
