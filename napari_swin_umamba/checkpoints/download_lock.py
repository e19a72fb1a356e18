"""One process at a time downloads a file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_swin_umamba.checkpoints.download import OnProgress, Patience, Progress, ShouldStop
from napari_swin_umamba.errors import Cancelled

__all__ = ["download_lock", "parts"]

_SECONDS_BETWEEN_LOOKS = 0.2


@contextmanager
def download_lock(
    path: Path,
    size: int,
    report: OnProgress,
    stop: ShouldStop,
    patience: Patience,
) -> Iterator[bool]:
    """Let one process at a time download a file; the system frees the lock if it dies.

    Where no lock can be had, because the folder is on a network that knows none, or whoever holds
    it does nothing any more, both download: each writes a part of its own.

    Parameters
    ----------
    path
        File that is downloaded; its folder exists.
    size
        Bytes that it will have, for the report.
    report
        Called once if this has to wait.
    stop
        Asked several times a second.
    patience
        How long a holder may do nothing.

    Yields
    ------
    bool
        Whether the lock is held.

    Raises
    ------
    Cancelled
        `stop` returned True while this waited.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(f"{path.name}.lock"))
    longest = 2 * patience.stall + max(patience.pauses, default=0)
    state, since, told = _times(path), time.monotonic(), False
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_SECONDS_BETWEEN_LOOKS)
        except Timeout:
            if stop():
                raise Cancelled from None
            if not told:
                note = "another process is downloading this file; waiting for it"
                report(Progress(0, size, note))
                told = True
            if (now := _times(path)) != state:
                state, since = now, time.monotonic()
            elif time.monotonic() - since > longest:
                break
        except (NotImplementedError, OSError):
            break
    try:
        yield lock.is_locked
    finally:
        lock.release()


def _times(path: Path) -> dict[str, float]:
    """Say when each part of a download was written last."""
    times = {}
    for part in parts(path):
        with suppress(OSError):
            times[part.name] = part.stat().st_mtime
    return times


def parts(path: Path) -> list[Path]:
    """Return the unfinished downloads of a file, as ``files.atomic_path`` names them.

    Parameters
    ----------
    path
        File that is downloaded.
    """
    return list(path.parent.glob(f".{path.stem}.*.part{path.suffix}"))
