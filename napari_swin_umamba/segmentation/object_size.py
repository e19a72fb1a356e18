"""Whether the objects found are as large as those that the network learned.

A network that learned objects of 20 pixels misses those of 5, and breaks those of 150 into pieces.
What it finds tells, mostly: the pieces are small, but the largest of them hold most of the pixels.
So the size that counts is the one at which half of the labelled pixels lie in larger objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import pi

import numpy as np

__all__ = ["FoundSizes", "is_size_note"]

_REMEDY = "give the object diameter (--object-diameter)"
_SMALL, _LARGE = 0.5, 3
"""Ratios to the size in training, beyond which scaling the image finds more (docs/benchmarks.md)"""


def is_size_note(note: str) -> bool:
    """Whether a note about an image is one of :meth:`FoundSizes.notes`."""
    return note.endswith(_REMEDY)


@dataclass(frozen=True, eq=False)
class FoundSizes:
    """Gathers the sizes of the objects of an image, plane by plane."""

    trained: float | None
    """Diameter of the objects in training, in pixels of the planes; None: it is not known, or the
    planes were scaled by somebody's wish, and nothing is to be said."""
    _pixels: list[np.ndarray] = field(default_factory=list)

    def add(self, objects: np.ndarray) -> None:
        """Take the objects ``(Y, X)`` of a plane."""
        if self.trained is not None:
            sizes = np.bincount(objects.ravel())[1:]
            self._pixels.append(sizes[sizes > 0])

    @property
    def diameter(self) -> float | None:
        """Of a circle as large as an object that is typical of the labelled pixels."""
        pixels = np.sort(np.concatenate(self._pixels)) if self._pixels else np.zeros(0, int)
        if not pixels.size:
            return None
        shared = np.cumsum(pixels)
        middle = pixels[np.searchsorted(shared, shared[-1] / 2)]
        return float((4 * middle / pi) ** 0.5)

    def notes(self) -> tuple[str, ...]:
        """Return a hint for people, where the objects are no match for those in training."""
        if self.trained is None:
            return ()
        found, trained = self.diameter, f"{self.trained:.0f}"
        if found is None:
            note = (
                f"no objects were found; those in training were about {trained} pixels across: if "
                f"this image's are much larger or smaller, {_REMEDY}"
            )
            return (note,)
        if _SMALL <= found / self.trained <= _LARGE:
            return ()
        note = (
            f"the objects found are about {found:.0f} pixels across, those in training were "
            f"{trained}: if many are missed or broken, {_REMEDY}"
        )
        return (note,)
