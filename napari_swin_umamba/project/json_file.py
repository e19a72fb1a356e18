"""The small JSON files of a project: checked when read, replaced whole when written."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import atomic_path

__all__ = ["json_bytes", "now", "read_json", "write_json"]

M = TypeVar("M", bound=BaseModel)


def read_json(path: Path, kind: type[M], remedy: str) -> M:
    """Read a file; without one, what `kind` is by default.

    Parameters
    ----------
    path
        The file.
    kind
        What it holds.
    remedy
        What a person can do where it is damaged, beside mending it: the end of the message.

    Raises
    ------
    InputError
        It cannot be read, is damaged, or was made by a newer version.
    """
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return kind()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read: it is damaged or made by a newer version; mend it or {remedy}"
        ) from error


def write_json(path: Path, content: BaseModel) -> None:
    """Write a file whole or not at all.

    Parameters
    ----------
    path
        The file.
    content
        What it is to hold.

    Raises
    ------
    InputError
        The disk refuses.
    """
    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_bytes(json_bytes(content))


def json_bytes(content: BaseModel) -> bytes:
    """What a file holds, one field a line."""
    return (content.model_dump_json(indent=1) + "\n").encode()


def now() -> str:
    """The time, as these files have it: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
