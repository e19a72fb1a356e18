"""Predictions that agree score nothing; each kind of disagreement is seen where it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_swin_umamba.errors import Cancelled, InputError
from napari_swin_umamba.images import Image
from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass
from napari_swin_umamba.segmentation import Model, ModelInfo
from napari_swin_umamba.segmentation.disagreement import compare_predictions, in_bytes
from napari_swin_umamba.segmentation.slice_versions import slice_versions
from napari_swin_umamba.segmentation.unsure_slices import SlicesToMeasure, measure_slices

maps = arrays.arrays(np.uint8, (2, 3, 4))


@given(maps, st.lists(maps, max_size=2), st.lists(maps, min_size=2, max_size=2))
def test_disagreement_is_within_bounds_and_nothing_among_equals(plain, versions, beside) -> None:
    found = compare_predictions(plain, versions, beside)
    assert 0 <= max(found.changed, found.neighbours) <= found.score + 1e-9 <= 1 + 1e-9
    same = compare_predictions(plain, [plain] * 2, [plain, beside[0]])
    assert same.score == same.changed == same.neighbours == 0
    np.testing.assert_array_equal(same.pixels, 0)


def test_only_what_differs_from_both_neighbours_counts() -> None:
    """A structure that begins here and goes on is no mistake; one that is here alone may be."""
    here, empty = np.zeros((1, 4, 4), np.uint8), np.zeros((1, 4, 4), np.uint8)
    here[0, 1, 2] = 255
    assert compare_predictions(here, [], [empty, here]).neighbours == 0
    alone = compare_predictions(here, [], [empty, empty])
    assert alone.pixels[1, 2] == 255
    assert alone.neighbours == alone.score == pytest.approx(1 / 4)
    assert compare_predictions(here, [], [empty]).score == 0  # at an end nothing can be said


@given(maps, st.lists(maps, max_size=2), st.lists(maps, min_size=1, max_size=2))
def test_what_is_looked_at_changes_no_score(plain, versions, close) -> None:
    one, other = (compare_predictions(plain, versions, [], more) for more in ([], close))
    assert (one.score, one.changed) == (other.score, other.changed)
    if not close[1:]:
        np.testing.assert_array_equal(
            other.pixels, abs(plain.astype(int) - close[0]).max(axis=0).astype(np.uint8)
        )


def test_a_map_shows_what_is_doubtful_and_not_what_depends_on_the_place() -> None:
    """A network that learned from slices smaller than its patches knows where things lie."""
    wanted = ask(stack(), [(3,), (4,)])
    plain = list(measure_slices(model(mirror_axes=()), [wanted], "cpu"))
    shown = list(measure_slices(model(mirror_axes=()), [wanted], "cpu", maps=True))
    for (_, _, without), (_, _, found) in zip(plain, shown, strict=True):
        assert found.score == without.score
        assert found.pixels.sum() <= without.pixels.sum()
    assert shown[0][2].pixels.sum() < plain[0][2].pixels.sum()


def test_a_few_pixels_in_doubt_count_more_than_faint_noise() -> None:
    plain = np.zeros((1, 10, 10), np.uint8)
    doubt, noise = plain.copy(), plain + 10
    doubt[0, :2, :2] = 255
    scores = [compare_predictions(plain, [other], []).score for other in (doubt, noise)]
    assert scores[0] > 4 * scores[1]


class Ramp(torch.nn.Module):
    """Finds the bright half of a slice, and in every third slice something at its left edge."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        inside = image[:, :1] * 20 * self.scale
        left = torch.zeros_like(inside)
        left[:, :, :, :4] = (image[:, :1].amax((2, 3), keepdim=True) > 2.5) * 40.0
        return torch.cat([-inside - left, inside + left], 1)


def model(**more: object) -> Model:
    plan = Plan(
        architecture="swin-umamba-d-tiny",
        channels=(Channel(name="a", normalization=Normalization(scheme="none")),),
        classes=tuple(SegmentationClass(id=n, name=f"c{n}") for n in range(2)),
        patch=(32, 32),
        **more,
    )
    return Model(Ramp().eval(), plan, "ramp", ModelInfo(licence="CC0-1.0", description="x"))


