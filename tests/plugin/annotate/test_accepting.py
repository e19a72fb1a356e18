"""A prediction becomes annotation: what is taken, what stays, and one undo for all of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari.layers import Labels

from napari_swin_umamba.plugin.annotate.accepting import (
    CLASS_IDS,
    Meaning,
    accepted,
    meaning_of_layer,
)
from napari_swin_umamba.plugin.annotate.prediction_section import PredictionSection
from napari_swin_umamba.plugin.annotate.regions import region_mask
from napari_swin_umamba.plugin.result_layer import METADATA_KEY
from napari_swin_umamba.project import ProjectClass, Settings

SHAPE = (6, 7)
painted_planes = arrays(np.uint16, SHAPE, elements=st.integers(0, 4))
predicted_planes = arrays(np.uint8, SHAPE, elements=st.integers(0, 4))


@given(painted_planes, predicted_planes, st.booleans())
def test_strokes_stay_unless_asked(
    painted: np.ndarray, predicted: np.ndarray, background: bool
) -> None:
    meaning = Meaning({1: 2, 2: 5, 3: 3})  # 4 is no class of the project
    result = accepted(painted, predicted, meaning, background=background)
    np.testing.assert_array_equal(result[painted > 0], painted[painted > 0])
    free = painted == 0
    for value, number in {1: 2, 2: 5, 3: 3, 4: 0, 0: 1 if background else 0}.items():
        assert (result[free & (predicted == value)] == number).all()
    over = accepted(painted, predicted, meaning, over_strokes=True, background=background)
    assert (over[predicted == 1] == 2).all()
    np.testing.assert_array_equal(over[predicted == 4], painted[predicted == 4])


@given(painted_planes, predicted_planes, st.integers(5, 100))
def test_objects_get_numbers_that_none_has(
    painted: np.ndarray, predicted: np.ndarray, first: int
) -> None:
    result = accepted(painted, predicted, Meaning(numbers_objects=True), first)
    free = painted == 0
    objects = painted > 1
    known = [n for n in range(1, 5) if 3 * objects[predicted == n].sum() > (predicted == n).sum()]
    assert not result[free & np.isin(predicted, known)].any()
    free &= ~np.isin(predicted, known)
    pairs = {(int(a), int(b)) for a, b in zip(predicted[free], result[free], strict=True)}
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
    assert all(b >= first if a else b == 1 for a, b in pairs)


def test_the_rim_of_an_object_that_was_painted_is_no_object() -> None:
    painted, predicted = np.zeros((20, 20), np.int32), np.zeros((20, 20), np.uint8)
    painted[5:10, 5:10] = 2
    predicted[4:11, 4:11], predicted[14:18, 14:18] = 1, 2
    meaning = Meaning(numbers_objects=True)
    result = accepted(painted, predicted, meaning, first_object=3)
    assert set(np.unique(result)) == {0, 1, 2, 4}
    np.testing.assert_array_equal(result == 2, painted == 2)
    np.testing.assert_array_equal(result == 4, predicted == 2)
    assert not result[4, 4:11].any()  # nobody says what the rim is
    over = accepted(painted, predicted, meaning, first_object=3, over_strokes=True)
    np.testing.assert_array_equal(over == 3, predicted == 1)


def test_classes_of_a_project_s_own_model_go_by_their_ids() -> None:
    """Renamed, given each other's names, removed with the name taken by another."""
    classes = tuple(ProjectClass(id=n, name=name) for n, name in ((2, "b"), (3, "a"), (5, "c")))
    settings = Settings(kind="semantic", classes=classes, next_class_id=6)
    ours = {"classes": {"0": "background", "1": "a", "2": "b", "3": "c"}}
    layer = Labels(np.zeros((4, 4), np.uint8), metadata={METADATA_KEY: ours})
    assert meaning_of_layer(layer, settings).values == {1: 3, 2: 2, 3: 5}  # all that is known
    layer.metadata[METADATA_KEY] = {**ours, CLASS_IDS: {"1": 2, "2": 3, "3": 4}}
    found = meaning_of_layer(layer, settings)
    assert found.values == {1: 2, 2: 3}
    assert found.missing == ("c (removed)",)


@given(st.lists(st.tuples(st.floats(-3, 9), st.floats(-3, 9)), min_size=3, max_size=6))
def test_regions_never_reach_beyond_the_image(corners: list[tuple[float, float]]) -> None:
    points = np.array([(2.0, row, column) for row, column in corners])
    index, mask = region_mask(points, (1, 2), (5, *SHAPE))
    assert index[0] == 2
    assert np.zeros((5, *SHAPE))[index].shape == mask.shape


@pytest.fixture
def predicted(viewer: Any, project: Any) -> Any:
    """A prediction of the volume: a block of class 1, one of class 2, apart."""
    data = np.zeros((5, 40, 60), np.uint8)
    data[1:4, 5:15, 5:15] = 1
    data[1:4, 20:30, 30:50] = 2
    data[1:4, 20:30, 5:12] = 1
    image = project.opened.image_layer(project.opened.images.current)
    layer = viewer.add_labels(data, name="volume – model", scale=image.scale, units=image.units)
    layer.features = {"index": [0, 1, 2], "class": ["background", "Vessel", "liver"]}
    viewer.dims.set_current_step(0, 2)
    return layer


def section(dock: Any) -> Any:
    return next(one for one in dock.sections if isinstance(one, PredictionSection))


