"""Puts results into the viewer as they come: never over what a person changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_swin_umamba.plugin.job_messages import Begun, SegmentedSlice, SegmentTask
from napari_swin_umamba.plugin.numbering import Beside, FreeNumbers
from napari_swin_umamba.plugin.probabilities import probability_of, show_probability_layers
from napari_swin_umamba.plugin.reruns import (
    Content,
    Earlier,
    may_write,
    newest_result,
    note_written,
    origin,
    run_of,
    sliced_otherwise,
)
from napari_swin_umamba.plugin.result_layer import (
    METADATA_KEY,
    Index,
    label_dtype,
    place_result,
    result_name,
    slice_key,
)
from napari_swin_umamba.plugin.result_making import make_labels_layer
from napari_swin_umamba.plugin.strokes import forget_strokes, forget_strokes_on
from napari_swin_umamba.plugin.transform import move_layer, result_transform, same_place
from napari_swin_umamba.plugin.words import axis_name

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["ResultWriter"]

_REFRESH_INTERVAL = 0.25
"""Seconds between two redraws of a layer that is being filled: a redraw takes up to 40 ms."""


class ResultWriter:
    """Writes the slices of one run into layers that are in the viewer once it is made."""

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        task: SegmentTask,
        begun: Begun,
        keep_selection: bool = False,
    ) -> None:
        """Find or make the Labels layer.

        For a run over all slices an earlier result is emptied: :attr:`taken` is what it held, and
        :meth:`settle` or :meth:`close` must follow.

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
        keep_selection
            Leave the active layer active, for results that nobody asked for by a click.
        """
        self._viewer, self._image, self._task, self._begun = viewer, image, task, begun
        self._layout = task.layout
        self._dtype = label_dtype(begun.plan, begun.instances)
        self._redrawn = time.perf_counter()  # napari draws what is made or emptied here
        self._stale = False
        self._keep_selection = keep_selection
        self._numbers = FreeNumbers()
        self._earlier: Earlier | None = None
        self._probabilities: dict[int, Image] | None = None
        self.written = 0
        """Slices written."""
        self.kept = 0
        """Slices that a person changed meanwhile, and that were therefore left as they are."""
        self.restored = 0
        """Slices that show the earlier result again, since the run ended before it came to them."""
        self.taken: Content | None = None
        """What the layer held before."""
        position = () if task.whole else task.positions[0]
        self._place = place_result(
            task.reading, self._dtype, whole=task.whole, position=position, window=task.window
        )
        self._source = origin(
            str(image.unique_id),
            begun.provenance["model_path"],
            begun.instances,
            self._layout.fixed_axes,
        )
        same_file = {"model_sha256": begun.provenance.get("model_sha256")}
        found = newest_result(
            viewer.layers, self._place, {**self._source, **same_file}, self._dtype
        )
        if found is not None and not task.whole and not self._is_writable(found):
            found = None
        self.is_new = found is None
        self._transform = self._transform_of_image()
        if found is None:
            self.layer: Labels = self._add_layer(np.zeros(self._place.shape, self._dtype))
            self._watch_strokes()
            return
        self.layer = found
        self._watch_strokes()
        if task.whole:
            self._take_out()
        move_layer(found, self._transform)

    @property
    def problem(self) -> str | None:
        """Why the layer cannot be written to any more; None: it can."""
        if self.layer not in self._viewer.layers:
            return "The result layer was removed, so the run was stopped."
        if not isinstance(self.layer.metadata.get(METADATA_KEY), dict):
            return (
                "The result layer's metadata was replaced meanwhile, so the run was stopped. "
                "Segment again: that makes a new layer."
            )
        data = self.layer.data
        if (
            not isinstance(data, np.ndarray)
            or data.shape != self._place.shape
            or data.dtype != self._dtype
        ):
            return (
                "The result layer got data of another size or type meanwhile, so the run was "
                "stopped. Segment again: that makes a new layer."
            )
        return None

    def settle(self, untouched: bool) -> None:
        """Go on in the emptied layer, or in a new one if a person had changed what it held.

        Parameters
        ----------
        untouched
            What :meth:`~napari_swin_umamba.plugin.reruns.Content.is_untouched` says of
            :attr:`taken`.
        """
        if self.taken is None:
            return
        if untouched:
            ours = self.layer.metadata[METADATA_KEY]
            self._earlier = Earlier(self.taken.data, ours.get("slices", {}), ours.get("runs", []))
            self.taken = None
            ours.update(slices={}, runs=[])
            forget_strokes(self.layer)
        else:
            self._forget_watching()
            self.layer = self._add_layer(self._put_back())
            self._watch_strokes()
            self.is_new = True

    def close(self, finished: bool = True) -> None:
        """End; without a slice written everything is as it was before.

        Parameters
        ----------
        finished
            All slices came. Otherwise those that did not are filled with the earlier result, if
            there was one.
        """
        self._forget_watching()
        if self.taken is not None:
            drawn = self._put_back()
            if drawn.any():  # in the moment when the layer was empty
                self.layer = self._add_layer(drawn)
        elif self.problem is not None:
            return
        elif self._earlier is not None and not finished:
            places = [
                (self._key(position), self._layout.target(position))
                for position in self._layout.positions()
            ]
            self.restored = self._earlier.put_back(self.layer, places, self._begun.instances)
        elif self.is_new and not self.written and not self.layer.data.any():
            self._viewer.layers.remove(self.layer)

    def write(self, result: SegmentedSlice) -> None:
        """Write a slice, unless a person changed it meanwhile."""
        key, index = (
            self._key(result.position),
            self._place.index(self._layout.target(result.position)),
        )
        if not may_write(self.layer, key, index):
            self.kept += 1
            return
        forget_strokes_on(self.layer, index)
        values = result.labels.astype(self._dtype)
        if self._begun.instances and len(self._task.positions) > 1:
            values = self._numbered(values)
        self.layer.data[index] = values
        note_written(self.layer, key, values, self._begun.run)
        if result.probabilities is not None:
            self._write_probabilities(result.probabilities, index)
        self.written += 1
        self._stale = self._stale or self._is_shown(result.position)

    def redraw(self, now: bool = False) -> None:
        """Show what was written; not more often than is good for the window, unless `now`."""
        due = now or time.perf_counter() - self._redrawn > _REFRESH_INTERVAL
        if not due or self.problem:
            return
        self._follow_image()
        if not (now or self._stale):
            return
        for layer in self._layers():
            layer.refresh(extent=False, highlight=False, thumbnail=now)
        self._stale = False
        self._redrawn = time.perf_counter()

    def _write_probabilities(self, probabilities: np.ndarray, index: Index) -> None:
        plan = self._begun.plan
        if self._probabilities is None:
            with self._selection_kept():
                self._probabilities = show_probability_layers(
                    self._viewer,
                    self.layer,
                    plan,
                    self._base_name,
                    self._transform,
                    self._task.whole,
                )
        for number, layer in self._probabilities.items():
            if layer.data.shape == self._place.shape:  # nobody gave it other data meanwhile
                layer.data[index] = probability_of(probabilities, number, plan)

    def _layers(self) -> list[Any]:
        return [self.layer, *(self._probabilities or {}).values()]

    def _key(self, position: tuple[int, ...]) -> str:
        return self._place.only or slice_key(self._layout.fixed_axes, position)

    def _is_writable(self, layer: Labels) -> bool:
        position = self._task.positions[0]
        index = self._place.index(self._layout.target(position))
        return may_write(layer, self._key(position), index)

    def _is_shown(self, position: tuple[int, ...]) -> bool:
        dims, ndim = self._viewer.dims, self.layer.ndim
        if dims.ndisplay == 3 or self._place.offset is not None:
            return True
        shown = self.layer.world_to_data(dims.point[-ndim:])
        index = self._place.index(self._layout.target(position))
        return all(
            isinstance(place, slice) or abs(place - here) < 1.5
            for place, here in zip(index, shown, strict=True)
        )

    def beside(self) -> Beside:
        """Return what the objects of the one slice of the run are numbered with regard to."""
        position = self._task.positions[0]
        index = self._place.index(self._layout.target(position))
        known = run_of(self.layer, self._key(position)) is not None
        return Beside(self.layer.data, index, known)

    def _numbered(self, values: np.ndarray) -> np.ndarray:
        """Number objects so that no two in the layer share one."""
        if not self._task.reading.links_objects:
            values[values > 0] += self._numbers.largest
        # Otherwise the worker has numbered them through the volume.
        return self._numbers.of(values)

    def _watch_strokes(self) -> None:
        self.layer.events.labels_update.connect(self._on_stroke)

    def _forget_watching(self) -> None:
        self.layer.events.labels_update.disconnect(self._on_stroke)

    def _on_stroke(self, _event: Any = None) -> None:
        self._numbers.reserve(int(self.layer.selected_label))

    # --- layers --------------------------------------------------------------------------------

    def _add_layer(self, data: np.ndarray) -> Labels:
        """Make the Labels layer and show it."""
        begun, place, name = self._begun, self._place, self._base_name
        if place.kind == "region":
            name += " (region)"
        elif sliced_otherwise(self._viewer.layers, self._source):
            axis = axis_name(self._task.reading, self._layout.fixed_axes[-1])
            name += f" (slices along {axis})"
        mark = {**self._source, "place": place.kind, "only": place.only}
        layer = make_labels_layer(self._image, begun, data, name, mark, self._transform)
        with self._selection_kept():
            self._viewer.add_layer(layer)
        return layer

    @property
    def _base_name(self) -> str:
        return result_name(self._image.name, self._begun.provenance["model"])

    @contextmanager
    def _selection_kept(self) -> Iterator[None]:
        """Leave the selection as it is while layers are added, if that is wanted."""
        selection = set(self._viewer.layers.selection) if self._keep_selection else None
        yield
        if selection:
            self._viewer.layers.selection = selection

    def _take_out(self) -> None:
        """Empty the layer, but keep what it held until it is known that nobody changed it."""
        slices = self.layer.metadata[METADATA_KEY].get("slices", {})
        axes = self._layout.fixed_axes
        self.taken = Content(
            self.layer.data,
            {key: written["digest"] for key, written in slices.items()},
            tuple(
                (slice_key(axes, position), self._layout.target(position))
                for position in self._layout.positions()
            ),
        )
        self.layer.data = np.zeros(self._place.shape, self._dtype)

    def _put_back(self) -> np.ndarray:
        """Fill the layer with what was taken out; return what it held meanwhile."""
        assert self.taken is not None
        meanwhile, self.layer.data = self.layer.data, self.taken.data
        self.taken = None
        return np.asarray(meanwhile)

    def _transform_of_image(self) -> dict[str, Any]:
        return result_transform(self._image, self._task.reading.kept_axes, self._place.offset)

    def _follow_image(self) -> None:
        """Move the layers with an image that was moved or scaled while the run went on."""
        if self._image not in self._viewer.layers:
            return
        now = self._transform_of_image()
        if not same_place(now, self._transform):
            self._transform = now
            for layer in self._layers():
                move_layer(layer, now)
