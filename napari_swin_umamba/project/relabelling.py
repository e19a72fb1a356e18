"""Gives painted values another meaning in all of a project: for a class removed or merged."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from napari_swin_umamba.errors import Cancelled, InputError
from napari_swin_umamba.project.project import Project

__all__ = ["relabel"]


def relabel(
    project: Project,
    values: Mapping[int, int],
    on_progress: Callable[[int, int], object] = lambda done, total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> tuple[int, tuple[str, ...]]:
    """Replace values in every painted slice of every image.

    Each slice is replaced whole or not at all. Doing the same again does no harm, so whoever was
    interrupted starts anew; classes are to be taken out of the project afterwards.

    Parameters
    ----------
    project
        Whoever calls this holds the lock on painting.
    values
        Value -> the one that takes its place.
    on_progress
        Called with the number of slices done and of all.
    should_stop
        Asked before each slice.

    Returns
    -------
    tuple
        Number of slices that were changed, and which slices cannot be read.

    Raises
    ------
    InputError
        The disk refuses a slice.
    Cancelled
        `should_stop` said so.
    """
    import numpy as np

    slices = [
        (annotation, position)
        for annotation in (project.annotation(image.id) for image in project.images)
        for position in annotation.painted()
    ]
    changed, unreadable = 0, []
    for number, (annotation, position) in enumerate(slices):
        if should_stop():
            raise Cancelled("stopped")
        on_progress(number, len(slices))
        try:
            before = annotation.read(position)
        except InputError as error:
            unreadable.append(str(error))
            continue
        after = before.copy()
        for old, new in values.items():
            after[before == old] = new
        if not np.array_equal(before, after):
            annotation.write(position, after)
            changed += 1
    return changed, tuple(unreadable)
