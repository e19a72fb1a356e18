"""Images of a project as files and as layers: both ways, without a viewer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import Image
from napari_swin_umamba.plugin.image_layer import LayerData, layer_of_image
from napari_swin_umamba.project import ImageReference

__all__ = ["coarsest_axis", "files_of_layer", "kept_axes", "layer_data", "layer_fits"]

_CLEARLY_COARSER = 1.01


def layer_data(files: Sequence[Path], reference: ImageReference) -> LayerData:
    """Read an image of a project as the layer that shows it.

    Parameters
    ----------
    files
        Where it lies now.
    reference
        What the project says of it.

    Raises
    ------
    InputError
        A file is missing, damaged, or holds an image of another size.
    """
    from napari_swin_umamba.segmentation.channel_files import read_case

    image = read_case(files)
    if len(files) == 1 and (image.axes, image.array.shape) != (reference.axes, reference.shape):
        raise InputError(
            f"{files[0]} holds axes {image.axes} of sizes {image.array.shape}, but "
            f"'{reference.name}' was {reference.axes}, {reference.shape}, when it was added; put "
            "the file back that it was"
        )
    if reference.spacing is not None and image.affine is None:
        image = replace(image, spacing=reference.spacing, unit=reference.unit)
    if "C" in image.axes[1:-1]:  # napari matches axes from the last: labels have no channels
        place = image.axes.index("C")
        array = np.moveaxis(image.array, place, 0)
        image = replace(image, array=array, axes="C" + image.axes.replace("C", ""))
    return layer_of_image(image, reference.name)


def kept_axes(layer: Any, reference: ImageReference) -> tuple[int, ...]:
    """Axes of an image layer that its annotation has too: all but the channels.

    Parameters
    ----------
    layer
        An image layer that fits the reference.
    reference
        What the project says of the image.
    """
    ndim = len(layer.axis_labels)
    if ndim == len(reference.label_axes):
        return tuple(range(ndim))
    channel = max(0, reference.axes.find("C"))  # none: each channel has a file of its own
    labels = [label.lower() for label in layer.axis_labels]
    if labels.count("c") == 1:
        channel = labels.index("c")
    return tuple(axis for axis in range(ndim) if axis != channel)


def layer_fits(layer: Any, reference: ImageReference) -> bool:
    """Whether a layer shows an image of this size: an annotation can lie on it.

    Parameters
    ----------
    layer
        Any image layer.
    reference
        What the project says of the image.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    shape = tuple(int(size) for size in data.shape[: len(layer.axis_labels)])
    if len(shape) - len(reference.label_axes) not in (0, 1):
        return False
    kept = kept_axes(layer, reference)
    return tuple(shape[axis] for axis in kept) == reference.label_shape


def files_of_layer(layer: Any) -> tuple[Path, ...]:
    """The file that a layer was opened from, if it is there; empty if there is none."""
    path = layer.source.path or layer.metadata.get("path")
    if not path or not isinstance(path, str | Path):
        return ()
    file = Path(path)
    return (file,) if file.is_file() else ()


def coarsest_axis(image: Image) -> Literal["Z", "Y", "X"] | None:
    """The axis whose slices are the sharpest: a volume is painted across its coarsest axis.

    Parameters
    ----------
    image
        As read from its file.

    Returns
    -------
    "Z", "Y", "X" or None
        None for a 2D image. The first of axes that are as coarse.
    """
    names = [axis for axis in image.axes if axis in "ZYX"]
    if len(names) < 3:
        return None
    best, steps = 0, image.spacing or (1.0,) * 3
    for place in (1, 2):
        if steps[place] > _CLEARLY_COARSER * steps[best]:
            best = place
    return ("Z", "Y", "X")[best]
