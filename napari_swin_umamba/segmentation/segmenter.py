"""Segment an image: the one path that the command line, napari and training's scores share."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike

from napari_swin_umamba.checkpoints import Model, load_model
from napari_swin_umamba.images.axes import IMAGE_AXES, check_axes
from napari_swin_umamba.images.image import Image
from napari_swin_umamba.images.slices import SliceLayout
from napari_swin_umamba.images.units import known_spacing
from napari_swin_umamba.plan import Plan, SegmentationClass
from napari_swin_umamba.segmentation.flicker import Flicker, measure_flicker
from napari_swin_umamba.segmentation.inputs import SliceReport, as_array, checked_spacing
from napari_swin_umamba.segmentation.layout import check_plane, resolve_layout
from napari_swin_umamba.segmentation.linking import ObjectLinker
from napari_swin_umamba.segmentation.object_rules import ObjectRules
from napari_swin_umamba.segmentation.object_size import FoundSizes
from napari_swin_umamba.segmentation.plane import PlaneSegmenter
from napari_swin_umamba.segmentation.prediction import Progress, StopRequest, stop_if
from napari_swin_umamba.segmentation.resampling import check_scaling
from napari_swin_umamba.segmentation.volume import VolumeSegmenter
from napari_swin_umamba.segmentation.volume_run import segment_volumes

__all__ = ["Segmentation", "SliceReport", "segment"]


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Labels on the grid of an image."""

    labels: np.ndarray
    """``(Y, X)``, ``(Z, Y, X)``, ``(T, Z, Y, X)``, ...: the image's axes without channels. Class
    ids (uint8 or uint16), or with `instances` object numbers (int32)."""
    probabilities: np.ndarray | None
    """``(classes, *labels.shape)``, float32, if asked for."""
    instances: bool
    """Whether labels number objects."""
    plan: Plan
    """Of the model."""
    notes: tuple[str, ...] = ()
    """What was assumed about the image, one sentence each, for people."""
    slice_axis: int | None = None
    """Axis of the labels that slices follow; None for a plane and for films of planes."""

    @property
    def flicker(self) -> Flicker | None:
        """How often labels blink from slice to slice; None where there are no slices in space."""
        return None if self.slice_axis is None else measure_flicker(self.labels, self.slice_axis)

    @property
    def classes(self) -> tuple[SegmentationClass, ...]:
        """Names and colours of class ids, where labels hold them."""
        return self.plan.label_classes


def segment(
    image: ArrayLike | Image,
    model: Model | str | os.PathLike[str],
    axes: str | None = None,
    spacing: tuple[float, ...] | None = None,
    device: str | torch.device = "auto",
    mirror: bool = False,
    overlap: float | None = None,
    on_progress: Progress | None = None,
    should_stop: StopRequest | None = None,
    probabilities: bool = False,
    *,
    plane: str | None = None,
    objects: bool | None = None,
    resample: bool | None = None,
    object_diameter: float | None = None,
    object_rules: ObjectRules | None = None,
    precision: str = "fp32",
    on_slice: SliceReport | None = None,
) -> Segmentation:
    """Segment an image of any size, or a volume or film slice by slice.

    Parameters
    ----------
    image
        Array or tensor of any real dtype, a lazy array (dask, zarr), or what
        :func:`napari_swin_umamba.images.read_image` returns.
    model
        A model, or what :func:`napari_swin_umamba.load_model` takes.
    axes
        One letter for each axis, of T, C, Z, Y, X: ``"YX"``, ``"ZYX"``, ``"TCZYX"``, ... With C at
        the end (``"YXC"``, ``"ZYXC"``) the channels are colours. None to believe the image; for a
        bare array of two or three axes, to guess.
    spacing
        Distance of neighbouring pixels along the axes Z, Y, X that the image has, in its order of
        them and in the unit of the model's training data; None to believe the image.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``.
    mirror
        Average over mirrored versions: four times the work, a little more accurate.
    overlap
        Fraction of a tile that neighbours share at least, from 0 to 0.9; None: as the model says
        (``plan.overlap``).
    on_progress
        Called after every tile with the number of tiles done and their total number.
    should_stop
        Asked before every batch of tiles and every slice; True ends the work.
    probabilities
        Return the probability of each class as well.
    plane
        ``"Z"``, ``"Y"`` or ``"X"``: the axis along which a volume is cut into slices. None: the one
        with the coarsest spacing, Z where that is no answer.
    objects
        Number objects (True) or give class ids (False); None: as the model was trained. Objects
        of neighbouring slices that overlap enough get one number
        (:class:`~napari_swin_umamba.segmentation.linking.ObjectLinker`).
    resample
        Bring each slice to the pixel size of the training images first. Labels come back on the
        image's grid. None: as ``plan.resample`` says, where the size of the image's pixels is
        known. Models with ``plan.volume`` always do.
    object_diameter
        Of typical objects, in pixels of the image: it is scaled until they are as large as in
        training (``plan.object_diameter``). Labels come back on the image's grid. In place of
        `resample`; for models that number objects.
    object_rules
        Which objects are left out: small ones, by an area in the image's unit, and those at its
        edge. None: none.
    precision
        What the network computes in: ``"fp32"``, or ``"bf16"``, faster where the device has it and
        a little less exact.
    on_slice
        Called after each slice of a volume or film with its position along the axes stepped
        through, in the image's order, and its labels ``(rows, columns)``. What it got stays valid
        when the work is stopped later.

    Returns
    -------
    Segmentation
        Labels on the image's grid.

    Raises
    ------
    InputError
        The image, the model or an option cannot be used; the message says what to change.
    Cancelled
        `should_stop` said so.

    Notes
    -----
    Memory: that of :class:`~napari_swin_umamba.segmentation.plane.PlaneSegmenter` for one slice,
    and the labels. A lazy array is read slice by slice.
    """
    if not isinstance(model, Model):
        model = load_model(model)
    axes, slice_axis = check_axes(axes), check_plane(plane)
    rules = object_rules or ObjectRules()
    rules.check(model.plan.numbers_objects if objects is None else objects)
    if not isinstance(image, Image):
        image = Image(as_array(image), axes or "")
    axes = axes or image.axes or None
    if model.plan.volume is not None:
        check_scaling(object_diameter, resample, model.plan)
        volumes = VolumeSegmenter(model, device, mirror, overlap, objects, probabilities, precision)
        image = replace(image, array=as_array(image.array))
        found = segment_volumes(
            volumes, image, axes, spacing, slice_axis, rules, on_progress, should_stop, on_slice
        )
        return Segmentation(
            found.labels,
            found.probabilities,
            volumes.instances,
            model.plan,
            found.notes,
            found.slice_axis,
        )
    segmenter = PlaneSegmenter(
        *(model, device, mirror, overlap, objects, resample, probabilities, object_diameter),
        precision,
    )
    if axes is None or axes in IMAGE_AXES:
        known = _spacing_of_plane(spacing, image)
        result = segmenter.segment(
            as_array(np.asarray(image.array)),
            axes,
            known,
            image.unit if spacing is None else None,
            on_progress,
            should_stop,
        )
        sizes = FoundSizes(segmenter.size_to_compare(known))
        sizes.add(result.labels)
        return Segmentation(
            rules.keep(result.labels, known),
            result.probabilities,
            segmenter.instances,
            model.plan,
            (*image.notes, *result.notes, *sizes.notes()),
        )
    return _segment_slices(
        segmenter, image, axes, spacing, slice_axis, rules, on_progress, should_stop, on_slice
    )


