"""Which slices to paint next: those a model is least sure of, spread out. Plain numbers, no model.

A slice that lies beside one that is painted, skipped or suggested looks much like it and teaches
little, so slices are chosen far apart first and closer only where there are not enough.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from napari_swin_umamba.project.annotation import Position
from napari_swin_umamba.project.open_slices import OpenSlices, Slice, block_index, block_length

__all__ = [
    "MOST_LOOKED_AT",
    "REASONS",
    "SliceScore",
    "Suggestion",
    "coarse_first",
    "search_order",
    "suggest_evenly",
    "suggest_unsure",
    "thin_out",
]

MOST_LOOKED_AT = 64
"""Slices that a model looks at for one list of suggestions."""
_NEIGHBOUR = 2
"""Slices closer than this are neighbours."""
_MOST_WEIGHED = 512
"""Slices that even spacing chooses from."""
T = TypeVar("T")

Reason = Literal["changed", "neighbours", "even"]
REASONS: Mapping[Reason, str] = {
    "changed": "changes when mirrored or moved",
    "neighbours": "unlike its neighbours",
    "even": "evenly spaced",
}
"""Why a slice is suggested, in words."""


@dataclass(frozen=True)
class SliceScore:
    """How much predictions of a slice disagree, from 0 to 1."""

    score: float
    """Altogether."""
    changed: float
    """Of the slice and its mirrored or moved versions."""
    neighbours: float
    """Of the slice and those beside it."""


@dataclass(frozen=True)
class Suggestion:
    """A slice to paint."""

    image_id: str
    position: Position
    reason: Reason
    score: SliceScore | None = None
    """None: no model looked at it."""

    @property
    def slice(self) -> Slice:
        """Image and position."""
        return self.image_id, self.position


def coarse_first(count: int) -> list[int]:
    """Order 0, 1, ..., count - 1 so that the first few of them, however many, are spread evenly.

    Parameters
    ----------
    count
        How many.
    """
    bits = max(1, (count - 1).bit_length())
    reversed_bits = (int(f"{number:0{bits}b}"[::-1], 2) for number in range(1 << bits))
    return [number for number in reversed_bits if number < count]


def thin_out(items: Sequence[T], most: int) -> list[T]:
    """Return at most so many of some items, evenly spaced.

    Parameters
    ----------
    items
        In order.
    most
        At least 1.
    """
    count = min(len(items), most)
    return [items[(2 * index + 1) * len(items) // (2 * count)] for index in range(count)]


def search_order(slices: OpenSlices, most: int = MOST_LOOKED_AT) -> dict[str, list[Position]]:
    """Say which slices a model looks at, and in which order: image after image.

    A search that ends early has seen a little of everywhere.

    Parameters
    ----------
    slices
        Candidates.
    most
        How many are looked at.

    Returns
    -------
    dict
        For each image's id, positions.
    """
    chosen = thin_out(slices.candidates, most)
    ids = list(dict.fromkeys(image_id for image_id, _ in chosen))
    order = {}
    for image_id in (ids[index] for index in coarse_first(len(ids))):
        positions = [position for one, position in chosen if one == image_id]
        order[image_id] = [positions[index] for index in coarse_first(len(positions))]
    return order


def suggest_unsure(
    scores: Mapping[Slice, SliceScore],
    slices: OpenSlices,
    count: int,
    kept: Collection[Slice] = (),
) -> list[Suggestion]:
    """Choose the slices that predictions disagree most about, no two of them neighbours.

    Parameters
    ----------
    scores
        Of slices that a model looked at. Those that are no candidates are passed over.
    slices
        Candidates, and what is taken.
    count
        How many at most.
    kept
        Suggestions of before that stay beside these.

    Returns
    -------
    list of Suggestion
        The least sure first.
    """
    candidates = [one for one in slices.candidates if one in scores and one not in kept]
    candidates.sort(key=lambda one: -scores[one].score)
    chosen = _far_apart(candidates, slices, count, kept)
    chosen.sort(key=lambda one: -scores[one].score)
    return [Suggestion(*one, _reason(scores[one]), scores[one]) for one in chosen]


def suggest_evenly(
    slices: OpenSlices, count: int, kept: Collection[Slice] = ()
) -> list[Suggestion]:
    """Choose slices that are far from what is taken, from each other and from the ends.

    Parameters
    ----------
    slices, count, kept
        As in :func:`suggest_unsure`.

    Returns
    -------
    list of Suggestion
        In the order of the images.
    """
    free = [one for one in slices.candidates if one not in kept]
    free = thin_out(free, _MOST_WEIGHED)
    free = [free[index] for index in coarse_first(len(free))]  # of several as good: spread out
    chosen: list[Slice] = []
    around: list[Slice] = [*slices.taken, *kept]
    room = {one: _room(one, slices, around) for one in free}
    while len(chosen) < count:
        beside = [*chosen, *kept]
        free = [one for one in free if not _any_near(one, beside, slices, _neighbour)]
        if not free:
            break
        best = max(free, key=lambda one: room[one])
        chosen.append(best)
        free.remove(best)
        for one in free:
            if one[0] == best[0]:
                room[one] = min(room[one], _distance(one, best))
    order = {image_id: number for number, image_id in enumerate(slices.images)}
    chosen.sort(key=lambda one: (order[one[0]], one[1]))
    return [Suggestion(*one, "even") for one in chosen]


def _far_apart(
    candidates: Sequence[Slice], slices: OpenSlices, count: int, kept: Collection[Slice]
) -> list[Slice]:
    """Take the first candidates that leave room between them; less room, where they are too few."""
    chosen: list[Slice] = []
    rooms = {image: block_length(known) // (2 * count) for image, known in slices.images.items()}
    taken: Collection[Slice] = slices.taken
    while True:

        def apart(image: str, rooms: Mapping[str, int] = rooms) -> int:
            return max(_NEIGHBOUR, rooms[image])

        for one in candidates:
            if len(chosen) == count:
                return chosen
            others = [*taken, *kept, *chosen]
            if one not in chosen and not _any_near(one, others, slices, apart):
                chosen.append(one)
        if not taken and max(rooms.values(), default=0) <= _NEIGHBOUR:
            return chosen
        if max(rooms.values(), default=0) <= _NEIGHBOUR:
            taken = ()  # beside what is painted: better than nothing
        rooms = {image: room // 2 for image, room in rooms.items()}


def _any_near(
    one: Slice, others: Collection[Slice], slices: OpenSlices, apart: Callable[[str], int]
) -> bool:
    """Whether a slice lies closer than `apart` to one of the others."""
    along = block_index(slices.images[one[0]])
    room = apart(one[0])
    for other in others:
        if other[0] == one[0] and all(
            abs(here - there) < (room if number == along else _NEIGHBOUR)
            for number, (here, there) in enumerate(zip(one[1], other[1], strict=True))
        ):
            return True
    return False


def _neighbour(_image: str) -> int:
    return _NEIGHBOUR


def _distance(one: Slice, other: Slice) -> int:
    """Slices between two of one image."""
    return max((abs(a - b) for a, b in zip(one[1], other[1], strict=True)), default=0)


def _room(one: Slice, slices: OpenSlices, others: Collection[Slice]) -> int:
    """Distance to the nearest of some slices; an end counts as one half as far away."""
    image = slices.images[one[0]]
    along = block_index(image)
    rooms = [_distance(one, other) for other in others if other[0] == one[0]]
    if along is not None:
        place = one[1][along]
        rooms.append(2 * min(place, block_length(image) - 1 - place) + 1)
    return min(rooms, default=1)


def _reason(score: SliceScore) -> Reason:
    return "changed" if score.changed >= score.neighbours else "neighbours"
