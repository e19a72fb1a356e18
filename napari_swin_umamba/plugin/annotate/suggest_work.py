"""Looks for slices to paint next, in a thread: lists, predicts, compares. Without Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from napari_swin_umamba.images import Image
from napari_swin_umamba.plugin.annotate.image_files import kept_axes
from napari_swin_umamba.plugin.loaded_model import LoadedModel
from napari_swin_umamba.plugin.words import count
from napari_swin_umamba.plugin.worker import Channel, Progress
from napari_swin_umamba.project import (
    ImageReference,
    OpenSlices,
    Project,
    Slice,
    SliceScore,
    list_slices,
)
from napari_swin_umamba.project.open_slices import block_index
from napari_swin_umamba.project.suggestion import search_order

__all__ = ["SECONDS", "Listed", "LookedAt", "Search", "image_of_layer", "look_for_slices"]

SECONDS = 30.0
"""How long slices are looked at."""


@dataclass(frozen=True, eq=False)
class Search:
    """What is looked at."""

    project: Project
    image_ids: tuple[str, ...]
    opened: Mapping[str, Image]
    """Images that are in memory already, by id; the others are read from their files."""
    model: Path | None
    """The project's; None: there is none yet."""


@dataclass(frozen=True)
class Listed:
    """Told first: what may be suggested, and how many of that are to be looked at."""

    slices: OpenSlices
    planned: int


@dataclass(frozen=True, eq=False)
class LookedAt:
    """A slice that the model has looked at."""

    slice: Slice
    score: SliceScore
    pixels: np.ndarray
    """(rows, columns), uint8: where predictions disagree."""


def image_of_layer(layer: Any, reference: ImageReference) -> Image:
    """What an image layer shows, with the axes that the project has for it.

    Parameters
    ----------
    layer
        An image layer that fits the reference.
    reference
        What the project says of the image.
    """
    data = layer.data[0] if layer.multiscale else layer.data
    letters = ["C"] * len(layer.axis_labels)
    for letter, axis in zip(reference.label_axes, kept_axes(layer, reference), strict=True):
        letters[axis] = letter
    axes = "".join(letters) + ("C" if layer.rgb else "")
    return Image(array=data, axes=axes, spacing=reference.spacing, unit=reference.unit)


def look_for_slices(search: Search, models: LoadedModel, channel: Channel) -> tuple[str, ...]:
    """Look at evenly spaced slices; a :class:`Listed` and a :class:`LookedAt` each are delivered.

    Parameters
    ----------
    search
        Where.
    models
        Loads the model.
    channel
        Takes progress and results, and tells whether to stop.

    Returns
    -------
    tuple of str
        Why images could not be read, sentence by sentence.

    Raises
    ------
    InputError
        The project or the model cannot be read.
    Cancelled
        The channel said so.
    """
    channel.report(Progress("Looking for slices…"))
    slices = list_slices(search.project, search.image_ids)
    order = {} if search.model is None else search_order(slices)
    planned = sum(len(positions) for positions in order.values())
    channel.deliver(Listed(slices, planned))
    if search.model is None or not planned:
        return ()
    channel.report(Progress("Loading the model…"))
    from napari_swin_umamba.segmentation.unsure_slices import SlicesToMeasure, measure_slices

    model, _ = models.get(search.model)
    problems: list[str] = []
    channel.report(Progress(f"0 of {count(planned, 'slice')}", 0.0))
    wanted = []
    for image_id, positions in order.items():
        image, read = slices.images[image_id], partial(_image, search, image_id)
        along = block_index(image)
        wanted.append(SlicesToMeasure(image_id, read, image.slice_axis, along, positions))
    measured = measure_slices(
        model,
        wanted,
        seconds=SECONDS,
        should_stop=channel.should_stop,
        on_problem=problems.append,
        maps=True,
    )
    for done, (image_id, position, found) in enumerate(measured, 1):
        score = SliceScore(found.score, found.changed, found.neighbours)
        channel.deliver(LookedAt((image_id, position), score, found.pixels))
        channel.report(Progress(f"{done:,} of {count(planned, 'slice')}", done / planned))
    return tuple(problems)


def _image(search: Search, image_id: str) -> Image:
    from napari_swin_umamba.segmentation.channel_files import read_case

    if image_id in search.opened:
        return search.opened[image_id]
    return read_case(search.project.find_files(image_id))
