"""Classes, or interior and boundary of objects, from painted masks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.segmentation import find_boundaries

from napari_swin_umamba.errors import InputError
from swin_umamba_training.targets import (
    IGNORE,
    MAX_DISTANCE,
    are_instances,
    boundary_target,
    class_values,
    distance_target,
    drop_small_objects,
    summarize_mask,
)


def test_boundary_of_one_object_pixel_by_pixel() -> None:
    labels = np.zeros((9, 9), np.int32)
    labels[2:7, 2:7] = 5
    expected = np.zeros((9, 9), int)
    expected[1:8, 2:7] = expected[2:7, 1:8] = 2  # inner edge, widened without the corners
    expected[4, 4] = 1
    assert boundary_target(labels).tolist() == expected.tolist()


def test_touching_objects_are_parted() -> None:
    labels = np.ones((9, 12), np.int32)
    labels[:, 6:] = 2
    target = boundary_target(labels)
    assert (target[:, 4:8] == 2).all()
    # the edge of the image is no boundary
    assert (target[:, :4] == 1).all()
    assert (target[:, 8:] == 1).all()


def test_unknown_pixels_make_no_boundary() -> None:
    labels = np.full((6, 6), 3, np.int32)
    labels[:, 3:] = IGNORE
    target = boundary_target(labels)
    assert (target[:, :3] == 1).all()
    assert (target[:, 3:] == IGNORE).all()


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.int32, (11, 13), elements=st.integers(0, 3)))
def test_boundary_is_that_of_scikit_image(labels: np.ndarray) -> None:
    edge = find_boundaries(labels, mode="inner", connectivity=1)
    edge = ndimage.binary_dilation(edge, ndimage.generate_binary_structure(2, 1))
    assert np.array_equal(boundary_target(labels) == 2, edge)
    assert np.array_equal(boundary_target(labels) == 1, (labels > 0) & ~edge)


def test_small_objects_are_dropped() -> None:
    labels = np.zeros((10, 10), np.int32)
    labels[0, :3], labels[4:9, 4:9] = 9, 4
    kept = drop_small_objects(labels, 16)
    assert kept[0].max() == 0
    assert (kept[4:9, 4:9] == 4).all()


def discs(count: int, per_value: int = 1) -> np.ndarray:
    mask = np.zeros((8, 4 * count * per_value), np.int32)
    for index in range(count * per_value):
        mask[2:6, 4 * index : 4 * index + 3] = index % count + 1
    return mask


def test_masks_with_many_single_pieces_number_objects() -> None:
    assert are_instances([summarize_mask("a", discs(25)), summarize_mask("b", discs(3))])


def test_masks_with_one_value_or_scattered_values_hold_classes() -> None:
    assert not are_instances([summarize_mask("a", discs(1, per_value=30))])
    assert not are_instances([summarize_mask("a", discs(4, per_value=6))])


def test_holes_that_are_meant_and_slips_of_the_brush() -> None:
    mask = np.zeros((40, 80), int)
    mask[5:35, 5:35], mask[5:35, 45:75] = 4, 9
    mask[20, 20] = 0  # one of 900 pixels
    mask[10:20, 50:60] = 0
    assert summarize_mask("a", mask).holed == 1


def test_objects_far_from_convex_are_counted() -> None:
    mask = np.zeros((40, 80), int)
    mask[5:35, 5:35] = 4
    mask[5:35, 45:75] = 9
    mask[5:25, 55:75] = 0  # an L: five ninths of its square, five sevenths of its hull
    assert summarize_mask("a", mask).bent == 1


def test_masks_that_could_be_either_ask() -> None:
    with pytest.raises(InputError, match="--instances.*--semantic"):
        are_instances([summarize_mask("a", discs(5)), summarize_mask("b", discs(4))])


def test_class_values() -> None:
    def values(*present: int) -> tuple[int, ...]:
        return class_values([summarize_mask("a", np.array([present]))])

    assert values(0, 255) == (0, 255)
    assert values(0, 128, 255) == (0, 128, 255)
    # a class that nobody painted yet keeps its number
    assert values(0, 3) == (0, 1, 2, 3)
    assert values(2) == (0, 1, 2)
    with pytest.raises(InputError, match="100 values.*--instances"):
        values(*range(100))


def test_distances_are_relative_to_each_object() -> None:
    labels = np.zeros((30, 40), np.int32)
    labels[5:14, 3:12] = 1  # 9 x 9: the middle is 5 pixels from the background
    labels[5:14, 12:15] = 2  # touches it
    labels[20:23, 30:33] = 3
    target = distance_target(labels)
    assert target[9, 7] == MAX_DISTANCE
    assert target[5, 3] == target[9, 3] == MAX_DISTANCE // 5
    assert target[9, 13] == MAX_DISTANCE  # a small object has a middle, too
    assert target[9, 11] == MAX_DISTANCE // 5  # a neighbour is an edge
    assert (target[labels == 0] == 0).all()
    assert (target[labels > 0] > 0).all()


def test_distances_know_no_edge_where_nothing_is_known() -> None:
    labels = np.full((20, 20), IGNORE, np.int32)
    labels[:, 5:] = 1
    target = distance_target(labels)
    assert (target[:, 5:] == MAX_DISTANCE).all()  # no edge in sight
    assert (target[:, :5] == IGNORE).all()
    labels[:, 15:] = 0
    target = distance_target(labels)
    assert target[10, 5] == MAX_DISTANCE  # the farthest from the background
    assert target[10, 14] == MAX_DISTANCE // 10


def test_distance_targets_are_decoded_into_the_same_objects() -> None:
    from napari_swin_umamba.segmentation import instances_from_distance

    rows, columns = np.indices((60, 80))
    labels = np.zeros((60, 80), np.int32)
    for number, (row, column, radius) in enumerate(((20, 20, 11), (20, 41, 10), (45, 60, 5)), 1):
        labels[np.hypot(rows - row, columns - column) < radius] = number
    target = distance_target(labels)
    inside = (target > 0).astype(np.float32)
    found = instances_from_distance(np.stack([1 - inside, inside, target / MAX_DISTANCE]))
    assert found.max() == 3
    assert np.mean(found == labels) > 0.995
