"""From a network's output to objects, in several ways: how well each finds nuclei.

    python benchmarks/decoding.py MODEL --images cells/images --masks cells/masks --names val.txt

MODEL numbers objects, by their boundary or their distance; the folders and the list of names are
what ``scripts/train_bundled.py nuclei`` leaves in its WORK folder. Prints the mean F1 at three
overlaps and the time that the decoding took.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from napari_swin_umamba import load_model, segment
from napari_swin_umamba.images import read_image, read_labels
from napari_swin_umamba.segmentation import number_objects
from swin_umamba_training.metrics import instance_f1

_CROSS = ndimage.generate_binary_structure(2, 1)
_SMALLEST = 16

Decoding = Callable[[np.ndarray], np.ndarray]


def pieces_of_the_interior(probabilities: np.ndarray) -> np.ndarray:
    """Return connected pieces of the interior: the paper's decoding."""
    return _without_small(ndimage.label(probabilities.argmax(axis=0) == 1, _CROSS)[0])


def grown_pieces(probabilities: np.ndarray) -> np.ndarray:
    """Return the same, grown by the two pixels that the boundary takes from objects."""
    pieces = ndimage.label(probabilities.argmax(axis=0) == 1, _CROSS)[0]
    around = ndimage.binary_dilation(pieces > 0, _CROSS, 2)
    return _without_small(
        watershed(ndimage.distance_transform_edt(pieces == 0), pieces, mask=around)
    )


def surest_pieces(probabilities: np.ndarray) -> np.ndarray:
    """Return a watershed from pieces above 0.95, then from those above 0.5 that hold none."""
    interior = probabilities[1]
    inside = ndimage.binary_erosion(probabilities[0] < 0.5, _CROSS, border_value=1)
    seeds = _without_small(ndimage.label(interior > 0.95, _CROSS)[0])
    likely = ndimage.label(interior > 0.5, _CROSS)[0]
    held = np.unique(likely[seeds > 0])
    new = (likely > 0) & ~np.isin(likely, held)
    seeds[new] = likely[new] + seeds.max()
    return _without_small(watershed(-interior, seeds, mask=inside | (seeds > 0)))


def deep_pieces(probabilities: np.ndarray) -> np.ndarray:
    """Return a watershed from pieces over half as deep as their object's middle."""
    inside = probabilities[1] > 0.5
    seeds = ndimage.label((probabilities[2] > 0.5) & inside, _CROSS)[0]
    return _without_small(watershed(-probabilities[2], seeds, mask=inside))


def _without_small(labels: np.ndarray) -> np.ndarray:
    labels = labels.copy()
    labels[np.bincount(labels.ravel())[labels] < _SMALLEST] = 0
    return labels


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--names", type=Path, required=True, help="file with a name a line")
    options = parser.parse_args()
    model = load_model(options.model)
    decodings: dict[str, Decoding] = {
        "pieces of the interior (paper)": pieces_of_the_interior,
        "the same, grown by two pixels": grown_pieces,
        "watershed from the surest pieces": surest_pieces,
    }
    if model.plan.output == "distance":
        decodings = {"watershed from the deepest pieces": deep_pieces}
    decodings["watershed from convex pieces (ours)"] = lambda p: number_objects(p, model.plan)
    outputs, truths = [], []
    for name in options.names.read_text().split():
        image = read_image(options.images / f"{name}.png")
        result = segment(image, model, device="cpu", probabilities=True)
        outputs.append(result.probabilities)
        truths.append(read_labels(options.masks / f"{name}.png"))
    print("| decoding | F1 at 0.5 | 0.7 | 0.9 | ms an image |\n|---|---|---|---|---|")
    for name, decode in decodings.items():
        begin = time.perf_counter()
        found = [decode(output) for output in outputs]
        each = 1000 * (time.perf_counter() - begin) / len(found)
        pairs = list(zip(found, truths, strict=True))
        scores = " | ".join(
            f"{np.mean([instance_f1(*pair, iou).f1 for pair in pairs]):.3f}"
            for iou in (0.5, 0.7, 0.9)
        )
        print(f"| {name} | {scores} | {each:.0f} |")


if __name__ == "__main__":
    main()
