"""What the widget can do now, in words: the states before a run, without Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_swin_umamba.plugin.layer_view import LayerView
from napari_swin_umamba.plugin.model_list import ModelChoice
from napari_swin_umamba.plugin.reading import Reading, read_layer, why_not
from napari_swin_umamba.plugin.result_layer import result_name
from napari_swin_umamba.plugin.words import describe_reading

__all__ = ["Readiness", "assess"]

_NO_IMAGE = "No image is open. Drop a file on the window, or try File ▸ Open Sample ▸ Swin-UMamba."
_NO_MODEL = "No model is chosen. Click Import… and choose a model file (.safetensors)."


@dataclass(frozen=True)
class Readiness:
    """What is chosen, and what a click on the button would do."""

    reading: Reading | None = None
    blocked: str | None = None
    """Why nothing can be run; None: it can."""
    blocked_kind: Literal["hint", "warning"] = "hint"
    """``hint``: something is yet to be chosen; ``warning``: what is chosen does not fit."""
    model_text: str = "–"
    model_details: str = ""
    """Description, training data, scores, file; for a tooltip."""
    reading_text: str = "–"
    button: str = "Segment"
    tooltip: str = ""


def assess(view: LayerView | None, choice: ModelChoice | None) -> Readiness:
    """Judge an image and a model.

    Parameters
    ----------
    view
        The image layer chosen; None: there is none.
    choice
        The model chosen; None: there is none.
    """
    plan = choice.plan if choice else None
    model_text = choice.summary() if choice and plan else "–"
    details = choice.details() if choice else ""
    if view is None:
        return Readiness(blocked=_NO_IMAGE, model_text=model_text, model_details=details)
    reading = read_layer(view, plan)
    if choice is None:
        blocked: str | None = _NO_MODEL
    elif plan is None:
        blocked = choice.problem
    else:
        blocked = why_not(reading, plan)
    many = any(view.shape[axis] > 1 for axis in reading.fixed_axes)
    name = choice.name if choice else ""
    return Readiness(
        reading=reading,
        blocked=blocked,
        blocked_kind="hint" if choice is None else "warning",
        model_text=model_text,
        model_details=details,
        reading_text=describe_reading(reading, plan),
        button="Segment this slice" if many else "Segment",
        tooltip=f"Makes a Labels layer “{result_name(view.name, name)}” on top of the image.",
    )
