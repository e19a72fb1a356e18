"""Compare a new model with the one before on the painted pixels of held-out slices.

What is better is decided by the interval of the difference (docs/decisions/0075).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.project import ClassScore, Comparison
from napari_swin_umamba.project.comparison import (
    FEWEST_PIXELS,
    FEWEST_SLICES,
    EarlierScore,
    Outcome,
)
from swin_umamba_training.data.samples import Sample
from swin_umamba_training.data.slice_store import ImageStore
from swin_umamba_training.dataset import Dataset
from swin_umamba_training.paired import Counts, Difference, paired_difference
from swin_umamba_training.project_classes import align_with_project
from swin_umamba_training.slice_scores import (
    ScoredClass,
    count_slices,
    painted_pixels,
    scored_classes,
)

__all__ = ["Contestant", "compare_models", "slice_name"]

OnSlice = Callable[[int, int], None]


@dataclass(frozen=True)
class Contestant:
    """A model under its name in the project."""

    model: Model
    name: str
    judged_by: tuple[str, ...] = ()
    """Slices that it was judged by."""


def slice_name(image_id: str, sample: Sample) -> str:
    """``IMAGE-ID:POSITION``, or the image's id where it has no slices."""
    position = ",".join(str(place) for place in sample.position)
    return f"{image_id}:{position}" if position else image_id


def compare_models(
    dataset: Dataset,
    held_out: ImageStore,
    before: Contestant | None,
    after: Model,
    device: torch.device,
    on_slice: OnSlice | None = None,
) -> Comparison:
    """Score two models on the same held-out slices.

    Parameters
    ----------
    dataset
        A project.
    held_out
        Slices that neither was trained on; labels are classes of `after`'s plan, or objects.
    before
        The project's model up to now, or the one that was started from; None if there is none.
    after
        The new one.
    device
        Where to compute.
    on_slice
        Told how many slices are done, of how many.

    Raises
    ------
    InputError
        An image cannot be read, or the new model not used.
    """
    classes, total, done = scored_classes(dataset, after), len(held_out) * (2 if before else 1), 0

    def count() -> None:
        nonlocal done
        done += 1
        if on_slice is not None:
            on_slice(done, total)

    notes: tuple[str, ...] = ()
    counts_after = count_slices(dataset, held_out, after, after, device, count)
    counts_before = None
    if before is not None:
        try:
            counts_before = count_slices(dataset, held_out, before.model, after, device, count)
        except InputError as error:
            notes = (f"{before.name} cannot be used on these images: {error}",)
            before = None
    names = _names(dataset, held_out)
    judge = _Judge(
        counts_before,
        counts_after,
        painted_pixels(dataset, held_out, after),
        np.isin(names, before.judged_by if before else ()),
        _known_classes(dataset, before, after),
        "f1" if dataset.instances else "dice",
    )
    anywhere = _painted_anywhere(dataset)
    shown = [column for column, item in enumerate(classes) if item.value in anywhere]
    scores = tuple(judge.score(classes[column], column) for column in shown)
    outcome, found = judge.decide(shown, scores)
    return Comparison(
        outcome=outcome,
        before=before.name if before else None,
        classes=scores,
        slices=tuple(names),
        difference=found.mean if found else None,
        interval=(found.low, found.high) if found else None,
        notes=notes,
    )


@dataclass(frozen=True)
class _Judge:
    """What was counted, and what follows from it."""

    before: Counts | None
    after: Counts
    pixels: NDArray[np.int64]
    """``(slices, classes)``: painted ones."""
    earlier: NDArray[np.bool_]
    """Slices that the model before was judged by."""
    known: set[str]
    """Classes that the model before can yield."""
    metric: Literal["dice", "f1"]

    def score(self, item: ScoredClass, column: int) -> ClassScore:
        """Scores of one class."""
        slices, total = self._slices([column]), int(self.pixels[:, column].sum())
        few = slices < FEWEST_SLICES or total < FEWEST_PIXELS
        is_known = self.before is not None and item.name in self.known
        score = ClassScore(
            id=item.value,
            name=item.name,
            metric=self.metric,
            before=_value(self.before, column) if self.before and is_known and slices else None,
            after=_value(self.after, column) if slices else None,
            slices=slices,
            pixels=total,
            outcome="too_little" if few else "first",
        )
        if self.before is None or few:
            return score
        found = paired_difference(self.before, self.after, [column], slices)
        update: dict[str, object] = {
            "outcome": found.outcome,
            "interval": (found.low, found.high),
            "earlier": self._earlier(column) if is_known else None,
        }
        return score.model_copy(update=update)

    def _earlier(self, column: int) -> EarlierScore | None:
        assert self.before is not None
        slices = int((self.earlier & (self.pixels[:, column] > 0)).sum())
        if slices < FEWEST_SLICES:
            return None
        before, after = self.before.of(self.earlier), self.after.of(self.earlier)
        return EarlierScore(
            before=_value(before, column) or 0.0,
            after=_value(after, column) or 0.0,
            slices=slices,
            forgotten=paired_difference(before, after, [column], slices).outcome == "worse",
        )

    def decide(
        self, columns: list[int], scores: tuple[ClassScore, ...]
    ) -> tuple[Outcome, Difference | None]:
        """Outcome on the whole, by the mean over the classes."""
        if self.before is None:
            return "first", None
        if not scores or any(score.outcome == "too_little" for score in scores):
            return "too_little", None
        found = paired_difference(self.before, self.after, columns, self._slices(columns))
        outcomes = {score.outcome for score in scores}
        if found.outcome == "worse" or "worse" not in outcomes:
            return found.outcome, found
        return ("mixed" if found.outcome == "better" or "better" in outcomes else "worse"), found

    def _slices(self, columns: list[int]) -> int:
        """Slices that show any of these classes."""
        return int((self.pixels[:, columns] > 0).any(1).sum())


def _names(dataset: Dataset, held_out: ImageStore) -> list[str]:
    names = []
    for sample in held_out.samples:
        labels = dataset.reports[sample.case].case.labels
        image = getattr(labels, "image", None)
        names.append(slice_name(image.id if image else sample.case, sample))
    return names


def _painted_anywhere(dataset: Dataset) -> set[int]:
    """Values of classes that are painted on any slice, held out or not."""
    values = {
        value
        for report in dataset.reports.values()
        for item in report.slices
        for value, number in item.pixels.items()
        if number
    }
    assert dataset.classes is not None
    if dataset.instances:
        objects = values - {dataset.rule.background, dataset.rule.unknown}
        return {dataset.classes[-1].value} if objects else set()
    return values


def _known_classes(dataset: Dataset, before: Contestant | None, after: Model) -> set[str]:
    """Names of the classes that the model before can yield."""
    if before is None:
        return set()
    if dataset.instances:
        return {item.name for item in scored_classes(dataset, after)}
    aligned = align_with_project(before.model.plan, before.model.info, dataset)
    return {item.name for item in aligned.plan.label_classes} - aligned.removed


def _value(counts: Counts, column: int) -> float | None:
    value = float(counts.scores()[column])
    return None if np.isnan(value) else value
