"""Image layers beside a result: how probable each class is, pixel by pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import Colormap

from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.result_layer import METADATA_KEY

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["probability_of", "show_probability_layers"]


def show_probability_layers(
    viewer: ViewerModel,
    labels: Labels,
    plan: Plan,
    name: str,
    transform: dict[str, Any],
    afresh: bool,
) -> dict[int, Image]:
    """Find or add the layers that belong to a Labels layer.

    Parameters
    ----------
    viewer
        Where they are shown.
    labels
        The result that they stand beside.
    plan
        Of the model: one layer for each class but the background.
    name
        Of the result.
    transform
        Where they lie.
    afresh
        Whether to empty those that are there.

    Returns
    -------
    dict
        Layers of `labels`' size by class id.
    """
    layers: dict[int, Image] = {}
    for item in plan.label_classes[1:]:
        mark = {"probability_of": item.id, "labels_id": str(labels.unique_id)}
        for layer in viewer.layers:
            if _is_ours(layer, mark) and layer.data.shape == labels.data.shape:
                layers[item.id] = layer
                if afresh:
                    layer.data = np.zeros(labels.data.shape, np.float16)
        if item.id not in layers:
            layer = Image(
                np.zeros(labels.data.shape, np.float16),
                name=f"{name}: probability of {item.name}",
                contrast_limits=(0, 1),
                blending="additive",
                colormap=Colormap([(0, 0, 0, 1), item.color], name=f"probability of {item.name}"),
                opacity=0.7,
                metadata={METADATA_KEY: mark},
                **transform,
            )
            layer.metadata[METADATA_KEY]["layer_id"] = str(layer.unique_id)
            viewer.add_layer(layer)
            layers[item.id] = layer
    return layers


def _is_ours(layer: Any, mark: dict[str, Any]) -> bool:
    """Whether we made a layer for a class; a copy that a person made has another id: to keep."""
    wanted = {**mark, "layer_id": str(layer.unique_id)}
    return bool(layer.metadata.get(METADATA_KEY) == wanted)


def probability_of(probabilities: np.ndarray, number: int, plan: Plan) -> np.ndarray:
    """Probability of a class of labels, (rows, columns), out of the network's (classes, ...)."""
    if plan.numbers_objects:  # interior and boundary together are the object
        return np.asarray(1 - probabilities[0])
    return np.asarray(probabilities[number])
