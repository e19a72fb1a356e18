"""Write label images."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import as_path, atomic_path
from napari_swin_umamba.images.image import Image
from napari_swin_umamba.images.raster import write_png
from napari_swin_umamba.images.tiff import write_label_tiff
from napari_swin_umamba.images.units import known_spacing

__all__ = ["write_labels"]


def write_labels(
    path: str | os.PathLike[str],
    labels: np.ndarray,
    like: Image | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a label image whole or not at all.

    Parameters
    ----------
    path
        Ends in ``.tif``, ``.tiff`` (any number of labels, keeps the pixel size) or ``.png`` (up
        to 65535 labels). Missing folders are made.
    labels
        ``(Y, X)``, integers from 0 or bool. Stored in the smallest of 8, 16 and 32 bits.
    like
        The image they belong to: its spacing goes into the TIFF.
    overwrite
        Whether an existing file may be replaced.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        The path exists or cannot be written, or the file format cannot hold the labels.
    """
    path = as_path(path)
    suffix = path.suffix.lower()
    if suffix not in (".tif", ".tiff", ".png"):
        raise InputError(f"cannot write labels to {path.name}: the name must end in .tif or .png")
    stored = _smallest(labels)
    if suffix == ".png" and stored.dtype.itemsize > 2:
        raise InputError(f"{path.name}: PNG holds up to 65535 labels; use the ending .tif")
    spacing = known_spacing(like.spacing) if like is not None else None
    with atomic_path(path, overwrite) as temporary:
        if suffix == ".png":
            write_png(temporary, stored)
        elif like is not None and spacing is not None:
            write_label_tiff(temporary, stored, spacing, like.unit)
        else:
            write_label_tiff(temporary, stored)
    return path


def _smallest(labels: np.ndarray) -> np.ndarray:
    if labels.ndim != 2 or labels.size == 0 or labels.dtype.kind not in "bui":
        raise InputError(
            f"labels must be a non-empty 2D array of integers, not {labels.dtype} {labels.shape}"
        )
    if labels.min() < 0 or labels.max() > np.iinfo(np.uint32).max:
        raise InputError(f"labels must lie in 0..2^32-1, not {labels.min()}..{labels.max()}")
    return labels.astype(np.min_scalar_type(int(labels.max())))
