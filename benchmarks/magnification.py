"""Nuclei at other magnifications than in training, with and without the object diameter.

    python benchmarks/magnification.py --data DATA --kind fluo|colour [--every 4]

DATA holds ``nuclei`` (BBBC038: ``images``, ``labels``, ``kinds.json``). Validation images of the
bundled model are scaled; the diameter given is the true median, as somebody would measure it.
Enlarged ones are cut to 256 pixels before. Prints a Markdown table: mean F1 at an IoU of 0.5, and
on how many images the hint appears that the objects found are of another size than in training.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import numpy as np
from skimage.transform import resize

from napari_swin_umamba import load_model, segment
from napari_swin_umamba.images import read_image, read_labels
from napari_swin_umamba.segmentation.resampling import resize_labels
from swin_umamba_training.metrics import instance_f1

LISTED = Path(__file__).parents[1] / "docs" / "models" / "nuclei-validation.txt"
FACTORS = (0.25, 0.5, 1, 2, 4)
KINDS = {"fluo": "fluorescence", "colour": "stained tissue"}
_CUT = 256


def scaled(image: np.ndarray, factor: float) -> np.ndarray:
    """A grey or colour image of bytes, larger or smaller."""
    shape = (round(image.shape[0] * factor), round(image.shape[1] * factor), *image.shape[2:])
    values = resize(image, shape, order=3, anti_aliasing=factor < 1, preserve_range=True)
    return values.round().clip(0, 255).astype(np.uint8)


def diameter(labels: np.ndarray) -> float | None:
    """Median over the objects, of circles of their size; None: there are none."""
    sizes = np.bincount(labels.ravel())[1:]
    sizes = sizes[sizes > 0]
    return float(np.median((4 * sizes / np.pi) ** 0.5)) if sizes.size else None


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--every", type=int, default=4, help="take every n-th image of a kind")
    parser.add_argument("--kind", choices=KINDS, required=True)
    options = parser.parse_args()
    data, model = options.data / "nuclei", load_model("nuclei")
    listed = json.loads((data / "kinds.json").read_text())
    print("| images | enlarged | nuclei, pixels | F1 | with the diameter | hints |")
    print("|---|---|---|---|---|---|")
    names = [name for name in LISTED.read_text().split() if name in set(listed[options.kind])]
    for factor in FACTORS:
        plain, given, sizes, hints = [], [], [], 0
        for name in names[:: options.every]:
            image = read_image(data / "images" / f"{name}.png").array
            truth = read_labels(data / "labels" / f"{name}.png")
            if factor > 1:
                image, truth = image[:_CUT, :_CUT], truth[:_CUT, :_CUT]
            size = diameter(truth)
            if size is None:
                continue
            larger = scaled(image, factor)
            truth = resize_labels(truth, (larger.shape[0], larger.shape[1]))
            found = segment(larger, model, device="cpu")
            hints += any("--object-diameter" in note for note in found.notes)
            better = segment(larger, model, device="cpu", object_diameter=size * factor)
            plain.append(instance_f1(found.labels, truth).f1)
            given.append(instance_f1(better.labels, truth).f1)
            sizes.append(size * factor)
        print(
            f"| {KINDS[options.kind]} | {factor:g} | {min(sizes):.0f} to {max(sizes):.0f} "
            f"| {statistics.mean(plain):.3f} | {statistics.mean(given):.3f} "
            f"| {hints} of {len(plain)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
