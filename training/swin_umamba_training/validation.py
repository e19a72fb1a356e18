"""Scores of a model on whole validation images, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from napari_swin_umamba.errors import InputError, is_out_of_memory
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.segmentation import (
    number_objects,
    output_probabilities,
    predict_logits_of_many,
)
from swin_umamba_training.losses import make_loss
from swin_umamba_training.metrics import InstanceScore, instance_f1
from swin_umamba_training.pictures import draw_case
from swin_umamba_training.ranks import gather, rank, world_size
from swin_umamba_training.recipe import LossConfig
from swin_umamba_training.sampling import ImageStore
from swin_umamba_training.targets import IGNORE, make_target

__all__ = ["ImageScore", "ValidationScores", "Worst", "size_groups", "validate"]

WORST = 4
"""Images that the report shows."""
_PIXELS = 512 * 512
"""Of the images that are predicted together."""
_DRAWS = 1000
_FEWEST = 3
"""Images from which an interval is drawn; of two, it would say nothing."""


@dataclass(frozen=True)
class ImageScore:
    """What is counted of one image."""

    name: str
    loss: float
    overlap: tuple[int, ...]
    """By class: pixels that are both true and found."""
    size: tuple[int, ...]
    """By class: true pixels and found pixels together."""
    true: tuple[int, ...]
    """By class: true pixels."""
    instances: InstanceScore | None = None
    """Matched objects, where objects are numbered."""


@dataclass(frozen=True)
class Worst:
    """A picture of an image that was segmented badly."""

    name: str
    score: float
    png: str
    """Image, truth and prediction side by side, base64."""


@dataclass(frozen=True)
class ValidationScores:
    """Scores of one validation: sums over its images, so an image without a class is no trouble.

    A class that none of the images holds has no score: neither 1 for not being found anywhere nor
    0 for one wrong pixel would say how well it is found, and the mean of the classes would follow.

    Parameters are the fields.
    """

    plan: Plan
    images: tuple[ImageScore, ...]
    worst: tuple[Worst, ...] = field(default=())

    @property
    def loss(self) -> float:
        """Mean loss of the images."""
        return float(np.mean([image.loss for image in self.images]))

    @property
    def dice(self) -> dict[str, float]:
        """Dice of each foreground class that the images hold, over the pixels of all of them.

        Where they hold no class at all, of every class: 1, or 0 if it was found somewhere.
        """
        return _dice(self.plan, self.images, _held(self.plan, self.images))

    @property
    def f1(self) -> float | None:
        """F1 of the objects at IoU 0.5, over all images; None if the plan numbers none."""
        return _f1(self.images) if self.plan.numbers_objects else None

    @property
    def score(self) -> float:
        """What the best model is chosen by: F1 of objects, or else mean Dice of the classes."""
        return float(np.mean(list(self.dice.values()))) if self.f1 is None else self.f1

    def intervals(self) -> dict[str, tuple[float, float]]:
        """95 % intervals of Dice by class name, and of ``F1``, drawn from the images.

        Images are drawn with replacement a thousand times (percentile bootstrap); empty with fewer
        than three images. Draws without a class say nothing about it.
        """
        if len(self.images) < _FEWEST:
            return {}
        rng = np.random.default_rng(0)
        held = _held(self.plan, self.images)
        drawn: dict[str, list[float]] = {}
        for _ in range(_DRAWS):
            chosen = [self.images[i] for i in rng.integers(0, len(self.images), len(self.images))]
            scores = _dice(self.plan, chosen, [i for i in held if any(c.true[i] for c in chosen)])
            if self.plan.numbers_objects:
                scores["F1"] = _f1(chosen)
            for name, value in scores.items():
                drawn.setdefault(name, []).append(value)
        return {
            name: (float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5)))
            for name, values in drawn.items()
        }


def scored_classes(plan: Plan) -> list[tuple[int, str]]:
    """Position and name of the classes that have a Dice: a distance is none."""
    classes = plan.classes[1:2] if plan.output == "distance" else plan.classes[1:]
    return [(item.id, item.name) for item in classes]


def _held(plan: Plan, images: Sequence[ImageScore]) -> list[int]:
    """Classes that are scored: those that images hold, or all if they hold none."""
    classes = [index for index, _ in scored_classes(plan)]
    return [index for index in classes if any(image.true[index] for image in images)] or classes


def _dice(plan: Plan, images: Sequence[ImageScore], classes: Sequence[int]) -> dict[str, float]:
    scores = {}
    for index, name in scored_classes(plan):
        if index not in classes:
            continue
        size = sum(image.size[index] for image in images)
        overlap = sum(image.overlap[index] for image in images)
        scores[name] = 2 * overlap / size if size else 1.0
    return scores


def _score_alone(image: ImageScore, plan: Plan) -> float:
    """What images are ranked by: what was found in them by mistake counts, too."""
    if plan.numbers_objects:
        return _f1([image])
    seen = [index for index, _ in scored_classes(plan) if image.size[index]]
    return float(np.mean(list(_dice(plan, [image], seen).values()))) if seen else 1.0


def _f1(images: Sequence[ImageScore]) -> float:
    total = InstanceScore(0, 0, 0)
    for image in images:
        assert image.instances is not None
        total += image.instances
    return total.f1


def validate(
    network: torch.nn.Module,
    store: ImageStore,
    plan: Plan,
    device: torch.device,
    loss: LossConfig,
    picture: Callable[..., str] = draw_case,
) -> ValidationScores:
    """Predict whole images as they will be predicted later, and score them.

    With several processes each takes its share of the images; all get all scores.

    Parameters
    ----------
    network
        Left in the mode it was in.
    store
        Validation images.
    plan
        Classes, patch, kind of output.
    device
        Where to compute.
    loss
        Of one resolution.
    picture
        Draws an image, its truth and its prediction.

    Raises
    ------
    InputError
        The network yields no numbers; or an image cannot be read.
    """
    training = network.training
    network.eval()
    mine: list[ImageScore] = []
    worst: list[Worst] = []
    problem: Exception | None = None
    try:
        for indices in size_groups(store, range(rank(), len(store), world_size())):
            pairs = [store[index] for index in indices]
            images = [image for image, _ in pairs]
            predicted = predict_logits_of_many(
                network, images, plan.patch, plan.overlap, device=device
            )
            for index, (image, truth), logits in zip(indices, pairs, predicted, strict=True):
                name = store.samples[index].name
                score, found = score_image(name, logits, truth, plan, loss)
                mine.append(score)
                value = _score_alone(score, plan)
                if len(worst) < WORST or value < worst[-1].score:
                    worst.append(Worst(name, value, picture(image, truth, found, plan)))
                    worst = sorted(worst, key=lambda item: item.score)[:WORST]
    except InputError as error:
        problem = error
    finally:
        network.train(training)
    shares = gather((mine, worst, problem))
    for _, _, found in shares:
        if found is not None:
            raise found
    scores = sorted((item for share in shares for item in share[0]), key=lambda item: item.name)
    seen = sorted((item for share in shares for item in share[1]), key=lambda item: item.score)
    return ValidationScores(plan, tuple(scores), tuple(seen[:WORST]))


def size_groups(store: ImageStore, indices: Iterable[int]) -> Iterator[list[int]]:
    """Neighbours of one size: what is predicted together.

    Parameters
    ----------
    store
        The images.
    indices
        Their positions; those of a volume follow each other.
    """
    group: list[int] = []
    for index in indices:
        shape = store.samples[index].shape
        full = len(group) * math.prod(shape) >= _PIXELS
        if group and (full or shape != store.samples[group[0]].shape):
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def score_image(
    name: str,
    logits: NDArray[np.float32],
    labels: NDArray[np.int32],
    plan: Plan,
    loss: LossConfig,
) -> tuple[ImageScore, NDArray[np.integer]]:
    """Score one whole image; returns what was found as well: ``(Y, X)``, classes or objects.

    Parameters
    ----------
    name
        Of the image.
    logits
        ``(classes, Y, X)``, as predicted.
    labels
        ``(Y, X)``: what is true, see :class:`ImageStore`.
    plan, loss
        As for :func:`validate`.
    """
    target = np.asarray(make_target(labels, plan.output), np.int64)
    with torch.inference_mode():
        value = make_loss(loss, plan.output, alone=True)(
            torch.from_numpy(logits)[None], torch.from_numpy(target)[None]
        )
    probabilities = output_probabilities(logits, plan)
    classes = np.where(target == IGNORE, IGNORE, np.minimum(target, 1))
    if plan.output != "distance":
        classes = target
    predicted = (probabilities[:2] if plan.output == "distance" else probabilities).argmax(0)
    known = classes != IGNORE
    overlap, size, true_pixels = [], [], []
    for number in range(plan.num_classes):
        found, true = (predicted == number) & known, classes == number
        overlap.append(int((found & true).sum()))
        size.append(int(found.sum() + true.sum()))
        true_pixels.append(int(true.sum()))
    instances = None
    if plan.numbers_objects:
        predicted = number_objects(probabilities, plan)
        instances = instance_f1(np.where(known, predicted, 0), np.maximum(labels, 0))
    counts = (tuple(overlap), tuple(size), tuple(true_pixels))
    return ImageScore(name, float(value), *counts, instances), predicted


def is_about_numbers(error: InputError) -> bool:
    """Whether a validation failed because the network yields no numbers."""
    return error.__cause__ is None or not is_out_of_memory(error.__cause__)
