"""Saves a Labels layer where its image lies: NIfTI, NRRD, MetaImage, OME-Zarr, TIFF."""

from __future__ import annotations

from typing import Any

__all__ = ["SaveError", "write_labels_layer"]


class SaveError(Exception):
    """A layer was not saved. napari takes a ValueError, as InputError is one, for "no writer"."""


def write_labels_layer(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write one Labels layer (npe2); the ending of the name is the format.

    Parameters
    ----------
    path
        Ends in ``.nii.gz``, ``.nii``, ``.nrrd``, ``.mha``, ``.mhd``, ``.zarr``, ``.tif`` or
        ``.tiff``. An existing file is replaced: napari has asked. NRRD (``.seg.nrrd`` for 3D
        Slicer) and OME-Zarr keep the names of classes in the layer's features, and their colours.
    data
        Labels, integers of 2 to 4 axes.
    meta
        napari's arguments of the layer.

    Returns
    -------
    list of str
        The file.

    Raises
    ------
    SaveError
        The format cannot hold the layer, or the disk refuses it; the file is as it was.
    """
    from pathlib import Path

    import numpy as np

    from napari_swin_umamba.errors import InputError
    from napari_swin_umamba.images import VOLUME_SUFFIXES, suffix_of, write_labels
    from napari_swin_umamba.plugin.layer_classes import classes_of_layer
    from napari_swin_umamba.plugin.layer_grid import (
        axes_of_layer,
        grid_of_layer,
        is_moved,
        turns,
    )

    name = Path(path).name
    try:
        if isinstance(data, list | tuple) or type(data).__name__ == "MultiScaleData":
            data = data[0]  # the finest level
        _, order = axes_of_layer(name, data.ndim, meta)
        image = grid_of_layer(name, tuple(data.shape), meta)
        labels = np.asarray(data).transpose(order)
        written = write_labels(path, labels, image, overwrite=True, classes=classes_of_layer(meta))
    except InputError as error:
        raise SaveError(str(error)) from error
    moved = suffix_of(written) != ".zarr" and is_moved(image)
    if suffix_of(written) not in VOLUME_SUFFIXES and (turns(image) or moved):
        from napari.utils.notifications import show_warning

        lost = "how it is turned or flipped" if turns(image) else "where it lies"
        kind = "OME-Zarr" if suffix_of(written) == ".zarr" else "TIFF"
        show_warning(
            f"{name} has the layer's voxel size, but {kind} cannot hold {lost}. To keep that, save "
            "it as NIfTI (.nii.gz)."
        )
    return [str(written)]
