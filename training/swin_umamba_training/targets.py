"""From painted masks to what the network learns: classes, or interior and boundary of objects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.segmentation.convexity import convexity
from napari_swin_umamba.segmentation.holes import fill_holes

__all__ = [
    "IGNORE",
    "INTERIOR",
    "MAX_DISTANCE",
    "MaskSummary",
    "are_instances",
    "boundary_target",
    "class_values",
    "distance_target",
    "drop_small_objects",
    "make_target",
    "summarize_mask",
]

IGNORE = -1
"""Target value of pixels that belong to no class: the loss leaves them out."""
INTERIOR, BOUNDARY = 1, 2
MAX_DISTANCE = 1000
"""Code of the largest distance in distance targets, which are whole numbers as classes are."""

MAX_CLASSES = 64
"""More values than this in semantic masks is taken for a mistake."""
MIN_OBJECT_PIXELS: int = Plan.model_fields["min_object_pixels"].default
"""Smaller objects are not learned, for models do not report them either."""
_CONVEX = 0.8
"""Share of its convex hull below which an object is bent."""
_CERTAINLY_INSTANCES = 20
"""Labels in one mask, each in one piece, from which nobody would mean classes."""
_CROSS = ndimage.generate_binary_structure(2, 1)


@dataclass(frozen=True)
class MaskSummary:
    """What one mask holds."""

    name: str
    values: tuple[int, ...]
    """Values that occur, ascending; 0 is background."""
    in_one_piece: int
    """Number of foreground values whose pixels all touch."""
    small: int = 0
    """Number of foreground values on fewer than :data:`MIN_OBJECT_PIXELS` pixels."""
    holed: int = 0
    """Number of foreground values that enclose background, at least a twentieth of their size."""
    bent: int = 0
    """Number of foreground values that fill less than four fifths of their convex hulls."""

    @property
    def labels(self) -> int:
        """Number of foreground values."""
        return sum(value != 0 for value in self.values)


def summarize_mask(name: str, mask: NDArray[np.integer]) -> MaskSummary:
    """Look at a mask ``(Y, X)`` without keeping it."""
    values, compact, counts = np.unique(mask, return_inverse=True, return_counts=True)
    compact = compact.reshape(mask.shape).astype(np.int32)
    pieces = bent = 0
    eight = np.ones((3, 3))
    for index, box in enumerate(ndimage.find_objects(compact + 1)):
        if values[index] != 0 and box is not None:
            inside = compact[box] == index
            pieces += int(ndimage.label(inside, eight)[1] == 1)
            bent += counts[index] >= MIN_OBJECT_PIXELS and convexity(inside) < _CONVEX
    small = int(((values != 0) & (counts < MIN_OBJECT_PIXELS)).sum())
    filled = fill_holes(mask)
    enclosed, sizes = np.unique(filled[filled != mask], return_counts=True)
    holed = int((20 * sizes >= counts[np.searchsorted(values, enclosed)]).sum())
    return MaskSummary(name, tuple(int(value) for value in values), pieces, small, holed, int(bent))


def are_instances(summaries: Sequence[MaskSummary]) -> bool:
    """Decide whether masks number objects or hold classes.

    Objects are in one piece each and are many. Classes are few, or scattered over pieces.

    Parameters
    ----------
    summaries
        One of each mask of a data set.

    Raises
    ------
    InputError
        It could be either.
    """
    most = max(summary.labels for summary in summaries)
    if most <= 1:
        return False
    labels = sum(summary.labels for summary in summaries)
    share = sum(summary.in_one_piece for summary in summaries) / labels
    if share < 0.9:
        return False
    if most >= _CERTAINLY_INSTANCES:
        return True
    raise InputError(
        f"the masks hold up to {most} values, each in one piece: say whether these number "
        "objects (--instances) or are classes (--semantic)"
    )


def class_values(summaries: Iterable[MaskSummary]) -> tuple[int, ...]:
    """Choose the mask values that become the classes 0, 1, 2, ...

    Small values stand for themselves, so a class that nobody painted yet keeps its number.
    Values such as 0 and 255 are taken in their order.

    Parameters
    ----------
    summaries
        One of each mask of a data set.

    Returns
    -------
    tuple of int
        Position i holds the mask value of class i; the first is 0.

    Raises
    ------
    InputError
        Negative values, or too many to be classes.
    """
    values = sorted({0}.union(*(summary.values for summary in summaries)))
    if values[0] < 0:
        raise InputError(f"the masks hold the negative value {values[0]}; use 0, 1, 2, ...")
    if len(values) > MAX_CLASSES:
        raise InputError(
            f"the masks hold {len(values):,} values, too many for classes; "
            "if they number objects, add --instances"
        )
    return tuple(range(values[-1] + 1)) if values[-1] < MAX_CLASSES else tuple(values)


def drop_small_objects(labels: NDArray[np.int32], min_pixels: int) -> NDArray[np.int32]:
    """Set instances of fewer than `min_pixels` pixels to background, ``(Y, X)`` to ``(Y, X)``.

    :data:`IGNORE` is no instance and stays.
    """
    values, compact, counts = np.unique(labels, return_inverse=True, return_counts=True)
    values[(counts < min_pixels) & (values > 0)] = 0
    return values[compact].reshape(labels.shape).astype(np.int32)


def boundary_target(labels: NDArray[np.int32]) -> NDArray[np.int8]:
    """Classes of a label image: 0 background, 1 interior, 2 boundary.

    The boundary is every object pixel that has another value beside it, widened by one pixel
    both ways: the target of the paper's microscopy experiment. The edge of the image is no
    boundary, and unknown pixels make none.

    Parameters
    ----------
    labels
        ``(Y, X)``: 0 background, 1… one object each, :data:`IGNORE` unknown.

    Returns
    -------
    ndarray
        ``(Y, X)``, int8.
    """
    edge = np.zeros(labels.shape, bool)
    for low, high in ((np.s_[:-1, :], np.s_[1:, :]), (np.s_[:, :-1], np.s_[:, 1:])):
        a, b = labels[low], labels[high]
        differ = (a != b) & (a != IGNORE) & (b != IGNORE)
        edge[low] |= differ & (a > 0)
        edge[high] |= differ & (b > 0)
    target = (labels > 0).astype(np.int8)
    target[ndimage.binary_dilation(edge, _CROSS)] = BOUNDARY
    target[labels == IGNORE] = IGNORE
    return target


def distance_target(labels: NDArray[np.int32]) -> NDArray[np.int16]:
    r"""How deep inside its object each pixel lies, relative to the object's deepest pixel.

    Objects of every size then have a middle of 1 and an edge near 0, so one threshold parts
    objects that touch, large and small ones alike.

    Parameters
    ----------
    labels
        ``(Y, X)``: 0 background, 1… one object each, :data:`IGNORE` unknown.

    Returns
    -------
    ndarray
        ``(Y, X)``, int16: 0 background, 1…\ :data:`MAX_DISTANCE` inside of objects,
        :data:`IGNORE` where nothing is known. The edge of the image and unknown pixels are no
        edge of an object.
    """
    target = np.zeros(labels.shape, np.int16)
    for index, box in enumerate(ndimage.find_objects(np.maximum(labels, 0))):
        if box is None:
            continue
        # One pixel more all around, where there is one: beyond it lies the edge.
        box = tuple(
            slice(max(part.start - 1, 0), min(part.stop + 1, extent))
            for part, extent in zip(box, labels.shape, strict=True)
        )
        part = labels[box]
        inside = part == index + 1
        outside = ~inside & (part != IGNORE)
        everywhere = not outside.any()  # the object fills the patch: no edge to be far from
        depth = np.ones(part.shape) if everywhere else ndimage.distance_transform_edt(~outside)
        share = depth[inside] / depth[inside].max()
        target[box][inside] = np.maximum(1, np.round(MAX_DISTANCE * share))
    target[labels == IGNORE] = IGNORE
    return target


def make_target(labels: NDArray[np.int32], output: str) -> NDArray[np.integer]:
    """What the network learns of labels.

    Parameters
    ----------
    labels
        ``(Y, X)``: classes or object numbers, or :data:`IGNORE`.
    output
        Of the plan: ``semantic``, ``boundary`` or ``distance``.
    """
    if output == "boundary":
        return boundary_target(labels)
    return distance_target(labels) if output == "distance" else labels
