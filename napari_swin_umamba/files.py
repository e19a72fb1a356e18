"""Write a file whole or not at all. A leaf: it imports only the errors of this package."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_swin_umamba.errors import InputError

__all__ = ["atomic_path", "check_output"]


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
        The path is a folder, exists already, or its folder cannot be made or written to.
    """
    path = Path(path).expanduser()
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


def _flush_to_disk(path: Path) -> None:
    """Make the data durable before the rename is: a crash must not leave an empty new file."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def _cannot_write(path: Path, error: OSError) -> InputError:
    reason = error.strerror or str(error)
    return InputError(f"cannot write {path}: {reason}; choose another place")
