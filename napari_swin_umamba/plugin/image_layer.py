"""An image from a file as the layer that napari shows of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_swin_umamba.images import Image

__all__ = ["LayerData", "layer_of_image", "layer_transform"]

LayerData = tuple[Any, dict[str, Any], str]
"""Data, arguments and type of a layer, as napari takes them."""


def layer_transform(image: Image) -> dict[str, Any]:
    """Arguments that put a layer where the image lies in the world.

    ``scale`` is the spacing and always positive: other plugins look there. A grid along the world's
    axes is placed by ``translate``; else ``affine`` holds directions and origin, and turns or flips
    what ``scale`` has stretched.

    Parameters
    ----------
    image
        A last axis of colours is none of the layer's axes.

    Returns
    -------
    dict
        ``scale``, ``units``, ``axis_labels``, and ``translate`` or ``affine`` if it is known.
    """
    axes = image.axes.removesuffix("C") if image.axes.endswith("C") else image.axes
    ndim = len(axes)
    space = [i for i, axis in enumerate(axes) if axis in "ZYX"]
    scale, translate = np.ones(ndim), np.zeros(ndim)
    units = ["pixel"] * ndim
    transform: dict[str, Any] = {}
    if image.spacing is not None:
        scale[space] = image.spacing
        for axis in space:
            units[axis] = image.unit or "pixel"
    if image.affine is not None:
        rank = len(space)
        directions = image.affine[:rank, :rank] / scale[space]
        origin = image.affine[:rank, rank]
        if np.allclose(directions, np.eye(rank), atol=1e-6):
            translate[space] = origin
            transform["translate"] = translate
        else:
            affine = np.eye(ndim + 1)
            affine[np.ix_(space, space)] = directions
            affine[space, ndim] = origin
            transform["affine"] = affine
    labels = tuple(axes.lower())
    return {"scale": scale, "units": tuple(units), "axis_labels": labels, **transform}


def layer_of_image(image: Image, name: str, kind: str = "image") -> LayerData:
    """Make the arguments of a layer.

    Parameters
    ----------
    image
        What to show.
    name
        The layer's name.
    kind
        ``"image"`` or ``"labels"``; the latter of whole numbers, without channels.
    """
    arguments: dict[str, Any] = {
        "name": name,
        **layer_transform(image),
        "metadata": {
            "path": str(image.path),
            "notes": image.notes,
            "stored_order": image.grid.order if image.grid is not None else (),
            "nifti": image.grid is not None and image.grid.nifti is not None,
        },
    }
    data = image.array
    if kind == "image":
        arguments["rgb"] = image.axes.endswith("C")
    elif data.dtype.kind == "f":
        data = data.astype(np.int32)
    elif data.dtype.kind == "b":
        data = data.view(np.uint8)
    return data, arguments, kind
