"""Slices of a project that may be painted next, and those that something is known about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from napari_swin_umamba.project.annotation import Position
from napari_swin_umamba.project.project import Project
from napari_swin_umamba.project.settings import ImageReference
from napari_swin_umamba.project.skipped import Skipped

__all__ = ["OpenSlices", "Slice", "list_slices"]

Slice = tuple[str, Position]
"""Id of an image, and the position of one of its slices."""


@dataclass(frozen=True)
class OpenSlices:
    """Slices of some images."""

    images: Mapping[str, ImageReference]
    """By id."""
    candidates: tuple[Slice, ...]
    """Neither annotated, held out nor skipped; image after image, in order."""
    taken: frozenset[Slice]
    """Annotated or skipped: what lies beside them is not worth as much."""
    total: int
    """All slices of these images."""


def list_slices(project: Project, image_ids: Iterable[str] | None = None) -> OpenSlices:
    """List what may be painted next.

    Parameters
    ----------
    project
        Where to look.
    image_ids
        Images; None: all.

    Raises
    ------
    InputError
        There is no such image, or the project's files cannot be read.
    """
    ids = [image.id for image in project.images] if image_ids is None else list(image_ids)
    images = {image_id: project.image(image_id) for image_id in ids}
    roles, skipped = project.roles, Skipped.read(project.folder)
    candidates: list[Slice] = []
    taken: set[Slice] = set()
    total = 0
    for image_id, image in images.items():
        annotation = project.annotation(image_id)
        known = {*annotation.annotated(), *skipped.of(image_id)}
        taken.update((image_id, position) for position in known)
        along = block_index(image)
        for position in annotation.positions():
            total += 1
            place = None if along is None else position[along]
            held_out = roles.role(roles.block_of(image_id, place)) == "held_out"
            if position not in known and not held_out:
                candidates.append((image_id, position))
    return OpenSlices(images, tuple(candidates), frozenset(taken), total)


def block_index(image: ImageReference) -> int | None:
    """Which number of a position counts neighbouring slices; None in a 2D image."""
    axis = image.block_axis
    return None if axis is None else image.fixed_axes.index(axis)


def block_length(image: ImageReference) -> int:
    """How many slices follow each other."""
    axis = image.block_axis
    return 1 if axis is None else image.label_shape[image.label_axes.index(axis)]
