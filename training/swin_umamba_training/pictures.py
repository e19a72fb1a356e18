"""Pictures of segmented images, small enough to lie inside a report."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_swin_umamba.plan import Plan

__all__ = ["draw_case"]

EDGE = 288
"""Longest side of a panel in pixels."""
_GAP = 6
_OBJECT_COLORS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (204, 121, 167))
_OPACITY = 0.45


def draw_case(
    image: NDArray[np.float32],
    truth: NDArray[np.integer],
    prediction: NDArray[np.integer],
    plan: Plan,
) -> str:
    """Draw an image, its truth and its prediction side by side.

    Parameters
    ----------
    image
        ``(C, Y, X)``, any scale.
    truth, prediction
        ``(Y, X)``: classes or object numbers; negative where unknown.
    plan
        Colours of the classes; whether objects are numbered.

    Returns
    -------
    str
        A PNG file, base64.
    """
    step = max(1, -(-max(truth.shape) // EDGE))
    grey = _to_rgb(image[:, ::step, ::step])
    panels = [grey]
    for labels in (truth[::step, ::step], prediction[::step, ::step]):
        panel = grey.copy()
        colours = _colours(labels, plan)
        painted = labels > 0
        panel[painted] = (1 - _OPACITY) * panel[painted] + _OPACITY * colours[painted]
        edge = painted & _edges(labels)
        panel[edge] = colours[edge]
        panels += [np.full((len(grey), _GAP, 3), 255.0), panel]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(panels, axis=1).astype(np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _to_rgb(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Stretch intensities; three channels are taken for colours, others are averaged."""
    channels = image.astype(np.float64)
    shown = channels if len(channels) == 3 else channels.mean(0, keepdims=True).repeat(3, axis=0)
    low, high = np.percentile(shown, (0.5, 99.5))
    scaled = np.clip((shown - low) / max(high - low, 1e-9), 0, 1) * 255
    return np.moveaxis(scaled, 0, -1)


def _colours(labels: NDArray[np.integer], plan: Plan) -> NDArray[np.float64]:
    if plan.numbers_objects:
        table = np.array(_OBJECT_COLORS, float)
        return table[np.maximum(labels, 0) % len(table)]
    table = np.array(
        [[int(item.color[i : i + 2], 16) for i in (1, 3, 5)] for item in plan.classes], float
    )
    return table[np.clip(labels, 0, len(table) - 1)]


def _edges(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    edge = np.zeros(labels.shape, bool)
    edge[:-1] |= labels[:-1] != labels[1:]
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return edge
