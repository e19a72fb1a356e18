"""Metadata of OME-Zarr: axes, scales and levels, checked before any array is opened.

Read by hand: the files are small JSON, the ``ome-zarr`` library pulls in S3 and web clients, and
zarr itself would run whatever codec an array names, Python's pickle among them.

Source: https://ngff.openmicroscopy.org/0.4/ (zarr 2) and https://ngff.openmicroscopy.org/0.5/
(zarr 3); https://zarr-specs.readthedocs.io for the arrays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.images.limits import check_size
from napari_swin_umamba.images.units import unit_name

__all__ = [
    "Level",
    "Multiscale",
    "common_unit",
    "find_image",
    "is_image",
    "is_labels_place",
    "is_own_labels",
    "is_zarr",
    "label_names",
    "read_attributes",
    "read_multiscale",
]

_METADATA = (".zgroup", ".zattrs", ".zarray", "zarr.json")
_LONGEST = 2**24  # bytes of a metadata file
_KINDS = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
_CODECS = {
    *("blosc", "zstd", "gzip", "zlib", "lz4", "lz4f", "bz2", "lzma", "shuffle", "bitshuffle"),
    *("delta", "fixedscaleoffset", "quantize", "packbits", "crc32", "crc32c", "adler32"),
    *("fletcher32", "bytes", "endian", "transpose", "sharding_indexed"),
}
"""Codecs that only compute. Others are refused, ``pickle`` first of all: it can run code."""


@dataclass(frozen=True)
class Level:
    """One resolution."""

    path: str
    """Of its array, in the group."""
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype[Any]
    codec: str | None
    """What its chunks are packed with in the end."""
    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True)
class Multiscale:
    """An image as its group describes it, axes in the order of its arrays."""

    version: str
    """``"0.4"`` (stored by zarr 2; older ones count as this) or ``"0.5"`` (zarr 3)."""
    axes: tuple[str, ...]
    """``"t"``, ``"c"``, ``"z"``, ``"y"``, ``"x"``."""
    units: tuple[str | None, ...]
    levels: tuple[Level, ...]
    """The finest first."""
    is_label: bool = False
    """Whether the group says that the values are labels."""
    colours: tuple[tuple[int, tuple[float, float, float]], ...] = ()
    """Values of labels and their red, green, blue from 0 to 1."""
    names: tuple[tuple[int, str], ...] = ()
    """Values of labels and their names."""


def is_zarr(path: Path) -> bool:
    """Whether a folder is a group or an array of zarr."""
    return any((path / name).is_file() for name in _METADATA)


def is_image(path: Path) -> bool:
    """Whether a folder is a zarr that OME's metadata calls an image, or that holds such."""
    try:
        return is_zarr(path) and bool(find_image(path))
    except (InputError, OSError):
        return False


def is_own_labels(path: Path) -> bool:
    """Whether a folder is an OME-Zarr that holds nothing but labels, as we write them.

    Its arrays lie in ``labels``: the labels are also its image, for programs that look for one.
    """
    entries = _quiet_attributes(path).get("multiscales")
    paths = [
        str(dataset.get("path")) if isinstance(dataset, dict) else ""
        for entry in (entries if isinstance(entries, list) else ())
        for dataset in (entry.get("datasets") or () if isinstance(entry, dict) else ())
    ]
    return bool(paths and label_names(path)) and all(one.startswith("labels/") for one in paths)


def is_labels_place(path: Path) -> bool:
    """Whether a path is that of labels in an OME-Zarr image: ``IMAGE/labels/NAME``."""
    return path.parent.name == "labels" and is_zarr(path.parent.parent)


def read_attributes(group: Path) -> tuple[dict[str, Any], int]:
    """Return the attributes that OME defines, and the version of zarr's format, 2 or 3.

    Raises
    ------
    InputError
        It is no group, or its metadata are damaged.
    """
    if (group / "zarr.json").is_file():
        node = _read_json(group / "zarr.json")
        attributes = node.get("attributes")
        ome = attributes.get("ome") if isinstance(attributes, dict) else None
        return (ome if isinstance(ome, dict) else {}), 3
    if (group / ".zarray").is_file() and not (group / ".zgroup").is_file():
        raise InputError(
            f"{group} is a bare zarr array, which knows no axes; give the folder of the OME-Zarr "
            "image that holds it"
        )
    return (_read_json(group / ".zattrs") if (group / ".zattrs").is_file() else {}), 2


