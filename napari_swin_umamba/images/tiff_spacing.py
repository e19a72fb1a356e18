"""Pixel sizes in TIFF files, as OME and ImageJ write them."""

from __future__ import annotations

from typing import Any

import tifffile

from napari_swin_umamba.images.units import known_spacing, same_length_factor, unit_name

__all__ = ["read_spacing"]

Spacing = tuple[tuple[float, ...] | None, str | None]
"""Spacing along the asked axes and its unit; None where the file does not say."""


def read_spacing(tif: tifffile.TiffFile, space: str) -> Spacing:
    """Return the spacing along the spatial axes ``"YX"`` or ``"ZYX"``."""
    try:
        if tif.is_ome and tif.ome_metadata:
            return _ome(tifffile.xml2dict(tif.ome_metadata), space)
        if tif.is_imagej:
            return _imagej(tif, space)
    except (KeyError, TypeError, ValueError, ZeroDivisionError, AttributeError, SyntaxError):
        pass  # a sloppy writer's metadata: the image is worth more than its pixel size
    return None, None


def _ome(ome: dict[str, Any], space: str) -> Spacing:
    image = ome["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    # The OME schema's default unit is the micrometre.
    units = [unit_name(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in space]
    if None in units:
        return None, None
    sizes = [float(pixels[f"PhysicalSize{axis}"]) for axis in space]
    unit = units[-1]
    same = (size * same_length_factor(own, unit) for size, own in zip(sizes, units, strict=True))
    return _checked(tuple(same), unit)


def _imagej(tif: tifffile.TiffFile, space: str) -> Spacing:
    tags = tif.pages.first.tags
    metadata = tif.imagej_metadata or {}
    # Pixels per unit, each a fraction.
    (y, y_over), (x, x_over) = (tags[f"{axis}Resolution"].value for axis in "YX")
    unit = str(metadata.get("unit", ""))
    if unit.startswith("\\u"):  # ImageJ writes the micro sign as Java source does
        unit = unit.encode("ascii").decode("unicode_escape")
    # ImageJ leaves out a distance of planes of 1 (FileSaver.getDescriptionString).
    planes = (abs(float(metadata.get("spacing", 1))),) if "Z" in space else ()
    return _checked((*planes, y_over / y, x_over / x), unit)


def _checked(spacing: tuple[float, ...], unit: str | None) -> Spacing:
    name, known = unit_name(unit), known_spacing(spacing, len(spacing))
    if name is None or known is None:
        return None, None  # a size in "pixel", or in nothing, says nothing
    return known, name
