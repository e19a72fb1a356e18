"""Tiny data sets on disk, as a person would have them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

MakeDataset = Callable[..., Path]


def draw_discs(seed: int, size: tuple[int, int] = (64, 72), count: int = 12) -> tuple:
    """An image of bright discs and its label image: numbered from 1, none touching another."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(size)
    labels = np.zeros(size, np.uint16)
    placed = 0
    while placed < count:
        row, column, radius = rng.uniform(4, size[0] - 4), rng.uniform(4, size[1] - 4), 4.5
        if not labels[np.hypot(rows - row, columns - column) < radius + 1].any():
            placed += 1
            labels[np.hypot(rows - row, columns - column) < radius] = placed
        count -= rng.random() < 0.02  # a crowded image is full at some point
    image = 40 + 120.0 * (labels > 0) + rng.normal(0, 8, size)
    return image.clip(0, 255).astype(np.uint8), labels


@pytest.fixture(scope="session")
def write_dataset() -> MakeDataset:
    """Writes images/ and masks/ into a folder; ``kind`` is ``instances`` or ``semantic``."""

    def write(folder: Path, kind: str = "semantic", images: int = 4, channels: int = 1) -> Path:
        for part in ("images", "masks"):
            (folder / part).mkdir(parents=True)
        for index in range(images):
            image, labels = draw_discs(index)
            if channels > 1:
                image = np.stack([image] * channels, axis=-1)
            mask = labels if kind == "instances" else (labels > 0).astype(np.uint8)
            iio.imwrite(folder / "images" / f"cell{index}.png", image)
            iio.imwrite(folder / "masks" / f"cell{index}.png", mask)
        return folder

    return write


@pytest.fixture
def make_dataset(write_dataset: MakeDataset, tmp_path: Path) -> MakeDataset:
    """Writes a data set into a folder of the test."""

    def make(
        kind: str = "semantic", images: int = 4, name: str = "data", channels: int = 1
    ) -> Path:
        return write_dataset(tmp_path / name, kind, images, channels)

    return make


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for what the tests of a file share and leave alone; slices are stored in it."""
    folder = tmp_path_factory.mktemp("shared")
    with pytest.MonkeyPatch.context() as patch:
        where = "swin_umamba_training.data.slice_store.store_folder"
        patch.setattr(where, lambda: folder / "slices")
        yield folder


@pytest.fixture(autouse=True)
def slices_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Slices go to a folder of the test, not to the cache of the person who runs it."""
    folder = tmp_path / "slices"
    monkeypatch.setattr("swin_umamba_training.data.slice_store.store_folder", lambda: folder)
    return folder