def find_image(path: Path) -> tuple[Path, tuple[str, ...]]:
    """Return the group that holds an image, and what was left out, for people.

    bioformats2raw puts images into groups ``0``, ``1``, ... of what it writes; the first is taken.

    Raises
    ------
    InputError
        There is none: it is a plate, a well, a list of labels, or some other zarr.
    """
    attributes, _ = read_attributes(path)
    if "multiscales" in attributes:
        return path, ()
    if "plate" in attributes or "well" in attributes:
        what, example = ("plate", "A/1/0") if "plate" in attributes else ("well", "0")
        raise InputError(
            f"{path} is a {what} of many images; give one of them, for example {path}/{example}"
        )
    if isinstance(attributes.get("labels"), list):
        names = ", ".join(str(name) for name in attributes["labels"]) or "none"
        raise InputError(f"{path} is a list of labels ({names}); give one, as {path}/NAME")
    inner = sorted(
        (folder for folder in path.iterdir() if folder.name.isdigit() and folder.is_dir()),
        key=lambda folder: int(folder.name),
    )
    images = [one for one in inner if is_zarr(one) and "multiscales" in _quiet_attributes(one)]
    if not images:
        raise InputError(
            f"{path} is a zarr but no OME-Zarr image: its metadata has no 'multiscales'"
        )
    notes: tuple[str, ...] = ()
    if len(images) > 1:
        notes = (f"{path.name} holds {len(images)} images; the first one is used",)
    return images[0], notes


def label_names(group: Path) -> tuple[str, ...]:
    """Names of the labels that lie inside an image."""
    labels = group / "labels"
    if not is_zarr(labels):
        return ()
    names = _quiet_attributes(labels).get("labels")
    if not isinstance(names, list):
        return ()
    return tuple(name for name in names if isinstance(name, str) and is_zarr(labels / name))


def read_multiscale(group: Path) -> Multiscale:
    """Read and check the description of an image.

    Raises
    ------
    InputError
        It contradicts itself or its arrays, or an array needs a codec that is not known to be safe.
    """
    attributes, zarr_format = read_attributes(group)
    try:
        entry = attributes["multiscales"][0]
        datasets = list(entry["datasets"])
        paths = [str(dataset["path"]) for dataset in datasets]
    except (KeyError, IndexError, TypeError) as error:
        raise _damaged(group, f"its 'multiscales' lack {error}") from error
    if not paths:
        raise _damaged(group, "its 'multiscales' name no array")
    arrays = [_read_array(group, path, zarr_format) for path in paths]
    axes, units = _axes(group, entry, len(arrays[0][0]))
    whole = _transform(group, entry.get("coordinateTransformations"), len(axes))
    levels = []
    for dataset, path, (shape, chunks, dtype, codec) in zip(datasets, paths, arrays, strict=True):
        if len(shape) != len(axes):
            raise _damaged(group, f"its array {path} has {len(shape)} axes, not {len(axes)}")
        own = _transform(group, dataset.get("coordinateTransformations"), len(axes))
        scale = own[0] * whole[0]
        translation = own[1] * whole[0] + whole[1]
        if not (np.isfinite(scale).all() and np.isfinite(translation).all() and scale.all()):
            raise _damaged(group, f"the scale of its array {path} is {scale.tolist()}")
        levels.append(
            Level(
                path,
                shape,
                chunks,
                dtype,
                codec,
                tuple(scale.tolist()),
                tuple(translation.tolist()),
            )
        )
    label = attributes.get("image-label")
    colours, names = _label_looks(label) if isinstance(label, dict) else ((), ())
    return Multiscale(
        "0.5" if zarr_format == 3 else "0.4",
        axes,
        units,
        tuple(levels),
        isinstance(label, dict),
        colours,
        names,
    )


def _axes(
    group: Path, entry: dict[str, Any], count: int
) -> tuple[tuple[str, ...], tuple[str | None, ...]]:
    """Names and units; version 0.3 has names only, older ones are always t, c, z, y, x."""
    stored = entry.get("axes")
    if stored is None and count == 5:
        stored = list("tczyx")
    if not isinstance(stored, list) or len(stored) != count:
        raise _damaged(group, f"its axes are {shown(stored)}, its array has {count}")
    described = [axis if isinstance(axis, dict) else {"name": axis} for axis in stored]
    names, units = [], []
    for axis in described:
        name = str(axis.get("name")).lower()
        kind = axis.get("type") or _KINDS.get(name)
        name = {"time": "t", "channel": "c"}.get(str(kind), name)
        if _KINDS.get(name) != kind:
            raise InputError(
                f"{group} has an axis {shown(axis.get('name'))} of type {shown(kind)}; axes t, c, "
                "z, y and x can be read"
            )
        names.append(name)
        unit = axis.get("unit")
        units.append(unit if isinstance(unit, str) else None)
    if len(set(names)) < len(names) or not {"y", "x"} <= set(names):
        raise _damaged(group, f"its axes are {''.join(names)}")
    return tuple(names), tuple(units)


