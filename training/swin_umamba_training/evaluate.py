"""Score files of labels against files of true labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import IMAGE_SUFFIXES, Image, read_image, read_labels
from swin_umamba_training.folders import files_by_name
from swin_umamba_training.metrics import InstanceScore, dice, instance_f1, surface_dice
from swin_umamba_training.targets import MAX_CLASSES

__all__ = ["METRICS", "Evaluation", "Metric", "evaluate"]

Metric = Literal["dsc", "nsd", "f1"]
METRICS: tuple[Metric, ...] = get_args(Metric)

_MILLIMETRES = {"nanometer": 1e-6, "micrometer": 1e-3, "millimeter": 1.0, "centimeter": 10.0}


@dataclass(frozen=True)
class Evaluation:
    """Scores of one or more images."""

    images: dict[str, dict[str, float]]
    """By image, then by score: ``dsc 1``, ``nsd 1`` (class 1), ``f1`` and its counts."""
    notes: tuple[str, ...]
    """What was assumed, for people."""

    @property
    def mean(self) -> dict[str, float]:
        """Mean of every score over the images."""
        names = next(iter(self.images.values()), {})
        return {
            name: float(np.mean([scores[name] for scores in self.images.values()]))
            for name in names
        }


def evaluate(
    prediction: Path,
    truth: Path,
    metrics: Sequence[Metric] = ("dsc",),
    *,
    tolerance: float = 2.0,
    classes: int | None = None,
    foreground: bool = False,
    iou: float = 0.5,
) -> Evaluation:
    """Score label images against true ones.

    Parameters
    ----------
    prediction, truth
        Two files, or two folders with files of the same names (suffixes may differ). Every
        true image must have a prediction.
    metrics
        ``dsc``, ``nsd``: per class; ``f1``: of matched objects.
    tolerance
        NSD: millimetres up to which surfaces agree, where the truth's file knows its pixel
        size; otherwise pixels.
    classes
        Score the classes 1…N; by default every value but 0 that occurs in any file.
    foreground
        Score all values but 0 as one class.
    iou
        F1: overlap from which an object counts as found.

    Raises
    ------
    InputError
        Files are missing, of different size, or hold no labels; or an option is out of range.
    """
    _check(metrics, tolerance, classes, iou)
    if foreground and classes is not None:
        raise InputError(
            f"--foreground scores one class, --classes {classes} several; leave out one of them"
        )
    pairs = _pairs(prediction, truth)
    notes: list[str] = []
    per_class = [metric for metric in metrics if metric != "f1"]
    values: Sequence[int] = ()
    if per_class:
        values = (1,) if foreground else range(1, classes + 1) if classes else _occurring(pairs)
    images = {}
    for name, predicted_file, true_file in pairs:
        predicted, true = read_labels(predicted_file), read_labels(true_file)
        if predicted.shape != true.shape:
            raise InputError(
                f"{predicted_file} is {predicted.shape} pixels, {true_file} {true.shape}; "
                "they must be of one size"
            )
        scores: dict[str, float] = {}
        if "nsd" in metrics:
            spacing, assumed = _spacing(read_image(true_file))
            notes += assumed
        for value in values:
            masks = _masks(predicted, true, value, foreground)
            if "dsc" in metrics:
                scores[f"dsc {value}"] = dice(*masks)
            if "nsd" in metrics:
                scores[f"nsd {value}"] = surface_dice(*masks, tolerance, spacing)
        if "f1" in metrics:
            scores |= _named(instance_f1(predicted, true, iou))
        images[name] = scores
    return Evaluation(images, tuple(dict.fromkeys(notes)))


def _check(metrics: Sequence[str], tolerance: float, classes: int | None, iou: float) -> None:
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown or not metrics:
        what = f"unknown metric '{unknown[0]}'" if unknown else "no metric"
        raise InputError(f"{what}: use {', '.join(METRICS)} (--metric)")
    if not 0 < tolerance < math.inf:
        raise InputError(f"the tolerance must be a number above 0, not {tolerance} (--tolerance)")
    if not 0 < iou <= 1:
        raise InputError(f"the overlap must lie in (0, 1], not {iou} (--iou)")
    if classes is not None and not 1 <= classes <= MAX_CLASSES:
        raise InputError(
            f"the number of classes must be 1…{MAX_CLASSES}, not {classes} (--classes)"
        )


def _pairs(prediction: Path, truth: Path) -> list[tuple[str, Path, Path]]:
    """Name, prediction and truth of every image to score."""
    for path, flag in ((prediction, "PRED"), (truth, "GT")):
        if not path.exists():
            raise InputError(f"no such file or folder: {path} ({flag})")
    if prediction.is_dir() != truth.is_dir():
        raise InputError(f"{prediction} and {truth} must be two files or two folders (PRED, GT)")
    if not truth.is_dir():
        return [(truth.stem, prediction, truth)]
    predictions = files_by_name(prediction)
    pairs = []
    for name, true_file in files_by_name(truth).items():
        if name not in predictions:
            raise InputError(f"no prediction for {true_file} in {prediction} (PRED)")
        pairs.append((name, predictions[name], true_file))
    if not pairs:
        raise InputError(f"no files in {truth} end in {', '.join(IMAGE_SUFFIXES)} (GT)")
    return pairs


def _occurring(pairs: Sequence[tuple[str, Path, Path]]) -> list[int]:
    """Values but 0 in any of the files."""
    values: set[int] = set()
    for _, *files in pairs:
        for file in files:
            values.update(np.unique(read_labels(file)).tolist())
    values -= {0}
    if len(values) > MAX_CLASSES:
        raise InputError(
            f"{len(values):,} classes: do these labels number objects? Then score them as one "
            "class (--foreground), or with --metric f1"
        )
    return sorted(values) or [1]


def _masks(
    predicted: NDArray[np.integer], true: NDArray[np.integer], value: int, foreground: bool
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    if foreground:
        return predicted > 0, true > 0
    return predicted == value, true == value


def _spacing(image: Image) -> tuple[tuple[float, ...] | None, list[str]]:
    """Spacing in millimetres, or None for pixels."""
    factor = _MILLIMETRES.get(image.unit or "")
    if image.spacing is None or factor is None:
        return None, ["pixel size unknown: the tolerance is in pixels"]
    return tuple(size * factor for size in image.spacing), []


def _named(score: InstanceScore) -> dict[str, float]:
    return {"f1": score.f1, **{name: v for name, v in score.to_dict().items() if name != "f1"}}
