"""Data sets of the accuracy benchmark, made from the public ones as they are published."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts" / "bundled"))

from nuclei_data import prepare as prepare_nuclei  # noqa: E402

__all__ = ["EXPERIMENTS", "Prepared", "prepare"]

STROKES = 0.05
"""Share of a slice's pixels that the simulated annotator paints."""
_LENGTH, _WIDTH = 12, 2  # of a stroke, in pixels
_NEAR = 5  # pixels around objects where every other stroke on the background begins
_IGNORE = 3


@dataclass(frozen=True)
class Prepared:
    """What one run is trained on and scored by."""

    dataset: Path
    """For ``swin-umamba train``."""
    training: tuple[str, ...]
    """Flags of ``swin-umamba train``, beside those of the experiment."""
    held_out: tuple[str, ...]
    """Validation cases that choose the best moment, never trained on; none: the last one counts."""
    inputs: tuple[Path, ...]
    """Files of the images that are scored, none of them trained on, for ``swin-umamba segment``."""
    truth: Path
    """Folder with their true labels, and with nothing else."""
    scoring: tuple[str, ...]
    """Flags of ``swin-umamba evaluate``."""


def prepare(experiment: str, data: Path, folder: Path, seed: int = 0) -> Prepared:
    """Make the data set of an experiment.

    Parameters
    ----------
    experiment
        One of :data:`EXPERIMENTS`.
    data
        Folder that holds ``hippocampus`` and ``nuclei``.
    folder
        New; for what has to be written.
    seed
        Draws the images, where there are but a few to learn from.
    """
    return EXPERIMENTS[experiment](data, folder, seed)


def _nuclei(data: Path, folder: Path, seed: int, kind: str, count: int | None = None) -> Prepared:
    """Images of one kind, whole fields held out; `count` of the others, drawn by the seed."""
    everything = folder / "everything"
    prepare_nuclei(data / "nuclei", everything)
    of_kind = set(json.loads((data / "nuclei" / "kinds.json").read_text())[kind])
    held_out = [name for name in (everything / "val.txt").read_text().split() if name in of_kind]
    there = {file.stem for file in (everything / "images").iterdir()}
    others = sorted(there & of_kind - set(held_out))
    if count is not None:
        # The first of one order: a longer list holds the shorter ones.
        others = [others[i] for i in np.random.default_rng(seed).permutation(len(others))[:count]]
    few = count is not None
    target = folder / "cells"
    for part in ("images", "masks"):
        (target / part).mkdir(parents=True)
        (folder / "truth").mkdir(exist_ok=True)
        for name in others if few else [*others, *held_out]:
            (everything / part / f"{name}.png").rename(target / part / f"{name}.png")
    source = everything if few else target
    for name in held_out:
        shutil.copyfile(source / "masks" / f"{name}.png", folder / "truth" / f"{name}.png")
    return Prepared(
        target,
        ("--instances", "--class-names", "nucleus", "--patch", "128", "--batch", "8"),
        () if few else tuple(held_out),
        tuple(source / "images" / f"{name}.png" for name in held_out),
        folder / "truth",
        ("--metric", "f1"),
    )


def _hippocampus(data: Path, folder: Path, seed: int, strokes: bool = False) -> Prepared:
    """Decathlon task 4 with the split that lies beside it: 182 volumes, 26 held out."""
    source = data / "hippocampus"
    split = json.loads((source / "splits.json").read_text())[0]
    target = folder / "Dataset004_Hippocampus"
    for part in ("imagesTr", "labelsTr"):
        (target / part).mkdir(parents=True)
    description = json.loads((source / "dataset.json").read_text())
    if strokes:
        description["labels"]["ignore"] = _IGNORE
    (target / "dataset.json").write_text(json.dumps(description))
    for image in sorted((source / "imagesTr").glob("*.nii.gz")):
        shutil.copyfile(image, target / "imagesTr" / image.name)
    truth = folder / "truth"
    truth.mkdir()
    for label in sorted((source / "labelsTr").glob("*.nii.gz")):
        case = label.name.removesuffix(".nii.gz")
        if case in split["val"]:
            shutil.copyfile(label, truth / label.name)
        if strokes and case in split["train"]:
            _write_strokes(label, target / "labelsTr" / label.name)
        else:
            shutil.copyfile(label, target / "labelsTr" / label.name)
    return Prepared(
        target,
        (),
        tuple(split["val"]),
        tuple(target / "imagesTr" / f"{case}_0000.nii.gz" for case in split["val"]),
        truth,
        ("--metric", "dsc", "--classes", "2"),
    )


def _write_strokes(source: Path, target: Path) -> None:
    """Replace the labels of a volume by strokes on every slice; the rest is unknown."""
    image = nibabel.load(source)
    labels = np.asarray(image.dataobj).round().astype(np.uint8)
    seed = int.from_bytes(source.name.encode()) % 2**32
    rng = np.random.default_rng(seed)
    painted = np.full_like(labels, _IGNORE)
    for index in range(labels.shape[2]):
        painted[:, :, index] = draw_strokes(labels[:, :, index], rng)
    nibabel.save(nibabel.Nifti1Image(painted, image.affine), target)


def draw_strokes(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Paint short lines inside each class in turn until enough of the slice is painted.

    A stroke ends at the border of its class. Where there are objects, every other stroke on the
    background begins near one, as that of a person who shows where an object ends.

    Parameters
    ----------
    truth
        ``(Y, X)``, classes.
    rng
        Draws where strokes begin and where they go.

    Returns
    -------
    np.ndarray
        Classes where painted, elsewhere the ignored label.
    """
    painted = np.full_like(truth, _IGNORE)
    budget = round(STROKES * truth.size)
    classes = np.unique(truth)
    near = ndimage.binary_dilation(truth > 0, iterations=_NEAR)
    turn = 0
    while budget > 0:
        number = classes[turn % len(classes)]
        about_objects = number == 0 and turn // len(classes) % 2 == 0 and near.any()
        turn += 1
        free = (truth == number) & (painted == _IGNORE)
        rows, columns = np.nonzero(free & near if about_objects else free)
        if not len(rows):
            continue
        start = rng.integers(len(rows))
        angle = rng.uniform(0, 2 * np.pi)
        steps = np.arange(_LENGTH)[:, None, None]
        brush = np.indices((_WIDTH, _WIDTH)).reshape(2, 1, -1)
        row = (rows[start] + steps * np.sin(angle) + brush[0]).round().astype(int).ravel()
        column = (columns[start] + steps * np.cos(angle) + brush[1]).round().astype(int).ravel()
        inside = (row >= 0) & (row < truth.shape[0]) & (column >= 0) & (column < truth.shape[1])
        for place in zip(row[inside], column[inside], strict=True):
            if truth[place] != number:
                break  # the annotator stops at the border
            if painted[place] == _IGNORE and budget > 0:
                painted[place] = number
                budget -= 1
    return painted


EXPERIMENTS = {
    "hippocampus": _hippocampus,
    "hippocampus-strokes": partial(_hippocampus, strokes=True),
    "fluorescence": partial(_nuclei, kind="fluo"),
    **{
        f"tissue-{count}": partial(_nuclei, kind="colour", count=count)
        for count in (1, 2, 4, 8, 16)
    },
}
