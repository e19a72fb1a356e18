"""What is written where: names, colours, slices, regions, and a person's own work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari")

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.job_messages import Begun, SegmentedSlice, SegmentTask
from napari_swin_umamba.plugin.layer_view import data_to_world, view_of_layer
from napari_swin_umamba.plugin.numbering import (
    FreeNumbers,
    numbered_beside,
    numbered_like,
    same_objects,
)
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.previewing import why_leave
from napari_swin_umamba.plugin.provenance import describe_settings
from napari_swin_umamba.plugin.reading import read_layer
from napari_swin_umamba.plugin.result_layer import METADATA_KEY, place_result
from napari_swin_umamba.plugin.results import ResultWriter
from napari_swin_umamba.plugin.words import describe_done


class Setup:
    """A viewer with one image; methods write labels as runs do."""

    def __init__(self, shape: tuple[int, ...], plan: Plan, **layer: Any) -> None:
        self.plan = plan
        self.instances = plan.output == "boundary"
        self.viewer = ViewerModel()
        self.image = self.viewer.add_image(np.zeros(shape), name="img", **layer)
        self.writer: ResultWriter | None = None

    def task(self, whole: bool = False, model: str = "m.safetensors", **more: Any) -> SegmentTask:
        reading = read_layer(view_of_layer(self.image, self.viewer.dims), self.plan)
        positions = tuple(reading.layout.positions()) if whole else (reading.position,)
        return SegmentTask(self.image.data, reading, Path(model), positions, **more)

    def begin(self, task: SegmentTask, sha: str = "1", **more: Any) -> ResultWriter:
        provenance = {"model": "tiny", "model_path": str(task.model_path), "model_sha256": sha}
        options = task.options.for_plan(self.plan)
        run = {"scope": task.scope, "settings": describe_settings(options, task.reading)}
        begun = Begun(self.plan, self.instances, provenance, run)
        self.writer = ResultWriter(self.viewer, self.image, task, begun, **more)
        return self.writer

    def begin_all(self, **more: Any) -> ResultWriter:
        """Begin to write all slices, as the window and the worker do it together."""
        writer = self.begin(self.task(whole=True), **more)
        writer.settle(writer.taken is None or writer.taken.is_untouched())
        return writer

    def add(self, labels: np.ndarray, **more: Any) -> Labels:
        """Write the slice on screen."""
        task = self.task(**more)
        writer = self.begin(task)
        if self.instances:  # as the worker does it
            labels = numbered_beside(writer.beside(), labels)
        writer.write(SegmentedSlice(task.positions[0], labels))
        return writer.layer

    def add_all(self, labels: np.ndarray, **more: Any) -> Labels:
        writer = self.begin_all(**more)
        for position in self.task(whole=True).positions:
            writer.write(SegmentedSlice(position, labels))
        return writer.layer

    def leave(self) -> str | None:
        """Why a quiet preview leaves the slice on screen."""
        return why_leave(self.viewer, self.image, self.task(), self.plan, self.instances)


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


def edit(layer: Labels, how: str) -> None:
    if how == "paint":
        layer.paint((0,) * layer.ndim, 2)
    elif how == "assign":
        layer.data = np.full(layer.data.shape, 2, layer.data.dtype)
    elif how == "one pixel in a script":
        layer.data[(0,) * layer.ndim] = 2
    else:
        layer.data[:] = 0  # empty, made so on purpose


EDITS = ["paint", "assign", "one pixel in a script", "erase"]


@pytest.mark.parametrize("how", EDITS)
def test_rerun_never_overwrites_what_a_person_edited(how: str, make_plan: Callable) -> None:
    setup = Setup((8, 9), make_plan())
    first = setup.add(disk(1))
    edit(first, how)
    edited = first.data.copy()
    assert "You changed this slice" in (setup.leave() or "")
    second = setup.add(disk(1))
    assert second is not first
    assert second.name == "img – tiny [1]"
    np.testing.assert_array_equal(first.data, edited)
    assert setup.add(disk(2)) is second


@pytest.mark.parametrize("how", EDITS)
def test_a_run_over_all_slices_never_overwrites_an_edited_volume(
    how: str, make_plan: Callable
) -> None:
    setup = Setup((4, 8, 9), make_plan())
    first = setup.add_all(disk(1))
    assert setup.add_all(disk(2)) is first
    assert (first.data == disk(2)).all()
    edit(first, how)
    edited = first.data.copy()
    second = setup.add_all(disk(1))
    assert second is not first
    np.testing.assert_array_equal(first.data, edited)
    assert setup.add_all(disk(1)) is second


@pytest.mark.parametrize("how", EDITS)
def test_a_change_until_the_layer_is_emptied_is_not_lost(how: str, make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan())
    first = setup.add_all(disk(1))
    edit(first, how)
    edited = first.data.copy()
    writer = setup.begin(setup.task(whole=True))
    assert writer.layer is first
    assert not first.data.any()
    first.paint((1, 1, 1), 2)  # while the worker looks at what was taken out
    assert writer.taken is not None
    writer.settle(writer.taken.is_untouched())
    assert writer.layer is not first
    assert writer.is_new
    np.testing.assert_array_equal(first.data, edited)
    assert writer.layer.data[1, 1, 1] == 2
    writer.write(SegmentedSlice((1,), disk(1)))
    assert (writer.written, writer.kept) == (0, 1)


def test_undo_and_redo_count_as_changes_and_do_not_reach_over_a_run(make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan())
    first = setup.add_all(disk(1))
    first.paint((2, 0, 0), 2)
    first.undo()
    assert setup.add_all(disk(2)) is first
    first.redo()
    first.undo()
    assert (first.data == disk(2)).all()
    first.paint((2, 0, 0), 1)
    first.undo()
    first.redo()
    assert setup.add_all(disk(2)) is not first


def test_a_run_that_ends_without_a_slice_leaves_everything_as_it_was(make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan())
    writer = setup.begin_all()
    writer.close()
    assert setup.viewer.layers[:] == [setup.image]
    first = setup.add_all(disk(1))
    metadata = repr(first.metadata)
    for stroke in (False, True):
        writer = setup.begin(setup.task(whole=True))
        if stroke:
            first.paint((1, 1, 1), 2)
        writer.close()
        assert (first.data == disk(1)).all()
        assert repr(first.metadata) == metadata
        assert len(setup.viewer.layers) == 2 + stroke  # the stroke has a layer of its own


def test_another_file_at_the_models_path_gets_its_own_layer(make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan())
    first = setup.add_all(disk(1))
    assert setup.add_all(disk(2), sha="2") is not first
    assert (first.data == disk(1)).all()


def test_slices_along_another_axis_get_a_layer_of_their_own(make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan(), axis_labels=("z", "y", "x"))
    first = setup.add_all(disk(1))
    setup.viewer.dims.order = (1, 0, 2)
    assert setup.leave() is None
    across = setup.add(np.ones((4, 9), np.uint8))
    assert across is not first
    assert across.name == "img – tiny (slices along Y)"
    assert (first.data == disk(1)).all()
    assert setup.add_all(np.ones((4, 9), np.uint8)) is across
    setup.viewer.dims.order = (0, 1, 2)
    assert setup.add_all(disk(2)) is first


def test_each_slice_tells_how_it_was_made(make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan())
    layer = setup.add_all(disk(1))
    setup.viewer.dims.set_current_step(0, 2)
    setup.add(disk(1), options=SegmentOptions(mirror=True))
    setup.add(disk(1), options=SegmentOptions(mirror=True))
    ours = layer.metadata[METADATA_KEY]
    assert [run["settings"]["mirror"] for run in ours["runs"]] == [False, True]
    assert [ours["slices"][f"0:{place}"]["run"] for place in range(4)] == [0, 0, 1, 0]
    assert ours["runs"][0]["settings"]["slices_along"] == ["Z"]
    setup.add_all(disk(1))
    assert len(ours["runs"]) == 1


def test_quiet_previews_leave_a_run_over_all_slices_alone(make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan())
    assert setup.leave() is None
    setup.add(disk(1))
    assert setup.leave() is None
    setup.add_all(disk(1))
    assert setup.leave() == ""
    task = setup.task(options=SegmentOptions(mirror=True))
    why = why_leave(setup.viewer, setup.image, task, setup.plan, setup.instances)
    assert "with other settings" in (why or "")


def two_objects(*numbers: int) -> np.ndarray:
    labels = np.zeros((8, 9), np.int32)
    labels[1:4, 1:4], labels[5:7, 5:8] = numbers
    return labels


def test_a_preview_in_a_volume_keeps_the_numbers_of_its_objects(make_plan: Callable) -> None:
    setup = Setup((3, 8, 9), make_plan(output="boundary"))
    writer = setup.begin_all()
    for place, numbers in enumerate([(1, 2), (2, 1), (7, 7)]):  # as the linker numbers them
        writer.write(SegmentedSlice((place,), two_objects(*numbers)))
    before = writer.layer.data.copy()
    for place in (1, 2):
        setup.viewer.dims.set_current_step(0, place)
        setup.add(two_objects(1, 2))
        np.testing.assert_array_equal(writer.layer.data, before)
    setup.viewer.dims.set_current_step(0, 1)
    found = two_objects(1, 2)
    found[2, 2] = 0
    found[0, 7] = 3
    setup.add(found)
    expected = two_objects(2, 1)
    expected[2, 2] = 0
    expected[0, 7] = 8
    np.testing.assert_array_equal(writer.layer.data[1], expected)


def test_a_layer_that_got_other_data_cannot_be_written_to(make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan())
    writer = setup.begin_all()
    writer.write(SegmentedSlice((0,), disk(1)))
    assert writer.problem is None
    writer.layer.data = np.zeros((4, 4, 4), np.uint8)
    assert "another size" in (writer.problem or "")
    setup.viewer.layers.remove(writer.layer)
    assert "removed" in (writer.problem or "")


def test_layers_move_with_the_image_during_a_run(make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan())
    writer = setup.begin(setup.task(whole=True, options=SegmentOptions(probabilities=True)))
    writer.write(SegmentedSlice((0,), disk(1), np.full((3, 8, 9), 0.5, np.float32)))
    setup.image.scale = (3, 1, 2)
    writer.redraw(now=True)
    for layer in setup.viewer.layers:
        np.testing.assert_allclose(data_to_world(layer), data_to_world(setup.image))


def test_what_is_painted_during_a_run_is_kept(make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan())
    task = setup.task(whole=True)
    writer = setup.begin(task)
    writer.write(SegmentedSlice((0,), disk(1)))
    writer.layer.paint((0, 0, 0), 2)
    writer.layer.paint((2, 7, 7), 2)
    mine = writer.layer.data.copy()
    for position in task.positions[1:]:
        writer.write(SegmentedSlice(position, disk(1)))
    np.testing.assert_array_equal(writer.layer.data[[0, 2]], mine[[0, 2]])
    np.testing.assert_array_equal(writer.layer.data[[1, 3]], np.stack([disk(1)] * 2))
    assert (writer.written, writer.kept) == (3, 1)
    assert "1 slice that you changed meanwhile was kept" in describe_done(3, 1, "L", True, 1)


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
    assert setup.add(disk(), model="other.safetensors") is not first
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


def test_going_back_to_a_slice_keeps_its_numbers(make_plan: Callable) -> None:
    setup = Setup((3, 8, 9), make_plan(output="boundary"))
    setup.viewer.dims.set_current_step(0, 0)
    layer = setup.add(disk(1))
    setup.viewer.dims.set_current_step(0, 1)
    setup.add(disk(1))
    before = layer.data.copy()
    setup.viewer.dims.set_current_step(0, 0)
    assert setup.add(disk(1)) is layer
    np.testing.assert_array_equal(layer.data, before)


def test_frames_of_a_film_share_no_number(make_plan: Callable) -> None:
    plan = make_plan(output="boundary")
    setup = Setup((3, 8, 9), plan, axis_labels=("t", "y", "x"))
    layer = setup.add_all(disk(1))
    assert [set(np.unique(frame)) for frame in layer.data] == [{0, 1}, {0, 2}, {0, 3}]


def test_previews_before_a_run_do_not_mix_with_it(make_plan: Callable) -> None:
    setup = Setup((3, 8, 9), make_plan(output="boundary"))
    setup.viewer.dims.set_current_step(0, 2)
    layer = setup.add(disk(1))
    writer = setup.begin_all()
    assert writer.layer is layer
    writer.write(SegmentedSlice((0,), disk(1)))  # and then the run is cancelled
    assert sorted(np.unique(layer.data)) == [0, 1]
    assert not layer.data[2].any()  # the number of the preview would have meant another object


def test_multichannel_image_yields_a_flat_layer(make_plan: Callable) -> None:
    setup = Setup((2, 8, 9), make_plan(("a", "b")), scale=(1, 3, 2), axis_labels=("c", "y", "x"))
    layer = setup.add(disk())
    assert layer.data.shape == (8, 9)
    np.testing.assert_allclose(layer.scale, (3, 2))


def test_huge_image_gets_a_layer_one_slice_thick(make_plan: Callable) -> None:
    setup = Setup((5, 8, 9), make_plan())
    setup.viewer.dims.set_current_step(0, 3)
    reading = read_layer(view_of_layer(setup.image, setup.viewer.dims), setup.plan)
    place = place_result(reading, np.dtype(np.uint8), position=reading.position, limit=100)
    assert (place.kind, place.shape, place.offset) == ("slice", (1, 8, 9), (3, 0, 0))
    assert place.index(reading.layout.target((3,))) == (0, slice(0, 8), slice(0, 9))
    whole = place_result(reading, np.dtype(np.uint8), whole=True, limit=100)
    assert whole.shape == (5, 8, 9)


def test_a_region_has_a_layer_of_its_own(make_plan: Callable) -> None:
    setup = Setup((5, 8, 9), make_plan(), scale=(6, 2, 3), translate=(1, 2, 3))
    setup.viewer.dims.set_current_step(0, 3)
    whole = setup.add(disk(1))
    region = setup.add(np.ones((4, 3), np.uint8), window=((2, 6), (5, 8)))
    assert region is not whole
    assert region.name == "img – tiny (region)"
    assert region.data.shape == (1, 4, 3)
    np.testing.assert_allclose(
        region.data_to_world((0, 0, 0)), setup.image.data_to_world((3, 2, 5))
    )
    other = setup.add(np.ones((4, 3), np.uint8), window=((0, 4), (0, 3)))
    assert other is not region  # another region is another result
    assert setup.add(2 * np.ones((4, 3), np.uint8), window=((2, 6), (5, 8))) is region
    assert (region.data == 2).all()
    region.data[0, 0, 0] = 1
    assert setup.add(np.ones((4, 3), np.uint8), window=((2, 6), (5, 8))) is not region


def test_probabilities_get_layers_of_their_own(make_plan: Callable) -> None:
    setup = Setup((2, 8, 9), make_plan(), scale=(6, 2, 3))
    options = SegmentOptions(probabilities=True)
    for value in (0.5, 0.25):  # the second time replaces them
        task = setup.task(whole=True, options=options)
        writer = setup.begin(task)
        writer.settle(untouched=True)
        for position in task.positions:
            values = np.full((3, 8, 9), value, np.float32)
            writer.write(SegmentedSlice(position, disk(1), values))
    layers = [
        layer for layer in setup.viewer.layers if isinstance(layer, Image) and ":" in layer.name
    ]
    names = ["img – tiny: probability of liver", "img – tiny: probability of spleen"]
    assert [layer.name for layer in layers] == names
    for layer in layers:
        assert (layer.data == 0.25).all()
        np.testing.assert_allclose(data_to_world(layer), data_to_world(setup.image))
    task = setup.task(options=options)  # of one slice: the others stay
    setup.begin(task).write(
        SegmentedSlice(task.positions[0], disk(1), np.full((3, 8, 9), 0.75, np.float32))
    )
    assert [set(np.unique(layer.data)) for layer in layers] == [{0.25, 0.75}] * 2
    assert len(setup.viewer.layers) == 4


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_result_sits_on_an_image_with_any_affine(seed: int, make_plan: Callable) -> None:
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] += 0.2 * rng.normal(size=(3, 3))
    affine[:3, 3] = 20 * rng.normal(size=3)
    setup = Setup(
        (3, 8, 9),
        make_plan(),
        scale=rng.uniform(0.2, 5, 3),
        translate=rng.normal(size=3),
        affine=affine,
        units=("um",) * 3,
        axis_labels="zyx",
    )
    layer = setup.add_all(disk(1))
    np.testing.assert_allclose(data_to_world(layer), data_to_world(setup.image), atol=1e-6)
    assert (layer.units, layer.axis_labels) == (setup.image.units, setup.image.axis_labels)


def test_words_for_what_was_done() -> None:
    assert describe_done(1, 1.234, "L", True, 0) == "Done in 1.2 s. New layer: “L”."
    assert describe_done(24, 12, "L", False, 0) == "24 slices in 12 s. Layer: “L”."


@given(st.data())
def test_shared_pixels_are_counted_as_pixel_by_pixel(data: Any) -> None:
    numbers = arrays(np.int32, (4, 5), elements=st.integers(0, 3))
    current, found = data.draw(numbers), data.draw(numbers)
    pairs = {(int(f), int(c)) for f, c in zip(found.flat, current.flat, strict=True) if f or c}
    one_each = len({f for f, _ in pairs}) == len(pairs)
    assert same_objects(current, found) == (one_each and all(f and c for f, c in pairs))
    numbered = numbered_like(current, found, 10)
    assert ((numbered > 0) == (found > 0)).all()
    kept = {(int(f), int(n)) for f, n in zip(found.flat, numbered.flat, strict=True) if f}
    assert len({n for _, n in kept}) == len(kept) == len(set(found[found > 0].tolist()))
    shared = {pair: int(((found == pair[0]) & (current == pair[1])).sum()) for pair in pairs}
    best = max((pair for pair in pairs if all(pair)), key=lambda pair: shared[pair], default=None)
    if best is not None and list(shared.values()).count(shared[best]) == 1:
        assert best in kept


def test_free_numbers_leave_out_what_is_painted_with() -> None:
    numbers = FreeNumbers()
    first = np.array([[0, 1], [2, 2]])
    np.testing.assert_array_equal(numbers.of(first), first)
    numbers.reserve(2)  # paints on object 2
    numbers.reserve(3)  # a new one
    numbers.reserve(5)
    np.testing.assert_array_equal(numbers.of(np.array([[2, 3], [4, 5]])), [[2, 4], [6, 7]])
    np.testing.assert_array_equal(numbers.of(np.array([[1, 3], [0, 6]])), [[1, 4], [0, 8]])


def test_an_object_painted_during_a_run_keeps_its_number_to_itself(make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan(output="boundary"))
    writer = setup.begin_all()
    writer.write(SegmentedSlice((0,), two_objects(1, 2)))
    writer.layer.selected_label = 3
    writer.layer.paint((3, 1, 1), 3)
    for place in (1, 2, 3):
        writer.write(SegmentedSlice((place,), two_objects(2, place + 2)))
    writer.close()
    assert writer.kept == 1
    assert np.unique(writer.layer.data[3]).tolist() == [0, 3]
    assert np.unique(writer.layer.data[:3]).tolist() == [0, 1, 2, 4, 5]


@pytest.mark.parametrize("output", ["semantic", "boundary"])
def test_slices_that_a_stopped_run_did_not_come_to_show_the_result_before(
    make_plan: Callable, output: str
) -> None:
    setup = Setup((4, 8, 9), make_plan(output=output))
    layer = setup.add_all(two_objects(1, 2))
    before = layer.data.copy()
    mirrored = {"options": SegmentOptions(mirror=True)}
    writer = setup.begin(setup.task(whole=True, **mirrored))
    writer.settle(True)
    writer.write(SegmentedSlice((0,), two_objects(2, 0)))
    layer.paint((3, 0, 0), 1)
    painted = layer.data[3].copy()
    writer.close(finished=False)
    assert writer.restored == 2
    offset = 2 if output == "boundary" else 0
    np.testing.assert_array_equal(layer.data[0], two_objects(2, 0))
    np.testing.assert_array_equal(layer.data[1:3], np.where(before > 0, before + offset, 0)[1:3])
    np.testing.assert_array_equal(layer.data[3], painted)
    ours = layer.metadata[METADATA_KEY]
    mirror = [ours["runs"][ours["slices"][f"0:{z}"]["run"]]["settings"]["mirror"] for z in range(3)]
    assert mirror == [True, False, False]
    assert "0:3" not in ours["slices"]
    # They count as ours: a run that finishes replaces them, but for what was painted.
    assert setup.add_all(two_objects(1, 2)) is not layer


def test_a_finished_run_leaves_nothing_of_the_result_before(make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan())
    layer = setup.add_all(disk(1))
    writer = setup.begin_all()
    for place in range(4):
        writer.write(SegmentedSlice((place,), np.zeros((8, 9), np.uint8)))
    writer.close(finished=True)
    assert writer.restored == 0
    assert not layer.data.any()


def test_undo_and_redo_leave_a_slice_alone_that_was_written_since(make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan())
    layer = setup.add_all(disk(1))
    layer.paint((2, 2, 2), 2)
    layer.undo()
    layer.paint((1, 2, 2), 2)
    layer.undo()
    layer.data_setitem((np.array([0]), np.array([0]), np.array([0])), 2)  # stays
    setup.viewer.dims.set_current_step(0, 1)
    layer.redo()
    layer.undo()
    assert setup.add(disk(2)) is layer
    layer.paint((3, 2, 2), 2)
    layer.undo()
    setup.viewer.dims.set_current_step(0, 3)
    assert setup.add(disk(2)) is layer
    layer.redo()
    np.testing.assert_array_equal(layer.data[3], disk(2))
    layer.undo()
    np.testing.assert_array_equal(layer.data[1], disk(2))
    np.testing.assert_array_equal(layer.data[3], disk(2))
    assert layer.data[0, 0, 0] == 0  # the stroke on another slice could still be undone


def test_a_copy_of_a_probability_layer_is_left_alone(make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan())
    task = setup.task(whole=True, options=SegmentOptions(probabilities=True))

    def run(value: float) -> None:
        writer = setup.begin(task)
        writer.settle(True)
        for position in task.positions:
            likely = np.full((3, 8, 9), value, np.float32)
            writer.write(SegmentedSlice(position, disk(1), likely))
        writer.close()

    run(0.25)
    original = next(layer for layer in setup.viewer.layers if "probability" in layer.name)
    copy = setup.viewer.add_layer(Image.create(*original.as_layer_data_tuple()))
    copy.data = original.data.copy()
    run(0.75)
    assert (copy.data == 0.25).all()
    assert (original.data == 0.75).all()


def test_a_layer_without_its_metadata_cannot_be_written_to(make_plan: Callable) -> None:
    setup = Setup((4, 8, 9), make_plan())
    writer = setup.begin_all()
    writer.write(SegmentedSlice((0,), disk(1)))
    writer.layer.metadata = {"mine": 1}
    assert "metadata was replaced" in (writer.problem or "")
    writer.close(finished=False)
