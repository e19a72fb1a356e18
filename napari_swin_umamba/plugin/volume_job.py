"""Slices for a run with a model that prepares volumes as a whole. Without Qt."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_swin_umamba.images.slices import Position, SliceLayout
from napari_swin_umamba.plugin.reading import Reading
from napari_swin_umamba.plugin.slice_cache import SliceCache
from napari_swin_umamba.plugin.volume_reading import frame_of_layer
from napari_swin_umamba.plugin.worker import Channel, Progress

if TYPE_CHECKING:
    from napari_swin_umamba.segmentation.volume import OrientedVolume, VolumeSegmenter

__all__ = ["VolumePlanes"]


@dataclass(eq=False)
class VolumePlanes:
    """Segments slices of a layer; keeps the volume that they belong to between runs.

    What :class:`~napari_swin_umamba.plugin.planes.Planes` is for models that see planes. A slice
    depends on all of its volume, so a preview reads all of it too. What was prepared is used again
    as long as the layer's values are the same.
    """

    segmenter: VolumeSegmenter
    data: Any
    reading: Reading
    layout: SliceLayout
    """Of what is segmented: the reading's, or a window of it."""
    settings: tuple[Hashable, ...]
    """All that the result depends on beside the image: the model first."""
    cache: SliceCache
    channel: Channel
    notes: dict[str, None] = field(default_factory=dict)
    """What was assumed about the layer."""
    _key: Hashable = None
    _volume_of: Position | None = None
    _volume: OrientedVolume | None = None

    def __post_init__(self) -> None:
        plan = self.segmenter.model.plan.volume
        assert plan is not None
        reading = self.reading
        self._frame, self._letters, notes = frame_of_layer(reading.view, reading.channel_axis, plan)
        self.notes.update(dict.fromkeys(notes))
        letter = self._frame.slice_axis
        self._along = None if letter is None else self._letters.index(letter)

    def next_group(self, waiting: Sequence[Position]) -> Sequence[Position]:
        """Return the next plane of those that wait."""
        return waiting[:1]

    def segment(
        self,
        group: Sequence[Position],
        on_progress: Callable[[int, int], object],
        should_stop: Callable[[], bool],
    ) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """Return labels ``(rows, columns)`` and probabilities, if any, of each plane of a group.

        Raises
        ------
        InputError, Cancelled
            As :meth:`VolumeSegmenter.segment`.
        """
        found = []
        for position in group:
            volume = self._take(position)
            index = self._index(position)
            key = self._key, index, self.settings
            known = self.cache.get(key)
            if known is None:
                result = self.segmenter.segment(volume, index, on_progress, should_stop)
                known = result.labels, result.probabilities
                self.cache.put(key, *known)
                self.notes.update(dict.fromkeys(self.segmenter.fit.steps))
            found.append(self._in_window(*known))
        return found

    def _in_window(
        self, labels: np.ndarray, probabilities: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Cut out what is wanted of a whole plane."""
        if self.layout.window is None:
            return labels, probabilities
        rows, columns = (slice(*bounds) for bounds in self.layout.bounds)
        part = None if probabilities is None else probabilities[:, rows, columns]
        return labels[rows, columns], part

    def _index(self, position: Position) -> int:
        if self._along is None:
            return 0
        return position[self.reading.fixed_axes.index(self._along)]

    def _take(self, position: Position) -> OrientedVolume:
        """The volume that a slice belongs to, prepared."""
        from napari_swin_umamba.segmentation.volume import slices_of_volume

        layout = self.reading.layout
        positions = slices_of_volume(layout, self._along, position)
        if self._volume is None or self._volume_of != positions[0]:
            self.channel.report(Progress("Reading the whole volume…"))
            planes = []
            for place in positions:
                self.channel.stop_if_asked()
                planes.append(layout.extract(self.data, place))
            self._key = self._identify(planes)
            self._volume = self.cache.volume(self._key)
            if self._volume is None:
                self._volume = self._prepare(planes)
                self.cache.keep_volume(self._key, self._volume)
            self._volume_of = positions[0]
            self.notes.update(dict.fromkeys(self._volume.notes))
            self.channel.report(Progress("Segmenting…"))
        return self._volume

    def _identify(self, planes: list[np.ndarray]) -> Hashable:
        digest = hashlib.sha1(usedforsecurity=False)
        for plane in planes:
            digest.update(np.ascontiguousarray(plane).data)
        shape, dtype = planes[0].shape, planes[0].dtype.str
        return (
            *(digest.digest(), len(planes), shape, dtype, self.settings[0]),
            *(self._frame, self._letters, self._spacing, self.reading.unit),
        )

    @property
    def _spacing(self) -> tuple[float, ...] | None:
        """Spacing along the network's axes, in the reading's unit."""
        from napari_swin_umamba.segmentation.volume import single_precision

        reading = self.reading
        axes = [self._letters.index(letter) for letter in self._frame.axes]
        units = {reading.view.units[axis] for axis in axes}
        if reading.unit is None or (reading.correction.spacing is None and len(units) > 1):
            return None
        steps = tuple(reading.step(axis) for axis in axes)
        return single_precision(steps) if reading.view.single_precision else steps

    def _prepare(self, planes: list[np.ndarray]) -> OrientedVolume:
        return self.segmenter.prepare(
            planes,
            self.reading.layout.axes,
            self._letters,
            self._frame,
            self._spacing,
            self.reading.unit,
            self.channel.should_stop,
        )
