"""Lists that jump, slices that are complete, keys, and the classes' editor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from qtpy.QtCore import Qt

from napari_swin_umamba.plugin.annotate.class_editor import ClassEditor
from napari_swin_umamba.plugin.annotate.classes_section import ClassesSection
from napari_swin_umamba.plugin.annotate.images_section import ImagesSection
from napari_swin_umamba.plugin.annotate.painted_section import PaintedSection
from napari_swin_umamba.plugin.annotate.slice_list import SliceList
from napari_swin_umamba.project import Project

pytestmark = pytest.mark.window


def section(dock: Any, kind: type) -> Any:
    return next(one for one in dock.sections if isinstance(one, kind))


def texts(items: Any) -> list[str]:
    return [items.item(row).text() for row in range(items.count())]


def test_painted_slices_are_listed_and_jumped_to(
    viewer: Any, project: Any, paint: Callable, wait_saved: Callable, qtbot: Any
) -> None:
    painted = section(project, PaintedSection)
    layer = project.opened.annotation_layer()
    assert not painted.list.isVisibleTo(painted)
    for place in (1, 3):
        viewer.dims.set_current_step(0, place)
        paint(layer, (10, 10), (10, 30))
    wait_saved(project)
    qtbot.waitUntil(lambda: texts(painted.list) == ["1", "3"], timeout=2000)
    assert "2 of 5 slices" in texts(section(project, ImagesSection).list)[0]
    painted.list.itemClicked.emit(painted.list.item(0))
    assert viewer.dims.current_step[0] == 1
    qtbot.waitUntil(lambda: painted.list.currentRow() == 0, timeout=2000)


def test_the_list_of_slices_is_as_high_as_its_lines(qtbot: Any) -> None:
    items = SliceList()
    qtbot.addWidget(items)
    items.resize(280, 100)
    items.show()
    heights = []
    for number in (9, 22, 40, 400):
        items.clear()
        items.addItems([str(place) for place in range(number)])
        items.fit_height()
        heights.append(items.height())
    line = items.sizeHintForRow(0) + 2 * items.spacing()
    assert line < heights[0] < 2 * line
    assert heights[1] == heights[0] + line
    assert heights[2] == heights[3] == heights[0] + 2 * line
    items.clear()
    items.addItems([str(place) for place in range(22)])
    items.fit_height()
    items.resize(120, items.height())  # a narrower dock: more lines
    assert items.height() == heights[2]


def test_a_slice_is_said_to_be_complete(
    viewer: Any, project: Any, qtbot: Any, click: Callable
) -> None:
    painted = section(project, PaintedSection)
    viewer.dims.set_current_step(0, 4)
    qtbot.wait(100)
    painted.complete_check.click()
    assert texts(painted.list) == ["4 ✓"]
    annotation = Project.open(project.opened.project.folder).annotation(
        project.opened.images.current
    )
    assert annotation.complete() == ((4,),)
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: not painted.complete_check.isChecked(), timeout=2000)
    viewer.dims.set_current_step(0, 4)
    qtbot.waitUntil(lambda: painted.complete_check.isChecked(), timeout=2000)
    painted.complete_check.click()
    assert annotation.complete() == ()


def test_jumping_reaches_the_slice_of_a_layer_that_is_moved(viewer: Any, project: Any) -> None:
    opened = project.opened
    opened.image_layer(opened.images.current).translate = (100, 5, 5)
    for place in (0, 3, 4):
        opened.go_to((place,))
        assert opened.position() == (place,)


def test_keys_and_clicks_choose_what_is_painted(
    viewer: Any, project: Any, paint: Callable, qtbot: Any
) -> None:
    classes = section(project, ClassesSection)
    layer = project.opened.annotation_layer()
    assert texts(classes.list) == [
        "eraser (unlabelled)   1",
        "background   Alt+1",
        "liver   Alt+2",
        "vessel   Alt+3",
    ]
    native = viewer.window._qt_viewer.canvas.native
    qtbot.keyClick(native, Qt.Key.Key_3, Qt.KeyboardModifier.AltModifier)
    assert (layer.selected_label, layer.mode) == (3, "paint")
    assert classes.list.currentRow() == 3
    qtbot.keyClick(native, Qt.Key.Key_1, Qt.KeyboardModifier.AltModifier)
    assert layer.selected_label == 1
    classes.list.itemClicked.emit(classes.list.item(0))
    assert layer.mode == "erase"
    classes.list.itemClicked.emit(classes.list.item(2))
    assert (layer.selected_label, layer.mode) == (2, "paint")


def test_names_that_differ_by_their_case_alone_are_refused(project: Any, qtbot: Any) -> None:
    classes = section(project, ClassesSection)
    editor = ClassEditor(None, project.opened.project.settings, classes.keys)
    qtbot.addWidget(editor)
    editor.rows[1].name.setText("LIVER")
    assert not editor.ok_button.isEnabled()
    assert "two classes are called" in editor.notice.text.casefold()


def test_a_value_that_is_no_class_is_said(viewer: Any, project: Any) -> None:
    classes, layer = section(project, ClassesSection), project.opened.annotation_layer()
    layer.selected_label = 9  # by napari's own controls
    assert "9 is none of the classes" in classes.stray.text
    assert classes.stray.isVisibleTo(project)
    layer.selected_label = 3
    assert not classes.stray.isVisibleTo(project)


def test_a_key_is_given_to_another_class(viewer: Any, project: Any, qtbot: Any) -> None:
    classes = section(project, ClassesSection)
    editor = ClassEditor(None, project.opened.project.settings, classes.keys)
    qtbot.addWidget(editor)
    row = editor.rows[0]
    row.key.setCurrentText("Alt+3")
    row.key.activated.emit(3)
    assert editor.rows[1].key.currentText() == "no key"
    classes.apply(editor.edited())
    assert "liver   Alt+3" in texts(classes.list)
    layer = project.opened.annotation_layer()
    native = viewer.window._qt_viewer.canvas.native
    qtbot.keyClick(native, Qt.Key.Key_3, Qt.KeyboardModifier.AltModifier)
    assert layer.selected_label == 2
    layer.selected_label = 1
    qtbot.keyClick(native, Qt.Key.Key_2, Qt.KeyboardModifier.AltModifier)
    assert layer.selected_label == 1


def test_classes_get_names_colours_and_company_and_keep_their_ids(project: Any, qtbot: Any) -> None:
    classes = section(project, ClassesSection)
    layer = project.opened.annotation_layer()
    editor = ClassEditor(None, project.opened.project.settings, classes.keys)
    qtbot.addWidget(editor)
    editor.rows[0].name.setText("hepar")
    editor.rows[0].color.set_color("#123456")
    editor.add_row()
    assert not editor.ok_button.isEnabled()
    assert "name" in editor.ok_button.toolTip()
    editor.rows[2].name.setText("vessel")
    assert "two classes" in editor.notice.text.lower()
    editor.rows[2].name.setText("cyst")
    classes.apply(editor.edited())
    assert [(one.id, one.name) for one in project.opened.project.classes] == [
        (2, "hepar"),
        (3, "vessel"),
        (4, "cyst"),
    ]
    np.testing.assert_allclose(layer.get_color(2)[:3], np.array([0x12, 0x34, 0x56]) / 255)
    layer.selected_label = 4


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (2, {0, 2}),
        pytest.param(0, {0, 2}, marks=pytest.mark.slow),
        pytest.param(1, {0, 1, 2}, marks=pytest.mark.slow),
    ],
)
def test_removing_and_merging_change_strokes_only_once_confirmed(
    viewer: Any,
    project: Any,
    paint: Callable,
    wait_saved: Callable,
    wait_shown: Callable,
    qtbot: Any,
    target: int,
    expected: set[int],
) -> None:
    classes, opened = section(project, ClassesSection), project.opened
    layer = opened.annotation_layer()
    paint(layer, (10, 10), (10, 30))
    layer.selected_label = 3
    paint(layer, (20, 10), (20, 30))
    editor = ClassEditor(None, opened.project.settings, classes.keys)
    qtbot.addWidget(editor)
    vessel = editor.rows[1]
    editor.toggle_removed(vessel)
    assert "cannot be undone" in editor.notice.text
    editor.toggle_removed(vessel)
    assert editor.edited().becomes == {}
    editor.toggle_removed(vessel)
    vessel.becomes.setCurrentIndex(vessel.becomes.findData(target))
    assert set(np.unique(layer.data)) == {0, 2, 3}
    classes.apply(editor.edited())
    qtbot.waitUntil(lambda: classes.notice.kind == "done", timeout=10_000)
    wait_shown(project)
    assert "1 painted slice." in classes.notice.text
    assert set(np.unique(opened.annotation_layer().data)) == expected
    assert opened.annotation_layer().selected_label == 2  # 3 was painted with; it is no class
    again = Project.open(opened.project.folder)
    assert [one.id for one in again.classes] == [2]
    assert again.settings.next_class_id == 4
    (position,) = again.annotation(opened.images.current).painted()
    assert set(np.unique(again.annotation(opened.images.current).read(position))) == expected
