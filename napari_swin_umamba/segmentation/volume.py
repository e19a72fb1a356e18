"""Segment volumes whose slices are prepared together: models of nnU-Net v2's 2D configurations.

Slices are predicted one by one, so labels come as they do for any other model. What the network
sees of a slice depends on all of the volume (:mod:`.volume_preparation`), which has to be in
memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.image import Image
from napari_swin_umamba.images.slices import Position, SliceLayout
from napari_swin_umamba.images.units import same_length_factor
from napari_swin_umamba.plan import Plan, VolumePlan
from napari_swin_umamba.segmentation.device import resolve_device
from napari_swin_umamba.segmentation.device_fit import DeviceFit
from napari_swin_umamba.segmentation.instances import objects_from_classes, output_probabilities
from napari_swin_umamba.segmentation.prediction import (
    Progress,
    StopRequest,
    predict_fitting,
    stop_if,
)
from napari_swin_umamba.segmentation.preprocessing import select_channels
from napari_swin_umamba.segmentation.tiling import Tiling, make_tiling
from napari_swin_umamba.segmentation.volume_frame import VolumeFrame, frame_of
from napari_swin_umamba.segmentation.volume_preparation import PreparedVolume, prepare_volume

__all__ = [
    "OrientedVolume",
    "VolumeSegmenter",
    "VolumeSlice",
    "single_precision",
    "slices_of_volume",
]

_PIXELS = (999.0, 1.0, 1.0)
"""Spacing of images that have none, as nnU-Net's reader of natural images gives it."""


@dataclass(frozen=True, eq=False)
class OrientedVolume:
    """A prepared volume, and how an image has its slices."""

    prepared: PreparedVolume
    frame: VolumeFrame
    axes: str
    """Of the image."""
    notes: tuple[str, ...] = ()
    """What was assumed about the image, one sentence each, for people."""


@dataclass(frozen=True, eq=False)
class VolumeSlice:
    """What became of one slice."""

    labels: np.ndarray
    """``(rows, columns)`` of the image: class ids (uint8 or uint16), or object numbers (int32)."""
    probabilities: np.ndarray | None
    """``(classes, rows, columns)``, float32, if asked for."""


