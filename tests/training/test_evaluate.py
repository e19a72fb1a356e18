"""Scoring files against files."""

from __future__ import annotations

import math
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_swin_umamba import InputError
from swin_umamba_training.evaluate import evaluate
from swin_umamba_training.metrics import dice, surface_dice

GOLDEN = Path(__file__).parents[1] / "data" / "golden" / "metrics.npz"


@pytest.fixture
def golden(tmp_path: Path) -> tuple[Path, Path]:
    """The golden 2D case as files of predicted and of true labels."""
    with np.load(GOLDEN) as arrays:
        files = (tmp_path / "pred" / "a.png", tmp_path / "gt" / "a.tif")
        for file, part in zip(files, ("pred", "gt"), strict=True):
            file.parent.mkdir()
            writer = iio.imwrite if file.suffix == ".png" else tifffile.imwrite
            writer(file, arrays[f"img2_{part}"])
    return files


def test_files_give_the_golden_scores(golden: tuple[Path, Path]) -> None:
    result = evaluate(*golden, ["dsc", "nsd"], tolerance=2.0, classes=4)
    scores = result.images["a"]
    assert scores["dsc 1"] == pytest.approx(0.7579908675799086, abs=1e-6)
    assert scores["nsd 2"] == pytest.approx(0.9800780416146685, abs=1e-6)
    assert scores["dsc 4"] == scores["nsd 4"] == 1.0  # absent from both
    assert result.notes == ("pixel size unknown: the tolerance is in pixels",)


def test_folders_and_means(golden: tuple[Path, Path]) -> None:
    prediction, truth = golden
    iio.imwrite(truth.with_name("b.png"), tifffile.imread(truth))
    iio.imwrite(prediction.with_name("b.png"), tifffile.imread(truth))
    result = evaluate(prediction.parent, truth.parent)
    assert list(result.images) == ["a", "b"]
    assert list(result.mean) == ["dsc 1", "dsc 2", "dsc 3"]  # the values that occur
    assert result.images["b"]["dsc 1"] == 1.0
    assert result.mean["dsc 1"] == pytest.approx((1 + result.images["a"]["dsc 1"]) / 2)


def test_tolerance_is_in_millimetres_where_pixels_have_a_size(tmp_path: Path) -> None:
    truth, prediction = np.zeros((2, 40, 40), np.uint8)
    truth[10:30, 10:30] = 1
    prediction[12:32, 10:30] = 1
    for name, array in (("t", truth), ("p", prediction)):
        tifffile.imwrite(
            tmp_path / f"{name}.tif", array, imagej=True, resolution=(2, 2), metadata={"unit": "mm"}
        )
    result = evaluate(tmp_path / "p.tif", tmp_path / "t.tif", ["nsd"], tolerance=0.6)
    expected = surface_dice(prediction > 0, truth > 0, 0.6, (0.5, 0.5))
    assert result.mean["nsd 1"] == pytest.approx(expected)
    assert expected < 1
    assert result.notes == ()


def test_objects(tmp_path: Path) -> None:
    truth = np.zeros((40, 40), np.uint16)
    truth[5:15, 5:15], truth[20:30, 20:30] = 7, 300
    iio.imwrite(tmp_path / "t.png", truth)
    iio.imwrite(tmp_path / "p.png", np.where(truth == 7, 1, 0).astype(np.uint8))
    result = evaluate(tmp_path / "p.png", tmp_path / "t.png", ["f1", "dsc"], foreground=True)
    assert result.mean["f1"] == pytest.approx(2 / 3)
    assert (result.mean["tp"], result.mean["fp"], result.mean["fn"]) == (1, 0, 1)
    assert result.mean["dsc 1"] == pytest.approx(dice(truth == 7, truth > 0))


def test_what_cannot_be_scored(golden: tuple[Path, Path], tmp_path: Path) -> None:
    prediction, truth = golden
    many = tmp_path / "many.png"
    iio.imwrite(many, np.arange(120 * 140, dtype=np.uint16).reshape(120, 140))
    other_size = tmp_path / "size.png"
    iio.imwrite(other_size, np.zeros((5, 6), np.uint8))
    cases = [
        ((tmp_path / "no.png", truth), {}, r"no such file.*PRED"),
        ((prediction.parent, truth), {}, "two files or two folders"),
        ((prediction, truth), {"metrics": ["iou"]}, "'iou'.*--metric"),
        ((prediction, truth), {"tolerance": 0.0}, "not 0.0.*--tolerance"),
        ((prediction, truth), {"metrics": ["nsd"], "tolerance": math.inf}, "inf.*--tolerance"),
        ((prediction, truth), {"tolerance": math.nan}, "nan.*--tolerance"),
        ((prediction, truth), {"classes": 0}, "not 0.*--classes"),
        ((prediction, truth), {"classes": 100_000}, "64, not 100000.*--classes"),
        ((prediction, truth), {"iou": 1.5}, "--iou"),
        ((many, truth), {}, "16,799 classes.*--metric f1"),
        ((other_size, truth), {}, "one size"),
    ]
    for files, options, message in cases:
        with pytest.raises(InputError, match=message):
            evaluate(*files, **options)
    with pytest.raises(InputError, match="--foreground.*--classes 3"):
        evaluate(prediction, truth, classes=3, foreground=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no prediction for"):
        evaluate(tmp_path / "empty", truth.parent)
    with pytest.raises(InputError, match="no files"):
        evaluate(tmp_path / "empty", tmp_path / "empty")


@pytest.mark.parametrize("which", [0, 1])
def test_two_files_of_one_name_are_refused(golden: tuple[Path, Path], which: int) -> None:
    """Which of the two is meant cannot be known; one would be left out unseen."""
    for suffix in (".png", ".tif"):
        golden[which].with_suffix(suffix).write_bytes(golden[which].read_bytes())
    with pytest.raises(InputError, match=r"a\.png and a\.tif have the same name"):
        evaluate(golden[0].parent, golden[1].parent)


def test_stray_files_are_left_alone(golden: tuple[Path, Path]) -> None:
    for file in golden:
        for stray in ("Thumbs.db", "readme.txt", "._a.png", "a.csv"):
            file.with_name(stray).write_text("not an image")
        file.with_name("old.png").mkdir()
    assert list(evaluate(golden[0].parent, golden[1].parent).images) == ["a"]
