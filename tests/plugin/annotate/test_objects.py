"""Projects that number objects: new numbers, split, merge, and objects that touch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from qtpy.QtCore import Qt
from skimage.draw import disk

from napari_swin_umamba.plugin.annotate.objects_section import ObjectsSection
from napari_swin_umamba.plugin.annotate.splitting import split_object


@pytest.fixture
def objects(dock: Any, tmp_path: Path, volume_file: Path, wait_shown: Callable) -> Any:
    dock.create_project(tmp_path / "kerne", "instances", ("nucleus",))
    dock.sections[0].add_files([volume_file])
    wait_shown(dock)
    return dock


def section(dock: Any) -> Any:
    return next(one for one in dock.sections if isinstance(one, ObjectsSection))


@settings(deadline=None)  # the first call imports
@given(st.integers(6, 12), st.integers(6, 12), st.floats(1.4, 1.8))
def test_two_discs_that_overlap_are_split_between_them(
    first: int, second: int, apart: float
) -> None:
    mask = np.zeros((40, 80), bool)
    far = 15 + round(apart * max(first, second))
    mask[disk((20, 15), first, shape=mask.shape)] = True
    mask[disk((20, far), second, shape=mask.shape)] = True
    parts = split_object(mask)
    assert len(parts) == 2
    assert (parts[0] ^ parts[1] == mask).all()
    assert parts[0][20, 15] != parts[0][20, far]


def test_a_disc_and_nothing_stay_whole() -> None:
    mask = np.zeros((40, 40), bool)
    assert len(split_object(mask)) == 1
    mask[disk((20, 20), 10)] = True
    assert len(split_object(mask)) == 1


@pytest.mark.window
def test_each_object_has_its_own_number_and_keeps_its_pixels(
    viewer: Any, objects: Any, paint: Callable, wait_saved: Callable, qtbot: Any
) -> None:
    layer = objects.opened.annotation_layer()
    assert layer.data.dtype == np.int32
    paint(layer, (10, 10), (10, 20), size=7)
    first = layer.data == 2
    native = viewer.window._qt_viewer.canvas.native
    qtbot.keyClick(native, Qt.Key.Key_2, Qt.KeyboardModifier.AltModifier)
    assert layer.selected_label == 3
    paint(layer, (14, 10), (14, 20), size=7)
    np.testing.assert_array_equal(layer.data == 2, first)
    assert (layer.data == 3).any()
    wait_saved(objects)
    layer.undo()
    section(objects).new_button.click()
    assert layer.selected_label == 4  # 3 was on disk once: it comes back with a redo


@pytest.mark.window
def test_a_number_is_taken_from_the_moment_it_is_painted_with(
    viewer: Any, objects: Any, paint: Callable, wait_shown: Callable, tmp_path: Path
) -> None:
    opened, layer = objects.opened, objects.opened.annotation_layer()
    paint(layer, (10, 10), (10, 20), size=5)
    viewer.dims.set_current_step(0, 4)
    section(objects).new_button.click()  # before the stroke on the other slice is on disk
    assert layer.selected_label == 3
    # On another image, other objects have these numbers.
    file = tmp_path / "other.tif"
    tifffile.imwrite(file, np.ones((30, 40), np.uint8))
    layer.selected_label = 9
    objects.sections[0].add_files([file])
    wait_shown(objects)
    assert opened.annotation_layer() != layer
    assert opened.annotation_layer().selected_label == 2


@pytest.mark.window
def test_an_object_accepted_slice_by_slice_keeps_its_number(viewer: Any, objects: Any) -> None:
    opened, layer = objects.opened, objects.opened.annotation_layer()
    predicted = np.zeros(layer.data.shape, np.int32)
    predicted[1:4, 5:15, 5:15], predicted[2:4, 20:30, 30:40] = 7, 4
    predicted[3, 33:37, 5:9] = 9
    viewer.add_labels(predicted, name="p", scale=layer.scale, units=layer.units)
    part = next(one for one in objects.sections if hasattr(one, "slice_button"))
    for place in (1, 2, 3):
        opened.go_to((place,))
        part.slice_button.click()
    for number in (4, 7, 9):
        values = np.unique(layer.data[predicted == number])
        assert values.size == 1
        assert (layer.data == values[0]).sum() == (predicted == number).sum()
    assert set(np.unique(layer.data[3])) == {1, 2, 3, 4}
    layer.undo()
    assert not layer.data[3].any()


@pytest.mark.window
def test_split_and_merge_by_clicks_are_one_undo_each(
    viewer: Any, objects: Any, paint: Callable, wait_saved: Callable
) -> None:
    layer, part = objects.opened.annotation_layer(), section(objects)
    layer.n_edit_dimensions = 2
    for place in (1, 2):
        viewer.dims.set_current_step(0, place)
        paint(layer, (10, 10), size=9)
        paint(layer, (10, 30), size=9)
    assert set(np.unique(layer.data)) == {0, 2}
    part.split_button.click()
    paint(layer, (10, 10), mode="pan_zoom")
    assert "is 2 now" in part.notice.text
    assert set(np.unique(layer.data[2])) == {0, 2, 3}
    assert set(np.unique(layer.data[1])) == {0, 2}
    part.split_button.click()
    layer.data_setitem(np.nonzero(layer.data == 3), 9)
    part.merge_button.click()
    paint(layer, (10, 30), mode="pan_zoom")
    paint(layer, (10, 10), mode="pan_zoom")
    assert len(np.unique(layer.data[2])) == 2
    merged = layer.data.copy()
    layer.undo()
    assert len(np.unique(layer.data[2])) == 3
    layer.redo()
    np.testing.assert_array_equal(layer.data, merged)
    wait_saved(objects)
    opened = objects.opened
    stored = opened.project.annotation(opened.images.current).read((2,))
    np.testing.assert_array_equal(stored, merged[2])


@pytest.mark.window
def test_a_new_object_covers_background_and_no_other_object(
    viewer: Any, objects: Any, paint: Callable
) -> None:
    """As after a prediction was accepted: everything is background or an object."""
    layer = objects.opened.annotation_layer()
    viewer.dims.set_current_step(0, 2)
    layer.data[2] = 1
    layer.data[2, 10:20, 30:35] = 7
    layer.refresh()
    section(objects).new_button.click()
    number = layer.selected_label
    assert number > 7
    paint(layer, (15, 10), (15, 50), size=3)
    assert (layer.data[2, 15, 12:29] == number).all()
    assert (layer.data[2, 10:20, 30:35] == 7).all()
    assert (layer.data[2, 15, 36:49] == number).all()
    layer.undo()
    assert not (layer.data == number).any()
    paint(layer, (15, 10), mode="fill")
    assert (layer.data[2, 10:20, 30:35] == 7).all()
    assert layer.data[2, 0, 0] == number
    paint(layer, (15, 32), mode="fill")  # another object is not filled
    assert (layer.data[2, 10:20, 30:35] == 7).all()
    section(objects).keep_check.click()
    paint(layer, (15, 32), mode="fill")
    assert (layer.data[2, 10:20, 30:35] == number).all()


@pytest.mark.window
def test_background_looks_as_in_the_list_of_classes(objects: Any) -> None:
    layer = objects.opened.annotation_layer()
    grey = layer.get_color(1)
    assert grey[0] == grey[1] == grey[2]
    colors = {tuple(layer.get_color(number)) for number in range(1, 200)}
    assert len(colors) > 190
