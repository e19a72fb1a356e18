"""Segment an image: the one path that the command line, napari and training's scores share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import inf

import numpy as np
import torch
from numpy.typing import ArrayLike

from napari_swin_umamba.checkpoints import Model, load_model
from napari_swin_umamba.errors import Cancelled, InputError, shown
from napari_swin_umamba.images.axes import check_axes
from napari_swin_umamba.images.image import Image
from napari_swin_umamba.images.units import known_spacing, same_length_factor
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.segmentation.device import resolve_device
from napari_swin_umamba.segmentation.instances import instances_from_boundary
from napari_swin_umamba.segmentation.prediction import Progress, StopRequest, predict_bands
from napari_swin_umamba.segmentation.preprocessing import normalize, select_channels
from napari_swin_umamba.segmentation.tiling import make_tiling

__all__ = ["Segmentation", "segment"]

_SAME_SPACING = 1.25  # ratio up to which pixel sizes count as alike


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Labels on the grid of an image."""

    labels: np.ndarray
    """``(Y, X)``: class ids (uint8 or uint16), or with `instances` object numbers (int32)."""
    probabilities: np.ndarray | None
    """``(classes, Y, X)``, float32, if asked for."""
    instances: bool
    """Whether labels number objects."""
    plan: Plan
    """Of the model: class names and colours."""
    notes: tuple[str, ...] = ()
    """What was assumed about the image, one sentence each, for people."""


def segment(
    image: ArrayLike | Image,
    model: Model | str | os.PathLike[str],
    axes: str | None = None,
    spacing: tuple[float, ...] | None = None,
    device: str | torch.device = "auto",
    mirror: bool = False,
    overlap: float = 0.5,
    on_progress: Progress | None = None,
    should_stop: StopRequest | None = None,
    probabilities: bool = False,
) -> Segmentation:
    """Segment a 2D image of any size.

    Parameters
    ----------
    image
        Array or tensor of any real dtype, or what
        :func:`napari_swin_umamba.images.read_image` returns.
    model
        A model, or what :func:`napari_swin_umamba.load_model` takes.
    axes
        ``"YX"``, ``"YXC"`` (colour) or ``"CYX"`` (channels); None to believe the image, or guess.
    spacing
        Row and column spacing, in the unit of the model's training data. Used to warn when
        objects appear at another size than in training; the image is not resampled.
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``.
    mirror
        Average over mirrored versions: four times the work, a little more accurate.
    overlap
        Fraction of a tile that neighbours share at least, from 0 to 0.9.
    on_progress
        Called after every tile with the number of tiles done and their total number.
    should_stop
        Asked before every tile; True ends the work.
    probabilities
        Return the probability of each class as well.

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
    Memory beside the image, at the peak and per pixel: about 12 bytes for semantic labels of a
    one-channel image (their logits never exist for the whole image at once), 4 more per class for
    probabilities, and about 46 for objects, which a watershed tells apart.
    """
    if not isinstance(model, Model):
        model = load_model(model)
    given = _given_spacing(spacing)
    axes = check_axes(axes)
    if not isinstance(image, Image):
        image = Image(_as_array(image), axes or "")
    plan = model.plan
    channels, notes = select_channels(_as_array(image.array), axes or image.axes or None, plan)
    target, device_note = resolve_device(device)
    notes = (
        *image.notes,
        *notes,
        *_spacing_notes(given or known_spacing(image.spacing), image.unit, plan),
    )
    collector = _Collector(plan, channels.shape[1:], probabilities)
    predict_bands(
        model.network,
        normalize(channels, plan),
        make_tiling(channels.shape[1:], plan.patch, overlap, plan.pad_to_patch),
        collector.add,
        device=target,
        mirror=mirror,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    del channels
    if should_stop is not None and should_stop():
        raise Cancelled("segmentation was stopped")
    return Segmentation(
        labels=collector.labels(),
        probabilities=collector.probabilities if probabilities else None,
        instances=plan.output == "boundary",
        plan=plan,
        notes=notes + ((device_note,) if device_note else ()),
    )


def _as_array(image: ArrayLike) -> np.ndarray:
    """Return an image as an array; a tensor may be on any device and require a gradient."""
    try:
        if isinstance(image, torch.Tensor):
            # NumPy has no bfloat16.
            image = image.float() if image.dtype == torch.bfloat16 else image
            return image.numpy(force=True)
        return np.asarray(image)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"the image {shown(image)} is not an array of numbers: {reason}"
        ) from error


def _given_spacing(spacing: object) -> tuple[float, float] | None:
    """Return the spacing that a person gave, or None if they gave none."""
    known = known_spacing(spacing)
    if spacing is not None and known is None:
        raise InputError(
            f"spacing {shown(spacing)} is not a row and a column spacing: give two numbers above 0"
        )
    return known


class _Collector:
    """Turns bands of logits into labels as they come."""

    def __init__(self, plan: Plan, shape: tuple[int, int], probabilities: bool) -> None:
        self._plan = plan
        self._semantic: np.ndarray | None = None
        self.probabilities: np.ndarray | None = None
        if plan.output == "semantic":
            self._semantic = np.zeros(shape, np.min_scalar_type(plan.num_classes - 1))
        if plan.output == "boundary" or probabilities:
            self.probabilities = np.empty((plan.num_classes, *shape), np.float32)

    def add(self, rows: slice, logits: np.ndarray) -> None:
        """Take the logits ``(classes, rows, X)`` of some rows of the image."""
        if self._semantic is not None:
            self._semantic[rows] = logits.argmax(axis=0)
        if self.probabilities is not None:
            self.probabilities[:, rows] = _softmax(logits)

    def labels(self) -> np.ndarray:
        """Return the labels ``(Y, X)`` of the whole image."""
        if self._semantic is not None:
            return self._semantic
        assert self.probabilities is not None
        return instances_from_boundary(self.probabilities, self._plan.min_object_pixels)


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials: np.ndarray = np.exp(logits - logits.max(axis=0))
    exponentials /= exponentials.sum(axis=0)
    return exponentials


def _spacing_notes(
    spacing: tuple[float, float] | None, unit: str | None, plan: Plan
) -> tuple[str, ...]:
    """Warn where objects appear much larger or smaller than in training."""
    if spacing is None or plan.spacing is None:
        return ()
    width = spacing[-1] * same_length_factor(unit, plan.unit)
    ratio = width / plan.spacing[-1]
    # Sizes that no pixel has are no help, and may be 0 after the conversion.
    if 1 / _SAME_SPACING <= ratio <= _SAME_SPACING or not 0 < ratio < inf:
        return ()
    note = (
        f"the image's pixels are {width:g} {plan.unit or ''} wide, those of the training "
        f"images {plan.spacing[-1]:g}: objects appear {1 / ratio:.2g} times as large; if many are "
        "missed, resize the image"
    )
    return (note,)
