"""Fine-tune the bundled model `nuclei` on eight images, and segment four that nobody showed it.

    python examples/nuclei/demo.py [--out DIR] [--napari] [--seed N]

About three minutes on two processor cores. The same as on the command line:

    swin-umamba train examples/nuclei/train -o demo-output/run --init nuclei ...
    swin-umamba segment examples/nuclei/unseen/images -o demo-output/labels --model ...
    swin-umamba evaluate demo-output/labels examples/nuclei/unseen/masks --metric f1
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import ndimage
from skimage import feature, filters, segmentation

from napari_swin_umamba import InputError, load_model, segment
from napari_swin_umamba.files import atomic_path
from napari_swin_umamba.images import read_image, read_labels, write_labels
from swin_umamba_training.cli.train_progress import TrainingProgress
from swin_umamba_training.config import TrainConfig, make_config
from swin_umamba_training.metrics import dice, instance_f1
from swin_umamba_training.train import train

HERE = Path(__file__).resolve().parent
UNSEEN = HERE / "unseen"
MODEL = "nuclei"
STEPS = 300
# Okabe and Ito's colours
TRUTH, NETWORK, BASELINE = (240, 228, 66), (86, 180, 233), (213, 94, 0)


@dataclass(frozen=True)
class Result:
    """One unseen image, segmented in three ways."""

    name: str
    image: np.ndarray
    truth: np.ndarray
    before: np.ndarray
    network: np.ndarray
    baseline: np.ndarray


def configure(out: Path, seed: int, steps: int = STEPS) -> TrainConfig:
    """Settings of the demo's training run."""
    return make_config(
        dataset=HERE / "train",
        run=out / "run",
        overwrite=True,
        recipe="finetune",
        init=MODEL,
        instances=True,
        class_names=("nucleus",),
        steps=steps,
        patch=(128, 128),
        batch=8,
        seed=seed,
        # One image to choose the best model by; seven to learn from.
        val_fraction=1 / 8,
        val_every=max(1, steps // 6),
    )


def otsu_watershed(image: np.ndarray, min_distance: int) -> np.ndarray:
    """Segment by Otsu's threshold, and part touching objects by a watershed on distance.

    Parameters
    ----------
    image
        ``(Y, X)``, bright objects.
    min_distance
        Pixels that the middles of two objects are apart at least.

    Returns
    -------
    ndarray
        ``(Y, X)``: 0 background, 1… objects.
    """
    smooth = filters.gaussian(image.astype(float), 1)
    mask = ndimage.binary_fill_holes(smooth > filters.threshold_otsu(smooth))
    distance = filters.gaussian(ndimage.distance_transform_edt(mask), 1)
    pieces, _ = ndimage.label(mask)
    peaks = feature.peak_local_max(
        distance, min_distance=min_distance, labels=pieces, exclude_border=False
    )
    seeds = np.zeros(mask.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = segmentation.watershed(-distance, seeds, mask=mask)
    sizes = np.bincount(labels.ravel())
    labels[sizes[labels] < 16] = 0  # the same smallest object as the network's
    return segmentation.relabel_sequential(labels)[0]


def tune_baseline() -> int:
    """The ``min_distance`` that scores best on the eight images that the network learns from."""

    def mean_f1(min_distance: int) -> float:
        scores = [instance_f1(otsu_watershed(i, min_distance), truth).f1 for i, truth in pairs]
        return float(np.mean(scores))

    files = sorted((HERE / "train" / "images").iterdir())
    pairs = [(read_image(f).array, read_labels(HERE / "train" / "masks" / f.name)) for f in files]
    return max((3, 5, 7, 10, 14), key=mean_f1)


def segment_unseen(model_file: Path, out: Path) -> list[Result]:
    """Segment the four images before and after training and with Otsu, and write labels."""
    bundled, model = load_model(MODEL), load_model(model_file)
    min_distance = tune_baseline()
    results = []
    for file in sorted((UNSEEN / "images").iterdir()):
        image = read_image(file)
        labels = segment(image, model).labels
        write_labels(out / "labels" / f"{file.stem}.tif", labels, image, overwrite=True)
        truth = read_labels(UNSEEN / "masks" / file.name)
        before = segment(image, bundled).labels
        baseline = otsu_watershed(image.array, min_distance)
        results.append(Result(file.stem, image.array, truth, before, labels, baseline))
    return results


def score(results: list[Result]) -> list[dict[str, float | str]]:
    """F1 at IoU 0.5 and DSC of all ways, by image, and their means."""
    rows: list[dict[str, float | str]] = []
    for result in results:
        row: dict[str, float | str] = {"image": result.name}
        ways = (("otsu", result.baseline), ("before", result.before), ("after", result.network))
        for way, labels in ways:
            row[f"f1 {way}"] = instance_f1(labels, result.truth).f1
            row[f"dsc {way}"] = dice(labels > 0, result.truth > 0)
        rows.append(row)
    means = {key: float(np.mean([row[key] for row in rows])) for key in list(rows[0])[1:]}
    return [*rows, {"image": "mean", **means}]


def print_scores(rows: list[dict[str, float | str]]) -> None:
    """Print the table of scores."""
    table = Table(title="Four unseen images")
    table.add_column("image")
    for column in ("F1 Otsu", "F1 before", "F1 after", "DSC Otsu", "DSC after"):
        table.add_column(column, justify="right")
    for row in rows:
        shown = ("f1 otsu", "f1 before", "f1 after", "dsc otsu", "dsc after")
        scores = (row[column] for column in shown)
        table.add_row(
            str(row["image"]),
            *(f"{value:.3f}" for value in scores),
            style="bold" if row["image"] == "mean" else None,
            end_section=row is rows[-2],
        )
    console = Console(highlight=False)
    console.print(table)
    console.print("F1: objects found, at an overlap (IoU) of 0.5. DSC: nuclei against background.")
    console.print(f"before: the bundled model {MODEL}. after: fine-tuned on eight images.")
    console.print("Otsu: Otsu's threshold and a watershed, adjusted on the same eight.")


def draw_overlay(result: Result, path: Path) -> None:
    """Write truth, network and baseline side by side, as outlines on the image enlarged twice."""
    low, high = np.percentile(result.image, (1, 99.8))
    grey = np.clip((result.image - low) / max(high - low, 1), 0, 1) ** 0.7
    big = np.kron(np.uint8(grey * 200), np.ones((2, 2), np.uint8))
    panels = []
    ways = ((result.truth, TRUTH), (result.network, NETWORK), (result.baseline, BASELINE))
    for labels, color in ways:
        panel = np.stack([big] * 3, axis=-1)
        outlines = segmentation.find_boundaries(np.kron(labels, np.ones((2, 2), int)), mode="inner")
        panel[outlines] = color
        panels += [panel, np.full((panel.shape[0], 8, 3), 255, np.uint8)]
    with atomic_path(path, overwrite=True) as temporary:
        iio.imwrite(temporary, np.concatenate(panels[:-1], axis=1))


def show(results: list[Result]) -> None:
    """Open images and labels in napari."""
    import napari

    viewer = napari.Viewer(title="Swin-UMamba demo: four unseen images")
    for result in reversed(results):
        visible = result is results[0]
        viewer.add_image(result.image, name=result.name, visible=visible)
        viewer.add_labels(result.truth, name=f"{result.name} truth", visible=False)
        viewer.add_labels(result.network, name=f"{result.name} network", visible=visible)
    napari.run()


def main(arguments: list[str] | None = None) -> int:
    """Run the demo.

    Parameters
    ----------
    arguments
        Command line; by default that of the process.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="results folder")
    parser.add_argument("--napari", action="store_true", help="open the result in napari")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same result")
    parser.add_argument("--steps", type=int, default=STEPS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    begin = time.monotonic()
    try:
        with TrainingProgress() as progress:
            config = configure(options.out, options.seed, options.steps)
            model = train(config, progress.on_event).model
        results = segment_unseen(model, options.out)
        rows = score(results)
        for result in results:
            draw_overlay(result, options.out / "overlays" / f"{result.name}.png")
        (options.out / "scores.json").write_text(json.dumps(rows, indent=1) + "\n")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print_scores(rows)
    for what, path in (
        ("labels", options.out / "labels"),
        ("overlays (truth, network, Otsu)", options.out / "overlays"),
        ("curves", config.run / "curves.png"),
        ("model", model),
    ):
        print(f"{what}: {path}")
    print(f"{time.monotonic() - begin:.0f} s in all")
    if options.napari:
        show(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
