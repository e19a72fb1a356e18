"""What a run is given, asks and tells: plain values that pass between window and worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_swin_umamba.images.slices import Position, SliceLayout
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.layer_view import Window
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.provenance import Runtime
from napari_swin_umamba.plugin.reading import Reading
from napari_swin_umamba.plugin.worker import Question

__all__ = [
    "AskBeside",
    "Begun",
    "Checked",
    "SegmentTask",
    "SegmentedSlice",
    "Summary",
    "TakeOut",
]


@dataclass(frozen=True)
class SegmentTask:
    """What a run needs: plain values and the layer's data, not the layer."""

    data: Any
    """The image layer's data (finest level)."""
    reading: Reading
    model_path: Path
    positions: tuple[Position, ...]
    """Planes to segment, in this order."""
    options: SegmentOptions = SegmentOptions()
    window: Window | None = None
    """Part of each plane; None: whole planes."""

    @property
    def whole(self) -> bool:
        """Whether all planes are segmented and there is more than one."""
        return self.reading.has_slices and len(self.positions) == self.reading.layout.count

    @property
    def layout(self) -> SliceLayout:
        """The planes."""
        return self.reading.in_window(self.window)

    @property
    def scope(self) -> str:
        """What is segmented, as provenance has it."""
        return "all slices" if self.whole else "slice" if self.window is None else "region"


@dataclass(frozen=True)
class Begun:
    """Told once, when the model is loaded and before the first plane."""

    plan: Plan
    instances: bool
    """The labels number objects."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Image and model: JSON values only."""
    run: dict[str, Any] = field(default_factory=dict)
    """Settings, device, versions: JSON values only."""
    runtime: Runtime | None = None


class TakeOut(Question):
    """Asks for what an earlier result holds, before a run over all planes fills it anew.

    The answer is its :class:`~napari_swin_umamba.plugin.reruns.Content`, which the window has taken
    out of the layer, or None if there is no such layer.
    """


class AskBeside(Question):
    """Asks for what lies around the one slice of a run: its objects are numbered with regard to it.

    The answer is a :class:`~napari_swin_umamba.plugin.numbering.Beside`, or None.
    """


@dataclass(frozen=True)
class Checked:
    """What the worker found out about the content that it was given."""

    untouched: bool
    """Nobody has changed it, so that it may be replaced."""


@dataclass(frozen=True)
class SegmentedSlice:
    """One plane."""

    position: Position
    labels: np.ndarray
    """(rows, columns) integers: class ids, or object numbers, counted from 1 through all slices of
    the run; where it has a single one, numbered to fit into the layer."""
    probabilities: np.ndarray | None = None
    """(classes, rows, columns), float32, if asked for."""


@dataclass(frozen=True)
class Summary:
    """How a run ended that was not stopped."""

    notes: tuple[str, ...]
    """What was assumed on the way, in words."""
    seconds: float
