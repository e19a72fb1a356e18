"""The scores, against those of the paper's evaluation scripts and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_swin_umamba.errors import InputError
from swin_umamba_training import metrics
from swin_umamba_training.metrics import InstanceScore, dice, instance_f1, surface_dice

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
EXPECTED = json.loads((GOLDEN / "metrics.json").read_text())


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "metrics.npz") as file:
        return dict(file)


@pytest.mark.parametrize(
    ("case", "value"), [(c, v) for c in ("vol2", "img2") for v in EXPECTED[c]["per_class"]]
)
def test_dice_and_nsd_equal_the_golden_ones(golden: dict, case: str, value: str) -> None:
    expected = EXPECTED[case]
    scores = expected["per_class"][value]
    prediction, truth = (golden[f"{case}_{part}"] == int(value) for part in ("pred", "gt"))
    assert dice(prediction, truth) == pytest.approx(scores["DSC"], abs=1e-3)
    nsd = surface_dice(prediction, truth, expected["tolerance"], tuple(expected["spacing"]))
    assert nsd == pytest.approx(scores["NSD"], abs=1e-3)


@pytest.mark.parametrize("iou", EXPECTED["cells2"])
def test_f1_equals_the_golden_one(golden: dict, iou: str) -> None:
    expected = EXPECTED["cells2"][iou]
    score = instance_f1(golden["cells2_pred"], golden["cells2_gt"], float(iou))
    assert (score.tp, score.fp, score.fn) == (expected["tp"], expected["fp"], expected["fn"])
    assert score.precision == pytest.approx(expected["precision"])
    assert score.recall == pytest.approx(expected["recall"])
    assert score.f1 == pytest.approx(expected["F1"])


def test_absent_classes_count_as_the_paper_counts_them() -> None:
    empty, full = np.zeros((8, 8), bool), np.ones((8, 8), bool)
    for score in (dice, lambda p, t: surface_dice(p, t, 1.0)):
        assert score(empty, empty) == 1.0
        assert score(full, empty) == 0.0
        assert score(empty, full) == 0.0


def test_nsd_does_not_change_with_the_unit() -> None:
    prediction, truth = np.zeros((2, 24, 24), bool)
    prediction[4:16, 4:16] = True
    truth[5:18, 4:15] = True
    in_pixels = surface_dice(prediction, truth, 1.0)
    assert 0 < in_pixels < 1
    assert surface_dice(prediction, truth, 0.25, (0.25, 0.25)) == pytest.approx(in_pixels)


def squares(*corners: tuple[int, int], size: int = 6) -> np.ndarray:
    labels = np.zeros((40, 40), np.int32)
    for number, (row, column) in enumerate(corners, start=3):  # numbers need not begin at 1
        labels[row : row + size, column : column + size] = number
    return labels


def test_f1_counts_found_spurious_and_missed_objects() -> None:
    truth = squares((5, 5), (5, 20), (20, 5))
    prediction = squares((6, 5), (30, 30), (20, 5))
    score = instance_f1(prediction, truth)
    assert (score.tp, score.fp, score.fn) == (2, 1, 1)
    assert score.f1 == pytest.approx(2 / 3)


def test_f1_leaves_out_objects_at_the_rim() -> None:
    truth = squares((1, 10), (20, 20))
    assert instance_f1(truth, truth) == InstanceScore(1, 0, 0)
    # one that only the prediction lets touch the rim is missed
    prediction = squares((20, 20), size=21)
    assert instance_f1(prediction, truth) == InstanceScore(0, 0, 1)


def test_f1_takes_the_matching_with_most_pairs() -> None:
    """Taking the best overlap first would leave the other pair unmatched."""
    truth = np.zeros((20, 40), np.int32)
    truth[5:10, 5:15], truth[5:10, 15:25] = 1, 2
    prediction = np.zeros_like(truth)
    prediction[5:10, 5:19], prediction[5:10, 19:25] = 1, 2
    # IoUs: (1, 1) 10/14, (2, 1) 4/20, (2, 2) 6/10
    assert instance_f1(prediction, truth, 0.5).tp == 2
    assert instance_f1(prediction, truth, 0.65).tp == 1


def test_f1_of_an_object_cut_into_halves_counts_one_of_them() -> None:
    truth = np.zeros((20, 40), np.int32)
    truth[5:10, 5:25] = 1
    prediction = truth.copy()
    prediction[5:10, 15:25] = 2
    assert instance_f1(prediction, truth, 0.5) == InstanceScore(1, 1, 0)


def test_f1_finds_another_partner_below_one_half() -> None:
    """Both true objects overlap most with one predicted object; one of them has a second."""
    truth = np.zeros((20, 40), np.int32)
    truth[5:10, 5:11], truth[5:10, 11:20] = 1, 2
    prediction = np.zeros_like(truth)
    prediction[5:10, 5:15], prediction[5:10, 15:20] = 1, 2
    # IoUs: (1, 1) 6/10, (2, 1) 4/15, (2, 2) 5/9
    assert instance_f1(prediction, truth, 0.25) == InstanceScore(2, 0, 0)


def test_f1_of_very_many_objects_needs_no_table_of_all_pairs() -> None:
    """A table of 90,000 times 90,000 counts would be 60 GiB."""
    rows, columns = np.indices((1204, 1204)) // 4
    truth = rows * 301 + columns + 1
    score = instance_f1(truth[::-1], truth)
    assert (score.tp, score.fp, score.fn) == (299 * 299, 0, 0)


def test_f1_without_objects() -> None:
    empty, one = np.zeros((20, 20), np.int32), np.zeros((20, 20), np.int32)
    one[5:10, 5:10] = 1
    assert instance_f1(empty, empty).f1 == 1.0
    assert instance_f1(empty, one) == InstanceScore(0, 0, 1)
    assert instance_f1(one, empty) == InstanceScore(0, 1, 0)
    assert instance_f1(empty, one).f1 == 0.0


def test_huge_images_are_matched_in_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "TILED_ABOVE", 1000)
    monkeypatch.setattr(metrics, "TILE", 20)
    # the second square lies on the seam of two tiles: it touches both rims and is not scored
    truth = squares((5, 5), (5, 17), (25, 25))
    assert instance_f1(truth, truth) == InstanceScore(2, 0, 0)


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match=r"one shape.*\(3, 4\).*\(4, 3\)"):
        dice(np.zeros((3, 4), bool), np.zeros((4, 3), bool))
    with pytest.raises(InputError, match="2D"):
        instance_f1(np.zeros((2, 3, 4), int), np.zeros((2, 3, 4), int))
    with pytest.raises(InputError, match="2 or 3 axes"):
        surface_dice(np.ones(4, bool), np.ones(4, bool), 1.0)
