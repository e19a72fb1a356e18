"""What the widget can do now, in words: the states before a run, without Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from napari_swin_umamba.plugin.layer_view import LayerView
from napari_swin_umamba.plugin.model_list import ModelChoice
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.preflight import Finding, look_ahead
from napari_swin_umamba.plugin.reading import (
    Correction,
    Reading,
    read_layer,
    why_no_preview,
    why_not,
)
from napari_swin_umamba.plugin.result_layer import result_name
from napari_swin_umamba.plugin.words import axis_name, describe_reading, times

__all__ = ["Readiness", "assess"]

_NO_IMAGE = "No image is open. Drop a file on the window, or try File ▸ Open Sample ▸ Swin-UMamba."
_NO_MODEL = "No model is chosen. Click Import… and choose a model file or folder."


@dataclass(frozen=True)
class Readiness:
    """What is chosen, and what a click on the buttons would do."""

    reading: Reading | None = None
    blocked: str | None = None
    """Why nothing can be run; None: it can."""
    preview_blocked: str | None = None
    """Why the slice shown cannot be segmented on its own; None: it can."""
    blocked_kind: Literal["hint", "warning"] = "hint"
    """``hint``: something is yet to be chosen; ``warning``: what is chosen does not fit."""
    findings: tuple[Finding, ...] = ()
    """What is worth knowing before a run that can be run."""
    model_text: str = "–"
    model_details: str = ""
    """Description, training data, scores, file; for a tooltip."""
    reading_text: str = "–"
    button: str = "Segment"
    tooltip: str = ""

    @property
    def previews(self) -> bool:
        """Whether there are other slices than the one shown, so that a preview makes sense."""
        return self.reading is not None and self.reading.has_slices


def assess(
    view: LayerView | None,
    choice: ModelChoice | None,
    options: SegmentOptions | None = None,
    correction: Correction | None = None,
    free_memory: int | None = None,
) -> Readiness:
    """Judge an image and a model.

    Parameters
    ----------
    view
        The image layer chosen; None: there is none.
    choice
        The model chosen; None: there is none.
    options
        Settings of the run.
    correction
        What a person said about the layer.
    free_memory
        Bytes; None: not known.
    """
    plan = choice.plan if choice else None
    model_text = choice.summary() if choice and plan else "–"
    details = choice.details() if choice else ""
    if view is None:
        return Readiness(blocked=_NO_IMAGE, model_text=model_text, model_details=details)
    reading = read_layer(view, plan, correction)
    findings: tuple[Finding, ...] = ()
    if choice is None:
        blocked: str | None = _NO_MODEL
    elif plan is None:
        blocked = choice.problem
    else:
        blocked = why_not(reading, plan)
        if blocked is None:
            findings = tuple(look_ahead(reading, plan, options or SegmentOptions(), free_memory))
    name = choice.name if choice else ""
    button, does = _button(reading)
    return Readiness(
        reading=reading,
        blocked=blocked,
        preview_blocked=blocked or why_no_preview(reading),
        blocked_kind="hint" if choice is None else "warning",
        findings=findings,
        model_text=model_text,
        model_details=details,
        reading_text=describe_reading(reading, plan),
        button=button,
        tooltip=f"{does} into a Labels layer “{result_name(view.name, name)}” on top of the image.",
    )


def _button(reading: Reading) -> tuple[str, str]:
    """Words on the main button, and what it does: ``Segments all 24 slices along Z``."""
    if not reading.has_slices:
        return "Segment", "Segments the image"
    along = [axis for axis in reading.fixed_axes if reading.view.shape[axis] > 1]
    sizes = times(tuple(reading.view.shape[axis] for axis in along))
    names = ", ".join(axis_name(reading, axis) for axis in along)
    what = "volume" if any(axis in reading.spatial_axes for axis in along) else "film"
    return f"Segment {what}", f"Segments all {sizes} slices along {names}"
