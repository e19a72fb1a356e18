"""A file that is never read in large pieces."""

from __future__ import annotations

from typing import IO, Any

from napari_swin_umamba.errors import InputError

__all__ = ["Guarded"]

_LONGEST_READ = 16 << 20
"""Bytes that are read at one go: more than any block, and a list of 100,000 files."""


class Guarded:
    """A file open for reading that refuses to give much at one go.

    zipfile reads the list of an archive's files in one piece, and makes objects of it, before
    anybody can count them.

    Parameters
    ----------
    file
        To be read.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes, or refuse."""
        if size < 0 or size > _LONGEST_READ:
            position = self._file.tell()
            rest = self._file.seek(0, 2) - position
            self._file.seek(position)
            if (rest if size < 0 else min(size, rest)) > _LONGEST_READ:
                raise InputError("an archive of this kind does not list so many files")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
