"""From interior and boundary probabilities to numbered objects.

The networks learn three classes: background, interior of an object, and a boundary that reaches
one pixel out of the object and two into it (that of the paper's microscopy experiment). The
paper takes the connected pieces of the interior for the objects, which makes them two pixels too
small all around and joins neighbours at the slightest gap in the boundary. Here the interior
gives seeds only, and the objects grow from them (docs/decisions/0015).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from napari_swin_umamba.plan import Plan
from napari_swin_umamba.segmentation.convex_seeds import LEVELS, convex_seeds
from napari_swin_umamba.segmentation.holes import fill_holes
from napari_swin_umamba.segmentation.joined_objects import divide_joined_objects
from napari_swin_umamba.segmentation.numbering import number_in_order

__all__ = [
    "instances_from_boundary",
    "instances_from_distance",
    "number_objects",
    "objects_from_classes",
    "output_probabilities",
]

_DISTANCES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Relative distances to an object's edge at which the middles of objects may part."""
_BOUNDARY_OUTSIDE = 1
"""Pixels of the boundary class that lie outside of the object."""
_SURE = 0.7
"""Share of the image's largest interior probability that each object's must reach."""
_CROSS = ndimage.generate_binary_structure(2, 1)


def instances_from_boundary(probabilities: np.ndarray, min_object_pixels: int = 16) -> np.ndarray:
    """Number the objects of an image.

    Parameters
    ----------
    probabilities
        ``(3, Y, X)``: background, interior of objects, boundary of objects.
    min_object_pixels
        Smaller objects are dropped.

    Returns
    -------
    np.ndarray
        ``(Y, X)``, int32: 0 background, objects 1, 2, ... in the order of their first pixel.
        Every object is in one piece (pixels that share a side); touching ones differ.

    Notes
    -----
    1. Objects cover what is not background, less the outer pixel of the boundary.
    2. Seeds: pieces of the interior probability that are as convex as possible
       (:func:`~napari_swin_umamba.segmentation.convex_seeds.convex_seeds`), then objects that hold
       none, too thin to have an interior.
    3. A watershed on the interior probability shares the objects' pixels out among the seeds.
    4. Objects with an interior that is nowhere nearly as sure as others' are dropped.
    """
    interior = probabilities[1]
    objects = probabilities[0] < 0.5
    # The edge of the image is no edge of an object: nothing is peeled off there.
    objects = ndimage.binary_erosion(objects, _CROSS, _BOUNDARY_OUTSIDE, border_value=1)
    seeds = convex_seeds(interior)
    objects |= seeds > 0
    _add_seeds(seeds, objects)
    labels = watershed(-interior, seeds, mask=objects)
    return number_in_order(_without_doubtful(labels, interior), min_object_pixels)


def instances_from_distance(probabilities: np.ndarray, min_object_pixels: int = 16) -> np.ndarray:
    """Number the objects of an image by how far their pixels are from their edges.

    Parameters
    ----------
    probabilities
        ``(3, Y, X)``: background, object, and distance to the object's edge, relative to the
        object's largest distance.
    min_object_pixels
        Smaller objects are dropped.

    Returns
    -------
    np.ndarray
        ``(Y, X)``, int32, as of :func:`instances_from_boundary`.

    Notes
    -----
    Seeds are pieces of the distance that are as convex as possible, and objects without such a
    piece. A watershed on the distance shares the objects' pixels out among them.
    """
    distance = probabilities[2]
    objects = probabilities[1] > 0.5
    seeds = convex_seeds(np.where(objects, distance, 0), _DISTANCES)
    _add_seeds(seeds, objects)
    return number_in_order(watershed(-distance, seeds, mask=objects), min_object_pixels)


def number_objects(probabilities: np.ndarray, plan: Plan) -> np.ndarray:
    """Number the objects of an image, as the plan has them.

    Parameters
    ----------
    probabilities
        ``(3, Y, X)``, from :func:`output_probabilities`.
    plan
        One that numbers objects.
    """
    decode = instances_from_distance if plan.output == "distance" else instances_from_boundary
    objects = decode(probabilities, plan.min_object_pixels)
    if plan.fill_holes:
        objects = fill_holes(objects)
    if plan.convex_objects:
        objects = number_in_order(divide_joined_objects(objects))
    return objects


def output_probabilities(logits: np.ndarray, plan: Plan) -> np.ndarray:
    """Turn logits ``(outputs, ...)`` into probabilities, or distances from 0 to 1.

    Parameters
    ----------
    logits
        Of all outputs, float32.
    plan
        Says what the outputs are.
    """
    classes = logits[:2] if plan.output == "distance" else logits
    probabilities: np.ndarray = np.exp(classes - classes.max(axis=0))
    probabilities /= probabilities.sum(axis=0)
    if plan.output != "distance":
        return probabilities
    # Clipped: the exponential of a large number is infinite.
    distance = 1 / (1 + np.exp(-np.clip(logits[2:], -30, 30)))
    return np.concatenate([probabilities, distance])


def objects_from_classes(labels: np.ndarray) -> np.ndarray:
    """Number the connected pieces of each class.

    Parameters
    ----------
    labels
        ``(Y, X)``, class ids; 0 is the background.

    Returns
    -------
    np.ndarray
        ``(Y, X)``, int32: 0 background, pieces 1, 2, ... in the order of their first pixel. Pixels
        of a piece share a side and a class; touching pieces of two classes differ.
    """
    pieces = np.zeros(labels.shape, np.int32)
    largest = 0
    for value in np.flatnonzero(np.bincount(labels.ravel(), minlength=1)[1:]) + 1:
        of_class = np.zeros(labels.shape, np.int32)
        count = ndimage.label(labels == value, _CROSS, output=of_class)
        pieces[of_class > 0] = of_class[of_class > 0] + largest
        largest += count
    return number_in_order(pieces, 1)


def _without_doubtful(labels: np.ndarray, interior: np.ndarray) -> np.ndarray:
    """Set objects of an unsure interior to background; those too thin to have one stay."""
    surest = ndimage.maximum(interior, labels, np.arange(labels.max() + 1))
    # Relative, since nothing is sure for a network that has just begun to learn.
    doubtful = (surest > LEVELS[0]) & (surest < _SURE * surest.max())
    kept: np.ndarray = np.where(doubtful[labels], 0, labels)
    return kept


def _add_seeds(seeds: np.ndarray, candidates: np.ndarray) -> None:
    """Make each piece of a mask that holds no seed a new seed, in place."""
    pieces = np.zeros(seeds.shape, np.int32)
    count = ndimage.label(candidates, _CROSS, output=pieces)
    seeded = np.zeros(count + 1, bool)
    seeded[pieces[seeds > 0]] = True
    seeded[0] = True
    new = ~seeded[pieces]
    seeds[new] = pieces[new] + seeds.max()
