"""Refuse sizes that cannot be true, before memory is asked for."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path

from napari_swin_umamba.errors import InputError

__all__ = ["check_size"]

# Deflate stores at most 258 bytes in 2 bits: zlib's own figure is 1032 to 1.
_DEFLATE_RATIO = 1032
_MOST = 2**40  # bytes, where the system does not tell its memory


def check_size(
    path: Path, shape: tuple[int, ...], itemsize: int, available: int | None, deflated: bool
) -> None:
    """Compare what a header announces with what the file can hold, and with the memory.

    Parameters
    ----------
    path
        For the message.
    shape, itemsize
        What the header announces; `itemsize` in bytes.
    available
        Bytes that the file has for it; None if that says nothing.
    deflated
        Whether these bytes are compressed by gzip or zlib.

    Raises
    ------
    InputError
        A size is zero or negative, or the header announces more than there is.
    """
    if min(shape, default=0) <= 0:
        raise InputError(f"{path} holds an empty image: its shape is {shape}")
    size = prod(shape) * itemsize
    announced = f"the header announces {' x '.join(map(str, shape))} values ({_bytes(size)})"
    limit = None if available is None else available * (_DEFLATE_RATIO if deflated else 1)
    if limit is not None and available is not None and size > limit + 1024 * deflated:
        raise InputError(
            f"{path} is cut off or damaged: {announced}, the file holds {_bytes(available)}"
            f"{' compressed' if deflated else ''}"
        )
    if size > _memory():
        raise InputError(
            f"{path} does not fit into memory: {announced}, this computer has {_bytes(_memory())}"
        )


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return _MOST


def _bytes(count: int) -> str:
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if count >= 1024**power:
            return f"{count / 1024**power:,.1f} {unit}"
    return f"{count} bytes"
