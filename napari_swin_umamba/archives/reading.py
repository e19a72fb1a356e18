"""Read an archive of unknown origin: nothing it says about itself is believed.

What it announces is checked before anything is written, and what comes out of it is counted.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from napari_swin_umamba.archives.guarded import Guarded
from napari_swin_umamba.archives.names import name_key, why_unsafe
from napari_swin_umamba.archives.packed import BLOCK, OnBytes, Packed, ShouldStop, stop_if_asked
from napari_swin_umamba.errors import Cancelled, InputError, shown

__all__ = ["Archive", "Limits"]

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_RATIO_FROM = 1 << 20
"""Bytes below which a file may be compressed by any factor."""
_AGAIN = "copy it again from where it was made"


@dataclass(frozen=True)
class Limits:
    """What an archive may ask for at most."""

    files: int = 100_000
    file_bytes: int = 64 << 30
    total_bytes: int = 512 << 30
    ratio: int = 200
    """Bytes of a file by its compressed bytes: text has 20, what is made to fill disks 1,000."""


class Archive:
    """An archive of unknown origin. A context manager.

    Parameters
    ----------
    path
        The file.
    limits
        What it may ask for.

    Raises
    ------
    InputError
        It is no zip archive, is cut off, asks for too much, or holds a name that could lead out of
        a folder, a link, an encrypted file, or two files of one name.
    """

    def __init__(self, path: Path, limits: Limits = Limits()) -> None:
        self.path = path
        self._limits = limits
        try:
            self._file = Guarded(path.open("rb"))
        except FileNotFoundError as error:
            raise InputError(f"no such file: {path}") from error
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
        try:
            with self._reading():
                self._zip = zipfile.ZipFile(self._file)
            self._entries = self._check()
        except BaseException:
            self._file.close()
            raise

    @property
    def names(self) -> tuple[str, ...]:
        """The files in it."""
        return tuple(self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._zip.close()
        self._file.close()

    def read(self, name: str, most: int = 64 << 20) -> bytes:
        """Return the content of a small file.

        Raises
        ------
        InputError
            There is none, or it is damaged or larger than `most` bytes.
        """
        info = self._entry(name)
        if info.file_size > most:
            raise InputError(
                f"{self.path}: {name} has {info.file_size:,} bytes, more than {most:,}"
            )
        return b"".join(self._blocks(info))

    def unpack(
        self,
        folder: Path,
        files: Iterable[Packed],
        on_bytes: OnBytes | None = None,
        should_stop: ShouldStop | None = None,
    ) -> None:
        """Write files into a folder, each with the content that is expected.

        Parameters
        ----------
        folder
            Empty. After an error it holds some of the files: give a temporary one.
        files
            Which, and their content.
        on_bytes, should_stop
            As for :func:`writing_archive`.

        Raises
        ------
        InputError
            A file is missing, damaged or another one, or the disk has no room for them.
        OSError
            The disk refuses.
        """
        wanted = list(files)
        total, done = sum(file.size for file in wanted), 0
        free = shutil.disk_usage(folder).free
        if total > free:
            raise InputError(
                f"{self.path} unpacks to {total:,} bytes, but {folder} has room for {free:,}; make "
                "room or choose another folder"
            )
        for file in wanted:
            info, digest, count = self._entry(file.name), hashlib.sha256(), 0
            target = folder / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as output:
                for block in self._blocks(info):
                    stop_if_asked(should_stop)
                    digest.update(block)
                    count += len(block)
                    if count > file.size:
                        break
                    output.write(block)
                    done += len(block)
                    if on_bytes is not None:
                        on_bytes(done, total)
            if count != file.size or digest.hexdigest() != file.sha256:
                raise InputError(f"{self.path}: {file.name} is not what was put into it; {_AGAIN}")

    def _entry(self, name: str) -> zipfile.ZipInfo:
        if name not in self._entries:
            raise InputError(f"{self.path} lacks {shown(name)}; {_AGAIN}")
        return self._entries[name]

    def _blocks(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        """The real bytes of a file: never more than it announces."""
        with self._reading():
            file = self._zip.open(info)
        with file:
            while True:
                with self._reading():
                    block = file.read(BLOCK)
                if not block:
                    return
                yield block

    def _check(self) -> Mapping[str, zipfile.ZipInfo]:
        """All files by their names, once nothing is wrong with any."""
        limits, found = self._limits, {}
        keys: dict[str, str] = {}
        folders: set[str] = set()
        entries = self._zip.infolist()
        if len(entries) > limits.files:
            raise self._refusal(f"it holds {len(entries):,} files, more than {limits.files:,}")
        for info in entries:
            name = info.orig_filename  # as it stands in the file: zipfile cuts it off at a zero
            if why := _why_refused(info, name, limits):
                raise self._refusal(f"{shown(name)} {why}")
            key = name_key(name.removesuffix("/"))
            folder = name.endswith("/")
            above = key.split("/") if folder else key.split("/")[:-1]
            folders |= {"/".join(above[: depth + 1]) for depth in range(len(above))}
            if folder:
                continue
            if key in keys:
                raise self._refusal(f"{shown(name)} comes twice")
            keys[key] = name
            found[name] = info
        if both := sorted(folders & keys.keys()):
            raise self._refusal(f"{shown(keys[both[0]])} is a file and a folder")
        total = sum(info.file_size for info in found.values())
        if total > limits.total_bytes:
            raise self._refusal(f"it unpacks to {total:,} bytes, more than {limits.total_bytes:,}")
        # Files that share their bytes: how a small archive can hold thousands of large files.
        if sum(info.compress_size for info in found.values()) > self.path.stat().st_size:
            raise self._refusal("its files overlap")
        return found

    def _refusal(self, why: str) -> InputError:
        return InputError(f"{self.path} is not unpacked: {why}; get it anew from whom you trust")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what zipfile raises on bytes of any kind into one error."""
        try:
            yield
        except (InputError, Cancelled, MemoryError):
            raise
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror or error}") from error
        except Exception as error:  # noqa: BLE001 - parsers raise anything on damaged bytes
            kind = (zipfile.BadZipFile, zlib.error, EOFError)
            reason = " ".join(str(error).split()) if isinstance(error, kind) else ""
            said = f" ({reason})" if reason else ""
            raise InputError(
                f"{self.path} is no zip archive, or is damaged or cut off{said}; {_AGAIN}"
            ) from error


def _why_refused(info: zipfile.ZipInfo, name: str, limits: Limits) -> str:
    """What is wrong with an entry; empty if nothing is."""
    if why := why_unsafe(name.removesuffix("/")):
        return why
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if name.endswith("/") else stat.S_IFREG):
        return "is a link or a special file"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in _METHODS:
        return "is compressed in a way that is not read here"
    size = info.file_size
    if size > limits.file_bytes:
        return f"has {size:,} bytes, more than {limits.file_bytes:,}"
    if size > _RATIO_FROM and size > limits.ratio * max(1, info.compress_size):
        return f"is compressed more than {limits.ratio} times"
    return ""
