"""Segment all slices of an image with a model that prepares volumes as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.axes import resolve_axes
from napari_swin_umamba.images.image import Image, StoredGrid
from napari_swin_umamba.images.slices import Position, SliceLayout
from napari_swin_umamba.images.units import known_spacing
from napari_swin_umamba.segmentation.inputs import SliceReport, checked_spacing
from napari_swin_umamba.segmentation.layout import resolve_layout
from napari_swin_umamba.segmentation.linking import ObjectLinker
from napari_swin_umamba.segmentation.object_rules import ObjectRules
from napari_swin_umamba.segmentation.prediction import Progress, StopRequest
from napari_swin_umamba.segmentation.volume import (
    OrientedVolume,
    VolumeSegmenter,
    single_precision,
    slices_of_volume,
)

__all__ = ["VolumesResult", "segment_volumes"]


@dataclass(frozen=True, eq=False)
class VolumesResult:
    """What became of an image."""

    labels: np.ndarray
    """The image's axes without channels: class ids or object numbers."""
    probabilities: np.ndarray | None
    """``(classes, *labels.shape)``, float32, if asked for."""
    notes: tuple[str, ...]
    """What was assumed about the image, one sentence each, for people."""
    slice_axis: int | None
    """Axis of the labels that slices follow; None for planes."""


def segment_volumes(
    segmenter: VolumeSegmenter,
    image: Image,
    axes: str | None,
    spacing: tuple[float, ...] | None,
    slice_axis: str | None,
    rules: ObjectRules,
    on_progress: Progress | None,
    should_stop: StopRequest | None,
    on_slice: SliceReport | None,
) -> VolumesResult:
    """Segment an image; each point in time is a volume of its own, a plane one of one slice.

    Parameters
    ----------
    segmenter
        The model and how it is used.
    image, axes, spacing, slice_axis, rules, on_progress, should_stop, on_slice
        As :func:`~napari_swin_umamba.segment` takes them, `slice_axis` being its ``plane`` and
        `rules` its ``object_rules``.

    Raises
    ------
    InputError, Cancelled
        As :func:`~napari_swin_umamba.segment`.
    """
    notes = dict.fromkeys(image.notes)
    shape = tuple(image.array.shape)
    if axes is None:
        axes, guessed = resolve_axes(shape, None, segmenter.model.plan.in_channels)
        notes.update({f"axes of shape {shape} taken as {axes}": None} if guessed else {})
    if not {"Y", "X"} <= set(axes):
        resolve_layout(shape, axes, None, None)  # says what is wrong with them
    frame, oriented = segmenter.frame(image, axes)
    notes.update(dict.fromkeys(oriented))
    if slice_axis is not None and slice_axis != frame.slice_axis:
        which = f"along {frame.slice_axis}" if frame.slice_axis else "of a single plane"
        raise InputError(
            f"the model '{segmenter.model.name}' was trained on slices {which} of such images, not "
            f"along {slice_axis}; leave the slice axis out (--plane)"
        )
    spatial = [axis for axis in axes if axis in "ZYX"]
    given = checked_spacing(spacing, len(spatial))
    known = given or known_spacing(image.spacing, len(spatial))
    layout, plane_spacing = resolve_layout(shape, axes, known, frame.slice_axis)
    if known and given is None and image.grid is not None and image.grid.nifti is not None:
        known, note = _as_nnunet_reads(known, image.grid)
        notes.update({note: None} if note else {})
    steps = dict(zip(spatial, known, strict=True)) if known else None
    run = _Run(segmenter, layout, rules, plane_spacing, on_progress, should_stop)
    along = axes.index(frame.slice_axis) if frame.slice_axis else None
    for positions in _volumes(layout, along):
        volume = segmenter.prepare(
            (layout.extract(image.array, position) for position in positions),
            layout.axes,
            axes,
            frame,
            tuple(steps[axis] for axis in frame.axes) if steps else None,
            image.unit if given is None else None,
            should_stop,
        )
        notes.update(dict.fromkeys(volume.notes))
        for position, labels in run.segment(volume, positions):
            if on_slice is not None and layout.fixed_axes:
                on_slice(position, labels)
    assert run.labels is not None
    notes.update(dict.fromkeys(segmenter.fit.steps))
    slices = None if along is None else layout.kept_axes.index(along)
    return VolumesResult(run.labels, run.probabilities, tuple(notes), slices)


