"""A folder of zarr chunks that hands out none which would unpack to more than a chunk holds."""

from __future__ import annotations

import bz2
import lzma
import zlib
from math import prod
from pathlib import Path
from typing import Any

from zarr.storage import LocalStore

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.ngff import Level

__all__ = ["CheckedStore"]

_SMALL = 2**18  # bytes: deflate makes at most 1032 times as many of them, which does no harm
_SPARE = 2**16  # bytes that a codec may add to what a chunk holds
_BLOCK = 2**20
_BLOSC_HEADER = 16
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class CheckedStore(LocalStore):
    """Chunks of one array.

    Codecs unpack whatever they are given: ten megabytes of gzip can hold ten gigabytes. The size
    that a chunk may have is known from the array, so compressed bytes that announce more (zstd,
    blosc), or that unpack to more (gzip, bzip2, xz), are refused before they reach a codec.
    """

    def __init__(self, folder: Path, level: Level) -> None:
        super().__init__(folder, read_only=True)
        self._limit = prod(level.chunks) * level.dtype.itemsize + _SPARE
        self._blosc = level.codec in ("blosc", "numcodecs.blosc")

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """Read a chunk, as :meth:`zarr.abc.store.Store.get`.

        Raises
        ------
        InputError
            It unpacks to more than a chunk holds, or is cut off where the codec would not see it.
        """
        value = await super().get(key, prototype, byte_range)
        if value is not None and not key.endswith((".json", ".zarray", ".zattrs")):
            packed = value.to_bytes()
            if self._blosc and byte_range is None and not _whole_blosc(packed):
                raise InputError(f"{self.root / key} is cut off or damaged; copy the image anew")
            if _unpacks_beyond(packed, self._limit):
                raise InputError(
                    f"{self.root / key} is damaged or a trap: it unpacks to more than the "
                    f"{self._limit - _SPARE:,} bytes of a chunk"
                )
        return value


def _unpacks_beyond(packed: bytes, limit: int) -> bool:
    if packed.startswith(_ZSTD_MAGIC):
        size = _zstd_size(packed)
        return size is not None and size > limit
    deflate = packed[:2] == b"\x1f\x8b" or (
        packed[:1] == b"\x78" and int.from_bytes(packed[:2], "big") % 31 == 0
    )
    if deflate and len(packed) > _SMALL:
        return _inflates_beyond(zlib.decompressobj(wbits=47), packed, limit)
    if packed.startswith(b"BZh"):
        return _inflates_beyond(bz2.BZ2Decompressor(), packed, limit)
    if packed.startswith(b"\xfd7zXZ"):
        return _inflates_beyond(lzma.LZMADecompressor(), packed, limit)
    if _whole_blosc(packed):
        return int.from_bytes(packed[4:8], "little") > limit
    return False


def _whole_blosc(packed: bytes) -> bool:
    """Whether these bytes are as many as their blosc header says; the codec does not look."""
    return len(packed) >= _BLOSC_HEADER and int.from_bytes(packed[12:16], "little") == len(packed)


def _inflates_beyond(decompressor: Any, packed: bytes, limit: int) -> bool:
    """Unpack in pieces that are thrown away, until the end or the limit."""
    total, rest = 0, packed
    try:
        while total <= limit and not decompressor.eof:
            piece = decompressor.decompress(rest, _BLOCK)
            total += len(piece)
            if isinstance(decompressor, bz2.BZ2Decompressor | lzma.LZMADecompressor):
                rest = b""
                if not piece and decompressor.needs_input:
                    break
            else:
                rest = decompressor.unconsumed_tail
                if not piece and not rest:
                    break
    except (zlib.error, OSError, lzma.LZMAError, EOFError):
        return False  # damaged, or no such data after all: the codec will say so
    return total > limit


def _zstd_size(packed: bytes) -> int | None:
    """Size that a zstd frame announces (RFC 8878, section 3.1.1.1); None if it does not."""
    if len(packed) < 14:
        return None
    descriptor = packed[4]
    flag, single = descriptor >> 6, bool(descriptor & 0x20)
    start = 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3]
    length = (1 if single else 0, 2, 4, 8)[flag]
    if not length:
        return None
    size = int.from_bytes(packed[start : start + length], "little")
    return size + 256 if length == 2 else size
