"""Opens NIfTI, NRRD, MetaImage, DICOM and OME-Zarr in napari, each where it lies in the world."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_swin_umamba.images.image import Image
from napari_swin_umamba.plugin.image_layer import LayerData, layer_of_image

__all__ = ["get_reader", "read_volumes"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def get_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """Return the reader of volumes, or None for what is none (npe2).

    napari asks about every folder that is opened, so a folder is looked into only briefly.
    """
    paths = [Path(one) for one in _listed(path)]
    return read_volumes if paths and all(_is_ours(one) for one in paths) else None


def read_volumes(path: Paths) -> list[LayerData]:
    """Read files and folders: label maps as Labels, all others as Image.

    One layer each, but for a folder of several DICOM series, which become a layer each, and for an
    OME-Zarr image, whose labels come along.

    Raises
    ------
    InputError
        One is missing or damaged; nothing is opened then.
    """
    return [layer for one in _listed(path) for layer in _read(Path(one))]


def _listed(path: Paths) -> list[str | os.PathLike[str]]:
    return [path] if isinstance(path, str | os.PathLike) else list(path)


def _is_ours(path: Path) -> bool:
    # Imported here: napari asks every plugin for a reader of every file.
    from napari_swin_umamba.images.magic import is_dicom_file, is_dicom_folder
    from napari_swin_umamba.images.names import VOLUME_SUFFIXES, suffix_of
    from napari_swin_umamba.images.ngff import is_image

    if path.is_dir():
        return is_image(path) or is_dicom_folder(path)
    return suffix_of(path) in VOLUME_SUFFIXES or is_dicom_file(path)


def _read(path: Path) -> list[LayerData]:
    from napari_swin_umamba.images import read_image, stem_of
    from napari_swin_umamba.images.magic import is_dicom_folder
    from napari_swin_umamba.images.ngff import is_zarr

    if path.is_dir() and is_zarr(path):
        return _read_zarr(path)
    if path.is_dir() and is_dicom_folder(path):
        return _read_dicom(path)
    return [_layer(read_image(path), stem_of(path))]


def _read_zarr(path: Path) -> list[LayerData]:
    from napari_swin_umamba.images import read_image, stem_of
    from napari_swin_umamba.images.ngff import is_own_labels, label_names

    if is_own_labels(path):  # labels that we wrote: the image is these same labels
        return [_layer(read_image(path / "labels" / label_names(path)[0]), stem_of(path))]
    image = read_image(path)
    assert image.path is not None
    names = label_names(image.path)
    labels = [read_image(image.path / "labels" / name) for name in names]
    return [
        _layer(image, stem_of(path)),
        *(_layer(one, name) for one, name in zip(labels, names, strict=True)),
    ]


def _read_dicom(path: Path) -> list[LayerData]:
    from napari_swin_umamba.images.dicom import read_dicom_series
    from napari_swin_umamba.images.dicom_series import read_series

    series = read_series(path)
    names = [f"{path.name} {one.description or one.number}".strip() for one in series]
    if len(series) == 1:
        names = [path.name]
    return [
        _layer(read_dicom_series(path, one), name) for one, name in zip(series, names, strict=True)
    ]


def _layer(image: Image, name: str) -> LayerData:
    from napari_swin_umamba.images.label_rule import is_label_map

    if not is_label_map(image):
        return layer_of_image(image, name)
    data, arguments, kind = layer_of_image(image, name, "labels")
    return data, arguments | _looks(image), kind


def _looks(image: Image) -> dict[str, Any]:
    """Names and colours of labels that their file has, as arguments of a Labels layer."""
    from napari_swin_umamba.images.itk_header import read_segments

    assert image.path is not None
    described = image.grid.zarr if image.grid is not None else None
    if described is not None:
        names, colours = dict(described.names), dict(described.colours)
    elif image.path.is_file():
        segments = read_segments(image.path)
        names = {segment.value: segment.name for segment in segments}
        colours = {segment.value: segment.colour for segment in segments}
    else:
        return {}
    looks: dict[str, Any] = {}
    if names:
        names = {0: "background"} | names
        looks["features"] = {"index": [*names], "name": [*names.values()]}
    if colours:
        clear = (0.0, 0.0, 0.0, 0.0)
        opaque = {value: (*colour, 1.0) for value, colour in colours.items()}
        looks["colormap"] = {None: clear, **opaque, 0: clear}
    return looks