def _as_nnunet_reads(
    spacing: tuple[float, ...], grid: StoredGrid
) -> tuple[tuple[float, ...], str | None]:
    """Spacing by a NIfTI header's ``pixdim``, and a word where its affine says otherwise.

    nnU-Net's readers go by it (``get_zooms`` of nibabel, ``GetSpacing`` of SimpleITK); we place
    images by the affine.
    """
    sizes = np.abs(np.asarray(grid.nifti["pixdim"][1:4], dtype=float))
    stored = known_spacing([float(sizes[axis]) for axis in grid.order], len(spacing))
    if stored is None or np.allclose(stored, spacing, rtol=1e-3):
        return single_precision(spacing), None
    affine, header = (" x ".join(f"{step:g}" for step in steps) for steps in (spacing, stored))
    return single_precision(stored), (
        f"the file says twice how large a voxel is, {affine} by its affine and {header} by its "
        "pixdim; the model goes by pixdim, as nnU-Net does"
    )


def _volumes(layout: SliceLayout, along: int | None) -> Iterator[list[Position]]:
    """Positions of the slices of one volume after the other."""
    others = (
        range(1) if axis == along else range(layout.shape[axis]) for axis in layout.fixed_axes
    )
    for first in product(*others):
        yield slices_of_volume(layout, along, first)


class _Run:
    """Puts the slices of all volumes together."""

    def __init__(
        self,
        segmenter: VolumeSegmenter,
        layout: SliceLayout,
        rules: ObjectRules,
        plane_spacing: tuple[float, float] | None,
        on_progress: Progress | None,
        should_stop: StopRequest | None,
    ) -> None:
        self.labels: np.ndarray | None = None
        self.probabilities: np.ndarray | None = None
        self._segmenter = segmenter
        self._layout = layout
        self._rules = rules
        self._plane_spacing = plane_spacing
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._linker = ObjectLinker() if segmenter.instances else None
        self._volumes_done = 0

    def segment(
        self, volume: OrientedVolume, positions: list[Position]
    ) -> Iterator[tuple[Position, np.ndarray]]:
        """Segment the slices of a volume; yield each as it comes."""
        slices = volume.prepared.shape[0]
        inside = [
            index
            for index in range(slices)
            if volume.prepared.contains(volume.frame.place(index, slices))
        ]
        per_slice = self._segmenter.tiles(volume)
        total, volumes = per_slice * len(inside), self._layout.count // slices
        for index, position in enumerate(positions):
            before = per_slice * sum(other < index for other in inside)
            result = self._segmenter.segment(
                volume, index, self._progress(volume, before, total, volumes), self._should_stop
            )
            labels = result.labels
            if self._linker is not None:
                labels = self._rules.keep(labels, self._plane_spacing)
                labels = self._linker.link(labels, (self._volumes_done, index))
            self._keep(position, labels, result.probabilities)
            yield position, labels
        self._volumes_done += 1

    def _progress(
        self, volume: OrientedVolume, before: int, total: int, volumes: int
    ) -> Progress | None:
        """Report the tiles of one slice as those of all volumes, taken to be alike."""
        report = self._on_progress
        if report is None:
            return None
        start = self._volumes_done * total + before
        planned = self._segmenter.tiles(volume)
        return lambda done, of: report(start + done * planned // of, volumes * total)

    def _keep(
        self, position: Position, labels: np.ndarray, probabilities: np.ndarray | None
    ) -> None:
        target = self._layout.target(position)
        if self.labels is None:
            self.labels = np.zeros(self._layout.labels_shape, labels.dtype)
        self.labels[target] = labels
        if probabilities is not None:
            if self.probabilities is None:
                shape = (len(probabilities), *self._layout.labels_shape)
                self.probabilities = np.zeros(shape, np.float32)
            self.probabilities[(slice(None), *target)] = probabilities
