"""What a person clicks in a real window, and what comes back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari.layers import Image, Labels

from napari_swin_umamba.plugin import job
from napari_swin_umamba.plugin.layer_view import data_to_world
from napari_swin_umamba.plugin.result_layer import METADATA_KEY
from napari_swin_umamba.segmentation import load_model, segment

pytestmark = pytest.mark.window

Click = Callable[[Any], None]


def labels_of(viewer: Any) -> list[Labels]:
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


def wait_for_tiles(qtbot: Any, widget: Any) -> None:
    qtbot.waitUntil(lambda: "tiles" in widget.run_row.status.text(), timeout=240_000)


def test_segments_a_scaled_image(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Click,
    wait_for_end: Callable,
    noise: np.ndarray,
) -> None:
    image = viewer.add_image(
        noise, name="field 3", scale=(0.5, 0.25), translate=(10, 20), rotate=30, units=("um", "um")
    )
    widget.model_row.import_file(semantic_model)
    assert "2 classes: liver, spleen" in widget.model_text.text()
    assert "40 × 56 pixels" in widget.reading_row.text.text().replace("\u00a0", " ")
    click(widget.run_row.run_button)
    assert widget.run_row.running
    assert not widget.image_combo.isEnabled()
    wait_for_end(widget)

    (labels,) = labels_of(viewer)
    assert labels.name == "field 3 – tiny"
    np.testing.assert_allclose(data_to_world(labels), data_to_world(image))
    assert labels.units == image.units
    expected = segment(noise, load_model(semantic_model)).labels
    np.testing.assert_array_equal(labels.data, expected)
    (made_by,) = labels.metadata[METADATA_KEY]["runs"]
    assert made_by["device"] == "cpu"
    assert made_by["software"]["napari"]
    assert widget.outcome.kind == "done"
    assert widget.footer.text().startswith("Runs on: CPU")
    assert widget.footer.text().endswith("Numba scan")
    assert widget.image_combo.isEnabled()


def test_states_before_a_run(viewer: Any, widget: Any, make_model: Callable, qtbot: Any) -> None:
    button, obstacle = widget.run_row.run_button, widget.obstacle
    assert not button.isEnabled()
    assert "No image is open" in obstacle.text
    assert button.toolTip() == obstacle.text

    viewer.add_image(np.zeros((20, 20)))
    assert "No model" in obstacle.text
    widget.model_row.import_file(make_model("two", channels=("DAPI", "actin")))
    assert obstacle.kind == "warning"
    assert "needs 2 channels (DAPI, actin)" in button.toolTip()
    assert not button.isEnabled()

    stack = viewer.add_image(np.zeros((2, 20, 20)), name="stack")  # chosen because it is new
    assert button.isEnabled()
    assert not obstacle.isVisibleTo(widget)
    assert widget.image_combo.layer() is stack
    viewer.layers.remove(stack)
    assert not button.isEnabled()

    viewer.layers[0].name = "renamed"
    assert widget.image_combo.currentText() == "renamed"


def test_slice_shown_of_a_volume(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Click,
    wait_for_end: Callable,
    qtbot: Any,
) -> None:
    volume = np.random.default_rng(0).random((4, 40, 36), dtype=np.float32)
    viewer.add_image(volume, name="volume", scale=(6, 1, 1))
    widget.model_row.import_file(semantic_model)
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: "Slice 2 along Z (0 to 3)" in widget.reading_row.text.text())
    assert widget.run_row.run_button.text() == "Segment volume"
    assert "all 4 slices along Z" in widget.run_row.run_button.toolTip()
    click(widget.run_row.preview_button)
    viewer.dims.set_current_step(0, 0)  # moving on does not move the result
    wait_for_end(widget)
    (labels,) = labels_of(viewer)
    assert labels.data.shape == volume.shape
    expected = segment(volume[2], load_model(semantic_model)).labels
    np.testing.assert_array_equal(labels.data[2], expected)
    assert not labels.data[[0, 1, 3]].any()


def test_objects_in_a_colour_image(
    viewer: Any,
    widget: Any,
    make_model: Callable,
    click: Click,
    wait_for_end: Callable,
    qtbot: Any,
) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (40, 36, 3)).astype(np.uint8)
    viewer.add_image(colours, rgb=True, name="colours")
    widget.model_row.import_file(
        make_model("rgb", channels=("red", "green", "blue"), rgb=True, output="boundary")
    )
    click(widget.run_row.run_button)
    wait_for_end(widget)
    (labels,) = labels_of(viewer)
    assert labels.data.shape == (40, 36)
    assert labels.data.dtype == np.int32
    qtbot.waitUntil(lambda: widget.table.isVisibleTo(widget), timeout=60_000)
    assert "object" in widget.table.title.text()


def test_what_was_said_before_the_run_is_not_said_again(
    viewer: Any, widget: Any, make_model: Callable, click: Click, wait_for_end: Callable
) -> None:
    viewer.add_image(np.random.default_rng(0).random((40, 36)), name="grey")
    widget.model_row.import_file(make_model("rgb", channels=("red", "green", "blue"), rgb=True))
    assert "grey, repeated as red, green and blue" in widget.reading_row.text.text()
    click(widget.run_row.run_button)
    wait_for_end(widget)
    assert widget.outcome.text.endswith("New layer: “grey – rgb”.")


def test_cancel_changes_nothing(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Click,
    wait_for_end: Callable,
    slow_image: np.ndarray,
    qtbot: Any,
) -> None:
    viewer.add_image(slow_image)
    widget.model_row.import_file(semantic_model)
    click(widget.run_row.run_button)
    wait_for_tiles(qtbot, widget)
    click(widget.run_row.cancel_button)
    assert widget.run_row.status.text() == "Stopping…"
    assert not widget.run_row.cancel_button.isEnabled()
    wait_for_end(widget)
    assert labels_of(viewer) == []
    assert widget.outcome.text == "Stopped; nothing was changed."
    assert widget.run_row.run_button.isEnabled()


def test_deleting_the_image_mid_run_stops_it(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Click,
    wait_for_end: Callable,
    slow_image: np.ndarray,
    qtbot: Any,
) -> None:
    viewer.add_image(slow_image)
    widget.model_row.import_file(semantic_model)
    click(widget.run_row.run_button)
    wait_for_tiles(qtbot, widget)
    viewer.layers.clear()
    wait_for_end(widget)
    assert list(viewer.layers) == []
    assert "the image was removed" in widget.outcome.text
    assert "No image is open" in widget.obstacle.text


def test_closing_the_dock_mid_run_stops_it(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Click,
    slow_image: np.ndarray,
    qtbot: Any,
) -> None:
    viewer.add_image(slow_image)
    widget.model_row.import_file(semantic_model)
    click(widget.run_row.run_button)
    wait_for_tiles(qtbot, widget)
    thread = widget._run._runner._thread
    viewer.window.remove_dock_widget(widget)
    qtbot.waitUntil(lambda: thread.ended, timeout=240_000)
    viewer.add_image(slow_image)  # the closed widget no longer follows the viewer
    viewer.layers.clear()
    assert widget.image_combo.count() <= 1
    with qtbot.waitSignal(widget.destroyed):
        widget.deleteLater()


def test_closing_the_window_mid_run(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Click,
    slow_image: np.ndarray,
    qtbot: Any,
) -> None:
    viewer.add_image(slow_image)
    widget.model_row.import_file(semantic_model)
    click(widget.run_row.run_button)
    wait_for_tiles(qtbot, widget)
    thread = widget._run._runner._thread
    viewer.close()
    qtbot.waitUntil(lambda: thread.ended, timeout=240_000)


def test_errors_are_shown_and_the_next_run_works(
    viewer: Any,
    widget: Any,
    make_model: Callable,
    click: Click,
    wait_for_end: Callable,
    noise: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = make_model("short-lived")
    content = path.read_bytes()
    viewer.add_image(np.full((40, 40), np.nan, np.float32), contrast_limits=(0, 1))
    widget.model_row.import_file(path)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    assert widget.outcome.kind == "error"
    assert "NaN" in widget.outcome.text

    viewer.add_image(noise)
    assert widget.outcome.text == ""  # another image, another story
    path.unlink()
    click(widget.run_row.run_button)
    wait_for_end(widget)
    assert "is gone" in widget.outcome.text

    path.write_bytes(content)
    with monkeypatch.context() as patch:
        patch.setattr(job, "describe_runtime", lambda device: 1 / 0)
        click(widget.run_row.run_button)
        wait_for_end(widget)
    assert "ZeroDivisionError" in widget.outcome.text
    click(widget.outcome._copy)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    assert widget.outcome.kind == "done"
    assert len(labels_of(viewer)) == 1


def test_bad_file_is_refused_with_a_reason(widget: Any, tmp_path: Path) -> None:
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"")
    widget.model_row.import_file(path)
    assert "empty (0 bytes)" in widget.outcome.text
    assert widget.model_row.choice() is None


def test_model_chosen_last_is_remembered(
    viewer: Any, widget: Any, make_model: Callable, semantic_model: Path
) -> None:
    from napari_swin_umamba.plugin.segment_widget import SegmentWidget

    viewer.add_image(np.zeros((20, 20)), name="first")
    viewer.add_image(np.zeros((20, 20)), name="second")
    widget.model_row.import_file(semantic_model)
    widget.model_row.import_file(make_model("later"))
    viewer.layers.selection.active = viewer.layers["first"]
    again = SegmentWidget(viewer)
    viewer.window.add_dock_widget(again)
    assert [again.model_row.combo.itemText(i) for i in range(2)] == ["tiny", "later"]
    assert again.model_row.combo.currentText() == "later"
    assert isinstance(again.image_combo.layer(), Image)
    assert again.image_combo.currentText() == "first"
