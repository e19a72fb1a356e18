"""Objects from interior and boundary: found, kept apart, numbered the same way every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_swin_umamba.segmentation import instances_from_boundary, instances_from_distance
from napari_swin_umamba.segmentation.convex_seeds import LEVELS, convex_seeds
from swin_umamba_training.targets import distance_target

CROSS = ndimage.generate_binary_structure(2, 1)


def ideal_probabilities(labels: np.ndarray, sure: float = 0.98) -> np.ndarray:
    """What a perfect network gives for labels ``(Y, X)``: interior, and a boundary of 3 pixels."""
    edge = np.zeros(labels.shape, bool)
    for low, high in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        differ = labels[low] != labels[high]
        edge[low] |= differ & (labels[low] > 0)
        edge[high] |= differ & (labels[high] > 0)
    target = np.where(labels > 0, 1, 0)
    target[ndimage.binary_dilation(edge, CROSS)] = 2
    others = (1 - sure) / 2
    return np.where(np.arange(3)[:, None, None] == target, sure, others).astype(np.float32)


def disc(shape: tuple[int, int], y: float, x: float, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def test_objects_come_back_as_they_were_drawn() -> None:
    labels = np.zeros((80, 100), int)
    for number, (y, x, radius) in enumerate([(20, 20, 12), (50, 60, 15), (15, 70, 5)], start=1):
        labels[disc(labels.shape, y, x, radius)] = number
    found = instances_from_boundary(ideal_probabilities(labels))
    assert found.max() == 3
    for number in (1, 2, 3):
        (mine,) = np.unique(found[labels == number])[-1:]
        assert iou(found == mine, labels == number) > 0.93


def test_objects_of_an_unsure_interior_are_dropped_and_thin_ones_stay() -> None:
    labels = np.zeros((60, 60), int)
    for number, (y, x) in enumerate([(15, 15), (15, 45), (45, 15)], start=1):
        labels[disc(labels.shape, y, x, 10)] = number
    labels[40:42, 30:58] = 4  # all boundary, no interior
    probabilities = ideal_probabilities(labels)
    unsure = labels == 2
    probabilities[1][unsure] *= 0.6
    probabilities[0][unsure] = 0.3
    found = instances_from_boundary(probabilities)
    assert found.max() == 3
    assert found[15, 15] and found[45, 15] and found[40, 45] and not found[15, 45]
    # All are as unsure as each other where the network has just begun to learn.
    probabilities[1] *= 0.5
    probabilities[0] = np.where(labels > 0, 0.3, 0.98)
    assert instances_from_boundary(probabilities)[15, 15]


def test_touching_objects_are_kept_apart_without_a_gap() -> None:
    labels = np.zeros((40, 60), int)
    labels[5:35, 5:30] = 1
    labels[5:35, 30:55] = 2
    found = instances_from_boundary(ideal_probabilities(labels))
    assert found.max() == 2
    assert found[20, 10] != found[20, 50]
    assert (found[10:30, 10:50] > 0).all()
    share = [(found[labels == number] == number).mean() for number in (1, 2)]
    assert min(share) > 0.9


def test_a_weak_boundary_still_separates_what_is_surely_interior() -> None:
    interior = np.full((30, 60), 0.98)
    interior[:, 28:32] = 0.7  # connected at any threshold below
    probabilities = np.stack([np.full_like(interior, 0.01), interior, 0.99 - interior])
    found = instances_from_boundary(probabilities)
    assert found.max() == 2
    assert found[15, 5] != found[15, 55]


def test_noise_in_the_interior_does_not_split_an_object() -> None:
    interior = np.full((30, 30), 0.9)
    interior[5:8, 5:8] = interior[20:23, 20:23] = 0.99  # two spots of nine pixels
    probabilities = np.stack([np.full_like(interior, 0.005), interior, 0.995 - interior])
    assert instances_from_boundary(probabilities).max() == 1


def test_objects_too_thin_for_an_interior_are_found() -> None:
    labels = np.zeros((30, 50), int)
    labels[10:12, 5:45] = 1
    probabilities = ideal_probabilities(labels)
    assert not (probabilities[1] > 0.5).any()
    found = instances_from_boundary(probabilities)
    assert found.max() == 1
    assert iou(found == 1, labels == 1) > 0.8


def test_objects_at_the_edge_of_the_image_reach_it() -> None:
    labels = np.zeros((40, 40), int)
    labels[:20, :20] = 1
    found = instances_from_boundary(ideal_probabilities(labels))
    assert (found[0, :18] == 1).all()
    assert (found[:18, 0] == 1).all()


@pytest.mark.parametrize(("value", "objects"), [(0, 0), (1, 1)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (50, 40)])
def test_empty_and_full_images(value: int, objects: int, shape: tuple[int, int]) -> None:
    probabilities = ideal_probabilities(np.full(shape, value))
    found = instances_from_boundary(probabilities, min_object_pixels=1)
    assert (found == objects).all()


def test_small_objects_are_dropped_and_numbers_stay_consecutive() -> None:
    labels = np.zeros((40, 120), int)
    for number, radius in enumerate([9, 3, 9, 3, 9], start=1):
        labels[disc(labels.shape, 20, 20 * number, radius)] = number
    probabilities = ideal_probabilities(labels)
    assert instances_from_boundary(probabilities, 0).max() == 5
    few = instances_from_boundary(probabilities, 60)
    assert np.array_equal(np.unique(few), [0, 1, 2, 3])
    assert [few[20, 20], few[20, 60], few[20, 100]] == [1, 2, 3]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.integers(0, 30))
def test_whatever_the_network_says(seed: int, height: int, width: int, smallest: int) -> None:
    rng = np.random.default_rng(seed)
    logits = ndimage.gaussian_filter(rng.normal(size=(3, height, width)) * 20, (0, 1.5, 1.5))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=0)
    found = instances_from_boundary(probabilities.astype(np.float32), smallest)
    assert found.dtype == np.int32
    assert found.shape == (height, width)
    values, first, sizes = np.unique(found, return_index=True, return_counts=True)
    objects = values > 0
    assert np.array_equal(values[objects], np.arange(1, found.max() + 1))
    assert (np.diff(first[objects]) > 0).all()
    assert (sizes[objects] >= smallest).all()
    for number in values[objects]:
        assert ndimage.label(found == number, CROSS)[1] == 1
    again = instances_from_boundary(probabilities.astype(np.float32), smallest)
    assert np.array_equal(again, found)


def two_discs(apart: float, radius: float = 12) -> np.ndarray:
    shape = (40, 80)
    left = disc(shape, 20, 40 - apart / 2, radius)
    return left | disc(shape, 20, 40 + apart / 2, radius)


def test_what_is_not_convex_is_parted_where_the_map_is_weak() -> None:
    dumbbell = two_discs(20)
    values = np.where(dumbbell, 0.97, 0.0)
    values[:, 39:41] *= 0.8
    seeds = convex_seeds(values)
    assert seeds.max() == 2
    assert seeds[20, 28] != seeds[20, 52]
    assert not seeds[:, 39:41].any()


def test_a_weak_spot_in_a_convex_object_does_not_part_it() -> None:
    for weak in (np.s_[14:17, :], np.s_[12:26, 12:26]):  # a band and a middle
        values = np.where(disc((40, 40), 20, 20, 14), 0.97, 0.0)
        values[weak] *= 0.8
        seeds = convex_seeds(values)
        np.testing.assert_array_equal(seeds > 0, values > 0)
        assert seeds.max() == 1


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
def test_seeds_are_pieces_of_the_map(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    values = ndimage.gaussian_filter(rng.normal(size=(height, width)) * 4, 1.5) + 0.5
    seeds = convex_seeds(values)
    assert not seeds[values <= LEVELS[0]].any()
    roots, count = ndimage.label(values > LEVELS[0], CROSS)
    assert set(roots[seeds > 0]) == set(range(1, count + 1))  # nothing is lost
    for number in range(1, seeds.max() + 1):
        piece = seeds == number
        assert ndimage.label(piece, CROSS)[1] == 1
        assert piece.sum() >= 16 or (roots[piece] == roots[piece][0]).sum() == piece.sum()
        around = ndimage.binary_dilation(piece, CROSS) & ~piece
        lowest = values[piece].min()
        assert not (values[around] > max(t for t in LEVELS if t < lowest)).any()


def test_distances_part_objects_that_touch() -> None:
    labels = np.zeros((40, 80), np.int32)
    labels[two_discs(20)] = 1
    labels[:, 40:][labels[:, 40:] > 0] = 2
    distance = distance_target(labels) / 1000
    inside = labels > 0
    found = instances_from_distance(np.stack([~inside, inside, distance]).astype(np.float32))
    np.testing.assert_array_equal(found > 0, inside)
    assert found.max() == 2
    assert all((found[labels == n] == found[20, c]).mean() > 0.95 for n, c in ((1, 28), (2, 52)))
