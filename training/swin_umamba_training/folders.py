"""Which files of a folder are images: the same ones for every command."""

from __future__ import annotations

from pathlib import Path

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import stem_of
from napari_swin_umamba.segmentation.batch_planning import image_files

__all__ = ["files_by_name", "image_files"]


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
        if stem_of(file) in found:
            raise InputError(
                f"{found[stem_of(file)]} and {file.name} have the same name; remove or rename one"
            )
        found[stem_of(file)] = file
    return found
