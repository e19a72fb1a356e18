"""A project that can be trained in seconds, and what a training of it is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_swin_umamba.cache import cache_folder
from napari_swin_umamba.images import read_image
from napari_swin_umamba.plugin.annotate.training_process import TrainingProcess
from napari_swin_umamba.project import Project

TINY = ["--arch", "swin-umamba-d-tiny", "--patch", "32", "--batch", "1", "--device", "cpu"]
LONG = [*TINY, "--steps", "100000", "--val-every", "20"]


def make_painted_project(folder: Path, slices: int = 24) -> Project:
    """A stack with a bright disc and a brighter bar; three slices of each eight are painted."""
    rows, columns = np.indices((48, 48))
    truth = np.ones((slices, 48, 48), np.uint8)
    for z in range(slices):
        truth[z][np.hypot(rows - 16 - z % 5, columns - 14) < 9] = 2
        truth[z][30:42, 20 + z % 7 : 40] = 3
    noise = np.random.default_rng(0).normal(0, 4, truth.shape)
    folder.mkdir(parents=True, exist_ok=True)
    image = (60.0 * truth + noise).clip(0, 255).astype(np.uint8)
    tifffile.imwrite(folder / "stack.tif", image, metadata={"axes": "ZYX"})
    project = Project.create(folder / "my projekt ä", "semantic", ["disc", "bar"])
    added = project.add_image([folder / "stack.tif"], read_image(folder / "stack.tif"))
    for z in range(slices):
        if z % 8 in (1, 3, 5):
            stroke = np.zeros_like(truth[z])
            stroke[::2] = truth[z][::2]
            project.annotation(added.id).write((z,), stroke)
    return project


def own_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices go to a folder of the test, also those of children; kernels stay compiled.

    Children have the priority of the test: on a busy machine it would wait for them too long.
    """
    monkeypatch.setattr("napari_swin_umamba.plugin.annotate.training_launch.NICE", 0)
    kernels = cache_folder() / "kernels"
    kernels.mkdir(parents=True, exist_ok=True)
    (folder / "cache").mkdir()
    with suppress(OSError):  # Windows, without the right to make links: compiled anew
        (folder / "cache" / "kernels").symlink_to(kernels, target_is_directory=True)
    monkeypatch.setenv("SWIN_UMAMBA_CACHE", str(folder / "cache"))


def wait(
    process: TrainingProcess, until: Callable[[], bool] | None = None, seconds: float = 120
) -> None:
    """Follow a training until something is true, by default until it has ended."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        alive = process.alive
        process.poll()
        if until is not None and until():
            return
        if not alive:
            assert until is None, process.read_log()
            return
        time.sleep(0.05)
    raise TimeoutError(process.read_log())
