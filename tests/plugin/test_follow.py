"""Previews that follow the slider: replaced when outdated, never in the way of anything else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari.layers import Image, Labels

from napari_swin_umamba.plugin.folder_job import FolderTask

pytestmark = pytest.mark.window

VOLUME = np.random.default_rng(0).integers(0, 255, (6, 40, 36)).astype(np.uint8)
SLOW = np.random.default_rng(1).integers(0, 255, (3, 600, 600)).astype(np.uint8)


def labels_of(viewer: Any) -> list[Labels]:
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


@pytest.fixture
def volume(viewer: Any, widget: Any, semantic_model: Path) -> Image:
    layer = viewer.add_image(VOLUME, name="volume", scale=(3, 1, 1), units=("mm",) * 3)
    widget.model_row.import_file(semantic_model)
    return layer


def add_slow(viewer: Any) -> Image:
    """Add a volume whose slices take seconds, and show one of them."""
    layer = viewer.add_image(SLOW, name="slow", scale=(3, 1, 1), units=("mm",) * 3)
    viewer.dims.set_current_step(0, 1)
    return layer


@pytest.fixture
def started(widget: Any, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Runs as they start: whether each one is quiet."""
    runs: list[bool] = []
    start = widget._run.start

    def count(*arguments: Any) -> None:
        runs.append(arguments[-1])
        start(*arguments)

    monkeypatch.setattr(widget._run, "start", count)
    return runs


def settled(widget: Any, qtbot: Any, minimum: int, started: list[bool]) -> None:
    qtbot.waitUntil(lambda: len(started) >= minimum, timeout=60_000)
    qtbot.waitUntil(lambda: widget._run.current is None, timeout=60_000)
    qtbot.wait(600)
    assert widget._run.current is None


def test_probability_layers_are_not_previewed(
    viewer: Any, widget: Any, volume: Image, click: Callable, qtbot: Any, started: list[bool]
) -> None:
    widget.options_box.probabilities.setChecked(True)
    click(widget.run_row.follow_check)
    settled(widget, qtbot, 1, started)
    assert widget.image_combo.layer() == volume
    assert widget.image_combo.count() == 1
    assert len(viewer.layers) == 4
    assert started == [True]
    viewer.layers.selection = set(viewer.layers)
    assert widget.selected_images() == [volume]


def test_a_preview_that_fails_is_not_tried_again_until_something_changes(
    viewer: Any, widget: Any, volume: Image, click: Callable, qtbot: Any, started: list[bool]
) -> None:
    path = widget.model_row.choice().path
    content = path.read_bytes()
    try:
        path.unlink()
        click(widget.run_row.follow_check)
        settled(widget, qtbot, 1, started)
        assert len(started) == 1
        assert "is gone" in widget.outcome.text
        viewer.dims.set_current_step(0, 4)
        settled(widget, qtbot, 2, started)
        assert len(started) == 2
    finally:
        path.write_bytes(content)


def test_other_options_replace_a_preview_in_progress(
    viewer: Any, widget: Any, volume: Image, click: Callable, qtbot: Any, started: list[bool]
) -> None:
    slow = add_slow(viewer)
    click(widget.run_row.follow_check)
    qtbot.waitUntil(lambda: widget._run.current is not None, timeout=60_000)
    widget.options_box.overlap.setValue(0.3)
    qtbot.waitUntil(lambda: len(started) == 2, timeout=60_000)
    assert widget._run.current.task.options.overlap == 0.3
    widget.image_combo.select(volume)
    qtbot.waitUntil(lambda: bool(labels_of(viewer)), timeout=60_000)
    (labels,) = labels_of(viewer)
    assert labels.name.startswith("volume")
    assert slow in viewer.layers


def test_a_finished_run_is_left_alone(
    viewer: Any,
    widget: Any,
    volume: Image,
    click: Callable,
    qtbot: Any,
    started: list[bool],
    wait_for_end: Callable,
) -> None:
    widget.result_row.objects.setChecked(True)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    (labels,) = labels_of(viewer)
    before = labels.data.copy()
    click(widget.run_row.follow_check)
    for step in (1, 3):
        viewer.dims.set_current_step(0, step)
        qtbot.wait(400)
    assert started == [False]
    widget.options_box.mirror.setChecked(True)
    qtbot.waitUntil(lambda: "other settings" in widget.run_row.status.text(), timeout=5000)
    np.testing.assert_array_equal(labels.data, before)
    click(widget.run_row.follow_check)
    assert not widget.run_row.status.isVisibleTo(widget)


def test_a_click_during_a_preview_is_seen_and_can_be_cancelled(
    viewer: Any, widget: Any, volume: Image, click: Callable, qtbot: Any, started: list[bool]
) -> None:
    add_slow(viewer)
    click(widget.run_row.follow_check)
    qtbot.waitUntil(lambda: widget._run.current is not None, timeout=60_000)
    click(widget.run_row.run_button)
    assert widget.busy
    assert widget.run_row.running
    click(widget.run_row.follow_check)
    click(widget.run_row.cancel_button)
    qtbot.waitUntil(lambda: not widget.busy and widget._run.current is None, timeout=60_000)
    assert started == [True]
    assert not widget.run_row.running


def test_memory_is_released_once_a_preview_has_stopped(
    viewer: Any, widget: Any, volume: Image, click: Callable, qtbot: Any
) -> None:
    add_slow(viewer)
    click(widget.run_row.follow_check)
    qtbot.waitUntil(lambda: widget._run.current is not None, timeout=60_000)
    widget.release_memory()
    qtbot.waitUntil(lambda: widget._run.current is None, timeout=60_000)
    assert "unload" in widget.outcome.text


def test_no_preview_beside_a_folder(
    viewer: Any,
    widget: Any,
    volume: Image,
    click: Callable,
    qtbot: Any,
    started: list[bool],
    tmp_path: Path,
) -> None:
    from skimage.io import imsave

    (tmp_path / "in").mkdir()
    imsave(tmp_path / "in" / "a.tif", SLOW[0], check_contrast=False)
    choice = widget.model_row.choice()
    task = FolderTask(tmp_path / "in", tmp_path / "out", choice.path, widget.options(), False, True)
    widget.run_folder(task)
    widget.run_row.follow_check.setChecked(True)
    viewer.dims.set_current_step(0, 4)
    qtbot.wait(400)
    assert widget._folder.running
    assert started == []
    widget.cancel()
    qtbot.waitUntil(lambda: not widget._folder.running, timeout=60_000)
    widget.run_row.follow_check.setChecked(False)