@pytest.mark.window
def test_a_slice_in_one_undoable_step(
    viewer: Any, project: Any, predicted: Any, paint: Callable, wait_saved: Callable
) -> None:
    part, target = section(project), project.opened.annotation_layer()
    paint(target, (10, 3), (10, 8))  # liver, on a vessel
    before = target.data.copy()
    part.slice_button.click()
    assert (target.data[2, 20:30, 30:50] == 2).all()
    assert (target.data[2, 5:9, 5:15] == 3).all()
    assert (target.data[2, 35] == 1).all()
    np.testing.assert_array_equal(target.data[2][before[2] > 0], before[2][before[2] > 0])
    assert not target.data[[0, 1, 3, 4]].any()
    wait_saved(project)
    np.testing.assert_array_equal(target.data[2], stored(project, 2))
    target.undo()
    np.testing.assert_array_equal(target.data, before)
    wait_saved(project)
    np.testing.assert_array_equal(before[2], stored(project, 2))
    part.over_check.setChecked(True)
    part.slice_button.click()
    assert (target.data[2, 10, 5:9] == 3).all()


def stored(dock: Any, place: int) -> np.ndarray:
    opened = dock.opened
    return opened.project.annotation(opened.images.current).read((place,))


@pytest.mark.window
def test_an_object_that_is_clicked(
    viewer: Any, project: Any, predicted: Any, paint: Callable
) -> None:
    part, target = section(project), project.opened.annotation_layer()
    part.object_button.click()
    paint(target, (25, 8), mode="pan_zoom")
    assert (target.data[2, 20:30, 5:12] == 3).all()
    assert (target.data > 0).sum() == 70
    paint(target, (2, 2), mode="pan_zoom")
    assert "background" in part.notice.text
    part.object_button.click()
    paint(target, (8, 8), mode="pan_zoom")
    assert (target.data > 0).sum() == 70
    target.undo()
    assert not target.data.any()


@pytest.mark.window
@pytest.mark.parametrize("order", [(0, 1, 2), pytest.param((1, 0, 2), marks=pytest.mark.slow)])
def test_a_region_that_is_drawn(
    viewer: Any, project: Any, predicted: Any, paint: Callable, qtbot: Any, order: tuple
) -> None:
    part, target = section(project), project.opened.annotation_layer()
    viewer.dims.order = order
    viewer.dims.set_current_step(1, 25)
    viewer.reset_view()
    names = [layer.name for layer in viewer.layers]
    part.box_button.click()
    shapes = viewer.layers.selection.active
    assert shapes.mode == "add_rectangle"
    if order == (0, 1, 2):
        paint(shapes, (18, 20), (25, 40), mode="add_rectangle")
    else:
        paint(shapes, (1, 20), (3, 40), mode="add_rectangle")
    qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == names, timeout=2000)
    assert viewer.layers.selection.active == target
    assert "accepted" in part.notice.text
    assert (target.data == 2).any()
    assert (target.data == 1).any()
    where = np.nonzero(target.data == 2)
    if order == (0, 1, 2):
        assert set(where[0]) == {2}
        assert where[2].max() < 45
    else:
        assert set(where[1]) == {25}
    target.undo()
    assert not target.data.any()


@pytest.mark.window
def test_classes_of_another_name_are_refused(project: Any, predicted: Any, viewer: Any) -> None:
    part = section(project)
    predicted.features = {"index": [0, 1], "class": ["background", "cat"]}
    part.refresh()
    assert not part.slice_button.isEnabled()
    assert "cat" in part.slice_button.toolTip()
    predicted.features = {"index": [0, 1, 2], "class": ["background", "cat", "liver"]}
    part.refresh()
    part.slice_button.click()
    assert "left out: cat" in part.notice.text
    viewer.layers.remove(predicted)
    assert not part.slice_button.isVisibleTo(part)


@pytest.mark.window
def test_the_newest_prediction_is_chosen(viewer: Any, project: Any, predicted: Any) -> None:
    part = section(project)
    assert part.prediction == predicted
    viewer.add_labels(predicted.data, name="drawn by somebody")
    assert part.prediction == predicted
    newest = viewer.add_labels(predicted.data, name="v2", metadata={METADATA_KEY: {}})
    assert part.prediction == newest
    live = {METADATA_KEY: {"live": True}}
    viewer.add_labels(predicted.data, name="volume – live", metadata=live)
    assert part.prediction == newest
    part.combo.setCurrentIndex(part.combo.findText("model"))  # without the image's name
    assert part.prediction == predicted
    viewer.layers.remove(newest)
    assert part.prediction == predicted


@pytest.mark.window
@pytest.mark.slow
def test_a_prediction_by_the_segment_dock(
    viewer: Any, project: Any, make_model: Callable, qtbot: Any, tmp_path: Path
) -> None:
    from napari.utils._proxies import PublicOnlyProxy

    from napari_swin_umamba.plugin.segment_widget import SegmentWidget

    segment = SegmentWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(segment, name="Segment")
    segment.model_row.import_file(make_model("liver"))
    viewer.dims.set_current_step(0, 1)
    segment.preview()
    qtbot.waitUntil(lambda: not segment.busy, timeout=60_000)
    part, target = section(project), project.opened.annotation_layer()
    viewer.dims.set_current_step(0, 1)
    assert part.prediction is not None
    part.slice_button.click()
    predicted = part.prediction.data[1]
    np.testing.assert_array_equal(target.data[1] == 2, predicted == 1)
    np.testing.assert_array_equal(target.data[1] == 1, predicted == 0)
    viewer.dims.set_current_step(0, 3)
    part.slice_button.click()
    assert not target.data[3].any()
    assert "Nothing is predicted" in part.notice.text
