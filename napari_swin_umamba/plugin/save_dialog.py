"""*Save labels…*: napari's own dialog lets the file type chosen in it decide, not the ending."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari.layers import Labels
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_swin_umamba.plugin.result_layer import METADATA_KEY
from napari_swin_umamba.plugin.writers import write_labels_layer

__all__ = ["ask_where_to_save", "save_labels"]

_FILTERS = {
    "NIfTI (*.nii.gz *.nii)": "nii.gz",
    "Segmentation for 3D Slicer (*.seg.nrrd)": "seg.nrrd",
    "NRRD (*.nrrd)": "nrrd",
    "MetaImage (*.mha *.mhd)": "mha",
    "OME-Zarr (*.zarr)": "zarr",
    "TIFF (*.tif *.tiff)": "tif",
}
_FORBIDDEN = str.maketrans(dict.fromkeys('\\/:*?"<>|', "-"))


def save_labels(layer: Labels, path: Path) -> Path:
    """Save a Labels layer where its image lies; a file that is there is replaced.

    Raises
    ------
    SaveError
        The format cannot hold the layer, or the disk refuses it; the file is as it was.
    """
    data, meta, _ = layer.as_layer_data_tuple()
    return Path(write_labels_layer(str(path), data, dict(meta))[0])


def ask_where_to_save(parent: QWidget, layer: Labels) -> Path | None:
    """Let a person choose a file for a Labels layer; None: they changed their mind."""
    dialog = QFileDialog(parent, "Save labels")
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)  # asks before it replaces a file
    dialog.setNameFilters(list(_FILTERS))
    dialog.filterSelected.connect(lambda chosen: dialog.setDefaultSuffix(_FILTERS[chosen]))
    first = list(_FILTERS)[-1 if layer.ndim == 2 else 0]
    dialog.selectNameFilter(first)
    dialog.setDefaultSuffix(_FILTERS[first])
    folder = _folder_of_image(layer)
    if folder is not None:
        dialog.setDirectory(str(folder))
    dialog.selectFile(f"{layer.name.translate(_FORBIDDEN)}.{_FILTERS[first]}")
    chosen = dialog.selectedFiles() if dialog.exec() else []
    dialog.deleteLater()
    return Path(chosen[0]) if chosen else None


def _folder_of_image(layer: Any) -> Path | None:
    """Where the file lies that was segmented; None: there is none."""
    source = layer.metadata.get("source_image") if METADATA_KEY in layer.metadata else None
    source = source or layer.source.path
    folder = Path(source).parent if source else None
    return folder if folder is not None and folder.is_dir() else None
