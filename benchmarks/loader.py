"""Augmented patches a second: the loader alone, without a network.

    python benchmarks/loader.py [--recipe quick] [--patch 512] [--workers 2] [--seconds 20]

Images are made up: 1024 x 1024, one channel, discs of three classes. With two workers on two cores,
this is the figure that "at least 60 patches of 512 x 512 a second" speaks of.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from swin_umamba_training.config import make_config
from swin_umamba_training.dataset import scan_dataset
from swin_umamba_training.planning import make_plan
from swin_umamba_training.sampling import ImageStore, patch_loader


def make_images(folder: Path, count: int, size: int) -> None:
    """Write images and masks of discs."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((size, size))
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for index in range(count):
        mask = np.zeros((size, size), np.uint8)
        for _ in range(60):
            row, column, radius = rng.uniform(0, size, 3) * (1, 1, 0.05)
            mask[np.hypot(rows - row, columns - column) < radius] = rng.integers(1, 4)
        image = (60 * mask + rng.normal(40, 10, mask.shape)).clip(0, 255).astype(np.uint8)
        iio.imwrite(folder / "images" / f"{index}.png", image)
        iio.imwrite(folder / "masks" / f"{index}.png", mask)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--recipe", default="quick")
    parser.add_argument("--patch", type=int, default=512)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        make_images(folder, 8, 1024)
        config = make_config(
            recipe=options.recipe,
            dataset=folder,
            run=Path(name) / "run",
            instances=False,
            patch=(options.patch, options.patch),
            batch=8,
            steps=1_000_000,
            workers=options.workers,
        )
        dataset = scan_dataset(folder, False)
        plan = make_plan(dataset, config)
        so_far = os.times()
        prepared = so_far.user + so_far.system
        batches = iter(patch_loader(ImageStore(dataset.samples, dataset, plan), plan, config))
        for _ in range(4):  # processes start, images are read
            next(batches)
        begin, patches = time.perf_counter(), 0
        while time.perf_counter() - begin < options.seconds:
            patches += len(next(batches)[0])
        seconds = time.perf_counter() - begin
        del batches  # ends the processes, whose time is known then
        spent = os.times()
        cpu = spent.user + spent.system + spent.children_user + spent.children_system - prepared
        print(
            f"{options.recipe}, {options.patch}x{options.patch}, {options.workers} workers: "
            f"{patches / seconds:.1f} patches/s (load {os.getloadavg()[0]:.1f} on "
            f"{os.cpu_count()} cores); {1000 * cpu / (patches + 4 * config.batch):.1f} ms of "
            "processor time a patch"
        )


if __name__ == "__main__":
    main()
