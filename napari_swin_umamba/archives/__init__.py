"""Zip archives that travel between computers: written whole or not at all, unpacked without trust.

A leaf: it imports only the errors and file helpers of this package.
"""

from napari_swin_umamba.archives.names import safe_name, why_unsafe
from napari_swin_umamba.archives.packed import OnBytes, Packed, ShouldStop
from napari_swin_umamba.archives.reading import Archive, Limits
from napari_swin_umamba.archives.writing import ArchiveWriter, writing_archive

__all__ = [
    "Archive",
    "ArchiveWriter",
    "Limits",
    "OnBytes",
    "Packed",
    "ShouldStop",
    "safe_name",
    "why_unsafe",
    "writing_archive",
]
