"""First bytes of volume files, by which their kind is known. Imports neither of their libraries."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

__all__ = [
    "DICOM_MAGIC",
    "GZIP_MAGIC",
    "META_START",
    "NRRD_MAGIC",
    "is_dicom_file",
    "is_dicom_folder",
    "is_nifti",
]

GZIP_MAGIC = b"\x1f\x8b"
NRRD_MAGIC = b"NRRD00"
DICOM_MAGIC = b"DICM"
"""At byte 128 of every DICOM file (PS3.10, section 7.1)."""
META_START = re.compile(rb"\s*(ObjectType|NDims|Comment|ObjectSubType|TransformType)\s*=")
"""MetaImage has no magic number: it is text that begins with one of its own names."""


def is_nifti(start: bytes) -> bool:
    """Whether these 540 bytes begin a single-file NIfTI (1 or 2, either byte order)."""
    size = start[:4]
    if size in (b"\x5c\1\0\0", b"\0\0\1\x5c"):
        return start[344:348] in (b"n+1\0", b"ni1\0")
    return size in (b"\x1c\2\0\0", b"\0\0\2\x1c") and start[4:7] in (b"n+2", b"ni2")


_LOOKED_AT = 50  # files: whoever asks about every folder that is opened must not wait


def is_dicom_file(path: Path) -> bool:
    """Whether a file begins as DICOM does; its name says nothing, often it has no ending."""
    try:
        with open(path, "rb") as file:
            return file.read(132)[128:] == DICOM_MAGIC
    except OSError:
        return False


def is_dicom_folder(path: Path) -> bool:
    """Whether one of the first files of a folder is DICOM."""
    try:
        files = (file for file in path.iterdir() if not file.name.startswith("."))
        return any(is_dicom_file(file) for file in islice(files, _LOOKED_AT) if file.is_file())
    except OSError:
        return False
