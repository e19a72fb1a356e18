"""Which layer a result may be written to, so that nothing a person made is overwritten.

A Labels layer of ours remembers in its metadata, for each slice, a digest of what was written
there. A slice may be written again if nothing was written and nothing is painted there, or if it
still is exactly what we wrote. Anything else is a person's work: the result goes to a new layer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from napari_swin_umamba.plugin.result_layer import METADATA_KEY, Placement

__all__ = ["digest", "find_layer", "largest_number_elsewhere", "note_written", "origin"]

_DIGEST_BYTES = 16


def digest(labels: np.ndarray) -> str:
    """Fingerprint of label values, whatever their dtype's width and memory order."""
    values = np.ascontiguousarray(labels, dtype=np.int32)
    return hashlib.blake2b(values.data, digest_size=_DIGEST_BYTES).hexdigest()


def origin(image_id: str, model_path: str) -> dict[str, str]:
    """Return what makes two runs the same: the image layer and the model."""
    return {"image_id": image_id, "model_path": model_path}


def find_layer(
    layers: Iterable[Any], placement: Placement, source: dict[str, str], dtype: np.dtype[Any]
) -> Any | None:
    """Return the newest layer of the same image and model where this slice may be written.

    Parameters
    ----------
    layers
        All layers of the viewer, oldest first.
    placement
        The slice.
    source
        From :func:`origin`.
    dtype
        Type of the labels to write.
    """
    for layer in reversed(list(layers)):
        ours = layer.metadata.get(METADATA_KEY)
        if not isinstance(ours, dict) or any(ours.get(key) != source[key] for key in source):
            continue
        if ours.get("layer_id") != str(layer.unique_id):
            continue  # a copy that a person made, metadata and all: to keep, one may assume
        data = layer.data
        if not isinstance(data, np.ndarray) or data.shape != placement.shape:
            continue
        if data.dtype == dtype and _may_write(data[placement.index], ours, placement):
            return layer
    return None


def note_written(layer: Any, placement: Placement, labels: np.ndarray) -> None:
    """Remember in a layer's metadata what was just written to a slice of it."""
    ours = layer.metadata[METADATA_KEY]
    ours["layer_id"] = str(layer.unique_id)
    ours.setdefault("slices", {})[placement.slice_key] = digest(labels)


def largest_number_elsewhere(data: np.ndarray, placement: Placement) -> int:
    """Return the largest label outside the slice, so that objects of all slices stay apart."""
    largest = 0
    for position, index in enumerate(placement.index):
        if isinstance(index, slice):
            continue
        # All but the slice as views: what lies before and behind it along each fixed axis.
        for part in (slice(0, index), slice(index + 1, None)):
            slab = data[(*placement.index[:position], part)]
            largest = max(largest, int(slab.max(initial=0)))
    return largest


def _may_write(current: np.ndarray, ours: dict[str, Any], placement: Placement) -> bool:
    written = ours.get("slices", {}).get(placement.slice_key)
    if written is None:
        # A layer that holds one slice only is for that slice.
        return placement.offset is None and not current.any()
    return written == digest(current)
