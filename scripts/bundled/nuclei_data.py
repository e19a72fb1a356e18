"""The folder that the bundled model `nuclei` is trained on, made from the published images.

BBBC038 holds `images/ID.png` and `labels/ID.png` (a number for each nucleus) of the stage 1
training images, and `kinds.json` with their kinds.

Left out: the twelve images of the demo, and all other tiles of their fields (`excluded.json`).
Most images of this set are tiles of larger fields. Validation images are whole fields, a tenth
of each kind, so no training image continues a validation image. Tiles belong together if the
edge of one continues the edge of another: their edge pixels agree, better than with any other tile.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import imageio.v3 as iio
import numpy as np

__all__ = ["find_fields", "prepare"]

EXCLUDED = Path(__file__).parents[2] / "examples" / "nuclei" / "excluded.json"
VALIDATION_SHARE = 0.1
SAME_EDGE = 0.85
"""Correlation of two edges from which one continues the other."""
EDGE_DIFFERENCE = 0.3
"""Mean difference of these edges, relative to their contrast, up to which it does."""


def find_fields(images: dict[str, np.ndarray]) -> list[list[str]]:
    """Group tiles of the same field.

    Parameters
    ----------
    images
        Grey images ``(Y, X)`` by name.

    Returns
    -------
    list of list of str
        Names of each field's tiles, sorted.
    """
    parent = {name: name for name in images}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    by_shape = defaultdict(list)
    for name, image in images.items():
        by_shape[image.shape].append(name)
    for names in by_shape.values():
        for a, b in _continuing([images[name] for name in names]) | _copies(
            [images[name] for name in names]
        ):
            parent[root(names[a])] = root(names[b])
    fields = defaultdict(list)
    for name in sorted(images):
        fields[root(name)].append(name)
    return sorted(fields.values())


def _continuing(images: list[np.ndarray]) -> set[tuple[int, int]]:
    """Pairs of images of one shape of which the first's last row or column leads to the second."""
    pairs = set()
    stack = np.stack(images).astype(np.float32)
    for last, first in ((stack[:, -1, :], stack[:, 0, :]), (stack[:, :, -1], stack[:, :, 0])):
        contrast = last.std(axis=1) + 1e-6
        alike = _standard(last) @ _standard(first).T
        np.fill_diagonal(alike, -1)
        # An edge has one neighbour. Without this, dark edges chain half the set together.
        for a, b in enumerate(alike.argmax(axis=1)):
            difference = np.abs(last[a] - first[b]).mean() / contrast[a]
            mutual = alike[:, b].argmax() == a
            if mutual and alike[a, b] > SAME_EDGE and difference < EDGE_DIFFERENCE:
                pairs.add((a, int(b)))
    return pairs


def _copies(images: list[np.ndarray]) -> set[tuple[int, int]]:
    """Pairs of images of one shape that show the same, mirrored or not."""
    pairs = set()
    small = np.stack([image[::4, ::4] for image in images]).astype(np.float32)
    flat = _standard(small.reshape(len(small), -1))
    for flips in ((), (1,), (2,), (1, 2)):
        alike = flat @ _standard(np.flip(small, flips).reshape(len(small), -1)).T
        pairs |= {(a, b) for a, b in combinations(range(len(small)), 2) if alike[a, b] > 0.6}
    return pairs


def _standard(rows: np.ndarray) -> np.ndarray:
    rows = rows - rows.mean(axis=1, keepdims=True)
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6)


def choose_validation(
    fields: list[list[str]], kinds: dict[str, str], rng: np.random.Generator
) -> list[str]:
    """Draw whole fields of each kind until they hold a tenth of its images."""
    chosen: list[str] = []
    for kind in sorted(set(kinds.values())):
        of_kind = [field for field in fields if kinds[field[0]] == kind]
        wanted = VALIDATION_SHARE * sum(len(field) for field in of_kind)
        count = 0
        for index in rng.permutation(len(of_kind)):
            # Not a field that would take much more than the share: large ones stay in training.
            if count < wanted and count + len(of_kind[index]) <= 1.5 * wanted + 1:
                chosen += of_kind[index]
                count += len(of_kind[index])
    return sorted(chosen)


def prepare(source: Path, target: Path, seed: int = 0) -> tuple[int, int]:
    """Write the training folder.

    Parameters
    ----------
    source
        BBBC038 as described above.
    target
        Folder to make.
    seed
        Decides the validation fields.

    Returns
    -------
    tuple of int
        Number of training and validation images.
    """
    excluded = json.loads(EXCLUDED.read_text())
    left_out = {
        name for key in ("demo_train", "demo_unseen", "same_field") for name in excluded[key]
    }
    listed = json.loads((source / "kinds.json").read_text())
    kinds = {name: kind for kind, names in listed.items() for name in names}
    images = {}
    for name in sorted(kinds.keys() - left_out):
        image = iio.imread(source / "images" / f"{name}.png")
        images[name] = image if image.ndim == 2 else image[..., :3].mean(axis=-1)
    validation = choose_validation(find_fields(images), kinds, np.random.default_rng(seed))
    for part, origin in (("images", "images"), ("masks", "labels")):
        (target / part).mkdir(parents=True)
        for name in images:
            shutil.copyfile(source / origin / f"{name}.png", target / part / f"{name}.png")
    (target / "val.txt").write_text("\n".join(validation) + "\n")
    return len(images) - len(validation), len(validation)
