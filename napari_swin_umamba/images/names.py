"""Endings of file names, ``.nii.gz`` counted as one."""

from __future__ import annotations

from pathlib import Path

__all__ = ["IMAGE_SUFFIXES", "VOLUME_SUFFIXES", "stem_of", "suffix_of"]

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")
"""Lower-case endings of volume files, which know where they lie in the world."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", *VOLUME_SUFFIXES)
"""Lower-case endings of the files that are taken from a folder of images."""


def suffix_of(path: Path) -> str:
    """Return the ending in lower case: ``.nii.gz`` of ``Brain.NII.GZ``; pathlib says ``.GZ``."""
    suffix = path.suffix.lower()
    if suffix == ".gz" and Path(path.stem).suffix.lower() == ".nii":
        return ".nii.gz"
    return suffix


def stem_of(path: Path) -> str:
    """Return the name without its ending: ``brain`` of ``brain.nii.gz``."""
    suffix = suffix_of(path)
    return path.name[: len(path.name) - len(suffix)] if suffix else path.name
