"""Write an archive, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from napari_swin_umamba.archives.names import why_unsafe
from napari_swin_umamba.archives.packed import BLOCK, OnBytes, Packed, ShouldStop, stop_if_asked
from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.files import atomic_path, check_output

__all__ = ["ArchiveWriter", "writing_archive"]


class ArchiveWriter:
    """Adds files to an archive. Made by :func:`writing_archive`.

    Files are stored as they are: images and models are compressed already or hardly shrink, and so
    the size is known beforehand.
    """

    def __init__(
        self,
        archive: zipfile.ZipFile,
        total: int,
        on_bytes: OnBytes | None,
        should_stop: ShouldStop | None,
    ) -> None:
        self._archive = archive
        self._total = total
        self._done = 0
        self._on_bytes = on_bytes
        self._should_stop = should_stop
        self.files: list[Packed] = []
        """Those added so far."""

    def add_file(self, name: str, source: Path) -> Packed:
        """Add a file.

        Raises
        ------
        InputError
            It cannot be read.
        Cancelled
            The work is to stop.
        """
        try:
            file = source.open("rb")
        except FileNotFoundError as error:
            raise InputError(f"no such file: {source}") from error
        except OSError as error:
            raise InputError(f"cannot read {source}: {error.strerror or error}") from error
        with file:
            return self._add(name, file, source.stat().st_size)

    def add_bytes(self, name: str, content: bytes) -> Packed:
        """Add a file that exists in memory only."""
        return self._add(name, io.BytesIO(content), len(content))

    def _add(self, name: str, file: IO[bytes], size: int) -> Packed:
        if why := why_unsafe(name):
            raise InputError(f"{shown(name)} cannot be put into an archive: {why}; rename the file")
        info = zipfile.ZipInfo(name)
        info.external_attr = (stat.S_IFREG | 0o644) << 16
        total, count = hashlib.sha256(), 0
        with self._archive.open(info, "w", force_zip64=size >= 1 << 30) as target:
            while block := _read(file, name):
                stop_if_asked(self._should_stop)
                target.write(block)
                total.update(block)
                count += len(block)
                self._done += len(block)
                if self._on_bytes is not None:
                    self._on_bytes(self._done, max(self._total, self._done))
        self.files.append(Packed(name, count, total.hexdigest()))
        return self.files[-1]


@contextmanager
def writing_archive(
    path: Path,
    overwrite: bool = False,
    total: int = 0,
    on_bytes: OnBytes | None = None,
    should_stop: ShouldStop | None = None,
) -> Iterator[ArchiveWriter]:
    """Write an archive; it is there once the block succeeds, and nothing is left otherwise.

    Parameters
    ----------
    path
        The archive.
    overwrite
        Whether an existing file may be replaced.
    total
        Bytes that are going to be added, for `on_bytes`.
    on_bytes
        Told about the progress.
    should_stop
        Asked now and then.

    Raises
    ------
    InputError
        The disk refuses: full, gone, no permission.
    """
    check_output(path, overwrite)
    free = shutil.disk_usage(path.absolute().parent).free
    if total > free:
        raise InputError(
            f"cannot write {path}: it would have {total:,} bytes, and there is room for {free:,}; "
            "make room or choose another place"
        )
    with (
        atomic_path(path, overwrite) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        yield ArchiveWriter(archive, total, on_bytes, should_stop)


def _read(file: IO[bytes], name: str) -> bytes:
    """Read a block of a source: its errors are not those of the archive."""
    try:
        return file.read(BLOCK)
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror or error}") from error
