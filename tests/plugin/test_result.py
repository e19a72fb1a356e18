"""What is written where: names, colours, slices, and a person's own work."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Labels

from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.add_result import add_result
from napari_swin_umamba.plugin.layer_view import data_to_world, view_of_layer
from napari_swin_umamba.plugin.reading import read_layer
from napari_swin_umamba.plugin.result_layer import (
    METADATA_KEY,
    SegmentedSlice,
    describe_done,
    place_result,
)


def segmented(labels: np.ndarray, plan: Plan, model_path: str = "m.safetensors") -> SegmentedSlice:
    return SegmentedSlice(
        labels=labels,
        instances=plan.output == "boundary",
        plan=plan,
        provenance={"model": "tiny", "model_path": model_path},
        seconds=1.234,
    )


class Setup:
    """A viewer with one image; :meth:`add` shows labels for the slice on screen."""

    def __init__(self, shape: tuple[int, ...], plan: Plan, **layer: Any) -> None:
        self.plan = plan
        self.viewer = ViewerModel()
        self.image = self.viewer.add_image(np.zeros(shape), name="img", **layer)

    def add(self, labels: np.ndarray, **kwargs: Any) -> Any:
        reading = read_layer(view_of_layer(self.image, self.viewer.dims), self.plan)
        result = segmented(labels, self.plan, **kwargs)
        return add_result(self.viewer, self.image, reading, result)


def disk(value: int = 1) -> np.ndarray:
    labels = np.zeros((8, 9), np.uint8)
    labels[2:5, 3:6] = value
    return labels


def test_semantic_layer_has_names_colours_and_provenance(make_plan: Callable) -> None:
    plan = make_plan()
    layer = Setup((8, 9), plan).add(disk(2))
    assert layer.name == "img – tiny"
    assert layer.data.dtype == np.uint8
    assert list(layer.features["class"]) == ["background", "liver", "spleen"]
    for item in plan.classes[1:]:
        expected = [int(item.color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        np.testing.assert_allclose(layer.get_color(item.id)[:3], expected, atol=1e-6)
    assert layer.colormap.map(np.array([0]))[0][3] == 0
    assert layer.metadata[METADATA_KEY]["model"] == "tiny"


def test_rerun_replaces_untouched_result_and_follows_image(make_plan: Callable) -> None:
    setup = Setup((8, 9), make_plan())
    first = setup.add(disk(1))
    setup.image.scale = (3, 2)
    second = setup.add(disk(2))
    assert second is first
    np.testing.assert_array_equal(first.data, disk(2))
    np.testing.assert_allclose(data_to_world(first), data_to_world(setup.image))


@pytest.mark.parametrize("how", ["paint", "assign", "erase"])
def test_rerun_never_overwrites_what_a_person_edited(how: str, make_plan: Callable) -> None:
    setup = Setup((8, 9), make_plan())
    first = setup.add(disk(1))
    if how == "paint":
        first.paint((0, 0), 2)
    elif how == "assign":
        first.data = np.full((8, 9), 2, np.uint8)
    else:
        first.data[:] = 0  # an empty slice, made so on purpose
    edited = first.data.copy()
    second = setup.add(disk(1))
    assert second is not first
    assert second.name == "img – tiny [1]"
    np.testing.assert_array_equal(first.data, edited)
    assert setup.add(disk(2)) is second


def test_a_copy_of_the_result_is_left_alone(make_plan: Callable) -> None:
    setup = Setup((8, 9), make_plan())
    first = setup.add(disk(1))
    copy = Labels.create(*first.as_layer_data_tuple())
    copy.data = first.data.copy()
    setup.viewer.add_layer(copy)
    assert setup.add(disk(2)) is first
    np.testing.assert_array_equal(copy.data, disk(1))


def test_another_model_or_image_gets_its_own_layer(make_plan: Callable) -> None:
    setup = Setup((8, 9), make_plan())
    first = setup.add(disk())
    assert setup.add(disk(), model_path="other.safetensors") is not first
    setup.image = setup.viewer.add_image(np.zeros((8, 9)), name="img 2")
    assert setup.add(disk()) is not first


def test_slices_gather_in_one_layer_of_the_images_size(make_plan: Callable) -> None:
    setup = Setup((5, 8, 9), make_plan(), scale=(6, 1.3, 0.9), translate=(1, 2, 3))
    setup.viewer.dims.set_current_step(0, 1)
    layer = setup.add(disk(1))
    setup.viewer.dims.set_current_step(0, 3)
    assert setup.add(disk(2)) is layer
    assert layer.data.shape == (5, 8, 9)
    assert [int(plane.max()) for plane in layer.data] == [0, 1, 0, 2, 0]
    np.testing.assert_allclose(data_to_world(layer), data_to_world(setup.image))
    layer.data[1, 0, 0] = 2  # an edit on one slice keeps that slice only
    assert setup.add(disk(1)) is layer
    setup.viewer.dims.set_current_step(0, 1)
    assert setup.add(disk(1)) is not layer


def test_a_slice_that_a_person_painted_first_is_left_alone(make_plan: Callable) -> None:
    setup = Setup((5, 8, 9), make_plan())
    setup.viewer.dims.set_current_step(0, 1)
    layer = setup.add(disk(1))
    layer.data[2, 0, 0] = 1
    setup.viewer.dims.set_current_step(0, 2)
    assert setup.add(disk(1)) is not layer


def test_objects_of_different_slices_keep_apart(make_plan: Callable) -> None:
    setup = Setup((2, 3, 8, 9), make_plan(output="boundary"))
    setup.viewer.dims.set_current_step((0, 1), (0, 1))
    layer = setup.add(disk(1))
    setup.viewer.dims.set_current_step((0, 1), (1, 2))
    setup.add(disk(1))
    setup.viewer.dims.set_current_step((0, 1), (1, 0))
    setup.add(disk(1))
    setup.add(disk(1))  # again: numbers do not climb
    assert layer.data.dtype == np.int32
    assert sorted(np.unique(layer.data)) == [0, 1, 2, 3]


def test_multichannel_image_yields_a_flat_layer(make_plan: Callable) -> None:
    setup = Setup((2, 8, 9), make_plan(("a", "b")), scale=(1, 3, 2), axis_labels=("c", "y", "x"))
    layer = setup.add(disk())
    assert layer.data.shape == (8, 9)
    np.testing.assert_allclose(layer.scale, (3, 2))


def test_huge_image_gets_a_layer_one_slice_thick(make_plan: Callable) -> None:
    setup = Setup((5, 8, 9), make_plan())
    setup.viewer.dims.set_current_step(0, 3)
    reading = read_layer(view_of_layer(setup.image, setup.viewer.dims), setup.plan)
    placement = place_result(reading, np.dtype(np.uint8), limit=100)
    assert placement.shape == (1, 8, 9)
    assert placement.index == (0, slice(None), slice(None))
    assert placement.offset == (3, 0, 0)


def test_words_for_what_was_found(make_plan: Callable) -> None:
    semantic = segmented(disk(2), make_plan())
    assert describe_done(semantic, "L") == "Found spleen 12.5 % of the pixels in 1.2 s. Layer: “L”."
    nothing = segmented(disk(0), make_plan())
    assert "nothing but background" in describe_done(nothing, "L")
    objects = segmented(disk(7), make_plan(output="boundary"))
    assert "Found 1 object in" in describe_done(objects, "L")
