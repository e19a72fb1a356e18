"""Write an image that has no file, for instance one that was computed: OME-TIFF, as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_swin_umamba.files import atomic_path
from napari_swin_umamba.images.volume_axes import spatial_axes

__all__ = ["write_image"]

_SHORT = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "centimeter": "cm"}


def write_image(
    path: Path,
    array: np.ndarray,
    axes: str,
    spacing: tuple[float, ...] | None = None,
    unit: str | None = None,
) -> None:
    """Write an image so that ``read_image`` gives back values, axes and pixel sizes.

    Parameters
    ----------
    path
        Where to; ends in ``.ome.tif``.
    array
        As `axes` says.
    axes
        As :attr:`Image.axes`: a last ``C`` are colours.
    spacing
        Along the spatial axes, in `unit`; only written if both are known.
    unit
        As pint knows it.

    Raises
    ------
    InputError
        The disk refuses.
    """
    colours = axes.endswith("C")
    metadata: dict[str, Any] = {"axes": axes[:-1] + "S" if colours else axes}
    if spacing is not None and unit is not None:
        for axis, size in zip(spatial_axes(axes), spacing, strict=True):
            metadata[f"PhysicalSize{axis}"] = size
            metadata[f"PhysicalSize{axis}Unit"] = _SHORT.get(unit, unit)
    if array.dtype.kind == "b":
        array = array.view(np.uint8)
    with atomic_path(path) as temporary:
        tifffile.imwrite(
            temporary,
            array,
            ome=True,
            photometric="rgb" if colours else "minisblack",
            compression="zlib",
            metadata=metadata,
        )
