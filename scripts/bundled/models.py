"""The models that come with the package: what they are trained on, and how well they do."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nuclei_data import prepare

from napari_swin_umamba import Model, segment
from napari_swin_umamba.images import read_image, read_labels
from swin_umamba_training.metrics import dice, instance_f1

__all__ = ["MODELS", "BundledModel"]

Scores = dict[str, float]

_KINDS = {
    "fluo": "fluorescence",
    "colour": "stained tissue",
    "brightfield_gray": "bright field",
}


@dataclass(frozen=True)
class BundledModel:
    """How one of the models is made."""

    prepare: Callable[[Path, Path], None]
    """Puts what has to be written of the data set and ``val.txt`` into a new folder, from the
    folder of the published data."""
    dataset: Callable[[Path, Path], Path]
    """The data set, in one of these two folders."""
    recipes: tuple[str, ...]
    """Of the runs: each goes on from the model of the one before."""
    architecture: str
    arguments: tuple[str, ...]
    """Of ``swin-umamba train``, beside recipe, network and start."""
    patch: tuple[int, int]
    """Of the tiles that images are segmented in; may be larger than those of the training."""
    overlap: float
    """Share of a tile that its neighbours cover too."""
    description: str
    limits: str
    licence: str
    data: str
    score: Callable[[Model, Path, tuple[str, ...]], Scores]
    """Scores on the validation images of a data set."""


def _prepare_nuclei(data: Path, folder: Path) -> None:
    prepare(data / "nuclei", folder / "cells")
    (folder / "cells" / "val.txt").rename(folder / "val.txt")
    (folder / "cells" / "kinds.json").write_text((data / "nuclei" / "kinds.json").read_text())


def _score_nuclei(model: Model, dataset: Path, names: tuple[str, ...]) -> Scores:
    """Mean F1 over the images of each kind, at three overlaps."""
    listed = json.loads((dataset / "kinds.json").read_text())
    kinds = {name: kind for kind, members in listed.items() for name in members}
    scores = defaultdict(list)
    for name in names:
        image = read_image(dataset / "images" / f"{name}.png")
        truth = read_labels(dataset / "masks" / f"{name}.png")
        found = segment(image, model, device="cpu").labels
        for iou in (0.5, 0.7, 0.9):
            scores[f"f1@{iou} {_KINDS[kinds[name]]}"].append(instance_f1(found, truth, iou).f1)
    return {key: float(np.mean(values)) for key, values in sorted(scores.items())}


def _prepare_hippocampus(data: Path, folder: Path) -> None:
    split = json.loads((data / "hippocampus" / "splits.json").read_text())[0]
    (folder / "val.txt").write_text("\n".join(split["val"]) + "\n")


def _score_hippocampus(model: Model, dataset: Path, names: tuple[str, ...]) -> Scores:
    """Mean DSC over the volumes, of each class and of both."""
    scores = defaultdict(list)
    for name in names:
        image = read_image(dataset / "imagesTr" / f"{name}_0000.nii.gz")
        truth = read_labels(dataset / "labelsTr" / f"{name}.nii.gz")
        found = segment(image, model, device="cpu").labels
        for item in model.plan.classes[1:]:
            scores[f"dsc {item.name}"].append(dice(found == item.id, truth == item.id))
    means = {key: float(np.mean(values)) for key, values in sorted(scores.items())}
    return means | {"dsc mean": float(np.mean(list(means.values())))}


MODELS = {
    "nuclei": BundledModel(
        prepare=_prepare_nuclei,
        dataset=lambda data, folder: folder / "cells",
        recipes=("nuclei",),
        architecture="swin-umamba-d-tiny",
        arguments=("--instances", "--class-names", "nucleus"),
        patch=(128, 128),
        overlap=0.5,
        description="Nuclei in fluorescence, stained tissue and bright field; numbers each "
        "nucleus.",
        limits="Best in fluorescence, with nuclei 8 to 60 pixels across; others need the object "
        "diameter. Weaker on stained tissue; bright field was too rare to learn: fine-tune it on a "
        "few of your own images. Not for diagnosis.",
        licence="CC0-1.0",
        data="2018 Data Science Bowl stage 1 training images (BBBC038v1, CC0), without the twelve "
        "images of examples/nuclei and the other tiles of their fields",
        score=_score_nuclei,
    ),
    "hippocampus": BundledModel(
        prepare=_prepare_hippocampus,
        dataset=lambda data, folder: data / "hippocampus",
        recipes=("hippocampus",),
        architecture="swin-umamba-tiny",
        # They lie so already; volumes that are segmented may not.
        arguments=("--plane", "Z", "--spacing", "1"),
        patch=(64, 64),
        overlap=0.5,
        description="Anterior and posterior hippocampus in T1-weighted MR volumes that are cropped "
        "around it, slice by slice.",
        limits="Finds the hippocampus only in volumes cropped as its training data are (about "
        "35 x 50 x 36 mm), in their orientation and at their contrast. Left and right of one "
        "subject may lie on both sides of the split, so the scores may flatter it. Not for "
        "diagnosis.",
        licence="CC-BY-SA-4.0",
        data="Medical Segmentation Decathlon, task 4 (Antonelli et al., Nature Communications "
        "13:4128, 2022; CC BY-SA 4.0): 182 of its labelled volumes",
        score=_score_hippocampus,
    ),
}
