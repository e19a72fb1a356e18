"""How an annotation looks: type of its values, colours and names of its classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap, label_colormap
from napari.utils.colormaps.standardize_color import transform_color

from napari_swin_umamba.project import BACKGROUND, FIRST_CLASS, UNLABELLED, Settings

__all__ = [
    "BACKGROUND_COLOR",
    "OPACITY",
    "apply_classes",
    "first_value",
    "label_dtype",
    "layer_looks",
]

BACKGROUND_COLOR = "#8c8c8c"
"""Background is painted, so it must be seen; grey is no class's colour."""
OPACITY = 0.5
_OBJECT_COLORS = 4001
"""After so many objects they come again, that of background too: so many that it hardly happens."""
_UNKNOWN = "#ff00ff"
"""A value that is no class: of a class that was removed."""


def label_dtype(settings: Settings, largest: int = 0) -> np.dtype[Any]:
    """Type of the annotation's array in memory: ids of classes fit 16 bits, objects may not.

    Parameters
    ----------
    settings
        Of the project.
    largest
        Largest value that was painted so far.
    """
    wide = settings.kind == "instances" or largest > np.iinfo(np.uint16).max
    return np.dtype(np.int32 if wide else np.uint16)


def first_value(settings: Settings) -> int:
    """Value that is painted with before a person chooses one: the first class or object.

    Parameters
    ----------
    settings
        Of the project.
    """
    if settings.kind == "instances":
        return FIRST_CLASS
    return settings.classes[0].id if settings.classes else BACKGROUND


def layer_looks(settings: Settings) -> dict[str, Any]:
    """Colours and names, as arguments of a Labels layer.

    Parameters
    ----------
    settings
        Of the project.
    """
    names = {UNLABELLED: "unlabelled", BACKGROUND: "background"}
    if settings.kind == "instances":
        looks = {"features": {"index": [*names], "name": [*names.values()]}}
        return looks | {"colormap": _object_colors()}
    names |= {item.id: item.name for item in settings.classes}
    colors: dict[int | None, str] = {None: _UNKNOWN, UNLABELLED: "transparent"}
    colors |= {BACKGROUND: BACKGROUND_COLOR}
    colors |= {item.id: item.color for item in settings.classes}
    return {
        "features": {"index": [*names], "name": [*names.values()]},
        "colormap": DirectLabelColormap(color_dict=colors),
    }


def _object_colors() -> CyclicLabelColormap:
    """Colours of napari's own for objects; grey, as in the list of classes, for background."""
    colors = np.array(label_colormap(_OBJECT_COLORS).colors)
    colors[BACKGROUND] = transform_color(BACKGROUND_COLOR)[0]
    return CyclicLabelColormap(colors=colors, name="objects")


def apply_classes(layer: Labels, settings: Settings) -> None:
    """Give a layer the colours and names that classes have now.

    Parameters
    ----------
    layer
        Shows the annotation.
    settings
        Of the project.
    """
    chosen = layer.selected_label
    for name, value in layer_looks(settings).items():
        setattr(layer, name, value)
    layer.selected_label = chosen
