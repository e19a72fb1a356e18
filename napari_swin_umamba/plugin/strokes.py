"""napari's history of strokes on a Labels layer, where what was painted over is no longer there.

Undo and redo put pixels back that belonged to the content they were painted on. Where a run writes
another content, they would put old pixels into the new result. The history is private in napari:
where a version of it has another one, nothing is forgotten.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels

from napari_swin_umamba.plugin.result_layer import Index

__all__ = ["forget_strokes", "forget_strokes_on"]


def forget_strokes(layer: Labels) -> None:
    """Drop all strokes: the whole content is another."""
    reset = getattr(layer, "_reset_history", None)
    if reset is not None:
        reset()


def forget_strokes_on(layer: Labels, index: Index) -> None:
    """Drop the strokes that touch one slice, done or undone; those elsewhere stay.

    Parameters
    ----------
    layer
        The layer.
    index
        Index of the slice in its data.
    """
    for name in ("_undo_history", "_redo_history"):
        history = getattr(layer, name, None)
        if not history:
            continue
        kept = [item for item in history if not any(_touches(atom, index) for atom in item)]
        if len(kept) < len(history):
            history.clear()
            history.extend(kept)


def _touches(atom: Any, index: Index) -> bool:
    """Whether one change of a stroke lies, in part, in a slice; True where that is unknown."""
    places = getattr(atom, "slice_key", None) or atom[0]
    for place, here in zip(places, index, strict=True):
        if isinstance(here, slice):
            continue
        if isinstance(place, slice):
            if not place.start <= here < place.stop:
                return False
        elif not np.any(np.asarray(place) == here):
            return False
    return True