@dataclass(frozen=True)
class VolumeSegmenter:
    """A model with ``plan.volume`` and how it is used.

    Memory: 4 bytes for each voxel and channel of the volume, twice while it is prepared; for a
    slice at work, about ``8 bytes * classes`` for each pixel.
    """

    model: Model
    device: str | torch.device = "auto"
    mirror: bool = False
    """Average over mirrored versions, along the axes that the model allows."""
    overlap: float | None = None
    """Fraction of a tile that neighbours share at least, from 0 to 0.9. None: the model's."""
    objects: bool | None = None
    """Number objects (True) or give class ids."""
    probabilities: bool = False
    """Return the probability of each class as well."""
    precision: str = "fp32"
    """What the network computes in: ``"fp32"``, or ``"bf16"``, faster where the device has it and
    a little less exact."""

    @property
    def instances(self) -> bool:
        """Whether labels number objects."""
        return bool(self.objects)

    @property
    def used_overlap(self) -> float:
        """Fraction of a tile that neighbours share at least."""
        return self.model.plan.overlap if self.overlap is None else self.overlap

    @property
    def _plan(self) -> VolumePlan:
        assert self.model.plan.volume is not None
        return self.model.plan.volume

    @cached_property
    def fit(self) -> DeviceFit:
        """The device, and what it was found to take."""
        return DeviceFit(resolve_device(self.device)[0], self.precision)

    def frame(self, image: Image, axes: str) -> tuple[VolumeFrame, tuple[str, ...]]:
        """Which axis of an image the slices follow; see :func:`.volume_frame.frame_of`."""
        return frame_of(self._plan, axes, image)

    def prepare(
        self,
        planes: Iterable[np.ndarray],
        plane_axes: str,
        axes: str,
        frame: VolumeFrame,
        spacing: tuple[float, ...] | None,
        unit: str | None,
        should_stop: StopRequest | None = None,
    ) -> OrientedVolume:
        """Crop and normalize a volume.

        Parameters
        ----------
        planes
            Its slices in the image's order, any real dtype, shape as `plane_axes` says.
        plane_axes
            ``"YX"``, ``"YXC"`` or ``"CYX"``, whatever the letters of rows and columns are.
        axes
            Of the image.
        frame
            Of :meth:`frame`.
        spacing
            Of the axes ``frame.axes``, in `unit`; None if not known.
        unit
            None: that of the model's training images.
        should_stop
            Asked before every slice.

        Raises
        ------
        InputError
            The channels are not those that the model takes, or values are not finite.
        Cancelled
            `should_stop` said so.
        """
        plan = self.model.plan
        slices: list[np.ndarray] = []
        notes: dict[str, None] = {}
        for plane in planes:
            stop_if(should_stop)
            channels, assumed = select_channels(plane, plane_axes, plan)
            notes.update(dict.fromkeys(assumed))
            slices.append(frame.to_network(channels, axes))
        if frame.place(0, len(slices)):
            slices.reverse()
        volume = np.stack(slices, axis=1)
        del slices
        steps, guessed = _spacing(spacing, unit, plan)
        stop_if(should_stop)
        prepared = prepare_volume(volume, steps, plan)
        return OrientedVolume(prepared, frame, axes, (*notes, *guessed))

    def tiles(self, volume: OrientedVolume) -> int:
        """Return how many tiles a slice takes that is not all background."""
        return self._tiling(volume.prepared).count

    def _tiling(self, prepared: PreparedVolume) -> Tiling:
        plan = self.model.plan
        return make_tiling(prepared.network_shape, plan.patch, self.used_overlap, plan.pad_to_patch)

    def segment(
        self,
        volume: OrientedVolume,
        index: int,
        on_progress: Progress | None = None,
        should_stop: StopRequest | None = None,
    ) -> VolumeSlice:
        """Segment one slice.

        Parameters
        ----------
        volume
            Of :meth:`prepare`.
        index
            Of the slice, as the image counts.
        on_progress
            Called after every tile with the number of tiles done and their total number.
        should_stop
            Asked before every batch of tiles; True ends the work.

        Raises
        ------
        InputError
            The model or an option cannot be used; the message says what to change.
        Cancelled
            `should_stop` said so.
        """
        plan, prepared = self.model.plan, volume.prepared
        if self.probabilities and plan.regions:
            raise InputError(
                f"the model '{self.model.name}' finds regions that overlap, so its labels have no "
                "probabilities that add up to one; leave probabilities out"
            )
        place = volume.frame.place(index, prepared.shape[0])
        shape = prepared.shape[1:]
        labels = np.zeros(shape, np.min_scalar_type(plan.num_classes - 1))
        probabilities = None
        if self.probabilities:
            probabilities = np.zeros((plan.num_classes, *shape), np.float32)
            probabilities[0] = 1
        if prepared.contains(place):
            logits = self._logits(prepared, place, on_progress, should_stop)
            labels[prepared.crop[1:]] = _labels(logits, plan)
            if probabilities is not None:
                likely = output_probabilities(logits, plan)
                probabilities[(slice(None), *prepared.crop[1:])] = likely
        turned = np.ascontiguousarray(volume.frame.to_image(labels, volume.axes))
        if probabilities is not None:
            probabilities = np.ascontiguousarray(volume.frame.to_image(probabilities, volume.axes))
        return VolumeSlice(
            objects_from_classes(turned) if self.instances else turned, probabilities
        )

    def _logits(
        self,
        prepared: PreparedVolume,
        place: int,
        on_progress: Progress | None,
        should_stop: StopRequest | None,
    ) -> np.ndarray:
        """Logits ``(K, rows, columns)`` on the crop's grid."""
        plan = self.model.plan
        logits = np.empty((plan.outputs, *prepared.network_shape), np.float32)

        def collect(_: int, rows: slice, band: np.ndarray) -> None:
            logits[:, rows] = band

        predict_fitting(
            self.model.network,
            [prepared.slice_at(place)],
            plan.patch,
            collect,
            self.fit,
            overlap=self.used_overlap,
            pad_to_patch=plan.pad_to_patch,
            mirror=plan.mirror_axes if self.mirror else False,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        return prepared.on_grid(logits)


def slices_of_volume(
    layout: SliceLayout, slice_axis: int | None, position: Position
) -> list[Position]:
    """Positions of all slices of the volume that a slice belongs to, in the image's order.

    Parameters
    ----------
    layout
        Of the image.
    slice_axis
        Axis of the array that the slices follow; None: each plane is a volume of its own.
    position
        Of any slice of the volume.
    """
    if slice_axis is None:
        return [position]
    place = layout.fixed_axes.index(slice_axis)
    return [
        (*position[:place], index, *position[place + 1 :])
        for index in range(layout.shape[slice_axis])
    ]


def single_precision(spacing: Sequence[float]) -> tuple[float, ...]:
    """Return the spacing of a NIfTI file as nnU-Net reads it: 1.2999999523, where we read 1.3.

    It decides how half a pixel is rounded when a slice is resampled.
    """
    return tuple(float(np.float32(step)) for step in spacing)


def _spacing(
    spacing: tuple[float, ...] | None, unit: str | None, plan: Plan
) -> tuple[tuple[float, float, float], tuple[str, ...]]:
    """Spacing of slices, rows and columns as nnU-Net's readers give it, and what was assumed."""
    assert plan.volume is not None
    if plan.volume.ignore_spacing:
        return _PIXELS, ()
    if spacing is None:
        if plan.volume.spacing == _PIXELS[1:]:
            return _PIXELS, ()
        rows, columns = plan.volume.spacing
        return _PIXELS, (
            "the size of the image's pixels is not known: taken as 1 x 1, where the model was "
            f"trained at {rows:g} x {columns:g} {plan.unit or ''}".rstrip(),
        )
    factor = same_length_factor(unit, plan.unit)
    known = [step * factor for step in spacing]
    if len(known) == 2:  # SimpleITKIO gives a plane's third axis so
        known = [999 * max(known), *known]
    return (known[0], known[1], known[2]), ()


def _labels(logits: np.ndarray, plan: Plan) -> np.ndarray:
    """Labels ``(rows, columns)`` of logits, as ``label_handling.py`` of nnU-Net gives them."""
    dtype = np.min_scalar_type(plan.num_classes - 1)
    if not plan.regions:
        return logits.argmax(axis=0).astype(dtype)
    labels = np.zeros(logits.shape[1:], dtype)
    with np.errstate(over="ignore"):  # the sigmoid of -100 is 0
        above = 1 / (1 + np.exp(-logits)) > 0.5
    for region, label in zip(above, plan.regions, strict=True):
        labels[region] = label
    return labels
