"""First bytes of volume files, by which their kind is known. Imports neither of their libraries."""

from __future__ import annotations

import re

__all__ = ["GZIP_MAGIC", "META_START", "NRRD_MAGIC", "is_nifti"]

GZIP_MAGIC = b"\x1f\x8b"
NRRD_MAGIC = b"NRRD00"
META_START = re.compile(rb"\s*(ObjectType|NDims|Comment|ObjectSubType|TransformType)\s*=")
"""MetaImage has no magic number: it is text that begins with one of its own names."""


def is_nifti(start: bytes) -> bool:
    """Whether these 540 bytes begin a single-file NIfTI (1 or 2, either byte order)."""
    size = start[:4]
    if size in (b"\x5c\1\0\0", b"\0\0\1\x5c"):
        return start[344:348] in (b"n+1\0", b"ni1\0")
    return size in (b"\x1c\2\0\0", b"\0\0\2\x1c") and start[4:7] in (b"n+2", b"ni2")
