"""Segment one plane: preprocessing, tiles, classes or objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from math import inf

import numpy as np
import torch

from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.units import same_length_factor
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.segmentation.device import resolve_device
from napari_swin_umamba.segmentation.device_fit import DeviceFit
from napari_swin_umamba.segmentation.instances import (
    number_objects,
    objects_from_classes,
    output_probabilities,
)
from napari_swin_umamba.segmentation.prediction import (
    Progress,
    StopRequest,
    predict_fitting,
    stop_if,
)
from napari_swin_umamba.segmentation.preprocessing import is_blank, normalize, select_channels
from napari_swin_umamba.segmentation.resampling import (
    check_scaling,
    resampled_shape,
    resize_labels,
    resize_objects,
    resize_plane,
    shape_by_objects,
)
from napari_swin_umamba.segmentation.tiling import make_tiling

__all__ = ["PlaneResult", "PlaneSegmenter"]

_SAME_SPACING = 1.25  # ratio up to which pixel sizes count as alike


@dataclass(frozen=True, eq=False)
class PlaneResult:
    """What became of one plane."""

    labels: np.ndarray
    """``(Y, X)``: class ids (uint8 or uint16), or object numbers (int32)."""
    probabilities: np.ndarray | None
    """``(classes, Y, X)``, float32, if asked for."""
    notes: tuple[str, ...]
    """What was assumed about the image, one sentence each, for people."""


@dataclass(frozen=True)
class PlaneSegmenter:
    """A model and how it is used, for one plane after the other.

    A device that runs out of memory is given less, as :class:`DeviceFit` has it, for this plane
    and those that follow; notes tell.

    Memory beside the plane, at the peak and per pixel: about 12 bytes for semantic labels of a
    one-channel image (their logits never exist for the whole plane at once), 4 more per class for
    probabilities or when resampling, and about 41 for objects, which a watershed tells apart.
    """

    model: Model
    device: str | torch.device = "auto"
    mirror: bool = False
    """Average over mirrored versions: four times the work, a little more accurate. Along axes that
    the network learned to be mirrored along (``plan.mirror_axes``)."""
    overlap: float | None = None
    """Fraction of a tile that neighbours share at least, from 0 to 0.9. None: the model's."""
    objects: bool | None = None
    """Number objects (True) or give class ids (False); None: as the model was trained."""
    resample: bool | None = None
    """Bring planes to the pixel size of the training images first; labels come back on the
    plane's own grid. None: as the plan says, where the size of the plane's pixels is known."""
    probabilities: bool = False
    """Return the probability of each class as well."""
    object_diameter: float | None = None
    """Of typical objects, in pixels of the plane: it is scaled until they are as large as in
    training. Labels come back on the plane's own grid. None: planes stay as they are."""
    precision: str = "fp32"
    """What the network computes in: ``"fp32"``, or ``"bf16"``, faster where the device has it and
    a little less exact."""

    @property
    def instances(self) -> bool:
        """Whether labels number objects."""
        return self.model.plan.numbers_objects if self.objects is None else self.objects

    @property
    def used_overlap(self) -> float:
        """Fraction of a tile that neighbours share at least."""
        return self.model.plan.overlap if self.overlap is None else self.overlap

    def network_shape(
        self, shape: tuple[int, int], spacing: tuple[float, float] | None, unit: str | None
    ) -> tuple[int, int]:
        """Rows and columns of a plane as the network sees it.

        Raises
        ------
        InputError
            It is to be resampled, and a pixel size is not known; or scaled by the size of its
            objects, and the model knows none.
        """
        check_scaling(self.object_diameter, self.resample, self.model.plan)
        if self.object_diameter is not None:
            return shape_by_objects(shape, self.object_diameter, self.model.plan)
        if not self._resamples(spacing):
            return shape
        return resampled_shape(shape, spacing, unit, self.model.plan)

    def size_to_compare(self, spacing: tuple[float, float] | None) -> float | None:
        """Diameter that objects of a plane should have; None: it is not known, or does not count.

        Where planes are scaled, somebody has seen to it.
        """
        if not (self.instances and self.model.plan.numbers_objects):
            return None
        scaled = self.object_diameter is not None or self._resamples(spacing)
        return None if scaled else self.model.plan.object_diameter

    def _resamples(self, spacing: tuple[float, float] | None) -> bool:
        if self.object_diameter is not None:
            return False
        if self.resample is None:
            return self.model.plan.resample and spacing is not None
        return self.resample

    def tiles(
        self, shape: tuple[int, int], spacing: tuple[float, float] | None, unit: str | None
    ) -> int:
        """Return how many tiles a plane takes.

        Raises
        ------
        InputError
            As :meth:`network_shape`, or the overlap is out of range.
        """
        plan = self.model.plan
        seen = self.network_shape(shape, spacing, unit)
        return make_tiling(seen, plan.patch, self.used_overlap, plan.pad_to_patch).count

    def planes_at_once(
        self, shape: tuple[int, int], spacing: tuple[float, float] | None, unit: str | None
    ) -> int:
        """Return how many planes :meth:`segment_planes` should be given: they fill the device.

        Raises
        ------
        InputError
            As :meth:`tiles`.
        """
        plan = self.model.plan
        tiling = make_tiling(
            self.network_shape(shape, spacing, unit),
            self.fit.patch(plan.patch),
            self.used_overlap,
            plan.pad_to_patch,
        )
        return max(1, self.fit.tiles(tiling.tile) // tiling.count)

    def segment(
        self,
        plane: np.ndarray,
        axes: str | None,
        spacing: tuple[float, float] | None = None,
        unit: str | None = None,
        on_progress: Progress | None = None,
        should_stop: StopRequest | None = None,
    ) -> PlaneResult:
        """Segment one plane: :meth:`segment_planes` for a single one."""
        return self.segment_planes([plane], axes, spacing, unit, on_progress, should_stop)[0]

    def segment_planes(
        self,
        planes: Sequence[np.ndarray],
        axes: str | None,
        spacing: tuple[float, float] | None = None,
        unit: str | None = None,
        on_progress: Progress | None = None,
        should_stop: StopRequest | None = None,
    ) -> list[PlaneResult]:
        """Segment planes of one shape; their tiles go through the network together.

        Parameters
        ----------
        planes
            Any real dtype, shape as `axes` says.
        axes
            ``"YX"``, ``"YXC"`` (colour) or ``"CYX"`` (channels); None to guess.
        spacing
            Row and column spacing in `unit`; None if not known.
        unit
            Of the spacing; None: that of the model's training images.
        on_progress
            Called after every tile with the number of tiles done and their total number.
        should_stop
            Asked before every batch of tiles; True ends the work.

        Raises
        ------
        InputError
            A plane, the model or an option cannot be used, or memory is short on the CPU as well;
            the message says what to change.
        Cancelled
            `should_stop` said so.
        """
        plan = self.model.plan
        if plan.volume is not None:
            raise InputError(
                f"the model '{self.model.name}' prepares volumes as a whole, not plane by plane; "
                "segment the whole image with segment()"
            )
        selected = [select_channels(plane, axes, plan) for plane in planes]
        shape = (selected[0][0].shape[1], selected[0][0].shape[2])
        seen = self.network_shape(shape, spacing, unit)
        tiles = self.tiles(shape, spacing, unit) * len(planes)
        collectors = [self._collector(shape, seen) for _ in planes]
        told = len(self.fit.steps)
        inputs = [normalize(channels, plan) for channels, _ in selected]
        blank = [is_blank(channels, plan) for channels in inputs]
        for collector in compress(collectors, blank):
            collector.add_background()
        visible = [number for number, nothing in enumerate(blank) if not nothing]
        if visible:
            predict_fitting(
                self.model.network,
                [resize_plane(inputs[number], seen, order=3) for number in visible],
                plan.patch,
                lambda place, rows, logits: collectors[visible[place]].add(rows, logits),
                self.fit,
                overlap=self.used_overlap,
                pad_to_patch=plan.pad_to_patch,
                mirror=plan.mirror_axes if self.mirror else False,
                on_progress=on_progress,
                should_stop=should_stop,
            )
        elif on_progress is not None:
            on_progress(tiles, tiles)
        _, device_note = self._device
        common: tuple[str, ...] = () if device_note is None else (device_note,)
        if self.object_diameter is None and not self._resamples(spacing):
            common = (*_spacing_notes(spacing, unit, plan), *common)
        common = (*common, *self.fit.steps[told:])
        results = []
        for collector, (_, notes) in zip(collectors, selected, strict=True):
            stop_if(should_stop)
            results.append(
                PlaneResult(
                    labels=self._labels(collector, shape),
                    probabilities=collector.probabilities_at(shape) if self.probabilities else None,
                    notes=(*notes, *common),
                )
            )
        return results

    @cached_property
    def fit(self) -> DeviceFit:
        """The device, and what it was found to take."""
        return DeviceFit(self._device[0], self.precision)

    @cached_property
    def _device(self) -> tuple[torch.device, str | None]:
        return resolve_device(self.device)

    def _collector(self, shape: tuple[int, int], seen: tuple[int, int]) -> _Collector:
        plan = self.model.plan
        keep_logits = seen != shape and not self.instances
        return _Collector(plan, seen, keep_logits, self.probabilities or plan.numbers_objects)

    def _labels(self, collector: _Collector, shape: tuple[int, int]) -> np.ndarray:
        plan = self.model.plan
        if plan.numbers_objects:
            assert collector.probabilities is not None
            found = number_objects(collector.probabilities, plan)
            found = resize_objects(found, shape)
            return found if self.instances else (found > 0).astype(np.uint8)
        labels = collector.classes_at(shape)
        return objects_from_classes(labels) if self.instances else labels


class _Collector:
    """Turns bands of logits into class ids and probabilities as they come."""

    def __init__(
        self, plan: Plan, shape: tuple[int, int], keep_logits: bool, probabilities: bool
    ) -> None:
        self._classes: np.ndarray | None = None
        self._logits: np.ndarray | None = None
        self.probabilities: np.ndarray | None = None
        self._plan = plan
        self._shape = shape
        self._dtype = np.min_scalar_type(plan.num_classes - 1)
        if plan.output == "semantic" and keep_logits:
            self._logits = np.empty((plan.num_classes, *shape), np.float32)
        elif plan.output == "semantic":
            self._classes = np.zeros(shape, self._dtype)
        if probabilities:
            self.probabilities = np.empty((plan.num_classes, *shape), np.float32)

    def add(self, rows: slice, logits: np.ndarray) -> None:
        """Take the logits ``(classes, rows, X)`` of some rows of the plane."""
        if self._classes is not None:
            self._classes[rows] = logits.argmax(axis=0)
        if self._logits is not None:
            self._logits[:, rows] = logits
        if self.probabilities is not None:
            self.probabilities[:, rows] = output_probabilities(logits, self._plan)

    def add_background(self) -> None:
        """Take it that there is nothing in the whole plane."""
        logits = np.full((self._plan.num_classes, 1, 1), -30, np.float32)
        logits[0] = 30
        self.add(slice(None), np.broadcast_to(logits, (len(logits), *self._shape)))

    def classes_at(self, shape: tuple[int, int]) -> np.ndarray:
        """Return class ids ``shape``: of the interpolated logits where the plane was resampled."""
        if self._logits is not None:
            logits = resize_plane(self._logits, shape, order=1)
            return logits.argmax(axis=0).astype(self._dtype)
        assert self._classes is not None
        return resize_labels(self._classes, shape)

    def probabilities_at(self, shape: tuple[int, int]) -> np.ndarray:
        """Return probabilities ``(classes, *shape)``."""
        assert self.probabilities is not None
        return resize_plane(self.probabilities, shape, order=1)


def _spacing_notes(
    spacing: tuple[float, float] | None, unit: str | None, plan: Plan
) -> tuple[str, ...]:
    """Warn where objects appear much larger or smaller than in training."""
    if plan.spacing is None:
        return ()
    if spacing is None:
        note = (
            "the size of the image's pixels is not known: they are taken to be as large as those "
            f"of the training images, {plan.spacing[1]:g} {plan.unit or ''}".rstrip()
        )
        return (note,) if plan.resample else ()
    width = spacing[-1] * same_length_factor(unit, plan.unit)
    ratio = width / plan.spacing[-1]
    # Sizes that no pixel has are no help, and may be 0 after the conversion.
    if 1 / _SAME_SPACING <= ratio <= _SAME_SPACING or not 0 < ratio < inf:
        return ()
    note = (
        f"the image's pixels are {width:g} {plan.unit or ''} wide, those of the training "
        f"images {plan.spacing[-1]:g}: objects appear {1 / ratio:.2g} times as large; if many are "
        "missed, resample the image to the training images' pixel size (--resample)"
    )
    return (note,)