def _transform(group: Path, steps: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scale and translation of a list of them, applied in its order."""
    scale, translation = np.ones(count), np.zeros(count)
    for step in steps or ():
        kind = step.get("type") if isinstance(step, dict) else None
        if kind == "identity":
            continue
        if kind not in ("scale", "translation") or not isinstance(step.get(kind), list):
            raise _damaged(group, f"a coordinate transformation is {shown(step)}")
        values = step[kind]
        if len(values) != count or not all(isinstance(value, int | float) for value in values):
            raise _damaged(group, f"a {kind} is {shown(values)}, for {count} axes")
        if kind == "scale":
            scale, translation = scale * values, translation * values
        else:
            translation = translation + values
    return scale, translation


def _label_looks(label: dict[str, Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    colours, names = [], []
    for entry in _entries(label, "colors"):
        rgba = entry.get("rgba")
        if isinstance(rgba, list) and len(rgba) >= 3 and all(_is_byte(part) for part in rgba[:3]):
            colours.append((entry["label-value"], tuple(part / 255 for part in rgba[:3])))
    for entry in _entries(label, "properties"):
        name = next((entry[key] for key in ("name", "class", "label") if key in entry), None)
        if isinstance(name, str):
            names.append((entry["label-value"], name))
    return tuple(colours), tuple(names)


def _entries(label: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    entries = label.get(key)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("label-value"), int):
            yield entry


def _is_byte(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value <= 255


def _read_array(
    group: Path, path: str, zarr_format: int
) -> tuple[tuple[int, ...], tuple[int, ...], np.dtype[Any], str | None]:
    """Shape, chunks, dtype and last codec of an array; every codec is one that only computes."""
    if not path or path.startswith(("/", "\\")) or ":" in path or ".." in Path(path).parts:
        raise _damaged(group, f"it names an array outside of itself, {shown(path)}")
    folder = group / path
    file = folder / ("zarr.json" if zarr_format == 3 else ".zarray")
    if not file.is_file():
        raise InputError(f"{group} is incomplete: its array {path} is missing; copy it anew")
    header = _read_json(file)
    try:
        shape = tuple(int(size) for size in header["shape"])
        if zarr_format == 3:
            grid = header["chunk_grid"]
            chunks = tuple(int(size) for size in grid["configuration"]["chunk_shape"])
            kind, codecs = header["data_type"], list(_codecs_v3(header["codecs"]))
            last = str(header["codecs"][-1]["name"]) if codecs else None
        else:
            chunks = tuple(int(size) for size in header["chunks"])
            kind = header["dtype"]
            filters = [header.get("compressor"), *(header.get("filters") or ())]
            codecs = [str(codec["id"]) for codec in filters if codec is not None]
            last = codecs[0] if header.get("compressor") is not None else None
        dtype = np.dtype(kind) if isinstance(kind, str) else np.dtype("O")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(group, f"the header of its array {path}: {error}") from error
    for codec in codecs:
        if codec.removeprefix("numcodecs.") not in _CODECS:
            raise InputError(
                f"{folder} is packed with {shown(codec)}, which is not among the codecs that only "
                "compute (it may run code when read); write it anew with zstd or blosc"
            )
    if dtype.kind not in "buif":
        raise InputError(f"{folder} holds {shown(kind)} values; real numbers are needed")
    if len(chunks) != len(shape) or min(chunks, default=0) <= 0:
        raise _damaged(group, f"its array {path} of shape {shape} has chunks {chunks}")
    # Missing chunks are legal, so what lies on the disk says nothing. A chunk must fit into memory.
    check_size(folder, shape, 0, None, deflated=False)
    check_size(folder, chunks, dtype.itemsize, None, deflated=False)
    return shape, chunks, dtype, last


def _codecs_v3(codecs: list[dict[str, Any]]) -> Iterator[str]:
    for codec in codecs:
        yield str(codec["name"])
        inner = codec.get("configuration") or {}
        for key in ("codecs", "index_codecs"):
            yield from _codecs_v3(inner.get(key) or [])


def _read_json(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _LONGEST:
            raise InputError(f"{file} is too large for metadata of zarr; write the image anew")
        value = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is damaged: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise InputError(f"{file} is damaged: it holds no JSON object")
    return value


def _quiet_attributes(group: Path) -> dict[str, Any]:
    try:
        return read_attributes(group)[0]
    except InputError:
        return {}


def _damaged(group: Path, what: str) -> InputError:
    return InputError(f"{group} is no OME-Zarr image that makes sense: {what}; write it anew")


def common_unit(units: tuple[str | None, ...]) -> str | None:
    """Unit of the last of some axes, if all of them have one of length."""
    names = [unit_name(unit) for unit in units]
    return None if None in names else names[-1]
