"""Names and colours of classes in a Labels layer, for files that keep them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_swin_umamba.plan import SegmentationClass

__all__ = ["classes_of_layer"]


def classes_of_layer(meta: Mapping[str, Any]) -> tuple[SegmentationClass, ...]:
    """Read the classes out of the arguments of a layer.

    Parameters
    ----------
    meta
        Of a layer data tuple: ``features`` with columns ``index`` and ``name``, and ``colormap``.

    Returns
    -------
    tuple of SegmentationClass
        In the order of their ids; empty if the layer names none.
    """
    features = meta.get("features")
    if features is None or not {"index", "name"} <= set(features):
        return ()
    colours = getattr(meta.get("colormap"), "color_dict", {})
    classes: dict[int, SegmentationClass] = {}
    for index, name in zip(features["index"], features["name"], strict=True):
        if isinstance(index, int | np.integer | float | np.floating) and index == index // 1 >= 0:
            value, text = int(index), str(name).strip()
            if text and text != "nan":
                colour = _hexadecimal(colours.get(value)) if value else ""
                classes[value] = SegmentationClass(id=value, name=text, color=colour)
    return tuple(classes[value] for value in sorted(classes))


def _hexadecimal(colour: Any) -> str:
    """``#rrggbb`` of red, green, blue from 0 to 1; "" if it is none."""
    try:
        parts = [round(float(part) * 255) for part in colour[:3]]
    except (TypeError, ValueError):
        return ""
    if len(parts) != 3 or not all(0 <= part <= 255 for part in parts):
        return ""
    return "#" + bytes(parts).hex()
