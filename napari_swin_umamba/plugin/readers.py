"""Opens NIfTI, NRRD and MetaImage files in napari, each where it lies in the world."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_swin_umamba.plugin.image_layer import LayerData, layer_of_image

__all__ = ["get_reader", "read_volumes"]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def get_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """Return the reader of volume files, or None for other files (npe2)."""
    from napari_swin_umamba.images.names import VOLUME_SUFFIXES, suffix_of

    paths = _listed(path)
    if paths and all(suffix_of(Path(one)) in VOLUME_SUFFIXES for one in paths):
        return read_volumes
    return None


def read_volumes(path: Paths) -> list[LayerData]:
    """Read files, one layer each: label maps as Labels, all others as Image.

    Raises
    ------
    InputError
        A file is missing or damaged; nothing is opened then.
    """
    return [_read(Path(one)) for one in _listed(path)]


def _listed(path: Paths) -> list[str | os.PathLike[str]]:
    return [path] if isinstance(path, str | os.PathLike) else list(path)


def _read(path: Path) -> LayerData:
    # Imported here: napari asks every plugin for a reader of every file.
    from napari_swin_umamba.images import read_image, stem_of
    from napari_swin_umamba.images.label_rule import is_label_map

    image = read_image(path)
    if not is_label_map(image):
        return layer_of_image(image, stem_of(path))
    data, arguments, kind = layer_of_image(image, stem_of(path), "labels")
    return data, arguments | _segments(path), kind


def _segments(path: Path) -> dict[str, Any]:
    """Names and colours that 3D Slicer gave to labels, as arguments of a Labels layer."""
    from napari_swin_umamba.images.itk_header import read_segments

    segments = read_segments(path)
    if not segments:
        return {}
    colours: dict[int | None, Any] = {None: (0.0, 0.0, 0.0, 0.0), 0: (0.0, 0.0, 0.0, 0.0)}
    colours.update({segment.value: (*segment.colour, 1.0) for segment in segments})
    features = {
        "index": [0, *(segment.value for segment in segments)],
        "name": ["background", *(segment.name for segment in segments)],
    }
    return {"features": features, "colormap": colours}