def _segment_slices(
    segmenter: PlaneSegmenter,
    image: Image,
    axes: str,
    spacing: tuple[float, ...] | None,
    slice_axis: str | None,
    rules: ObjectRules,
    on_progress: Progress | None,
    should_stop: StopRequest | None,
    on_slice: SliceReport | None,
) -> Segmentation:
    count = sum(axis in "ZYX" for axis in axes)
    given = checked_spacing(spacing, count)
    known = given or known_spacing(image.spacing, count)
    unit = image.unit if given is None else None
    if slice_axis is None and count == 3:
        slice_axis = segmenter.model.plan.plane
    layout, plane_spacing = resolve_layout(image.array.shape, axes, known, slice_axis)
    per_plane = segmenter.tiles(layout.plane_shape, plane_spacing, unit)
    linker = ObjectLinker() if segmenter.instances and not _along_time(layout, axes) else None
    sizes = FoundSizes(segmenter.size_to_compare(plane_spacing))
    labels: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    notes = dict.fromkeys(image.notes)
    positions, done = list(layout.positions()), 0
    while done < len(positions):
        together = segmenter.planes_at_once(layout.plane_shape, plane_spacing, unit)
        group = positions[done : done + together]
        results = segmenter.segment_planes(
            [layout.extract(image.array, position) for position in group],
            layout.axes,
            plane_spacing,
            unit,
            _shifted(
                on_progress, done * per_plane, len(group) * per_plane, layout.count * per_plane
            ),
            should_stop,
        )
        for position, result in zip(group, results, strict=True):
            stop_if(should_stop)
            sizes.add(result.labels)
            found = rules.keep(result.labels, plane_spacing)
            if linker is not None:
                found = linker.link(found, position)
            if labels is None:
                labels = np.zeros(layout.labels_shape, found.dtype)
            if linker is None and segmenter.instances:
                found[found > 0] += labels.max()  # films: each object of each frame its own number
            target = layout.target(position)
            labels[target] = found
            if result.probabilities is not None:
                if probabilities is None:
                    shape = (len(result.probabilities), *layout.labels_shape)
                    probabilities = np.zeros(shape, np.float32)
                probabilities[(slice(None), *target)] = result.probabilities
            notes.update(dict.fromkeys(result.notes))
            if on_slice is not None:
                on_slice(position, found)
        done += len(group)
    assert labels is not None
    return Segmentation(
        labels,
        probabilities,
        segmenter.instances,
        segmenter.model.plan,
        (*notes, *sizes.notes()),
        None if _along_time(layout, axes) else layout.kept_axes.index(layout.fixed_axes[-1]),
    )


def _along_time(layout: SliceLayout, axes: str) -> bool:
    """Whether neighbouring planes are points in time, at which objects may be anywhere."""
    return axes[layout.fixed_axes[-1]] == "T"


def _shifted(report: Progress | None, before: int, planned: int, total: int) -> Progress | None:
    """Report the tiles of some planes as those of the whole volume.

    `planned` tiles were expected of them; smaller ones are more, where memory is short.
    """
    if report is None:
        return None
    return lambda done, of: report(before + done * planned // of, total)


def _spacing_of_plane(
    spacing: tuple[float, ...] | None, image: Image
) -> tuple[float, float] | None:
    known = checked_spacing(spacing, 2) or known_spacing(image.spacing)
    return None if known is None else (known[0], known[1])
