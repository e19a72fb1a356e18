"""TIFF with the axes and pixel sizes that OME and ImageJ store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.image import Image
from napari_swin_umamba.images.units import unit_name

__all__ = ["TIFF_MAGICS", "read_tiff", "write_label_tiff"]

TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_UNNAMED = "QI"  # tifffile: an axis of unknown meaning, a sequence of pages


def read_tiff(path: Path, axes: str | None = None, indices: bool = False) -> Image:
    """Read the first image of a TIFF file, at full resolution.

    Values are as stored: like napari and ImageJ, a file that calls 0 white is not inverted.

    Parameters
    ----------
    path
        The file.
    axes
        Axes of the stored array (without those of length 1), where the person knows better
        than the file; None to believe the file.
    indices
        Give the indices of a palette image, not its colours.

    Raises
    ------
    InputError
        It holds no 2D image.
    """
    with tifffile.TiffFile(path) as tif:
        if not tif.series:
            raise InputError(f"{path} holds no image")
        series = tif.series[0]
        notes: tuple[str, ...] = ()
        if len(tif.series) > 1:
            notes = (f"the file holds {len(tif.series)} images; the first one is used",)
        array, stored = _squeeze(series.asarray(), series.axes)
        array, stored = _name_axes(path, array, stored, axes)
        colormap = series.keyframe.colormap
        # ImageJ stores a grey image shown in colour as a palette image: its indices are the
        # intensities. Elsewhere a palette image is a picture with few colours.
        if colormap is not None and not indices and not tif.is_imagej and stored == "YX":
            array, stored = _apply_colormap(array, colormap), "YXC"
        spacing, unit = _spacing(tif)
    return Image(array, stored, spacing, unit, path, notes)


def _squeeze(array: np.ndarray, axes: str) -> tuple[np.ndarray, str]:
    """Drop axes of length 1, but for rows and columns."""
    drop = [i for i, axis in enumerate(axes) if array.shape[i] == 1 and axis not in "YX"]
    kept = "".join(axis for i, axis in enumerate(axes) if i not in drop)
    return np.squeeze(array, axis=tuple(drop)), kept


def _name_axes(
    path: Path, array: np.ndarray, stored: str, given: str | None
) -> tuple[np.ndarray, str]:
    """Bring the array to ``YX``, ``YXC`` or ``CYX``."""
    if given is not None and len(given) == array.ndim:
        stored = given.upper()
    elif given is not None:
        raise InputError(f"axes '{given}' do not fit {path}: its shape is {array.shape} (--axes)")
    elif "S" in stored:  # samples of one pixel: colours, stored before or after the pixels
        array = np.moveaxis(array, stored.index("S"), -1)
        stored = stored.replace("S", "") + "C"
    elif sorted(stored) == ["C", "X", "Y"]:
        array = np.moveaxis(array, stored.index("C"), 0)
        stored = "CYX"
    if stored in ("YX", "YXC", "CYX"):
        return array, stored
    hint = (
        "if its pages are channels, save it as an OME or ImageJ TIFF with a channel axis; "
        "'swin-umamba segment' also takes --axes CYX"
        if len(stored) == 3 and stored[0] in _UNNAMED
        else "save one plane of it as a file"
    )
    raise InputError(
        f"{path} has axes {stored} and shape {array.shape}, but a 2D image is needed; {hint}"
    )


def _apply_colormap(array: np.ndarray, colormap: np.ndarray) -> np.ndarray:
    """Look up 16-bit colours ``(3, values)`` for indices ``(Y, X)``; return uint8 ``(Y, X, 3)``."""
    colors = (colormap >> 8).astype(np.uint8) if colormap.max() > 255 else colormap
    return np.moveaxis(colors[:, array], 0, -1)


def _spacing(tif: tifffile.TiffFile) -> tuple[tuple[float, float] | None, str | None]:
    """Return row and column spacing and their unit, as OME or ImageJ wrote them."""
    try:
        if tif.is_ome and tif.ome_metadata:
            return _ome_spacing(tifffile.xml2dict(tif.ome_metadata))
        if tif.is_imagej:
            return _imagej_spacing(tif)
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError, SyntaxError):
        pass  # a sloppy writer's metadata: the image is worth more than its pixel size
    return None, None


def _ome_spacing(ome: dict[str, Any]) -> tuple[tuple[float, float] | None, str | None]:
    image = ome["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    # The OME schema's default unit is the micrometre.
    unit_y, unit_x = (pixels.get(f"PhysicalSize{axis}Unit", "µm") for axis in "YX")
    spacing = float(pixels["PhysicalSizeY"]), float(pixels["PhysicalSizeX"])
    return _checked(spacing, unit_y if unit_y == unit_x else None)


def _imagej_spacing(
    tif: tifffile.TiffFile,
) -> tuple[tuple[float, float] | None, str | None]:
    tags = tif.pages.first.tags
    # Pixels per unit, each a fraction.
    per_unit = [tags[f"{axis}Resolution"].value for axis in "YX"]
    unit = str((tif.imagej_metadata or {}).get("unit", ""))
    if unit.startswith("\\u"):  # ImageJ writes the micro sign as Java source does
        unit = unit.encode("ascii").decode("unicode_escape")
    (y, y_over), (x, x_over) = per_unit
    return _checked((y_over / y, x_over / x), unit)


def _checked(
    spacing: tuple[float, float], unit: str | None
) -> tuple[tuple[float, float] | None, str | None]:
    name = unit_name(unit)
    if name is None or not all(np.isfinite(spacing)) or min(spacing) <= 0:
        return None, None  # a size in "pixel", or in nothing, says nothing
    return spacing, name


def write_label_tiff(
    path: Path,
    labels: np.ndarray,
    spacing: tuple[float, float] | None = None,
    unit: str | None = None,
) -> None:
    """Write labels ``(Y, X)`` of an unsigned dtype, losslessly compressed.

    ImageJ's kind of TIFF where it can hold the values (up to 65535), OME's otherwise.
    """
    imagej = labels.dtype.itemsize <= 2
    metadata: dict[str, Any] = {"axes": "YX"}
    options: dict[str, Any] = {}
    if spacing is not None and unit is not None:
        if imagej:
            metadata["unit"] = "um" if unit == "micrometer" else unit
            options["resolution"] = (1 / spacing[1], 1 / spacing[0])
        else:
            short = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "centimeter": "cm"}
            for axis, size in zip("YX", spacing, strict=True):
                metadata[f"PhysicalSize{axis}"] = size
                metadata[f"PhysicalSize{axis}Unit"] = short.get(unit, unit)
    tifffile.imwrite(
        path,
        labels,
        imagej=imagej,
        ome=not imagej,
        photometric="minisblack",
        compression="zlib",
        metadata=metadata,
        **options,
    )
