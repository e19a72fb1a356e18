"""Which layer a result may be written to, so that nothing a person made is overwritten.

A Labels layer of ours remembers in its metadata, for each slice, a digest of what was written
there. A slice may be written again if nothing was written and nothing is painted there, or if it
still is exactly what we wrote. Anything else is a person's work: it stays, and the result goes to a
new layer (docs/decisions/0031).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_swin_umamba.plugin.result_layer import METADATA_KEY, Index, Place

__all__ = [
    "Candidate",
    "digest",
    "largest_number_elsewhere",
    "may_write",
    "note_written",
    "origin",
    "results_of",
    "untouched_results",
]


def digest(labels: np.ndarray) -> str:
    """Fingerprint of label values. SHA-1 is twice as fast as BLAKE2b; it guards no secret."""
    return hashlib.sha1(np.ascontiguousarray(labels).data, usedforsecurity=False).hexdigest()


def origin(image_id: str, model_path: str, instances: bool) -> dict[str, Any]:
    """Return what makes two runs the same: the image layer, the model, classes or objects."""
    return {"image_id": image_id, "model_path": model_path, "instances": instances}


def results_of(
    layers: Iterable[Any], place: Place, source: dict[str, Any], dtype: np.dtype[Any]
) -> Iterator[Any]:
    """Go through the layers that earlier runs of the same kind wrote, newest first.

    Parameters
    ----------
    layers
        All layers of the viewer, oldest first.
    place
        Size wanted; a region's layer may have another size, since it is moved.
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
        if not isinstance(data, np.ndarray) or data.dtype != dtype or data.ndim != len(place.shape):
            continue
        if ours.get("place") == place.kind and (
            place.kind == "region" or data.shape == place.shape
        ):
            yield layer


def may_write(layer: Any, key: str, index: Index) -> bool:
    """Whether a slice of a result layer holds nothing that a person made."""
    ours, current = layer.metadata[METADATA_KEY], layer.data[index]
    written = ours.get("slices", {}).get(key)
    if written is None:
        # A layer that holds one slice only is for that slice.
        return ours.get("only") in (None, key) and not current.any()
    return bool(written == digest(current))


def note_written(layer: Any, key: str, labels: np.ndarray) -> None:
    """Remember in a layer's metadata what was just written to a slice of it."""
    layer.metadata[METADATA_KEY].setdefault("slices", {})[key] = digest(labels)


@dataclass(frozen=True)
class Candidate:
    """A result of the whole image's size that a run over all slices may replace, as plain values.

    Looking at all of it takes long for a large volume, so the worker does it
    (:meth:`is_untouched`), and the window watches for changes until the worker has answered.
    """

    layer_id: str
    data: np.ndarray
    slices: dict[str, str]
    """Digest by :func:`~napari_swin_umamba.plugin.result_layer.slice_key`."""
    places: tuple[tuple[str, Index], ...]
    """Key and index of every slice that the data has."""

    def is_untouched(self) -> bool:
        """Whether every slice is what we wrote, or empty where we wrote nothing."""
        for key, index in self.places:
            current, written = self.data[index], self.slices.get(key)
            if current.any() if written is None else written != digest(current):
                return False
        return True


def untouched_results(
    layers: Iterable[Any],
    place: Place,
    source: dict[str, Any],
    dtype: np.dtype[Any],
    places: Iterable[tuple[str, Index]],
) -> tuple[Candidate, ...]:
    """Return the results that a run over all slices may replace if nobody changed them.

    Parameters
    ----------
    layers, place, source, dtype
        As for :func:`results_of`.
    places
        Key and index of every slice.
    """
    every = tuple(places)
    return tuple(
        Candidate(
            str(layer.unique_id),
            layer.data,
            dict(layer.metadata[METADATA_KEY].get("slices", {})),
            every,
        )
        for layer in results_of(layers, place, source, dtype)
    )


def largest_number_elsewhere(data: np.ndarray, index: Index) -> int:
    """Return the largest label outside a slice, so that objects of all slices stay apart."""
    largest = 0
    for position, place in enumerate(index):
        if isinstance(place, slice):
            continue
        # All but the slice as views: what lies before and behind it along each fixed axis.
        for part in (slice(0, place), slice(place + 1, None)):
            slab = data[(*index[:position], part)]
            largest = max(largest, int(slab.max(initial=0)))
    return largest
