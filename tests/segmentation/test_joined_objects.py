"""Objects with a waist are divided where they are known to be nearly convex."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from skimage.morphology import convex_hull_image

from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.segmentation import number_objects
from napari_swin_umamba.segmentation.convexity import convexity
from napari_swin_umamba.segmentation.joined_objects import divide_joined_objects


def disc(y: float, x: float, radius: float, shape: tuple[int, int] = (60, 100)) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def two_discs(distance: float) -> np.ndarray:
    return disc(30, 30, 14) | disc(30, 30 + distance, 14)


def test_two_discs_that_overlap_a_little_are_divided_at_the_waist() -> None:
    joined = two_discs(24)
    divided = divide_joined_objects(7 * joined.astype(np.int32))
    assert set(np.unique(divided)) == {0, 7, 8}
    np.testing.assert_array_equal(divided > 0, joined)
    assert len({divided[30, 20], divided[30, 64]}) == 2
    waist = np.flatnonzero(divided[30, :-1] != divided[30, 1:])
    assert abs(waist[1] - 42) <= 1


@pytest.mark.parametrize(
    "shape",
    [
        disc(30, 40, 20),
        two_discs(8),  # an oval
        disc(30, 40, 20) & ~disc(30, 40, 12),  # a ring
        disc(30, 30, 3) | disc(30, 36, 3),  # too small to have a shape
        np.zeros((60, 100), bool),
    ],
)
def test_other_shapes_stay(shape: np.ndarray) -> None:
    labels = 3 * shape.astype(np.int32)
    np.testing.assert_array_equal(divide_joined_objects(labels), labels)


def test_neighbours_are_not_touched() -> None:
    labels = two_discs(24).astype(np.int32)
    labels[:, 56:] *= 2
    labels[50:58, 5:90] = 5
    divided = divide_joined_objects(labels)
    np.testing.assert_array_equal(divided == 5, labels == 5)


def test_objects_at_the_edge_of_the_image_have_a_waist_as_well() -> None:
    labels = two_discs(24)[:, 20:].astype(np.int32)
    assert divide_joined_objects(labels).max() == 2


@settings(deadline=None)
@given(arrays.arrays(np.int32, (30, 31), elements=st.sampled_from([0, 1, 1, 1, 2])))
def test_objects_keep_their_pixels(labels: np.ndarray) -> None:
    before = labels.copy()
    divided = divide_joined_objects(labels)
    np.testing.assert_array_equal(labels, before)  # a copy
    np.testing.assert_array_equal(divided > 0, labels > 0)
    for part in np.unique(divided):
        assert len(np.unique(labels[divided == part])) == 1


@pytest.mark.parametrize("convex", [True, False])
def test_a_plan_says_whether_objects_are_convex(
    make_model: Callable[..., Model], convex: bool
) -> None:
    plan = make_model("boundary", convex_objects=convex).plan
    inside = two_discs(24)
    probabilities = np.stack([~inside, inside, np.zeros_like(inside)]).astype(np.float32)
    assert number_objects(probabilities, plan).max() == 1 + convex


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(1, 70), st.floats(1, 5))
def test_every_object_is_in_one_piece_and_has_one_number(
    make_model: Callable[..., Model], seed: int, height: int, width: int, size: float
) -> None:
    plan = make_model("boundary", convex_objects=True, fill_holes=True, min_object_pixels=9).plan
    rng = np.random.default_rng(seed)
    logits = ndimage.gaussian_filter(rng.normal(size=(3, height, width)), (0, size, size))
    logits *= 4 / (logits.std() + 1e-9)
    probabilities = (np.exp(logits) / np.exp(logits).sum(axis=0)).astype(np.float32)
    found = number_objects(probabilities, plan)
    values, first, sizes = np.unique(found, return_index=True, return_counts=True)
    objects = values > 0
    np.testing.assert_array_equal(values[objects], np.arange(1, found.max() + 1))
    assert (np.diff(first[objects]) > 0).all()
    assert (sizes[objects] >= 9).all()
    for number in values[objects]:
        assert ndimage.label(found == number)[1] == 1
    np.testing.assert_array_equal(number_objects(probabilities, plan), found)


@settings(deadline=None)
@given(arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_convexity_is_the_share_of_the_hull(mask: np.ndarray) -> None:
    mask[0, 0] = True
    # An image in which pixels are large: their squares are nearly the squares of the hull.
    large = np.kron(mask, np.ones((40, 40), bool))
    share = large.sum() / convex_hull_image(large, offset_coordinates=False).sum()
    assert convexity(mask) == pytest.approx(share, abs=0.06)
    assert 0 < convexity(mask) <= 1 + 1e-12
