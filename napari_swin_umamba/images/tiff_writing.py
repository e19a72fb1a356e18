"""Write labels as TIFF, with axes and pixel sizes that ImageJ or OME's readers understand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_swin_umamba.images.volume_axes import spatial_axes

__all__ = ["write_label_tiff"]

_SHORT = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "centimeter": "cm"}
_IMAGEJ_MOST = 2**31  # bytes: ImageJ's kind of TIFF ends at 4 GiB


def write_label_tiff(
    path: Path,
    labels: np.ndarray,
    axes: str,
    spacing: tuple[float, ...] | None = None,
    unit: str | None = None,
    ome: bool = False,
) -> None:
    """Write labels, losslessly compressed.

    ImageJ's kind of TIFF where it can hold the values (up to 65535), OME's otherwise or if asked.

    Parameters
    ----------
    path
        Where to.
    labels : ([T,] [Z,] Y, X)
        Of an unsigned dtype.
    axes
        ``"YX"``, ``"ZYX"``, ``"TYX"`` or ``"TZYX"``.
    spacing
        Along the spatial axes, in `unit`; only written if both are known.
    unit
        As pint knows it.
    ome
        Whether it must be OME's kind.
    """
    imagej = not ome and labels.dtype.itemsize <= 2 and labels.nbytes < _IMAGEJ_MOST
    metadata: dict[str, Any] = {"axes": axes}
    options: dict[str, Any] = {}
    if spacing is not None and unit is not None:
        if imagej:
            metadata["unit"] = "um" if unit == "micrometer" else unit
            options["resolution"] = (1 / spacing[-1], 1 / spacing[-2])
            if "Z" in axes:
                metadata["spacing"] = spacing[0]
        else:
            for axis, size in zip(spatial_axes(axes), spacing, strict=True):
                metadata[f"PhysicalSize{axis}"] = size
                metadata[f"PhysicalSize{axis}Unit"] = _SHORT.get(unit, unit)
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
