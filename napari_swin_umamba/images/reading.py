"""Read images and label images from files; the content of a file decides, not its name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.files import as_path
from napari_swin_umamba.images.axes import check_axes, resolve_axes
from napari_swin_umamba.images.image import Image
from napari_swin_umamba.images.raster import JPEG_MAGIC, PNG_MAGIC, read_raster
from napari_swin_umamba.images.tiff import TIFF_MAGICS, read_tiff

__all__ = ["IMAGE_SUFFIXES", "read_image", "read_labels"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""Lower-case endings of the files that are taken from a folder of images."""

_T = TypeVar("_T")


def read_image(path: str | os.PathLike[str], axes: str | None = None) -> Image:
    """Read a 2D image: PNG, JPEG or TIFF (OME, ImageJ), 8 or 16 bits, float, grey or colour.

    Values are as stored; nothing is rescaled. 16-bit colour stays 16-bit. A palette picture
    becomes RGB.

    Parameters
    ----------
    path
        The file.
    axes
        ``"YX"``, ``"YXC"`` or ``"CYX"``, where the file does not say or is wrong.

    Returns
    -------
    Image
        Array, axes, spacing and unit as far as the file tells.

    Raises
    ------
    InputError
        No such file, a folder, an empty or damaged file, no image, or more than one plane.
    """
    axes = check_axes(axes)
    path, kind = _identify(path)
    if kind == "tiff":
        image = _guarded(path, lambda: read_tiff(path, axes))
    else:
        array, notes = _guarded(path, lambda: read_raster(path))
        stored = "YX" if array.ndim == 2 else "YXC"
        if axes is not None:
            stored, _ = resolve_axes(array.shape, axes, channels=1)
        image = Image(array, stored, path=path, notes=notes)
    if image.array.size == 0:
        raise InputError(f"{path} holds an empty image: its shape is {image.array.shape}")
    return image


def read_labels(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a label image or a mask: one whole number per pixel, 0 the background.

    Parameters
    ----------
    path
        PNG or TIFF. A palette image gives its indices; a bool mask gives 0 and 1; a colour
        image is taken if its channels agree.

    Returns
    -------
    np.ndarray
        ``(Y, X)``, int32.

    Raises
    ------
    InputError
        As :func:`read_image`, or the file holds no labels: colours, JPEG, fractions, negative
        or very large values.
    """
    path, kind = _identify(path)
    if kind == "jpeg":
        raise InputError(f"{path} is a JPEG: it changes values; save masks as PNG or TIFF")
    if kind == "tiff":
        image = _guarded(path, lambda: read_tiff(path, indices=True))
        array, axes = image.array, image.axes
    else:
        array, _ = _guarded(path, lambda: read_raster(path, indices=True))
        axes = "YX" if array.ndim == 2 else "YXC"
    if axes != "YX":
        array = _one_channel(path, array, axes)
    return _whole_numbers(path, array)


def _one_channel(path: Path, array: np.ndarray, axes: str) -> np.ndarray:
    """Take the common value of colour channels that agree; an alpha channel is ignored."""
    colors = array[..., :3]
    if axes != "YXC" or (colors != colors[..., :1]).any():
        raise InputError(
            f"{path} is not a label image (axes {axes}, shape {array.shape}); one number per "
            "pixel is needed, as a grey PNG or TIFF"
        )
    return array[..., 0]


def _whole_numbers(path: Path, array: np.ndarray) -> np.ndarray:
    if array.size == 0:
        raise InputError(f"{path} holds an empty image: its shape is {array.shape}")
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
        raise InputError(f"{path} is not a label image: it holds fractions or NaN")
    low, high = array.min(), array.max()
    if array.dtype.kind not in "buif" or low < 0 or high > np.iinfo(np.int32).max:
        raise InputError(
            f"{path} is not a label image: its values ({array.dtype}) reach from {low} to {high}"
        )
    return array.astype(np.int32)


def _identify(path: str | os.PathLike[str]) -> tuple[Path, str]:
    """Return the path and ``"png"``, ``"jpeg"`` or ``"tiff"``, by the first bytes."""
    path = as_path(path)
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder; give an image file")
        with open(path, "rb") as file:
            start = file.read(8)
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}") from error
    except OSError as error:
        name = shown(str(path), 250)
        raise InputError(f"cannot read {name}: {error.strerror or error}") from error
    if not start:
        raise InputError(f"{path} is empty (0 bytes)")
    for kind, magics in (("png", PNG_MAGIC), ("jpeg", JPEG_MAGIC), ("tiff", TIFF_MAGICS)):
        if start.startswith(magics):
            return path, kind
    raise InputError(f"{path} is not a PNG, JPEG or TIFF image, whatever its name says")


def _guarded(path: Path, read: Callable[[], _T]) -> _T:
    """Turn whatever a parser raises on a damaged file into one line."""
    try:
        return read()
    except InputError:
        raise
    except MemoryError as error:
        raise InputError(f"{path} does not fit into memory") from error
    except Exception as error:  # noqa: BLE001 - parsers raise anything on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read, it may be damaged: {reason}") from error
