"""What of a prediction goes into an annotation, as numbers. Without napari.

A prediction has 0 for background and 1, 2, … for classes, or numbers objects; an annotation has 1
for background and ids of the project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_swin_umamba.plugin.result_layer import METADATA_KEY
from napari_swin_umamba.project import BACKGROUND, FIRST_CLASS, UNLABELLED, Settings

__all__ = ["CLASS_IDS", "Meaning", "accepted", "continued", "meaning_of_layer", "object_mask"]

CLASS_IDS = "project_class_ids"
"""Key in a prediction's metadata: which class of the project a value is, where that is known."""
_SAME_OBJECT = 1 / 3
"""An object of a prediction was painted before if more than this share of it was."""


@dataclass(frozen=True)
class Meaning:
    """What the values of a prediction mean in a project."""

    values: Mapping[int, int] = field(default_factory=dict)
    """Value of a class -> id in the project."""
    numbers_objects: bool = False
    """Values number objects: each becomes an object of the project, or (`one_class`) its class."""
    values_are_objects: bool = False
    """`values` are numbers of objects that are known already."""
    one_class: int = 0
    """Id of the class of all objects, in a project of classes."""
    missing: tuple[str, ...] = ()
    """Classes of the prediction that the project does not have; they are left out."""
    problem: str = ""
    """Why nothing can be accepted; empty: it can."""


def meaning_of_layer(layer: Any, settings: Settings) -> Meaning:
    """Find out what the values of a Labels layer mean: classes go by their names.

    Parameters
    ----------
    layer
        A result of *Segment*, or any other Labels layer.
    settings
        Of the project.
    """
    ours = layer.metadata.get(METADATA_KEY)
    ours = ours if isinstance(ours, dict) else {}
    objects = bool(ours.get("instances"))
    names = {int(value): str(name) for value, name in (ours.get("classes") or {}).items()}
    ids = {int(value): int(number) for value, number in (ours.get(CLASS_IDS) or {}).items()}
    if not names:
        names = _names_in_features(layer)
    names.pop(0, None)
    if settings.kind == "instances":
        if ours and not objects:
            return Meaning(
                problem="It holds classes, but the project numbers objects. Choose "
                "Objects in Segment."
            )
        return Meaning(numbers_objects=True)
    now = {item.id: item.name for item in settings.classes}
    for value, number in ids.items():
        names[value] = now.get(number, f"{names.get(value, number)} (removed)")
    known = {item.name.casefold(): item.id for item in settings.classes}
    if objects:
        name = next(iter(names.values()), "")
        one = known.get(name.casefold(), 0)
        if not one and len(settings.classes) == 1:
            one = settings.classes[0].id
        if not one:
            return Meaning(
                problem=f"Its objects are called “{name}”, and no class of the project "
                "is. Name one so."
            )
        return Meaning(numbers_objects=True, one_class=one)
    if not names:  # nobody said: the order says
        return Meaning({place + 1: item.id for place, item in enumerate(settings.classes)})
    values = {v: known[name.casefold()] for v, name in names.items() if name.casefold() in known}
    missing = tuple(name for value, name in names.items() if value not in values)
    if not values:
        return Meaning(
            problem="None of its classes is one of the project: "
            f"{', '.join(names.values())}. Classes go by their names."
        )
    return Meaning(values, missing=missing)


def accepted(
    painted: np.ndarray,
    predicted: np.ndarray,
    meaning: Meaning,
    first_object: int = FIRST_CLASS,
    over_strokes: bool = False,
    background: bool = True,
) -> np.ndarray:
    """Return the annotation with a prediction taken over.

    Parameters
    ----------
    painted
        The annotation, of any shape.
    predicted
        The prediction, of the same shape.
    meaning
        Of its values.
    first_object
        Number of the first new object.
    over_strokes
        Also where something is painted already; otherwise only what is unlabelled changes, and of
        objects only those of which no more than a third is an object already.
    background
        Take over background too.
    """
    numbers, places = np.unique(predicted, return_inverse=True)
    if meaning.one_class:
        becomes = np.where(numbers > 0, meaning.one_class, UNLABELLED)
    elif meaning.numbers_objects:
        becomes = np.where(numbers > 0, first_object - 1 + np.cumsum(numbers > 0), UNLABELLED)
    else:
        becomes = np.array([meaning.values.get(int(one), UNLABELLED) for one in numbers], np.int64)
    are_objects = meaning.numbers_objects or meaning.values_are_objects
    if are_objects and not meaning.one_class and not over_strokes:
        # What sticks out of an object that was painted is no further object.
        known = _share(painted >= FIRST_CLASS, places, numbers.size) > _SAME_OBJECT
        becomes = np.where(known & (numbers > 0), UNLABELLED, becomes)
    if background:
        becomes = np.where(numbers == 0, BACKGROUND, becomes)
    taken = becomes[places].reshape(painted.shape)
    changes = taken != UNLABELLED
    if not over_strokes:
        changes &= painted == UNLABELLED
    return np.where(changes, taken, painted).astype(painted.dtype)


def _share(mask: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
    """Of the pixels with each number, the share that a mask covers."""
    covered = np.bincount(places.ravel(), mask.ravel(), minlength=count)
    shares: np.ndarray = covered / np.bincount(places.ravel(), minlength=count)
    return shares


def continued(here: np.ndarray, beside: np.ndarray, painted_beside: np.ndarray) -> dict[int, int]:
    """Find objects of a slice that were accepted on the slice beside it already.

    Parameters
    ----------
    here, beside
        The prediction on both, (rows, columns); an object has one number on all slices.
    painted_beside
        The annotation of the one beside.

    Returns
    -------
    dict
        Number in the prediction -> number in the annotation, no two the same.
    """
    found: dict[int, int] = {}
    for number in np.unique(here[(here > 0) & (here == beside)]):
        mask = beside == number
        values, counts = np.unique(painted_beside[mask], return_counts=True)
        best = int(np.argmax(counts))
        most = 2 * counts[best] > np.count_nonzero(mask)
        if most and values[best] >= FIRST_CLASS and values[best] not in found.values():
            found[int(number)] = int(values[best])
    return found


def object_mask(plane: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """Pixels of one value that hang together with a place of a plane.

    Parameters
    ----------
    plane
        (rows, columns).
    place
        Row and column.
    """
    from skimage.morphology import flood

    return np.asarray(flood(plane, place, connectivity=1))


def _names_in_features(layer: Any) -> dict[int, str]:
    table = layer.features
    column = next((one for one in ("name", "class") if one in table), None)
    if column is None or "index" not in table:
        return {}
    return {
        int(index): str(name)
        for index, name in zip(table["index"], table[column], strict=True)
        if str(name) not in ("", "nan")
    }
