"""Objects without holes; small ones, and those at the edge, left out where that is wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from napari_swin_umamba import InputError, segment
from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.images import Image
from napari_swin_umamba.segmentation import ObjectRules, number_objects
from napari_swin_umamba.segmentation.holes import fill_holes

NOISE = np.random.default_rng(0).integers(0, 256, (60, 70), dtype=np.uint8)


def ring(gap: tuple[int, int] | None = None) -> np.ndarray:
    labels = np.zeros((12, 12), np.int32)
    labels[2:10, 2:10] = 3
    labels[4:8, 4:8] = 0
    if gap is not None:
        labels[gap] = 0
    return labels


def test_a_hole_belongs_to_the_object_around_it() -> None:
    labels = ring()
    filled = fill_holes(labels)
    assert (filled[2:10, 2:10] == 3).all()
    assert (filled > 0).sum() == 64
    assert (labels[4:8, 4:8] == 0).all()  # a copy


def test_what_is_no_hole_stays_background() -> None:
    open_ring = ring()
    open_ring[5, :5] = 0  # leads out
    two = ring()
    two[:, 6:] *= 2  # two halves enclose it
    at_edge = ring()[2:]  # the image cuts it open
    at_edge[:2, 4:8] = 0
    corner = ring()
    corner[2:4, 2:4] = 0  # open across a corner only
    for labels in (open_ring, two, at_edge, corner):
        np.testing.assert_array_equal(fill_holes(labels), labels)


def test_another_object_in_a_hole_stays() -> None:
    labels = ring()
    labels[5:7, 5:7] = 8
    np.testing.assert_array_equal(fill_holes(labels), labels)  # its background touches both


@settings(deadline=None)
@given(arrays.arrays(np.int32, st.tuples(*2 * [st.integers(1, 12)]), elements=st.integers(0, 3)))
def test_filling_as_one_object_at_a_time_would(labels: np.ndarray) -> None:
    filled = fill_holes(labels)
    expected = labels.copy()
    cross = ndimage.generate_binary_structure(2, 1)
    pieces, count = ndimage.label(labels == 0, np.ones((3, 3)))
    for number in range(1, count + 1):
        piece = pieces == number
        around = set(labels[ndimage.binary_dilation(piece, cross) & ~piece].tolist())
        open_to_edge = ndimage.binary_dilation(piece, cross, border_value=0)
        edge = np.ones(labels.shape, bool)
        edge[1:-1, 1:-1] = False
        if len(around) == 1 and not (open_to_edge & piece & edge).any():
            expected[piece] = around.pop()
    np.testing.assert_array_equal(filled, expected)
    np.testing.assert_array_equal(fill_holes(filled), filled)


@pytest.mark.parametrize("fill", [True, False])
def test_a_plan_says_whether_holes_are_filled(make_model: Callable[..., Model], fill: bool) -> None:
    plan = make_model("distance", fill_holes=fill).plan
    inside = ring() > 0
    probabilities = np.stack([~inside, inside, inside]).astype(np.float32)
    assert number_objects(probabilities, plan)[6, 6] == fill


def objects() -> np.ndarray:
    labels = np.zeros((20, 30), np.int32)
    labels[0:4, 0:4] = 1  # 16 pixels, at the edge
    labels[8:12, 8:14] = 2  # 24
    labels[8:18, 18:28] = 3  # 100
    return labels


@pytest.mark.parametrize(
    ("rules", "spacing", "kept"),
    [
        (ObjectRules(), None, (1, 2, 3)),
        (ObjectRules(min_area=24), None, (2, 3)),
        (ObjectRules(min_area=25), None, (3,)),
        (ObjectRules(min_area=6), (0.5, 0.5), (2, 3)),
        (ObjectRules(min_area=6.1), (0.5, 0.5), (3,)),
        (ObjectRules(min_area=100), (2.0, 0.5), (3,)),
        (ObjectRules(at_edge=False), None, (2, 3)),
        (ObjectRules(min_area=1000, at_edge=False), None, ()),
    ],
)
def test_objects_that_are_kept(
    rules: ObjectRules, spacing: tuple[float, float] | None, kept: tuple[int, ...]
) -> None:
    labels = objects()
    expected = np.zeros_like(labels)
    for number, old in enumerate(kept, start=1):
        expected[labels == old] = number
    np.testing.assert_array_equal(rules.keep(labels, spacing), expected)


def test_nothing_found_and_nothing_to_leave_out() -> None:
    nothing = np.zeros((4, 5), np.int32)
    assert not ObjectRules(5, False).keep(nothing, None).any()


def test_areas_are_in_the_unit_of_the_image(make_model: Callable[..., Model]) -> None:
    model = make_model("boundary")
    image = Image(NOISE, "YX", spacing=(0.5, 0.25), unit="micrometer")
    found = segment(image, model, device="cpu").labels
    sizes = np.sort(np.bincount(found.ravel())[1:])
    assert len(sizes) > 3
    middle = float(sizes[len(sizes) // 2])
    rules = ObjectRules(min_area=middle * 0.125)
    large = segment(image, model, device="cpu", object_rules=rules).labels
    assert large.max() == (sizes >= middle).sum() < found.max()
    assert ((large > 0) <= (found > 0)).all()
    pixels = segment(NOISE, model, device="cpu", object_rules=ObjectRules(middle)).labels
    np.testing.assert_array_equal(pixels, large)


def test_volumes_slice_by_slice(make_model: Callable[..., Model]) -> None:
    model = make_model("boundary")
    volume = Image(np.stack([NOISE, NOISE]), "ZYX", spacing=(2.0, 0.5, 0.5), unit="micrometer")
    rules = ObjectRules(min_area=2, at_edge=False)
    labels = segment(volume, model, device="cpu", plane="Z", object_rules=rules).labels
    plane = Image(NOISE, "YX", spacing=(0.5, 0.5), unit="micrometer")
    alone = segment(plane, model, device="cpu", object_rules=rules).labels
    assert 0 < alone.max() < segment(plane, model, device="cpu").labels.max()
    np.testing.assert_array_equal(labels[0], alone)
    np.testing.assert_array_equal(labels[1], alone)  # linked: the same numbers


@pytest.mark.parametrize("area", [-1.0, float("nan"), float("inf")])
def test_impossible_areas(make_model: Callable[..., Model], area: float) -> None:
    with pytest.raises(InputError, match="number from 0 on.*--min-area"):
        segment(NOISE, make_model("boundary"), object_rules=ObjectRules(area))


def test_classes_have_no_objects_to_leave_out(make_model: Callable[..., Model]) -> None:
    rules = ObjectRules(min_area=5)
    for model, objects in ((make_model(), None), (make_model("boundary"), False)):
        with pytest.raises(InputError, match="are classes here.*--objects"):
            segment(NOISE, model, objects=objects, object_rules=rules)
    pieces = segment(NOISE, make_model(), objects=True, device="cpu", object_rules=rules).labels
    assert np.bincount(pieces.ravel())[1:].min() >= 5


def test_rules_are_plain_values() -> None:
    assert replace(ObjectRules(), min_area=3.0) == ObjectRules(3.0)