def stack() -> np.ndarray:
    """Alike from left to right; slice 3 has the pixel that the network is afraid of."""
    volume = np.full((6, 32, 32), -1, np.float32)
    volume[:, 12:20] = 1
    volume[3, 15, 15] = 3
    return volume


def ask(volume: np.ndarray, positions: list, **more: object) -> SlicesToMeasure:
    image = Image(volume, str(more.pop("axes", "ZYX")))
    return SlicesToMeasure("a", lambda: image, "Z", 0, positions)


def test_the_slice_that_a_model_is_unsure_of_is_found_and_where() -> None:
    wanted = ask(stack(), [(z,) for z in (5, 0, 3, 1, 4, 2)])
    found = {position[0]: d for _, position, d in measure_slices(model(), [wanted], "cpu")}
    assert sorted(found) == list(range(6))
    assert max(found, key=lambda z: found[z].score) == 3
    assert found[3].changed > 0.1
    assert found[3].neighbours > 0.1
    unsure = found[3].pixels > 128
    assert unsure[:12, :4].all()
    assert unsure[:12, -4:].all()
    assert not unsure[:12, 6:-6].any()
    assert all(found[z].score < 0.01 for z in (0, 1, 2, 4, 5))


def test_only_mirrorings_that_the_model_knows_are_asked_for() -> None:
    wanted = ask(stack(), [(3,)])
    ((_, _, rows),) = measure_slices(model(mirror_axes=(0,)), [wanted], "cpu")
    assert rows.changed == 0
    ((_, _, moved),) = measure_slices(model(mirror_axes=()), [wanted], "cpu")
    assert moved.changed > 0.1  # what sticks to the edge of the image does not move with it


@given(
    arrays.arrays(np.uint8, st.tuples(st.just(2), st.integers(1, 20), st.integers(1, 20))),
    st.sampled_from([(), (0,), (1,), (0, 1)]),
)
def test_versions_are_undone(pixels: np.ndarray, axes: tuple) -> None:
    """A prediction that follows the image comes back as it was."""
    versions = slice_versions(model(mirror_axes=axes).plan, pixels.shape[1:])
    assert len(versions) == (len(axes) or 2)
    for version in versions:
        changed = version.apply(pixels)
        assert changed.shape == pixels.shape
        np.testing.assert_array_equal(version.back(changed, pixels), pixels)
    if min(pixels.shape[1:]) >= 8 and not axes:
        assert version.apply(pixels)[0, 0, 0] == pixels[0, -versions[1].rows, -versions[1].columns]


def test_slices_are_brought_to_the_pixel_size_of_training() -> None:
    image = Image(stack(), "ZYX", spacing=(1.0, 2.0, 2.0))
    wanted = SlicesToMeasure("a", lambda: image, "Z", 0, [(3,)])
    seen: list[tuple[int, ...]] = []
    finer = model(resample=True, spacing=(1.0, 1.0))
    finer.network.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    ((_, _, found),) = measure_slices(finer, [wanted], "cpu")
    assert found.pixels.shape == (32, 32)
    assert len(seen) >= 9  # more than one tile of 32 pixels


def test_time_that_is_up_ends_it_after_the_first_slice() -> None:
    wanted = ask(stack(), [(z,) for z in range(6)])
    assert len(list(measure_slices(model(), [wanted], "cpu", seconds=-1.0))) == 1


def test_it_stops_when_asked_and_goes_on_without_what_cannot_be_read() -> None:
    wanted = ask(stack(), [(z,) for z in range(6)])
    with pytest.raises(Cancelled):
        list(measure_slices(model(), [wanted], "cpu", should_stop=lambda: True))

    def gone() -> Image:
        raise InputError("no such file: b.tif")

    broken = SlicesToMeasure("b", gone, "Z", 0, [(0,), (1,)])
    problems: list[str] = []
    found = list(measure_slices(model(), [broken, wanted], "cpu", on_problem=problems.append))
    assert len(found) == 6
    assert problems == ["no such file: b.tif"]
    with pytest.raises(InputError, match="no such file"):
        list(measure_slices(model(), [broken], "cpu"))


def test_bytes_are_rounded() -> None:
    np.testing.assert_array_equal(in_bytes(np.array([0, 0.5, 1])), [0, 128, 255])
