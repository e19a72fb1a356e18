"""Files: written whole or not at all, named, hashed. A leaf: it imports only our errors."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_swin_umamba.errors import InputError, shown

__all__ = ["as_path", "atomic_folder", "atomic_path", "check_output", "hash_file"]

# pathlib makes one slash of two. A single letter is a drive of Windows.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/+[^/]")
_LONGEST = 250  # characters of a path in a message; more would bury what is wrong with it


def as_path(value: object) -> Path:
    """Turn what a person named as a file into a path, with ``~`` expanded.

    Parameters
    ----------
    value
        A string or a path object; anything else is refused.

    Raises
    ------
    InputError
        It is neither, or it is empty, or a web address, or no file can have such a name.
    """
    if not isinstance(value, str | os.PathLike):
        raise InputError(f"{shown(value)} is not the path of a file; give its name as text")
    text = os.fspath(value)
    if not isinstance(text, str) or not text or "\0" in text:
        raise InputError(f"{shown(text)} is not the path of a file; give the name of a file")
    if _ADDRESS.match(text):
        raise InputError(f"{shown(text)} is a web address; download it first and give its file")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # ~name of a person who is not known here
        raise InputError(f"{shown(text)} is not the path of a file: {error}") from error


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def check_output(path: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Refuse an output path that cannot or must not be written, before any work is done.

    Parameters
    ----------
    path
        File to be written later.
    overwrite
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The path, with ``~`` expanded. Its folder exists afterwards.

    Raises
    ------
    InputError
        The path is none, is a folder, exists already, or its folder cannot be made or written to.
    """
    path = as_path(path)
    try:
        if path.is_dir():
            raise InputError(f"cannot write {path}: it is a folder; give the name of a file")
        if path.exists() and not overwrite:
            raise InputError(f"{path} exists already; add --overwrite or choose another name")
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"cannot write {path}: no permission for the folder; choose another one")
    return path


@contextmanager
def atomic_path(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it to `path` when the block succeeds.

    A reader sees the old file or the whole new one, never a part, and after an error nothing
    is left behind. The temporary name ends like `path`, so writers that go by suffix work.

    Parameters
    ----------
    path
        File to be written.
    overwrite
        Whether an existing file may be replaced.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    InputError
        As :func:`check_output`, or the disk refuses the data (full, gone, no permission).
    """
    path = check_output(path, overwrite)
    # Not tempfile: it makes files that only their owner can read, and they would stay so.
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def atomic_folder(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """Give an empty temporary folder beside `path`; move it to `path` when the block succeeds.

    For formats that are folders. After an error nothing is left behind and what was there is
    untouched. A folder cannot be replaced in one step: the old one is moved aside first, and moved
    back should the second step fail.

    Parameters
    ----------
    path
        Folder to be written.
    overwrite
        Whether an existing one may be replaced. Whether it holds nothing that a person would miss
        is for the caller to check.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    InputError
        The path is none or exists already, or the disk refuses the data.
    """
    path = as_path(path)
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; add --overwrite or choose another name")
    if path.exists() and not path.is_dir():
        raise InputError(f"cannot write {path}: it is a file; choose another name")
    token = secrets.token_hex(4)
    temporary = path.with_name(f".{path.stem}.{token}.part{path.suffix}")
    aside = path.with_name(f".{path.stem}.{token}.old{path.suffix}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _flush_to_disk(file)
        if path.exists():
            os.replace(path, aside)
        try:
            os.replace(temporary, path)
        except OSError:
            if aside.exists():
                os.replace(aside, path)
            raise
    except OSError as error:
        raise _cannot_write(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def _flush_to_disk(path: Path) -> None:
    """Make the data durable before the rename is: a crash must not leave an empty new file."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _cannot_write(path: Path, error: OSError) -> InputError:
    reason = error.strerror or str(error)
    name = str(path) if len(str(path)) <= _LONGEST else shown(str(path), _LONGEST)
    return InputError(f"cannot write {name}: {reason}; choose another place")
