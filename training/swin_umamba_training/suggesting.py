"""Which slices of a project to paint next, without a window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from napari_swin_umamba.checkpoints import load_model
from napari_swin_umamba.images import Image
from napari_swin_umamba.project import (
    Project,
    ProjectModels,
    Slice,
    SliceScore,
    Suggestion,
    list_slices,
    suggest_evenly,
    suggest_unsure,
)
from napari_swin_umamba.project.open_slices import block_index
from napari_swin_umamba.project.suggestion import MOST_LOOKED_AT, search_order
from napari_swin_umamba.segmentation.channel_files import read_case
from napari_swin_umamba.segmentation.unsure_slices import SlicesToMeasure, measure_slices

__all__ = ["Suggested", "suggest_slices"]


@dataclass(frozen=True)
class Suggested:
    """What is suggested, and by what."""

    suggestions: tuple[Suggestion, ...]
    model: str | None
    """The model that looked at slices; None: the project has none."""
    looked_at: int
    """Slices that it looked at."""
    candidates: int
    """Slices that are neither painted, held out nor skipped."""
    problems: tuple[str, ...] = ()
    """Why images could not be read."""


def suggest_slices(
    project: Project,
    count: int = 5,
    image_ids: Sequence[str] | None = None,
    device: str = "auto",
    seconds: float = 30.0,
    most: int = MOST_LOOKED_AT,
    on_slice: Callable[[int, int], object] | None = None,
) -> Suggested:
    """Suggest slices as napari does.

    Parameters
    ----------
    project
        Whose current model looks at slices.
    count
        How many are suggested at most.
    image_ids
        Images; None: all.
    device
        Where to compute.
    seconds
        How long slices are looked at.
    most
        How many are looked at, evenly spaced.
    on_slice
        Called after each with the number done and their total number.

    Raises
    ------
    InputError
        There is no such image, or the project or its model cannot be read.
    """
    slices = list_slices(project, image_ids)
    models = ProjectModels(project.folder)
    current = models.read().current
    if current is None:
        even = suggest_evenly(slices, count)
        return Suggested(tuple(even), None, 0, len(slices.candidates))
    order = search_order(slices, most)
    planned = sum(len(positions) for positions in order.values())
    wanted = []
    for image_id, positions in order.items():
        image, read = slices.images[image_id], partial(_read, project, image_id)
        along = block_index(image)
        wanted.append(SlicesToMeasure(image_id, read, image.slice_axis, along, positions))
    scores: dict[Slice, SliceScore] = {}
    problems: list[str] = []
    measured = measure_slices(
        load_model(models.path(current)),
        wanted,
        device,
        seconds,
        on_problem=problems.append,
    )
    for image_id, position, found in measured:
        scores[image_id, position] = SliceScore(found.score, found.changed, found.neighbours)
        if on_slice is not None:
            on_slice(len(scores), planned)
    unsure = suggest_unsure(scores, slices, count)
    free = len(slices.candidates)
    return Suggested(tuple(unsure), current.name, len(scores), free, tuple(problems))


def _read(project: Project, image_id: str) -> Image:
    return read_case(project.find_files(image_id))
