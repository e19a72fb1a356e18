"""The demo runs, and what it shows is kept out of the bundled model's data."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import imageio.v3 as iio
import numpy as np
import pytest

from napari_swin_umamba import load_model
from napari_swin_umamba.images import read_labels

ROOT = Path(__file__).parents[2]
NUCLEI = ROOT / "examples" / "nuclei"
EXCLUDED = json.loads((NUCLEI / "excluded.json").read_text())


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    return load(NUCLEI / "demo.py")


@pytest.fixture(scope="module")
def nuclei_data() -> ModuleType:
    return load(ROOT / "scripts" / "bundled" / "nuclei_data.py")


@pytest.mark.parametrize(("part", "count"), [("train", 8), ("unseen", 4)])
def test_demo_images_are_annotated_and_listed(part: str, count: int) -> None:
    images = sorted((NUCLEI / part / "images").iterdir())
    assert len(images) == count
    assert [image.stem for image in images] == sorted(i[:8] for i in EXCLUDED[f"demo_{part}"])
    for image in images:
        mask = read_labels(NUCLEI / part / "masks" / image.name)
        assert mask.shape == iio.imread(image).shape
        assert mask.max() >= 10


def test_demo_images_are_small() -> None:
    size = sum(file.stat().st_size for file in NUCLEI.rglob("*.png"))
    assert size < 3_000_000
    assert "CC0" in (NUCLEI / "SOURCE.md").read_text()


def test_otsu_watershed_parts_touching_discs(demo: ModuleType) -> None:
    rows, columns = np.indices((60, 80))
    discs = [np.hypot(rows - 30, columns - column) < 11 for column in (20, 39, 65)]
    image = np.where(np.any(discs, axis=0), 200, 10).astype(np.uint8)
    labels = demo.otsu_watershed(image, min_distance=5)
    assert labels.max() == 3
    assert len({int(labels[30, column]) for column in (20, 39, 65)}) == 3


def test_demo_writes_what_it_promises(
    demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.main(["--out", str(tmp_path), "--steps", "2", "--seed", "3"]) == 0
    shown = capsys.readouterr().out
    names = [image.stem for image in sorted((NUCLEI / "unseen" / "images").iterdir())]
    for expected in (*names, "mean", "F1 Otsu", "F1 before", "F1 after", "s in all"):
        assert expected in shown
    for name in names:
        truth = iio.imread(NUCLEI / "unseen" / "masks" / f"{name}.png")
        assert read_labels(tmp_path / "labels" / f"{name}.tif").shape == truth.shape
        overlay = iio.imread(tmp_path / "overlays" / f"{name}.png")
        assert overlay.shape[:2] == (2 * truth.shape[0], 6 * truth.shape[1] + 16)
    assert (tmp_path / "run" / "curves.png").exists()
    assert load_model(tmp_path / "run" / "model.safetensors").plan.output == "boundary"
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert [row["image"] for row in scores] == [*names, "mean"]
    assert scores[-1]["f1 otsu"] > 0.7


def test_demo_says_what_is_wrong(
    demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert demo.main(["--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("error: ")


@pytest.fixture
def tiles() -> dict[str, np.ndarray]:
    """Two fields of 2 x 2 tiles and a tile of its own, all blobs."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    images = {}
    for field in ("a", "b"):
        large = gaussian_filter(rng.normal(size=(128, 128)), 3) * 1000 + 100
        for row in (0, 1):
            for column in (0, 1):
                tile = large[64 * row :, 64 * column :][:64, :64]
                images[f"{field}{row}{column}"] = tile
    images["c"] = gaussian_filter(rng.normal(size=(64, 64)), 3) * 1000 + 100
    return images


def test_tiles_of_a_field_are_found(nuclei_data: ModuleType, tiles: dict) -> None:
    assert nuclei_data.find_fields(tiles) == [
        ["a00", "a01", "a10", "a11"],
        ["b00", "b01", "b10", "b11"],
        ["c"],
    ]


def test_mirrored_copies_are_found(nuclei_data: ModuleType, tiles: dict) -> None:
    pair = {"c": tiles["c"], "mirrored": tiles["c"][:, ::-1], "other": tiles["a00"]}
    assert nuclei_data.find_fields(pair) == [["c", "mirrored"], ["other"]]


def test_prepared_data_leave_the_demo_out_and_keep_fields_together(
    nuclei_data: ModuleType, tiles: dict, tmp_path: Path
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    of_demo = [*EXCLUDED["demo_unseen"][:1], *EXCLUDED["same_field"][:1]]
    for part in ("images", "labels"):
        (source / part).mkdir(parents=True)
        for name in (*tiles, *of_demo):
            tile = tiles.get(name, tiles["c"]).clip(0, 255).astype(np.uint8)
            iio.imwrite(source / part / f"{name}.png", tile)
    (source / "kinds.json").write_text(json.dumps({"fluo": [*tiles, *of_demo]}))
    training, validating = nuclei_data.prepare(source, target)
    kept = {file.stem for file in (target / "images").iterdir()}
    assert kept == set(tiles) == {file.stem for file in (target / "masks").iterdir()}
    validation = set((target / "val.txt").read_text().split())
    assert (training, validating) == (len(tiles) - len(validation), len(validation))
    for field in ("a", "b"):
        members = {name for name in tiles if name.startswith(field)}
        assert members <= validation or not members & validation
