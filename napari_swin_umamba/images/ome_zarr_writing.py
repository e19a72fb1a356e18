"""Write labels as OME-Zarr: a new one, or into the ``labels`` of an image."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import atomic_folder, atomic_path
from napari_swin_umamba.images.image import Image, StoredGrid
from napari_swin_umamba.images.ngff import (
    Multiscale,
    find_image,
    is_labels_place,
    is_own_labels,
    is_zarr,
    read_attributes,
    read_multiscale,
)
from napari_swin_umamba.images.units import known_spacing
from napari_swin_umamba.plan import SegmentationClass

__all__ = ["write_ome_zarr"]

_CHUNK = {"t": 1, "z": 16, "y": 512, "x": 512}
_TYPES = {"t": "time", "z": "space", "y": "space", "x": "space"}


def write_ome_zarr(
    path: Path,
    labels: np.ndarray,
    axes: str,
    like: Image | None,
    classes: Sequence[SegmentationClass],
    overwrite: bool,
) -> None:
    """Write labels whole or not at all.

    As version 0.4 of NGFF (zarr 2), which most programs read, or in that of the image.

    Parameters
    ----------
    path
        ``IMAGE/labels/NAME`` puts them into an image that is there already. Any other folder
        becomes an OME-Zarr of its own: it holds ``labels/NAME``, named after the folder, and its
        image is these labels.
    labels : ([T,] [Z,] Y, X)
        Integers.
    axes
        ``"YX"``, ``"ZYX"``, ``"TYX"`` or ``"TZYX"``.
    like
        Says how far apart voxels are; if it was read from OME-Zarr, which resolutions there are.
    classes
        Names and colours of values.
    overwrite
        Whether labels that are there may be replaced. An image never is.

    Raises
    ------
    InputError
        The path exists, holds something else than labels, or cannot be written.
    """
    inside = is_labels_place(path)
    described = like.grid.zarr if like is not None and like.grid is not None else None
    version = described.version if isinstance(described, Multiscale) else "0.4"
    if inside:
        image = path.parent.parent
        version = "0.5" if read_attributes(image)[1] == 3 else "0.4"
        _check_fits(path, find_image(image)[0], labels, axes)
    if overwrite and path.exists():
        _check_replaceable(path)
    name = path.name.removesuffix(".zarr").removesuffix(".ome") or "labels"
    layout = _Layout.of(labels, axes, like)
    source = {"image": "../../"} if inside else None
    with atomic_folder(path, overwrite) as folder:
        if inside:
            _write_image(folder, layout, version, _label_metadata(labels, classes, source))
        else:
            _write_group(folder, version, {"multiscales": [layout.metadata(f"labels/{name}/")]})
            _write_group(folder / "labels", version, {"labels": [name]})
            inner = folder / "labels" / name
            _write_image(inner, layout, version, _label_metadata(labels, classes, source))
    if inside:
        _list_labels(path.parent, path.name, version)


class _Layout:
    """Labels with the axes of their image, at each of its resolutions."""

    def __init__(
        self,
        axes: str,
        units: Sequence[str | None],
        arrays: Sequence[np.ndarray],
        scales: Sequence[Sequence[float]],
        translations: Sequence[Sequence[float]],
    ) -> None:
        self.axes, self.units, self.arrays = axes, units, arrays
        self.scales, self.translations = scales, translations

    @classmethod
    def of(cls, labels: np.ndarray, axes: str, like: Image | None) -> _Layout:
        grid = like.grid if like is not None else None
        if grid is not None and isinstance(grid.zarr, Multiscale):
            return cls._like_zarr(labels, axes, grid.zarr)
        rank = len(axes.removeprefix("T"))
        spacing = known_spacing(like.spacing, rank) if like is not None else None
        unit = like.unit if like is not None else None
        origin = [0.0] * rank
        if like is not None and like.affine is not None and spacing is not None:
            turned = like.affine[:rank, :rank]
            if np.allclose(turned, np.diag(spacing), atol=1e-6 * max(spacing)):
                origin = like.affine[:rank, rank].tolist()
        time = (grid or StoredGrid(())).time if axes.startswith("T") else ()
        first, start = ([time[0]], [time[1]]) if time else ([], [])
        units = [None] * len(first) + [unit if spacing is not None else None] * rank
        scale = [*first, *(spacing or (1.0,) * rank)]
        return cls(axes.lower(), units, [labels], [scale], [[*start, *origin]])

    @classmethod
    def _like_zarr(cls, labels: np.ndarray, axes: str, image: Multiscale) -> _Layout:
        """The image's own axes, those of length 1 too, and the labels nearest to its voxels."""
        kept = [i for i, axis in enumerate(image.axes) if axis != "c"]
        names = "".join(image.axes[i] for i in kept)
        present = axes.lower()
        full = labels.transpose([present.index(axis) for axis in names if axis in present])
        full = full.reshape([image.levels[0].shape[i] for i in kept])
        arrays = []
        for level in image.levels:
            index = []
            for i, axis in enumerate(kept):
                size, finest = level.shape[axis], full.shape[i]
                places = ((np.arange(size) + 0.5) * finest / size).astype(np.intp)
                index.append(slice(None) if size == finest else places)
            arrays.append(_take(full, index))
        return cls(
            names,
            [image.units[i] for i in kept],
            arrays,
            [[level.scale[i] for i in kept] for level in image.levels],
            [[level.translation[i] for i in kept] for level in image.levels],
        )

    def metadata(self, prefix: str = "") -> dict[str, Any]:
        """The entry of ``multiscales``."""
        axes = []
        for axis, unit in zip(self.axes, self.units, strict=True):
            described = {"name": axis, "type": _TYPES[axis]}
            axes.append(described if unit is None else {**described, "unit": unit})
        datasets = []
        for number, (scale, move) in enumerate(zip(self.scales, self.translations, strict=True)):
            steps: list[dict[str, Any]] = [{"type": "scale", "scale": list(scale)}]
            if any(move):
                steps.append({"type": "translation", "translation": list(move)})
            datasets.append({"path": f"{prefix}{number}", "coordinateTransformations": steps})
        return {"axes": axes, "datasets": datasets}


