"""Which layer a result may be written to, so that nothing a person made is overwritten.

A Labels layer of ours remembers in its metadata, for each slice, a digest of what was written
there. A slice may be written again if nothing was written and nothing is painted there, or if it
still is exactly what we wrote. Anything else is a person's work: it stays, and the result goes to a
new layer (docs/decisions/0031).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_swin_umamba.plugin.result_layer import METADATA_KEY, Index, Place

__all__ = [
    "Content",
    "Earlier",
    "digest",
    "may_write",
    "newest_result",
    "note_written",
    "origin",
    "run_of",
    "sliced_otherwise",
]


def digest(labels: np.ndarray) -> str:
    """Fingerprint of label values. SHA-1 is twice as fast as BLAKE2b; it guards no secret."""
    return hashlib.sha1(np.ascontiguousarray(labels).data, usedforsecurity=False).hexdigest()


def origin(
    image_id: str, model_path: str, instances: bool, sliced_along: tuple[int, ...]
) -> dict[str, Any]:
    """Return what makes two runs the same kind: image, model, classes or objects, slice axes.

    Parameters
    ----------
    image_id
        ``unique_id`` of the image layer.
    model_path
        File of the model.
    instances
        Whether objects are numbered.
    sliced_along
        Axes of the image that slices follow: slices across other axes would cut through these.
    """
    return {
        "image_id": image_id,
        "model_path": model_path,
        "instances": instances,
        "sliced_along": list(sliced_along),
    }


def newest_result(
    layers: Iterable[Any], place: Place, source: dict[str, Any], dtype: np.dtype[Any]
) -> Any | None:
    """Return the layer that the newest run of the same kind wrote; None: there is none.

    Parameters
    ----------
    layers
        All layers of the viewer, oldest first.
    place
        Size wanted, and which slice or region if the layer is for one only.
    source
        From :func:`origin`; with ``model_sha256`` if that is known: a model file may be replaced by
        another.
    dtype
        Type of the labels to write.
    """
    wanted = {**source, "place": place.kind, "only": place.only}
    for layer in reversed(list(layers)):
        ours = layer.metadata.get(METADATA_KEY)
        if not isinstance(ours, dict) or any(ours.get(key) != wanted[key] for key in wanted):
            continue
        if ours.get("layer_id") != str(layer.unique_id):
            continue  # a copy that a person made, metadata and all: to keep, one may assume
        data = layer.data
        if isinstance(data, np.ndarray) and data.dtype == dtype and data.shape == place.shape:
            return layer
    return None


def sliced_otherwise(layers: Iterable[Any], source: dict[str, Any]) -> bool:
    """Whether there are results of the same kind but for the axis that slices follow.

    Parameters
    ----------
    layers
        All layers of the viewer.
    source
        From :func:`origin`.
    """
    same = {key: value for key, value in source.items() if key != "sliced_along"}
    for layer in layers:
        ours = layer.metadata.get(METADATA_KEY)
        if not isinstance(ours, dict) or any(ours.get(key) != same[key] for key in same):
            continue
        if ours["sliced_along"] != source["sliced_along"]:
            return True
    return False


def may_write(layer: Any, key: str, index: Index) -> bool:
    """Whether a slice of a result layer holds nothing that a person made."""
    current = layer.data[index]
    written = layer.metadata[METADATA_KEY].get("slices", {}).get(key)
    return not current.any() if written is None else bool(written["digest"] == digest(current))


def note_written(layer: Any, key: str, labels: np.ndarray, run: dict[str, Any]) -> None:
    """Remember in a layer's metadata what was just written to a slice of it, and by which run.

    Parameters
    ----------
    layer
        A result layer.
    key
        The slice.
    labels
        What was written.
    run
        Settings and versions. Runs that differ in nothing but their time are one.
    """
    ours = layer.metadata[METADATA_KEY]
    runs: list[dict[str, Any]] = ours.setdefault("runs", [])
    same = [number for number, other in enumerate(runs) if _timeless(other) == _timeless(run)]
    if not same:
        runs.append(run)
    number = same[0] if same else len(runs) - 1
    ours.setdefault("slices", {})[key] = {"digest": digest(labels), "run": number}


def run_of(layer: Any, key: str) -> dict[str, Any] | None:
    """Return what :func:`note_written` was told about a slice; None: nothing was written."""
    ours = layer.metadata[METADATA_KEY]
    written = ours.get("slices", {}).get(key)
    return None if written is None else ours["runs"][written["run"]]


def _timeless(run: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in run.items() if key != "created"}


@dataclass(frozen=True)
class Content:
    """What was taken out of a result layer that a run over all slices is to fill anew.

    Looking at all of it takes long for a large volume, so the worker does it, after it was taken
    out: nobody can paint on it any more, and no change can slip in between look and replacement.
    """

    data: np.ndarray
    digests: dict[str, str]
    """By :func:`~napari_swin_umamba.plugin.result_layer.slice_key`."""
    places: tuple[tuple[str, Index], ...]
    """Key and index of every slice that the data has."""

    def is_untouched(self) -> bool:
        """Whether every slice is what we wrote, or empty where we wrote nothing."""
        for key, index in self.places:
            current, written = self.data[index], self.digests.get(key)
            if current.any() if written is None else written != digest(current):
                return False
        return True


@dataclass(frozen=True)
class Earlier:
    """The result that a run over all slices replaces, until it has."""

    data: np.ndarray
    slices: dict[str, Any]
    """Metadata of its slices, by key."""
    runs: list[dict[str, Any]]

    def put_back(
        self, layer: Any, places: Iterable[tuple[str, Index]], number_objects: bool
    ) -> int:
        """Fill the slices of a layer that nothing was written to or painted on.

        Parameters
        ----------
        layer
            A result layer of the same size.
        places
            Key and index of every slice.
        number_objects
            Values number objects: they get numbers above those that the layer holds.

        Returns
        -------
        int
            Slices put back.
        """
        ours = layer.metadata[METADATA_KEY]
        written = ours.setdefault("slices", {})
        empty = [
            (key, index)
            for key, index in places
            if key in self.slices and key not in written and not layer.data[index].any()
        ]
        first = int(layer.data.max(initial=0)) if number_objects else 0
        for key, index in empty:
            values = np.array(self.data[index])
            values[values > 0] += first
            layer.data[index] = values
            note_written(layer, key, values, self.runs[self.slices[key]["run"]])
        return len(empty)
