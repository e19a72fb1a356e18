"""What is painted is on disk soon, whatever it was painted with, and comes back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari_swin_umamba.project import Project

pytestmark = pytest.mark.window


def stored(dock: Any) -> np.ndarray:
    """What the files of the image shown hold."""
    project = Project.open(dock.opened.project.folder)
    annotation = project.annotation(dock.opened.images.current)
    image = annotation.image
    data = np.zeros(image.label_shape, np.int32)
    axis = image.label_axes.index(image.fixed_axes) if image.fixed_axes else None
    for position in annotation.painted():
        if axis is None:
            data[...] = annotation.read(position)
        else:
            np.moveaxis(data, axis, 0)[position] = annotation.read(position)
    return data


def test_a_stroke_by_mouse_is_on_disk_within_two_seconds(
    project: Any, paint: Callable, wait_saved: Callable
) -> None:
    layer = project.opened.annotation_layer()
    paint(layer, (10, 10), (10, 30), size=3)
    assert (layer.data == 2).sum() > 40
    wait_saved(project)
    np.testing.assert_array_equal(stored(project), layer.data)


def test_an_undo_and_a_redo_are_saved_as_well(
    project: Any, paint: Callable, wait_saved: Callable
) -> None:
    layer = project.opened.annotation_layer()
    paint(layer, (10, 10), (10, 30))
    layer.selected_label = 3
    paint(layer, (20, 10), (20, 30))
    wait_saved(project)
    layer.undo()
    wait_saved(project)
    assert set(np.unique(stored(project))) == {0, 2}
    layer.undo()
    wait_saved(project)
    assert not stored(project).any()
    layer.redo()
    layer.redo()
    wait_saved(project)
    assert set(np.unique(stored(project))) == {0, 2, 3}
    np.testing.assert_array_equal(stored(project), layer.data)


def test_all_tools_and_all_slices_that_they_touch(
    viewer: Any, project: Any, paint: Callable, wait_saved: Callable
) -> None:
    layer = project.opened.annotation_layer()
    layer.n_edit_dimensions = 3
    paint(layer, (20, 20), size=25)
    wait_saved(project)
    assert len(np.unique(np.nonzero(layer.data)[0])) > 1
    np.testing.assert_array_equal(stored(project), layer.data)
    layer.n_edit_dimensions = 2
    viewer.dims.order = (1, 0, 2)  # slices along Y: a stroke goes through files of many slices
    layer.selected_label = 3
    viewer.reset_view()
    paint(layer, (0, 10), (4, 10), size=1)
    wait_saved(project)
    assert len(np.unique(np.nonzero(layer.data == 3)[0])) > 2
    np.testing.assert_array_equal(stored(project), layer.data)
    viewer.dims.order = (0, 1, 2)
    layer.selected_label = 1
    paint(layer, (1, 1), mode="fill")
    wait_saved(project)
    assert (layer.data == 1).sum() > 1000
    np.testing.assert_array_equal(stored(project), layer.data)


def test_a_file_that_is_due_while_the_array_changes(project: Any, wait_saved: Callable) -> None:
    """napari tells of some changes before it makes them."""
    opened, layer = project.opened, project.opened.annotation_layer()
    layer.events.paint.connect(lambda _event: opened.strokes.write_waiting())
    places = np.nonzero(np.ones(layer.data.shape, bool))
    layer.data_setitem(places, 2)  # of five slices one is shown
    assert opened.free_number() == 3
    wait_saved(project)
    annotation = opened.project.annotation(opened.images.current)
    for position in annotation.positions():
        np.testing.assert_array_equal(annotation.read(position), layer.data[position[0]])


def test_a_tool_of_the_person_s_own(project: Any, wait_saved: Callable) -> None:
    layer = project.opened.annotation_layer()
    other = layer.data.copy()
    other[1, 5:8, 5:9] = 2
    layer.data = other
    wait_saved(project)
    np.testing.assert_array_equal(stored(project), other)
    layer.data_setitem((np.array([3, 3]), np.array([1, 2]), np.array([1, 2])), 3)
    wait_saved(project)
    assert (stored(project)[3] == 3).sum() == 2
    layer.data[0, 0, 0] = 2  # nobody tells, but saving before a training looks at all
    project.opened.flush()
    np.testing.assert_array_equal(stored(project), layer.data)


def test_reopening_restores_images_strokes_and_position(
    viewer: Any, project: Any, paint: Callable, wait_shown: Callable, qtbot: Any
) -> None:
    layer = project.opened.annotation_layer()
    image = project.opened.image_layer(project.opened.images.current)
    viewer.dims.set_current_step(0, 3)
    layer.selected_label = 3
    paint(layer, (10, 10), (10, 30))
    painted = layer.data.copy()
    np.testing.assert_allclose(layer.scale, (3, 0.5, 0.5))
    assert layer.units == image.units
    folder = project.opened.project.folder
    assert project.close_project()
    qtbot.waitUntil(lambda: len(viewer.layers) == 0, timeout=2000)
    viewer.dims.set_current_step(0, 0)
    project.open_project(folder)
    wait_shown(project)
    again = project.opened.annotation_layer()
    np.testing.assert_array_equal(again.data, painted)
    assert viewer.dims.current_step[0] == 3
    assert again.selected_label == 3
    assert [one.name for one in viewer.layers] == ["volume", "volume – annotation"]


def test_the_annotation_follows_its_image(project: Any) -> None:
    opened = project.opened
    image, layer = opened.image_layer(opened.images.current), opened.annotation_layer()
    image.translate = (5, 6, 7)
    image.rotate = (0, 0, 20)
    image.scale = (2, 1, 1)
    for point in ((0, 0, 0), (4, 10, 20)):
        np.testing.assert_allclose(layer.data_to_world(point), image.data_to_world(point))


def test_a_second_window_reads_only(
    viewer: Any, project: Any, make_dock: Callable, wait_shown: Callable, tmp_path: Path
) -> None:
    second = make_dock()
    second.open_project(project.opened.project.folder)
    assert second.opened.read_only
    assert "open in napari already" in second.project_section.notice.text
    wait_shown(second)
    assert not second.opened.annotation_layer().editable
    assert not second.sections[0].add_button.isEnabled()
    assert project.close_project()
    second.project_section.notice.remedy_button.click()
    assert not second.opened.read_only
    wait_shown(second)
    assert second.opened.annotation_layer().editable
