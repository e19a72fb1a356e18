"""Numbered objects on another grid: still in one piece each, numbered without gaps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_swin_umamba import segment
from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.segmentation.numbering import number_in_order
from napari_swin_umamba.segmentation.resampling import resize_labels, resize_objects

CROSS = ndimage.generate_binary_structure(2, 1)


def assert_numbered(labels: np.ndarray) -> None:
    """Objects 1, 2, ... in the order of their first pixels, each in one piece."""
    values, first = np.unique(labels, return_index=True)
    objects = values > 0
    np.testing.assert_array_equal(values[objects], np.arange(1, labels.max() + 1))
    assert (np.diff(first[objects]) > 0).all()
    for number in values[objects]:
        assert ndimage.label(labels == number, CROSS)[1] == 1


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_objects_stay_whole_on_any_grid(
    seed: int, shape: tuple[int, int], wanted: tuple[int, int]
) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1)
    objects = number_in_order(ndimage.label(noise > 0, CROSS)[0])
    resized = resize_objects(objects, wanted)
    assert resized.shape == wanted
    assert resized.dtype == np.int32
    assert_numbered(resized)
    nearest = resize_labels(objects, wanted)
    for number in np.unique(nearest[nearest > 0]):  # what an object has is its largest piece
        pieces = ndimage.label(nearest == number, CROSS)[0]
        (mine,) = np.unique(resized[(nearest == number) & (resized > 0)])
        assert (resized == mine).sum() == np.bincount(pieces.ravel())[1:].max()
    if wanted == shape:
        np.testing.assert_array_equal(resized, objects)


def test_a_number_that_falls_between_pixels_leaves_no_gap() -> None:
    objects = np.zeros((9, 9), np.int32)
    objects[0, :] = 1  # the middles of 3 x 3 pixels lie in rows 1, 4 and 7
    objects[3:6, 3:6] = 2
    np.testing.assert_array_equal(resize_objects(objects, (3, 3)), np.diag([0, 1, 0]))


def test_small_objects_are_numbered_without_gaps(make_model: Callable[..., Model]) -> None:
    model = make_model("boundary", object_diameter=20.0, min_object_pixels=1, convex_objects=False)
    image = np.random.default_rng(0).random((32, 32), dtype=np.float32)
    for diameter in (2.0, 3.5, 5.5):
        found = segment(image, model, object_diameter=diameter, device="cpu").labels
        assert found.max() > 3
        assert_numbered(found)
