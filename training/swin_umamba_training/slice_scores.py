"""Count what a model finds on held-out slices: it predicts them as ``segment`` does.

Each model with its own preparation of the image, tiles and classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.images import Image
from napari_swin_umamba.segmentation import PlaneSegmenter, segment
from napari_swin_umamba.segmentation.resampling import resize_labels
from swin_umamba_training.data.cases import case_layout, read_case_image
from swin_umamba_training.data.problems import Problem, raise_errors
from swin_umamba_training.data.slice_store import ImageStore
from swin_umamba_training.dataset import Dataset
from swin_umamba_training.metrics import instance_f1
from swin_umamba_training.paired import Counts
from swin_umamba_training.project_classes import align_with_project
from swin_umamba_training.targets import IGNORE

__all__ = ["ScoredClass", "count_slices", "painted_pixels", "scored_classes"]


@dataclass(frozen=True)
class ScoredClass:
    """A class that has a score."""

    value: int
    """In the project."""
    name: str
    output: int
    """In the labels that the new model yields."""


def scored_classes(dataset: Dataset, after: Model) -> list[ScoredClass]:
    """Classes of a project in the labels that a model trained on it yields.

    Parameters
    ----------
    dataset
        The project.
    after
        The model.
    """
    assert dataset.classes is not None
    if dataset.instances:
        kind = dataset.classes[-1]
        return [ScoredClass(kind.value, kind.name, 1)]
    outputs = {item.name: item.id for item in after.plan.classes}
    return [ScoredClass(c.value, c.name, outputs[c.name]) for c in dataset.classes[1:]]


def painted_pixels(dataset: Dataset, held_out: ImageStore, after: Model) -> NDArray[np.int64]:
    """``(slices, classes)``: painted pixels of each scored class.

    Parameters
    ----------
    dataset, held_out, after
        As for :func:`count_slices`.
    """
    classes = scored_classes(dataset, after)
    rows = []
    for index in range(len(held_out)):
        labels = held_out[index][1]
        if dataset.instances:
            rows.append([int((labels > 0).sum())])
        else:
            rows.append([int((labels == item.output).sum()) for item in classes])
    return np.asarray(rows, np.int64).reshape(len(held_out), len(classes))


def count_slices(
    dataset: Dataset,
    held_out: ImageStore,
    model: Model,
    after: Model,
    device: torch.device,
    on_slice: Callable[[], None],
) -> Counts:
    """Count what a model finds on each slice, where it is painted.

    Parameters
    ----------
    dataset
        A project.
    held_out
        The slices; labels are classes of `after`'s plan, or objects.
    model
        Whose predictions are counted.
    after
        The model that was trained on the project now: its classes are scored.
    device
        Where to compute.
    on_slice
        Called after each.

    Raises
    ------
    InputError
        An image cannot be read, or the model not used on it.
    """
    classes = scored_classes(dataset, after)
    table = _translation(dataset, model, after)
    shape = (len(held_out), len(classes))
    overlap, size = np.zeros(shape), np.zeros(shape)
    for index, found in _predictions(dataset, held_out, model, device):
        true = held_out[index][1]
        found = resize_labels(found, (true.shape[0], true.shape[1]))
        known = true != IGNORE
        if dataset.instances:
            score = instance_f1(np.where(known, found, 0), np.maximum(true, 0))
            overlap[index], size[index] = score.tp, 2 * score.tp + score.fp + score.fn
        else:
            found = table[found]
            for column, item in enumerate(classes):
                here, there = (found == item.output) & known, true == item.output
                overlap[index, column] = (here & there).sum()
                size[index, column] = here.sum() + there.sum()
        on_slice()
    return Counts(overlap, size)


def _translation(dataset: Dataset, model: Model, after: Model) -> NDArray[np.int64]:
    """Class of the new model for each label that `model` yields; what is no class is background."""
    aligned = align_with_project(model.plan, model.info, dataset)
    outputs = {item.name: item.id for item in after.plan.classes}
    labels = aligned.plan.label_classes
    table = np.zeros(max(item.id for item in labels) + 1, np.int64)
    for item in labels:
        table[item.id] = 0 if item.name in aligned.removed else outputs.get(item.name, 0)
    return table


def _predictions(
    dataset: Dataset, held_out: ImageStore, model: Model, device: torch.device
) -> Iterator[tuple[int, NDArray[np.integer]]]:
    """Labels of each slice, on the image's own grid; images are read one after the other."""
    by_case: dict[str, list[int]] = {}
    for index, sample in enumerate(held_out.samples):
        by_case.setdefault(sample.case, []).append(index)
    segmenter = None
    if model.plan.volume is None:
        segmenter = PlaneSegmenter(model, device, objects=dataset.instances)
    for case, members in by_case.items():
        report = dataset.reports[case]
        problems: list[Problem] = []
        image = read_case_image(report.case, problems)
        raise_errors(problems)
        assert image is not None
        layout, spacing = case_layout(image, report.slice_axis)
        whole = None if segmenter else _whole(model, image, report.slice_axis, dataset, device)
        for index in members:
            position = held_out.samples[index].position
            if whole is not None:
                yield index, whole[layout.target(position)]
                continue
            assert segmenter is not None
            plane = layout.extract(image.array, position)
            yield index, segmenter.segment(plane, layout.axes, spacing, image.unit).labels


def _whole(
    model: Model, image: Image, slice_axis: str | None, dataset: Dataset, device: torch.device
) -> NDArray[np.integer]:
    """A model that prepares volumes as a whole gets the whole volume."""
    return segment(image, model, device=device, plane=slice_axis, objects=dataset.instances).labels
