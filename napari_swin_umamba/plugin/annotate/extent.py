"""How far a numbered object reaches through the slices of a volume. Without napari."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["part_of_object"]


def part_of_object(
    data: Any, value: int, index: tuple[int | slice, ...]
) -> list[tuple[int | slice, ...]]:
    """Slices that hold an object, from one of them on in both directions.

    Parameters
    ----------
    data
        Numbers of objects.
    value
        The object's.
    index
        Of a slice that holds it; its last number is the one that is counted up and down.

    Returns
    -------
    list
        Indices like `index`.
    """
    fixed = [axis for axis, place in enumerate(index) if not isinstance(place, slice)]
    found = [index]
    if not fixed:
        return found
    axis = fixed[-1]
    for step in (-1, 1):
        here = list(index)
        while True:
            here[axis] = int(here[axis]) + step  # type: ignore[arg-type]
            if not 0 <= int(here[axis]) < data.shape[axis]:  # type: ignore[arg-type]
                break
            if not np.any(np.asarray(data[tuple(here)]) == value):
                break
            found.append(tuple(here))
    return found
