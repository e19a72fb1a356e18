"""PNG and JPEG, with Pillow; 16-bit colour PNG with imagecodecs, which keeps the 16 bits."""

from __future__ import annotations

import struct
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image as PillowImage
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.limits import check_size

__all__ = ["JPEG_MAGIC", "PNG_MAGIC", "read_raster", "write_png"]

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"

# Modes that NumPy gets as they are; others (palettes, CMYK, ...) become RGB first.
_PLAIN_MODES = {"1", "L", "I;16", "I;16B", "I", "F", "LA", "RGB", "RGBA"}


def read_raster(path: Path, indices: bool = False) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a PNG or JPEG file as it is stored (EXIF rotation is not applied).

    Parameters
    ----------
    path
        The file.
    indices
        Give the indices of a palette image, not its colours: what a label image means.

    Returns
    -------
    array : np.ndarray
        ``(Y, X)`` or ``(Y, X, 3)`` or ``(Y, X, 4)``; bool, uint8, uint16, int32 or float32.
    notes : tuple of str
        What was left out.
    """
    with open(path, "rb") as file:
        start = file.read(26)
    png = start.startswith(PNG_MAGIC)
    if png and len(start) > 24:
        _check_png_size(path, start)
    if png and start[24] == 16 and start[25] in (2, 4, 6):  # IHDR: bits per sample, colour type
        array = imagecodecs.png_decode(path.read_bytes())
    else:
        # The plug-in's class itself: PillowImage.open would warn about images over 89 Mpx and
        # refuse those over 179 Mpx, and a slide scanner's images are larger.
        kind = PngImageFile if png else JpegImageFile
        with open(path, "rb") as file, kind(file) as image:
            check_size(path, image.size, 1, None, deflated=False)
            if getattr(image, "n_frames", 1) > 1:
                raise InputError(f"{path} is an animation; give one image")
            array = np.asarray(_plain(image, indices))
    if array.ndim == 3 and array.shape[2] == 2:
        return array[..., 0], ("transparency (alpha channel) ignored",)
    return array, ()


def _check_png_size(path: Path, start: bytes) -> None:
    """Compare the header (IHDR) with what the file can hold."""
    width, height, bits = struct.unpack(">IIB", start[16:25])
    check_size(path, (height, -(-width * bits // 8)), 1, path.stat().st_size, deflated=True)


def _plain(image: PillowImage.Image, indices: bool) -> PillowImage.Image:
    if image.mode in _PLAIN_MODES or (indices and image.mode == "P"):
        image.load()
        return image
    return image.convert("RGB")


def write_png(path: Path, array: np.ndarray) -> None:
    """Write a grey image ``(Y, X)`` of dtype uint8 or uint16."""
    PillowImage.fromarray(np.ascontiguousarray(array)).save(path, format="PNG")
