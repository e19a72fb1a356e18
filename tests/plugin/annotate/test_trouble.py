"""Nothing is lost: full disk, closed window, removed layer, vanished image, read-only folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from qtpy.QtGui import QCloseEvent
from qtpy.QtWidgets import QApplication

from napari_swin_umamba.plugin.annotate import autosave, window_watch
from napari_swin_umamba.plugin.annotate.project_dialog import ProjectDialog
from napari_swin_umamba.project import FolderLock, Project

pytestmark = pytest.mark.window

resource = pytest.importorskip("resource", reason="limits a file's size, on Unix")


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def on_disk(folder: Path, place: int) -> np.ndarray:
    project = Project.open(folder)
    return project.annotation(project.images[0].id).read((place,))


def test_a_full_disk_is_said_and_strokes_are_saved_once_there_is_room(
    project: Any, paint: Callable, wait_saved: Callable, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autosave, "RETRY", 0.1)
    monkeypatch.setattr(time, "time", lambda: 0.0)  # the computer's clock was set meanwhile
    layer, folder = project.opened.annotation_layer(), project.opened.project.folder
    saving = project.project_section.saving
    paint(layer, (10, 10), (10, 30))
    wait_saved(project)
    first = layer.data[2].copy()
    with full_disk():
        paint(layer, (20, 10), (20, 30), size=3)
        qtbot.waitUntil(lambda: saving.kind == "error", timeout=3000)
        assert "not saved" in saving.text
        assert "File too large" in saving.text
        np.testing.assert_array_equal(on_disk(folder, 2), first)
        assert "File too large" in project.unsaved_problem()
        assert not project.close_project()
        assert project.opened is not None
    qtbot.waitUntil(lambda: saving.kind == "done", timeout=3000)
    np.testing.assert_array_equal(on_disk(folder, 2), layer.data[2])
    assert not list(folder.rglob("*.part*"))


@pytest.mark.parametrize("answer", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_window_stays_open_while_strokes_cannot_be_saved(
    viewer: Any,
    project: Any,
    paint: Callable,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
    answer: bool,
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        window_watch, "_close_anyway", lambda _, problem: asked.append(problem) or answer
    )
    window, event = viewer.window._qt_window, QCloseEvent()
    window.show()
    monkeypatch.setattr(type(window), "closeEvent", lambda *_: None)  # it is needed a while
    paint(project.opened.annotation_layer(), (10, 10), (10, 30))
    with full_disk():
        QApplication.sendEvent(window, event)
    assert len(asked) == 1
    assert "File too large" in asked[0]
    assert event.isAccepted() == answer


def test_closing_napari_or_the_dock_saves_first(
    viewer: Any, project: Any, make_dock: Callable, paint: Callable, wait_shown: Callable
) -> None:
    opened = project.opened
    viewer.window._qt_window.show()
    folder, layer = opened.project.folder, opened.annotation_layer()
    paint(layer, (10, 10), (10, 30))
    project.parent().title.close_button.click()
    np.testing.assert_array_equal(on_disk(folder, 2), layer.data[2])
    FolderLock(folder, "edit", "open").acquire().release()
    again = make_dock()
    again.open_project(folder)
    wait_shown(again)
    layer = again.opened.annotation_layer()
    paint(layer, (20, 10), (20, 30))
    painted = layer.data[2].copy()
    viewer.close()
    np.testing.assert_array_equal(on_disk(folder, 2), painted)


def test_layers_that_are_removed_or_renamed_or_filled_by_others(
    viewer: Any,
    project: Any,
    paint: Callable,
    wait_saved: Callable,
    wait_shown: Callable,
    qtbot: Any,
) -> None:
    opened, images = project.opened, project.sections[0]
    folder, layer = opened.project.folder, opened.annotation_layer()
    layer.name = "mine"
    paint(layer, (10, 10), (10, 30))
    painted = layer.data.copy()
    layer.mode = "pan_zoom"
    qtbot.wait(300)  # drawn in between: Mesa's software renderer needs that
    viewer.layers.remove(layer)
    wait_saved(project)
    np.testing.assert_array_equal(on_disk(folder, 2), painted[2])
    assert "annotation layer was removed" in images.notice.text
    images.notice.remedy_button.click()
    wait_shown(project)
    layer = opened.annotation_layer()
    np.testing.assert_array_equal(layer.data, painted)
    layer.undo()  # its steps came back with it
    wait_saved(project)
    assert not on_disk(folder, 2).any()
    layer.redo()
    paint(layer, (20, 10), (20, 30))
    layer.undo()
    layer.mode = "pan_zoom"
    qtbot.wait(300)
    viewer.layers.remove(opened.image_layer(opened.images.current))
    assert "image layer was removed" in images.notice.text
    images.notice.remedy_button.click()
    assert len(viewer.layers) == 2
    layer.data = np.zeros((3, 4, 5), np.uint8)
    assert "another size" in images.notice.text
    wait_saved(project)
    images.notice.remedy_button.click()
    wait_shown(project)
    np.testing.assert_array_equal(opened.annotation_layer().data, painted)
    np.testing.assert_array_equal(on_disk(folder, 2), painted[2])


def test_an_image_that_is_gone_is_asked_for_and_found_elsewhere(
    project: Any,
    paint: Callable,
    wait_shown: Callable,
    volume_file: Path,
    tmp_path: Path,
    qtbot: Any,
) -> None:
    opened = project.opened
    folder = opened.project.folder
    paint(opened.annotation_layer(), (10, 10), (10, 30))
    painted = opened.annotation_layer().data.copy()
    assert project.close_project()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = volume_file.rename(elsewhere / volume_file.name)
    project.open_project(folder)
    images = project.sections[0]
    assert images.notice.kind == "error"
    assert images.notice.remedy_button.text() == "Look in a folder…"
    images.look_in(tmp_path)
    qtbot.waitUntil(lambda: "has the name and the content" in images.notice.text, timeout=5000)
    assert images.notice.remedy_button.text() == "Look in a folder…"
    images.look_in(elsewhere)
    wait_shown(project)
    np.testing.assert_array_equal(project.opened.annotation_layer().data, painted)
    assert Path(Project.open(folder).images[0].files[0].path) == moved


@pytest.mark.parametrize("read_only", [False, True])
def test_images_that_moved_together_are_found_together(
    dock: Any, wait_shown: Callable, tmp_path: Path, qtbot: Any, read_only: bool
) -> None:
    old, new = tmp_path / "scans é", tmp_path / "neuer Ort"
    old.mkdir()
    files = [old / f"scan {number} ü.tif" for number in range(3)]
    for number, file in enumerate(files):
        tifffile.imwrite(file, np.full((20, 30), number, np.uint8))
    folder = tmp_path / "anderswo" / "projekt"
    dock.create_project(folder, "semantic", ("a",))
    dock.sections[0].add_files(files)
    wait_shown(dock)
    assert dock.close_project()
    old.rename(new)
    other = FolderLock(folder, "edit", "open in napari")
    if read_only:
        other.acquire()
    dock.open_project(folder)
    assert dock.opened.read_only == read_only
    assert dock.sections[0].notice.kind == "error"
    dock.sections[0].look_in(new)
    for image in dock.opened.project.images:
        wait_shown(dock)
        dock.opened.images.show(image.id)
        qtbot.waitUntil(lambda i=image.id: dock.opened.images.current == i, timeout=5000)
    known = Project.open(folder).images[2].files[0].path
    assert known == str((old if read_only else new) / files[2].name)
    other.release()


def test_a_project_whose_folder_is_gone_is_not_made_anew(
    project: Any, paint: Callable, wait_saved: Callable, qtbot: Any, tmp_path: Path
) -> None:
    """Its disk was disconnected, or it was moved: strokes wait until it is back."""
    opened, layer = project.opened, project.opened.annotation_layer()
    folder = opened.project.folder
    paint(layer, (10, 10), (10, 30))
    wait_saved(project)
    away = folder.rename(tmp_path / "away")
    paint(layer, (20, 10), (20, 30))
    saving = project.project_section.saving
    qtbot.waitUntil(lambda: "is not there any more" in saving.text, timeout=5000)
    project.opened.save_session()
    section = next(one for one in project.sections if hasattr(one, "complete_check"))
    section.complete_check.click()
    assert "is not there any more" in section.notice.text
    qtbot.wait(1500)
    assert not folder.exists()
    away.rename(folder)
    qtbot.waitUntil(lambda: saving.kind == "done", timeout=5000)
    np.testing.assert_array_equal(on_disk(folder, opened.position()[0]), layer.data[2])


def test_an_image_that_was_removed_comes_back_below_what_is_painted(
    viewer: Any, project: Any, qtbot: Any
) -> None:
    opened, images = project.opened, project.sections[0]
    image = opened.image_layer(opened.images.current)
    viewer.layers.remove(image)
    assert "image layer was removed" in images.notice.text
    images.notice.remedy_button.click()
    qtbot.waitUntil(lambda: image in viewer.layers, timeout=5000)
    assert list(viewer.layers) == [image, opened.annotation_layer()]
    assert viewer.layers.selection.active == opened.annotation_layer()


@pytest.mark.parametrize("name", ["n" * 300, "busy"])
def test_a_new_project_in_a_place_that_cannot_be(qtbot: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "busy").mkdir()
    (tmp_path / "busy" / "file").touch()
    dialog = ProjectDialog(None, tmp_path)
    qtbot.addWidget(dialog)
    dialog.name.setText("good name")
    assert dialog.ok_button.isEnabled()
    dialog.name.setText(name)
    assert not dialog.ok_button.isEnabled()
    assert "folder" in dialog.notice.text
    dialog.place.setText("~nobody-of-this-name")
    dialog.name.setText("good name")
    assert not dialog.ok_button.isEnabled()


def test_a_file_that_was_replaced_is_said(
    project: Any, wait_shown: Callable, volume_file: Path
) -> None:
    folder = project.opened.project.folder
    assert project.sections[0].notice.text == ""
    assert project.close_project()
    content = bytearray(volume_file.read_bytes())
    with tifffile.TiffFile(volume_file) as tiff:
        content[tiff.pages[0].dataoffsets[0]] ^= 1  # one pixel
    volume_file.write_bytes(content)
    project.open_project(folder)
    wait_shown(project)
    assert project.sections[0].notice.kind == "warning"
    assert "is not what it was" in project.sections[0].notice.text


def test_a_folder_that_cannot_be_written_is_opened_to_read(
    project: Any, wait_shown: Callable, tmp_path: Path
) -> None:
    folder = project.opened.project.folder
    assert project.close_project()
    locks = folder / ".locks"
    locks.rename(tmp_path / "locks")
    locks.write_text("")  # no lock can be made: as good as no permission, also for root
    project.open_project(folder)
    assert project.opened.read_only
    assert "Cannot write" in project.project_section.notice.text
    wait_shown(project)
    assert not project.opened.annotation_layer().editable


def test_a_damaged_slice_is_said_and_kept(
    project: Any, paint: Callable, wait_shown: Callable, wait_saved: Callable
) -> None:
    opened = project.opened
    folder, image = opened.project.folder, opened.images.current
    paint(opened.annotation_layer(), (10, 10), (10, 30))
    assert project.close_project()
    file = Project.open(folder).annotation(image).file((2,))
    file.write_bytes(b"II*\0damaged")
    project.open_project(folder)
    wait_shown(project)
    assert "1 painted slice cannot be read" in project.sections[0].notice.text
    assert file.read_bytes() == b"II*\0damaged"
    paint(project.opened.annotation_layer(), (20, 10), (20, 30))
    wait_saved(project)
    assert file.with_name(file.name + ".damaged").read_bytes() == b"II*\0damaged"
    assert on_disk(folder, 2).any()


def test_saving_takes_no_time_of_the_window(project: Any) -> None:
    """What the window's thread does at the end of a stroke that touched all slices."""
    opened = project.opened
    annotation = opened.images.shown_image.annotation
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        annotation.on_change([(place,) for place in range(5)])
        opened.strokes.save_shown()
        opened.strokes.tell_news()
        opened.save_session()
        times.append(time.perf_counter() - begun)
    assert min(times) < 0.05


def test_a_project_is_closed_and_opened_again_at_once(
    project: Any, viewer: Any, qtbot: Any, wait_shown: Callable
) -> None:
    """Its former layers leave the window a moment later; none of them is shown again."""
    folder = project.opened.project.folder
    assert project.close_project()
    project.open_project(folder)
    wait_shown(project)
    qtbot.wait(500)
    images = project.opened.images
    assert project.opened.image_layer(images.current) in viewer.layers
    assert project.opened.annotation_layer() in viewer.layers
    assert len(viewer.layers) == 2
    assert project.sections[0].notice.text == ""
