"""Puts results into the viewer as they come: never over what a person changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import Colormap, DirectLabelColormap

from napari_swin_umamba.plan import Plan, SegmentationClass
from napari_swin_umamba.plugin.job import Begun, SegmentedSlice, SegmentTask
from napari_swin_umamba.plugin.layer_view import data_to_world
from napari_swin_umamba.plugin.reruns import (
    Candidate,
    largest_number_elsewhere,
    may_write,
    note_written,
    origin,
    results_of,
    untouched_results,
)
from napari_swin_umamba.plugin.result_layer import (
    METADATA_KEY,
    Index,
    class_colors,
    class_features,
    label_dtype,
    place_result,
    result_name,
    slice_key,
)
from napari_swin_umamba.plugin.transform import matrix_of_transform, result_transform

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["ResultWriter", "find_candidates", "is_edited"]

_REFRESH_INTERVAL = 0.25
"""Seconds between two redraws of a layer that is being filled: a redraw takes up to 40 ms."""


def find_candidates(
    viewer: ViewerModel, image: Image, task: SegmentTask, plan: Plan, instances: bool
) -> tuple[Candidate, ...]:
    """Return the layers that a run over all slices may replace if they are untouched."""
    dtype = label_dtype(plan, instances)
    place = place_result(task.reading, dtype, whole=True)
    source = origin(str(image.unique_id), str(task.model_path), instances)
    layout = task.layout
    places = (
        (slice_key(layout.fixed_axes, position), layout.target(position))
        for position in layout.positions()
    )
    return untouched_results(viewer.layers, place, source, dtype, places)


def is_edited(
    viewer: ViewerModel, image: Image, task: SegmentTask, plan: Plan, instances: bool
) -> bool:
    """Whether the newest result for a slice was changed there by a person."""
    dtype, position = label_dtype(plan, instances), task.positions[0]
    place = place_result(task.reading, dtype, position=position, window=task.window)
    source = origin(str(image.unique_id), str(task.model_path), instances)
    key = slice_key(task.layout.fixed_axes, position)
    index = place.index(task.layout.target(position))
    for layer in results_of(viewer.layers, place, source, dtype):
        if layer.metadata[METADATA_KEY].get("only") in (None, key):
            return not may_write(layer, key, index)
    return False


class ResultWriter:
    """Writes the slices of one run into layers that are in the viewer once it is made."""

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        task: SegmentTask,
        begun: Begun,
        changed: frozenset[str] = frozenset(),
        keep_selection: bool = False,
    ) -> None:
        """Find or make the layers.

        Parameters
        ----------
        viewer
            Where `image` is a layer.
        image
            The layer that is segmented.
        task
            What is segmented of it.
        begun
            What the worker said about the model.
        changed
            Layers (``unique_id``) that a person changed since the worker looked at them.
        keep_selection
            Leave the active layer active, for results that nobody asked for by a click.
        """
        self._viewer, self._image, self._task, self._begun = viewer, image, task, begun
        self._layout = task.layout
        self._dtype = label_dtype(begun.plan, begun.instances)
        self._redrawn = time.perf_counter()  # napari draws what is made or emptied here
        self._stale = False
        self._largest: int | None = None
        self.written = 0
        """Slices written."""
        self.kept = 0
        """Slices that a person changed meanwhile, and that were therefore left as they are."""
        position = () if task.whole else task.positions[0]
        self._place = place_result(
            task.reading, self._dtype, whole=task.whole, position=position, window=task.window
        )
        self._source = origin(str(image.unique_id), begun.provenance["model_path"], begun.instances)
        selection = set(viewer.layers.selection) if keep_selection else None
        found = self._replaceable(changed) if task.whole else self._writable()
        self.is_new = found is None
        self.layer: Labels = self._new_layer() if found is None else found
        self._probabilities = self._probability_layers() if task.options.probabilities else {}
        if found is not None:
            self.layer.metadata[METADATA_KEY].update(begun.provenance)
            self._move_to_image(self.layer)
        else:
            viewer.add_layer(self.layer)
        if selection:
            viewer.layers.selection = selection

    @property
    def alive(self) -> bool:
        """Whether the layer still is in the viewer."""
        return self.layer in self._viewer.layers

    def write(self, result: SegmentedSlice) -> None:
        """Write a slice, unless a person changed it meanwhile."""
        key, index = self._key(result.position), self._index(result.position)
        if not may_write(self.layer, key, index):
            self.kept += 1
            return
        values = result.labels.astype(self._dtype)
        if self._begun.instances and self._is_there(key, index, values):
            self.written += 1
            return
        if self._begun.instances:
            values[values > 0] += self._numbers_before(index, values)
        self.layer.data[index] = values
        note_written(self.layer, key, values)
        for number, layer in self._probabilities.items():
            if result.probabilities is not None:
                layer.data[index] = _probability(result.probabilities, number, self._begun)
        self.written += 1
        self._stale = self._stale or self._is_shown(result.position)

    def _is_there(self, key: str, index: Index, values: np.ndarray) -> bool:
        """Whether the layer holds these objects already, all numbers shifted alike.

        Going back to a slice must not give its objects other numbers, and so other colours.
        """
        if len(self._task.positions) > 1:
            return False
        if key not in self.layer.metadata[METADATA_KEY].get("slices", {}):
            return False
        current, found = self.layer.data[index], values > 0
        if not np.array_equal(current > 0, found):
            return False
        shifts = current[found] - values[found]
        return bool(not shifts.size or (shifts == shifts[0]).all())

    def redraw(self, now: bool = False) -> None:
        """Show what was written; not more often than is good for the window, unless `now`."""
        due = time.perf_counter() - self._redrawn > _REFRESH_INTERVAL
        if not (now or (due and self._stale)) or not self.alive:
            return
        for layer in (self.layer, *self._probabilities.values()):
            layer.refresh(extent=False, highlight=False, thumbnail=now)
        self._stale = False
        self._redrawn = time.perf_counter()

    def _key(self, position: tuple[int, ...]) -> str:
        if self._place.kind == "region":
            return "region"
        return slice_key(self._layout.fixed_axes, position)

    def _index(self, position: tuple[int, ...]) -> Index:
        return self._place.index(self._layout.target(position))

    def _is_shown(self, position: tuple[int, ...]) -> bool:
        dims, ndim = self._viewer.dims, self.layer.ndim
        if dims.ndisplay == 3 or self._place.offset is not None:
            return True
        shown = self.layer.world_to_data(dims.point[-ndim:])
        index = self._index(position)
        return all(
            isinstance(place, slice) or abs(place - here) < 1.5
            for place, here in zip(index, shown, strict=True)
        )

    def _numbers_before(self, index: Index, values: np.ndarray) -> int:
        """What to add to a slice's object numbers so that no two objects share one."""
        if len(self._task.positions) == 1:
            return largest_number_elsewhere(self.layer.data, index)
        if self._task.reading.links_objects:
            return 0  # the worker numbers them through the volume
        before = self._largest or 0
        self._largest = before + int(values.max(initial=0))
        return before

    # --- finding and making layers -----------------------------------------------------------

    def _earlier(self) -> Iterator[Labels]:
        return results_of(self._viewer.layers, self._place, self._source, self._dtype)

    def _writable(self) -> Labels | None:
        """The newest layer of an earlier run where this slice may be written."""
        position = self._task.positions[0]
        for layer in self._earlier():
            if self._place.kind == "region":
                if may_write(layer, "region", (slice(None),) * layer.ndim):
                    self._start_afresh(layer)
                    return layer
            elif may_write(layer, self._key(position), self._index(position)):
                return layer
        return None

    def _replaceable(self, changed: frozenset[str]) -> Labels | None:
        """The layer that the worker found untouched, emptied; None if there is none."""
        for layer in self._earlier():
            name = str(layer.unique_id)
            if name == self._begun.reuse and name not in changed:
                self._start_afresh(layer)
                return layer
        return None

    def _start_afresh(self, layer: Labels) -> None:
        """Empty a layer whose content nobody changed, so that stale slices cannot mix with new."""
        layer.metadata[METADATA_KEY]["slices"] = {}
        layer.data = np.zeros(self._place.shape, self._dtype)

    def _new_layer(self) -> Labels:
        begun = self._begun
        looks: dict[str, Any] = {}
        if not begun.instances:
            looks["colormap"] = DirectLabelColormap(color_dict=class_colors(begun.plan))
            looks["features"] = class_features(begun.plan)
        ours = {**begun.provenance, **self._source, "place": self._place.kind}
        if self._place.offset is not None:
            ours["only"] = self._key(self._task.positions[0])
        name = result_name(self._image.name, begun.provenance["model"])
        layer = Labels(
            np.zeros(self._place.shape, self._dtype),
            name=name + (" (region)" if self._place.kind == "region" else ""),
            metadata={METADATA_KEY: ours, **_source_file(self._image)},
            **self._transform(),
            **looks,
        )
        ours["layer_id"] = str(layer.unique_id)
        return layer

    def _probability_layers(self) -> dict[int, Image]:
        """One layer for each class but the background; those of an earlier run give way."""
        layers: dict[int, Image] = {}
        for item in self._begun.plan.label_classes[1:]:
            mark = {**self._source, "probability_of": item.id, "place": self._place.kind}
            for layer in list(self._viewer.layers):
                if layer.metadata.get(METADATA_KEY) == mark:
                    self._viewer.layers.remove(layer)
            layers[item.id] = self._probability_layer(item, mark)
            self._viewer.add_layer(layers[item.id])
        return layers

    def _probability_layer(self, item: SegmentationClass, mark: dict[str, Any]) -> Image:
        name = result_name(self._image.name, self._begun.provenance["model"])
        return Image(
            np.zeros(self._place.shape, np.float16),
            name=f"{name}: probability of {item.name}",
            contrast_limits=(0, 1),
            blending="additive",
            colormap=Colormap([(0, 0, 0, 1), item.color], name=f"probability of {item.name}"),
            opacity=0.7,
            metadata={METADATA_KEY: mark},
            **self._transform(),
        )

    def _transform(self) -> dict[str, Any]:
        return result_transform(self._image, self._task.reading.kept_axes, self._place.offset)

    def _move_to_image(self, layer: Labels) -> None:
        """Follow an image that was moved or scaled since the earlier run."""
        transform = self._transform()
        if tuple(layer.units) == transform["units"] and np.allclose(
            data_to_world(layer), matrix_of_transform(transform)
        ):
            return
        for name, value in transform.items():
            setattr(layer, name, value)


def _probability(probabilities: np.ndarray, number: int, begun: Begun) -> np.ndarray:
    """Probability of a class of labels, (rows, columns)."""
    if begun.plan.output == "boundary":  # interior and boundary together are the object
        return np.asarray(1 - probabilities[0])
    return np.asarray(probabilities[number])


def _source_file(image: Image) -> dict[str, Any]:
    """What our writers need to write labels onto the grid of the image's file."""
    source = image.source.path or image.metadata.get("path")
    return {"source_image": str(source)} if source else {}
