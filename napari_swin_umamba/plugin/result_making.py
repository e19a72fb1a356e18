"""Makes the Labels layer that a run writes to, with class names and colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_swin_umamba.plugin.job_messages import Begun
from napari_swin_umamba.plugin.result_layer import (
    METADATA_KEY,
    class_colors,
    class_features,
)

__all__ = ["make_labels_layer"]


def make_labels_layer(
    image: Image,
    begun: Begun,
    data: np.ndarray,
    name: str,
    mark: dict[str, Any],
    transform: dict[str, Any],
) -> Labels:
    """Make the Labels layer of a result; classes get their names and colours.

    Parameters
    ----------
    image
        What is segmented.
    begun
        What the worker said about the model.
    data
        Its values.
    name
        Of the layer.
    mark
        What it is known again by, for its metadata.
    transform
        Where it lies.
    """
    looks: dict[str, Any] = {}
    if not begun.instances:
        looks["colormap"] = DirectLabelColormap(color_dict=class_colors(begun.plan))
        looks["features"] = class_features(begun.plan)
    ours = {**begun.provenance, **mark}
    layer = Labels(
        data,
        name=name,
        metadata={METADATA_KEY: ours, **_source_file(image)},
        **transform,
        **looks,
    )
    ours["layer_id"] = str(layer.unique_id)
    return layer


def _source_file(image: Image) -> dict[str, Any]:
    """What our writers need to write labels onto the grid of the image's file."""
    source = image.source.path or image.metadata.get("path")
    return {"source_image": str(source)} if source else {}
