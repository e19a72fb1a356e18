"""Adds images to a project, from files or from layers; in a thread, for hashing takes time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import Image
from napari_swin_umamba.images.image_writing import write_image
from napari_swin_umamba.images.units import unit_name
from napari_swin_umamba.plugin.annotate.image_files import coarsest_axis, files_of_layer
from napari_swin_umamba.plugin.layer_grid import axes_of_layer
from napari_swin_umamba.plugin.reading import is_channel_label
from napari_swin_umamba.plugin.worker import Channel, Progress
from napari_swin_umamba.project import ImageReference, Project

__all__ = ["Added", "ToAdd", "add_images", "layer_to_add"]


@dataclass(frozen=True)
class ToAdd:
    """An image to be added."""

    name: str
    files: tuple[Path, ...] = ()
    """Its files; none: `image` is written into the project."""
    image: Image | None = None
    """What the person's layer shows; None: what the files hold."""
    layer: Any = None
    """The person's layer, to be annotated where it is; None: there is none."""


@dataclass(frozen=True)
class Added:
    """What became of it."""

    images: tuple[tuple[ImageReference, Any], ...]
    """Those added, each with the person's layer or None."""
    problems: tuple[str, ...]
    """Why others were not."""


def layer_to_add(layer: Any) -> ToAdd:
    """Describe an image layer.

    Its file is used if it holds an image of the same size; else what the layer shows is written
    into the project.

    Parameters
    ----------
    layer
        An image layer.

    Raises
    ------
    InputError
        Its axes are not those of an image or a volume.
    """
    return ToAdd(layer.name, files_of_layer(layer), _image_of_layer(layer), layer)


def add_images(project: Project, wanted: Sequence[ToAdd], copy: bool, channel: Channel) -> Added:
    """Add images, one after the other; one that cannot be added does not hinder the others.

    Parameters
    ----------
    project
        Held by whoever edits it; nobody else may change it meanwhile.
    wanted
        The images.
    copy
        Copy files into the project.
    channel
        To report to.
    """
    added: list[tuple[ImageReference, Any]] = []
    problems: list[str] = []
    for number, one in enumerate(wanted):
        channel.stop_if_asked()
        channel.report(Progress(f"Adding “{one.name}”…", number / len(wanted)))
        try:
            added.append((_add(project, one, copy), one.layer))
        except InputError as error:
            problems.append(str(error))
    return Added(tuple(added), tuple(problems))


def _add(project: Project, wanted: ToAdd, copy: bool) -> ImageReference:
    from napari_swin_umamba.segmentation.channel_files import read_case

    shown = wanted.image
    if wanted.files:
        stored = read_case(wanted.files)
        if shown is None or _same_size(stored, shown):
            image = _as_shown(stored, shown)
            axis = coarsest_axis(image)
            return project.add_image(wanted.files, image, wanted.name, axis, copy)
    assert shown is not None
    file = _new_file(project, wanted.name)
    write_image(file, np.asarray(shown.array), shown.axes, shown.spacing, shown.unit)
    try:
        # As it will be read: without axes along which there is one place.
        image = _as_shown(read_case((file,)), shown)
        return project.add_image([file], image, wanted.name, coarsest_axis(image))
    except InputError:
        file.unlink(missing_ok=True)
        raise


def _same_size(stored: Image, shown: Image) -> bool:
    return stored.array.shape == shown.array.shape


def _as_shown(stored: Image, shown: Image | None) -> Image:
    """The file's image, with the pixel sizes that the person gave its layer."""
    if shown is None or shown.spacing is None or stored.affine is not None:
        return stored
    spatial = sum(axis in "ZYX" for axis in stored.axes)
    if len(shown.spacing) != spatial or shown.spacing == stored.spacing:
        return stored
    return replace(stored, spacing=shown.spacing, unit=shown.unit)


def _image_of_layer(layer: Any) -> Image:
    """What a layer shows, with its axes in the order of files."""
    data = layer.data[0] if layer.multiscale else layer.data
    if np.dtype(data.dtype).kind not in "buif":
        raise InputError(f"'{layer.name}' holds {data.dtype}, not numbers; choose another image")
    labels = list(layer.axis_labels)
    channels = [axis for axis, label in enumerate(labels) if is_channel_label(label)][:1]
    if layer.rgb:
        channels = []
    kept = [axis for axis in range(len(labels)) if axis not in channels]
    meta = {
        "axis_labels": [labels[axis] for axis in kept],
        "units": [layer.units[axis] for axis in kept],
    }
    letters, order = axes_of_layer(f"'{layer.name}'", len(kept), meta)
    places = [kept[axis] for axis in order]
    if channels:
        first = int(letters.startswith("T"))
        places.insert(first, channels[0])
        letters = letters[:first] + "C" + letters[first:]
    colours = [len(labels)] if layer.rgb else []
    array = data if [*places, *colours] == sorted([*places, *colours]) else None
    if array is None:
        array = np.transpose(np.asarray(data), [*places, *colours])
    spatial = [places[index] for index, axis in enumerate(letters) if axis in "ZYX"]
    spacing, unit = _spacing(layer, spatial)
    return Image(array, letters + ("C" if layer.rgb else ""), spacing, unit)


def _spacing(layer: Any, axes: Sequence[int]) -> tuple[tuple[float, ...] | None, str | None]:
    """Pixel sizes of a layer; None where nobody said any."""
    units = {str(layer.units[axis]) for axis in axes}
    sizes = tuple(float(abs(layer.scale[axis])) for axis in axes)
    unit = unit_name(next(iter(units))) if len(units) == 1 else None
    if unit is None and set(sizes) == {1.0}:
        return None, None
    return sizes, unit


def _new_file(project: Project, name: str) -> Path:
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)[:60] or "image"
    folder, number = project.folder / "images", 1
    while (file := folder / f"{plain}{f'-{number}' if number > 1 else ''}.ome.tif").exists():
        number += 1
    return file
