"""Which files of a folder are images: the same ones for every command."""

from __future__ import annotations

from pathlib import Path

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import IMAGE_SUFFIXES, stem_of, suffix_of

__all__ = ["files_by_name", "image_files"]


def image_files(folder: Path) -> list[Path]:
    """List the images in a folder by name.

    Hidden files and what systems and people leave beside images (``Thumbs.db``, notes) are none.

    Parameters
    ----------
    folder
        Its folders are not looked into.
    """
    return [
        file
        for file in sorted(folder.iterdir())
        if suffix_of(file) in IMAGE_SUFFIXES and not file.name.startswith(".") and not file.is_dir()
    ]


def files_by_name(folder: Path) -> dict[str, Path]:
    """Images in a folder by their name without suffix.

    Parameters
    ----------
    folder
        As for :func:`image_files`.

    Raises
    ------
    InputError
        Two have the same name.
    """
    found: dict[str, Path] = {}
    for file in image_files(folder):
        name = stem_of(file)
        if name in found:
            raise InputError(
                f"{found[name]} and {file.name} have the same name; remove or rename one"
            )
        found[name] = file
    return found