def _take(array: np.ndarray, index: Sequence[Any]) -> np.ndarray:
    for axis, places in enumerate(index):
        if not isinstance(places, slice):
            array = np.take(array, places, axis=axis)
    return array


def _write_image(folder: Path, layout: _Layout, version: str, label: dict[str, Any]) -> None:
    _write_group(folder, version, {"multiscales": [layout.metadata()], "image-label": label})
    for number, array in enumerate(layout.arrays):
        chunks = tuple(
            min(size, _CHUNK[axis]) for axis, size in zip(layout.axes, array.shape, strict=True)
        )
        options: dict[str, Any] = {}
        if version == "0.5":
            options["dimension_names"] = list(layout.axes)
        else:  # 0.4 wants chunks in nested folders
            options["chunk_key_encoding"] = {"name": "v2", "separator": "/"}
        stored = zarr.create_array(
            store=str(folder / str(number)),
            shape=array.shape,
            chunks=chunks,
            dtype=array.dtype,
            fill_value=0,
            zarr_format=3 if version == "0.5" else 2,
            **options,
        )
        for block in _blocks(array.shape, chunks):
            stored[block] = array[block]


def _blocks(shape: tuple[int, ...], chunks: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    starts = [range(0, size, chunk) for size, chunk in zip(shape, chunks, strict=True)]
    for start in product(*starts):
        yield tuple(slice(at, at + chunk) for at, chunk in zip(start, chunks, strict=True))


def _write_group(folder: Path, version: str, attributes: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in _group_files(version, attributes).items():
        (folder / name).write_text(text, encoding="utf-8")


def _group_files(version: str, attributes: dict[str, Any]) -> dict[str, str]:
    if version == "0.5":
        node = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": {"ome": {"version": "0.5", **attributes}},
        }
        return {"zarr.json": json.dumps(node, indent=2)}
    attributes = {
        key: [{"version": "0.4", **entry} for entry in value] if key == "multiscales" else value
        for key, value in attributes.items()
    }
    if "image-label" in attributes:
        attributes["image-label"] = {"version": "0.4", **attributes["image-label"]}
    return {
        ".zgroup": json.dumps({"zarr_format": 2}),
        ".zattrs": json.dumps(attributes, indent=2),
    }


def _label_metadata(
    labels: np.ndarray, classes: Sequence[SegmentationClass], source: dict[str, str] | None
) -> dict[str, Any]:
    label: dict[str, Any] = {}
    if classes:
        label["colors"] = [
            {
                "label-value": one.id,
                "rgba": [*bytes.fromhex(one.color.removeprefix("#")), 255 if one.id else 0],
            }
            for one in classes
        ]
        label["properties"] = [{"label-value": one.id, "name": one.name} for one in classes]
    return label if source is None else {**label, "source": source}


def _list_labels(folder: Path, name: str, version: str) -> None:
    """Add a name to the list of an image's labels, each file replaced whole."""
    known = read_attributes(folder)[0] if is_zarr(folder) else {}
    names = [one for one in known.get("labels") or [] if isinstance(one, str)]
    if name in names:
        return
    for file, text in _group_files(version, {**known, "labels": [*names, name]}).items():
        with atomic_path(folder / file, overwrite=True) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _check_fits(path: Path, group: Path, labels: np.ndarray, axes: str) -> None:
    image = read_multiscale(group)
    sizes = dict(zip(image.axes, image.levels[0].shape, strict=True))
    ours = dict(zip(axes.lower(), labels.shape, strict=True))
    theirs = {axis: size for axis, size in sizes.items() if axis != "c"}
    if {**dict.fromkeys("tz", 1), **ours} != {**dict.fromkeys("tz", 1), **theirs}:
        raise InputError(
            f"cannot write {path}: labels of shape {labels.shape} ({axes}) do not fit the image "
            f"{group}, {theirs}; choose another place (--output)"
        )


def _check_replaceable(path: Path) -> None:
    """Refuse to replace a folder that holds anything but labels."""
    problem = f"{path} is there already and holds no labels; choose another name (--output)"
    if not path.is_dir() or not is_zarr(path):
        raise InputError(problem)
    if "image-label" not in read_attributes(path)[0] and not is_own_labels(path):
        raise InputError(problem)
