"""The planes of a run: those segmented before from the cache, the others several at once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_swin_umamba.images.slices import Position, SliceLayout
from napari_swin_umamba.plugin.slice_cache import SliceCache, plane_key

if TYPE_CHECKING:
    from napari_swin_umamba.segmentation import PlaneSegmenter

__all__ = ["Planes"]


@dataclass(frozen=True)
class Planes:
    """Segments planes of one image. Torch is the segmenter's business."""

    data: Any
    """The image layer's data."""
    layout: SliceLayout
    spacing: tuple[float, float] | None
    """Of the pixels of a plane, in the unit of the model."""
    segmenter: PlaneSegmenter
    settings: tuple[Hashable, ...]
    """All that the result depends on beside the plane."""
    cache: SliceCache
    notes: dict[str, None] = field(default_factory=dict)
    """What was assumed on the way, in words, in the order it came up."""

    def next_group(self, waiting: Sequence[Position]) -> Sequence[Position]:
        """Return as many of the planes that wait as fill the device."""
        shape = self.layout.plane_shape
        return waiting[: self.segmenter.planes_at_once(shape, self.spacing, None)]

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
            As :meth:`PlaneSegmenter.segment_planes`.
        """
        planes = [self.layout.extract(self.data, position) for position in group]
        keys = [plane_key(plane, *self.settings, self.spacing) for plane in planes]
        known = {key: self.cache.get(key) for key in keys}
        new = {key: plane for key, plane in zip(keys, planes, strict=True) if known[key] is None}
        if new:
            results = self.segmenter.segment_planes(
                list(new.values()),
                self.layout.axes,
                self.spacing,
                on_progress=on_progress,
                should_stop=should_stop,
            )
            for key, result in zip(new, results, strict=True):
                known[key] = result.labels, result.probabilities
                self.cache.put(key, result.labels, result.probabilities)
                self.notes.update(dict.fromkeys(result.notes))
        found = [known[key] for key in keys]
        return [one for one in found if one is not None]
