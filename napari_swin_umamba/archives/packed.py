"""What writers and readers of archives share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari_swin_umamba.errors import Cancelled

__all__ = ["BLOCK", "OnBytes", "Packed", "ShouldStop", "stop_if_asked"]

OnBytes = Callable[[int, int], None]
"""Told how many bytes are done, of how many."""
ShouldStop = Callable[[], bool]
BLOCK = 1 << 20
"""Bytes that are read and written at a time."""


@dataclass(frozen=True)
class Packed:
    """A file in an archive."""

    name: str
    """With ``/`` between folders."""
    size: int
    """Bytes."""
    sha256: str


def stop_if_asked(should_stop: ShouldStop | None) -> None:
    """Raise if work is to stop.

    Raises
    ------
    Cancelled
        It is.
    """
    if should_stop is not None and should_stop():
        raise Cancelled("stopped")
