"""Longer ways through the dock: previews, regions, queues, folders, mishaps, and back again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari.layers import Image, Labels
from napari.utils.notifications import notification_manager
from qtpy.QtGui import QGuiApplication

from napari_swin_umamba.images import read_labels
from napari_swin_umamba.plugin.folder_dialog import FolderDialog
from napari_swin_umamba.plugin.folder_job import FolderTask
from napari_swin_umamba.plugin.reading import Correction
from napari_swin_umamba.segmentation import load_model, segment

pytestmark = pytest.mark.window

RNG = np.random.default_rng(0)
VOLUME = RNG.integers(0, 255, (6, 40, 36)).astype(np.uint8)


def labels_of(viewer: Any) -> list[Labels]:
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


@pytest.fixture
def volume(viewer: Any, widget: Any, semantic_model: Path) -> Image:
    layer = viewer.add_image(VOLUME, name="volume", scale=(3, 1, 1), units=("mm",) * 3)
    widget.model_row.import_file(semantic_model)
    return layer


def expected(model: Path, data: np.ndarray = VOLUME) -> np.ndarray:
    axes = "ZYX" if data.ndim == 3 else "YX"
    return segment(data, load_model(model), axes=axes, device="cpu").labels


def test_follow_the_slider(
    viewer: Any, widget: Any, volume: Image, semantic_model: Path, click: Callable, qtbot: Any
) -> None:
    whole = expected(semantic_model)
    viewer.dims.set_current_step(0, 1)
    click(widget.run_row.follow_check)
    qtbot.waitUntil(lambda: bool(labels_of(viewer)), timeout=240_000)
    (labels,) = labels_of(viewer)
    for step in (2, 4, 5):  # it passes over some
        viewer.dims.set_current_step(0, step)
    qtbot.waitUntil(lambda: labels.data[5].any(), timeout=60_000)
    np.testing.assert_array_equal(labels.data[5], whole[5])
    assert viewer.layers.selection.active == volume  # nobody asked for the layer to be active
    assert not widget.run_row.running

    labels.data[1] = 2
    labels.refresh()
    viewer.dims.set_current_step(0, 1)
    qtbot.waitUntil(
        lambda: "You changed this slice" in widget.run_row.status.text(), timeout=60_000
    )
    assert (labels.data[1] == 2).all()
    assert len(labels_of(viewer)) == 1

    click(widget.run_row.follow_check)
    viewer.dims.set_current_step(0, 3)
    qtbot.wait(400)
    assert not labels.data[3].any()


def test_preview_then_volume_then_edit_then_again(
    viewer: Any,
    widget: Any,
    volume: Image,
    semantic_model: Path,
    click: Callable,
    wait_for_end: Callable,
    qtbot: Any,
    tmp_path: Path,
) -> None:
    whole = expected(semantic_model)
    viewer.dims.set_current_step(0, 2)
    click(widget.run_row.preview_button)
    wait_for_end(widget)
    (labels,) = labels_of(viewer)
    np.testing.assert_array_equal(labels.data[2], whole[2])
    assert not labels.data[3].any()

    click(widget.run_row.run_button)
    wait_for_end(widget)
    assert labels_of(viewer) == [labels]
    np.testing.assert_array_equal(labels.data, whole)
    assert widget.outcome.text.startswith("6 slices in")

    volumes = tuple(3.0 * np.bincount(whole.ravel(), minlength=3))
    qtbot.waitUntil(lambda: widget.table.measurements is not None, timeout=60_000)
    qtbot.waitUntil(lambda: widget.table.measurements.column("volume") == volumes, timeout=60_000)
    click(widget.table.copy_button)
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert "spleen" in clipboard.text()
    widget.table.save(tmp_path / "table.csv")
    assert "volume (mm³)" in (tmp_path / "table.csv").read_text("utf-8-sig")

    labels.paint((0, 0, 0), 2)
    qtbot.waitUntil(lambda: widget.table.measurements.column("volume") != volumes, timeout=60_000)
    edited = labels.data.copy()
    click(widget.run_row.run_button)
    wait_for_end(widget)
    again = labels_of(viewer)
    assert len(again) == 2
    np.testing.assert_array_equal(labels.data, edited)
    np.testing.assert_array_equal(again[1].data, whole)
    assert "New layer" in widget.outcome.text


def test_save_and_open_again(
    viewer: Any,
    widget: Any,
    volume: Image,
    click: Callable,
    wait_for_end: Callable,
    tmp_path: Path,
) -> None:
    from napari_swin_umamba.plugin.layer_view import data_to_world

    click(widget.run_row.run_button)
    wait_for_end(widget)
    (labels,) = labels_of(viewer)
    path = tmp_path / "labels.nii.gz"
    labels.save(str(path), plugin="napari-swin-umamba")
    np.testing.assert_array_equal(read_labels(path), labels.data)
    (opened,) = viewer.open(str(path), plugin="napari-swin-umamba")
    assert isinstance(opened, Labels)
    np.testing.assert_array_equal(opened.data, labels.data)
    np.testing.assert_allclose(data_to_world(opened), data_to_world(labels))
    assert opened.units == labels.units


def test_cancel_keeps_the_slices_that_are_done(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Callable,
    wait_for_end: Callable,
    qtbot: Any,
) -> None:
    data = RNG.integers(0, 255, (200, 64, 64)).astype(np.uint8)
    viewer.add_image(data, name="long")
    widget.model_row.import_file(semantic_model)
    click(widget.run_row.run_button)
    qtbot.waitUntil(lambda: bool(labels_of(viewer)), timeout=240_000)
    qtbot.waitUntil(lambda: "slices" in widget.run_row.status.text(), timeout=60_000)
    qtbot.waitUntil(lambda: labels_of(viewer)[0].data[0].any(), timeout=60_000)
    assert "the slices that are done stay" in widget.run_row.cancel_button.toolTip()
    click(widget.run_row.cancel_button)
    wait_for_end(widget)
    (labels,) = labels_of(viewer)
    done = labels.data.any(axis=(1, 2))
    assert 0 < done.sum() < 200
    assert done[: done.sum()].all()
    assert widget.outcome.text.startswith(f"Stopped; {done.sum()} slice")
    assert widget.outcome.text.endswith(" of 200 done.")
    assert widget.outcome.kind == "hint"


def test_visible_region_of_a_micrograph(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Callable,
    wait_for_end: Callable,
    slow_image: np.ndarray,
) -> None:
    image = viewer.add_image(slow_image, name="slide", scale=(0.5, 0.5), translate=(3, 4))
    widget.model_row.import_file(semantic_model)
    menu = widget.run_row
    menu.menu_opened.emit()
    assert not menu.region_action.isEnabled()
    assert "zoom in" in menu.region_action.toolTip()
    camera = getattr(viewer, "scene", viewer).camera  # napari 0.9 moved it
    camera.center = (100, 120)
    camera.zoom = 12
    viewer.window._qt_viewer.canvas.on_draw(None)
    menu.menu_opened.emit()
    assert menu.region_action.isEnabled()
    menu.region_action.trigger()
    wait_for_end(widget)
    (labels,) = labels_of(viewer)
    assert labels.name == "slide – tiny (region)"
    rows, columns = labels.data.shape
    assert 2 <= rows < 600
    assert 2 <= columns < 600
    first = np.round(image.world_to_data(labels.data_to_world((0, 0)))).astype(int)
    part = slow_image[first[0] : first[0] + rows, first[1] : first[1] + columns]
    np.testing.assert_array_equal(labels.data, expected(semantic_model, part))


def test_selected_layers_one_after_the_other(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Callable,
    wait_for_end: Callable,
    qtbot: Any,
) -> None:
    images = [RNG.integers(0, 255, (40, 36)).astype(np.uint8) for _ in range(2)]
    layers = [viewer.add_image(data, name=f"field {n}") for n, data in enumerate(images)]
    broken = viewer.add_image(np.full((40, 36), np.nan, np.float32), contrast_limits=(0, 1))
    other = viewer.add_image(images[0], name="not selected")
    widget.model_row.import_file(semantic_model)
    viewer.layers.selection = {*layers, broken}
    widget.run_row.menu_opened.emit()
    assert widget.run_row.layers_action.text() == "Segment 3 selected image layers"
    widget.run_row.layers_action.trigger()
    wait_for_end(widget)
    results = {layer.name: layer.data for layer in labels_of(viewer)}
    assert set(results) == {"field 0 – tiny", "field 1 – tiny"}
    for number, data in enumerate(images):
        np.testing.assert_array_equal(
            results[f"field {number} – tiny"], expected(semantic_model, data)
        )
    assert widget.outcome.kind == "warning"
    assert "2 of 3 layers segmented." in widget.outcome.text
    assert "NaN" in widget.outcome.text
    assert other in viewer.layers

    viewer.layers.selection = set()
    widget.run_selected_layers()
    assert "Select image layers first" in widget.outcome.text


def test_a_folder(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    wait_for_end: Callable,
    tmp_path: Path,
    qtbot: Any,
) -> None:
    import imageio.v3 as imageio

    images = tmp_path / "my images é"
    images.mkdir()
    data = RNG.integers(0, 255, (40, 36)).astype(np.uint8)
    imageio.imwrite(images / "a.png", data)
    (images / "b.png").write_bytes(b"no image")
    widget.model_row.import_file(semantic_model)
    dialog = FolderDialog(widget, "tiny")
    qtbot.addWidget(dialog)
    assert not dialog.ok_button.isEnabled()
    dialog.images.setText(str(images))
    assert dialog.labels.text() == f"{images}-labels"
    assert dialog.ok_button.isEnabled()
    task = FolderTask(images, Path(dialog.labels.text()), semantic_model, widget.options())
    widget.run_folder(task)
    assert widget.run_row.running
    wait_for_end(widget)
    assert widget.outcome.kind == "warning"
    assert "1 of 2 images segmented" in widget.outcome.text
    assert "b.png" in widget.outcome.text
    np.testing.assert_array_equal(
        read_labels(task.labels / "a.tif"), expected(semantic_model, data)
    )
    assert (task.labels / "measurements.csv").is_file()
    assert labels_of(viewer) == []

    widget.run_folder(task)  # again: nothing is replaced unasked
    wait_for_end(widget)
    assert widget.outcome.kind == "error"
    assert "exist already" in widget.outcome.text


def test_out_of_memory_says_what_to_do(
    viewer: Any,
    widget: Any,
    volume: Image,
    click: Callable,
    wait_for_end: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Raised where torch raises it: inside the network's forward pass, after two slices."""
    import torch

    calls = 0
    from napari_swin_umamba.network.swin_umamba import SwinUMambaD
    from napari_swin_umamba.segmentation import device_fit

    monkeypatch.setattr(device_fit, "_CPU_PIXELS", 4 * 32 * 32)  # one slice at a time

    forward = SwinUMambaD.forward

    def fail(self: Any, *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 4:  # two rows of tiles a slice
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return forward(self, *args)

    monkeypatch.setattr(SwinUMambaD, "forward", fail)
    notified: list[Any] = []
    notification_manager.notification_ready.connect(notified.append)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    assert widget.outcome.kind == "error"
    assert "too little memory" in widget.outcome.text
    (labels,) = labels_of(viewer)
    assert labels.data.any(axis=(1, 2)).tolist() == [True, True, False, False, False, False]
    assert any("too little memory" in str(item.message) for item in notified)
    monkeypatch.undo()
    click(widget.run_row.run_button)
    wait_for_end(widget)
    assert widget.outcome.kind == "done"
    assert labels.data.any(axis=(1, 2)).all()


def test_deleting_the_result_mid_run_stops_it(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Callable,
    wait_for_end: Callable,
    qtbot: Any,
) -> None:
    viewer.add_image(RNG.integers(0, 255, (200, 64, 64)).astype(np.uint8), name="long")
    widget.model_row.import_file(semantic_model)
    click(widget.run_row.run_button)
    qtbot.waitUntil(lambda: bool(labels_of(viewer)), timeout=240_000)
    viewer.layers.remove(labels_of(viewer)[0])
    wait_for_end(widget)
    assert labels_of(viewer) == []
    assert "The result layer was removed" in widget.outcome.text


def test_a_result_that_got_another_shape_mid_run_stops_it(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Callable,
    wait_for_end: Callable,
    qtbot: Any,
) -> None:
    viewer.add_image(RNG.integers(0, 255, (200, 64, 64)).astype(np.uint8), name="long")
    widget.model_row.import_file(semantic_model)
    click(widget.run_row.run_button)
    qtbot.waitUntil(lambda: bool(labels_of(viewer)), timeout=240_000)
    labels_of(viewer)[0].data = np.zeros((3, 4, 5), np.uint8)
    wait_for_end(widget)
    assert widget.outcome.kind == "error"
    assert "another size" in widget.outcome.text


def test_scaling_the_image_mid_run_scales_its_labels(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Callable,
    wait_for_end: Callable,
    qtbot: Any,
) -> None:
    image = viewer.add_image(RNG.integers(0, 255, (60, 64, 64)).astype(np.uint8), name="long")
    widget.model_row.import_file(semantic_model)
    click(widget.run_row.run_button)
    qtbot.waitUntil(lambda: bool(labels_of(viewer)), timeout=240_000)
    image.scale = (4, 1, 1)
    wait_for_end(widget)
    assert tuple(labels_of(viewer)[0].scale) == (4, 1, 1)


def test_strokes_between_the_click_and_the_first_slice_are_not_lost(
    viewer: Any,
    widget: Any,
    volume: Image,
    click: Callable,
    wait_for_end: Callable,
) -> None:
    click(widget.run_row.run_button)
    wait_for_end(widget)
    (labels,) = labels_of(viewer)
    labels.paint((1, 3, 3), 2)
    labels.undo()
    click(widget.run_row.run_button)
    labels.redo()  # napari tells nobody of it
    edited = labels.data.copy()
    wait_for_end(widget)
    np.testing.assert_array_equal(labels.data, edited)
    assert len(labels_of(viewer)) == 2
    click(widget.run_row.run_button)
    click(widget.run_row.cancel_button)
    wait_for_end(widget)
    assert len(labels_of(viewer)) == 2


def test_the_table_follows_undo_and_the_pixel_size(
    viewer: Any, widget: Any, volume: Image, click: Callable, wait_for_end: Callable, qtbot: Any
) -> None:
    click(widget.run_row.run_button)
    wait_for_end(widget)
    table = widget.table
    qtbot.waitUntil(lambda: table.measurements is not None, timeout=60_000)
    before = table.measurements.column("volume")
    (labels,) = labels_of(viewer)
    labels.fill((0, 0, 0), 1 + labels.data[0, 0, 0] % 2)
    qtbot.waitUntil(lambda: table.measurements.column("volume") != before, timeout=60_000)
    labels.undo()
    qtbot.waitUntil(lambda: table.measurements.column("volume") == before, timeout=60_000)
    counted = table.measurements
    viewer.dims.set_current_step(0, 0)
    qtbot.wait(900)
    assert table.measurements is counted  # the slider is no reason to count again
    widget.correct(Correction("guess", (3.0, 2.0, 1.0), "millimeter"))
    doubled = tuple(2 * size for size in before)
    qtbot.waitUntil(lambda: table.measurements.column("volume") == doubled, timeout=60_000)


def test_films_without_named_axes_have_a_table_and_more_axes_a_reason(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Callable,
    wait_for_end: Callable,
    qtbot: Any,
) -> None:
    widget.model_row.import_file(semantic_model)
    viewer.add_image(VOLUME[:4].reshape(2, 2, 40, 36), name="four")
    click(widget.run_row.run_button)
    wait_for_end(widget)
    qtbot.waitUntil(lambda: widget.table.measurements is not None, timeout=60_000)
    assert set(widget.table.measurements.column("time")) == {0, 1}
    viewer.add_image(VOLUME[:4].reshape(1, 2, 2, 40, 36), name="five")
    click(widget.run_row.run_button)
    wait_for_end(widget)
    qtbot.waitUntil(lambda: "up to 4 axes" in widget.table.title.text(), timeout=60_000)
    assert not widget.table.copy_button.isVisibleTo(widget)
    viewer.layers.selection = {viewer.layers["four"]}
    widget.run_selected_layers()
    wait_for_end(widget)
    qtbot.waitUntil(lambda: widget.table.copy_button.isVisibleTo(widget), timeout=60_000)


def test_a_queue_tells_of_a_layer_that_was_removed_while_it_ran(
    viewer: Any, widget: Any, semantic_model: Path, wait_for_end: Callable, qtbot: Any
) -> None:
    first = viewer.add_image(RNG.integers(0, 255, (600, 600)).astype(np.uint8), name="first")
    second = viewer.add_image(VOLUME[0], name="second")
    widget.model_row.import_file(semantic_model)
    viewer.layers.selection = {first, second}
    widget.run_selected_layers()
    qtbot.wait(200)
    viewer.layers.remove(first)
    wait_for_end(widget)
    assert "1 of 2 layers segmented." in widget.outcome.text
    assert "first: It was removed." in widget.outcome.text


def test_a_model_file_that_was_replaced_is_read_again(
    viewer: Any,
    widget: Any,
    volume: Image,
    make_model: Callable,
    tmp_path: Path,
    click: Callable,
    wait_for_end: Callable,
) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(make_model("mine").read_bytes())
    widget.model_row.import_file(path)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    path.write_bytes(make_model("other", output="boundary").read_bytes())
    click(widget.run_row.run_button)
    wait_for_end(widget)
    assert [layer.name for layer in labels_of(viewer)] == ["volume – mine", "volume – other"]
    assert widget.model_row.combo.currentText() == "other"
    assert widget.result_row.value
    assert labels_of(viewer)[1].data.dtype == np.int32


def test_probability_layers(
    viewer: Any, widget: Any, volume: Image, click: Callable, wait_for_end: Callable
) -> None:
    widget.options_box.probabilities.setChecked(True)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    maps = [layer for layer in viewer.layers if ": probability of" in layer.name]
    assert [layer.name.rpartition(" ")[2] for layer in maps] == ["liver", "spleen"]
    (labels,) = labels_of(viewer)
    shown = np.stack([layer.data for layer in maps]).astype(float)
    background = 1 - shown.sum(axis=0)
    found = np.concatenate([background[None], shown]).argmax(axis=0)
    assert (found == labels.data).mean() > 0.99  # half precision may turn a tie


def test_bfloat16(
    request: pytest.FixtureRequest,
    viewer: Any,
    widget: Any,
    volume: Image,
    click: Callable,
    wait_for_end: Callable,
) -> None:
    request.getfixturevalue("without_bf16")
    click(widget.options_box.header)
    widget.options_box.bf16.setChecked(True)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    assert "cannot compute in bfloat16" in widget.outcome.text
    assert "switch off 'Compute in bfloat16'" in widget.outcome.text
    assert labels_of(viewer) == []
    request.getfixturevalue("with_bf16")
    click(widget.run_row.run_button)
    wait_for_end(widget)
    (labels,) = labels_of(viewer)
    assert "bf16" in str(labels.metadata)


def test_settings_survive(
    viewer: Any, widget: Any, semantic_model: Path, qtbot: Any, volume: Image
) -> None:
    from napari_swin_umamba.plugin.segment_widget import SegmentWidget

    viewer.add_image(VOLUME[0], name="later")
    widget.image_combo.select(volume)
    widget.options_box.mirror.setChecked(True)
    widget.options_box.overlap.setValue(0.3)
    widget.run_row.follow_check.setChecked(True)
    viewer.layers.selection = set()
    again = SegmentWidget(viewer)
    viewer.window.add_dock_widget(again)
    assert again.options().mirror
    assert again.options().overlap == 0.3
    assert again.run_row.follow_check.isChecked()
    assert again.image_combo.currentText() == "volume"
    assert again.model_row.choice().path == semantic_model
    again.run_row.follow_check.setChecked(False)
    widget.run_row.follow_check.setChecked(False)


def test_the_overlap_is_the_models_until_somebody_chooses(
    viewer: Any,
    widget: Any,
    volume: Image,
    make_model: Callable,
    click: Callable,
    wait_for_end: Callable,
) -> None:
    from napari_swin_umamba.plugin.segment_widget import SegmentWidget

    box = widget.options_box.overlap
    assert box.text() == "the model’s (0.5)"
    widget.model_row.import_file(make_model("wide", overlap=0.125))
    assert box.text() == "the model’s (0.125)"
    assert widget.options().overlap is None
    click(widget.run_row.run_button)
    wait_for_end(widget)
    (labels,) = labels_of(viewer)
    assert "'overlap': 0.125" in str(labels.metadata)
    box.setValue(0.3)
    assert box.text() == "0.30"
    assert widget.options().overlap == 0.3
    widget.model_row.import_file(make_model("narrow", overlap=0.75))
    assert widget.options().overlap == 0.3
    box.setValue(0)
    assert box.text() == "the model’s (0.75)"
    assert SegmentWidget(viewer).options().overlap is None


@pytest.mark.parametrize(
    ("stored", "preferred", "overlap"),
    [
        (0.3, None, 0.3),
        (0.5, None, 0.5),
        (None, 0.7, None),  # chosen, where the preference is a number
        (0.0, None, None),
        (0.95, 0.7, 0.7),
        ("half", None, None),
    ],
)
def test_a_remembered_overlap(
    settings_folder: Path, qtbot: Any, stored: object, preferred: float | None, overlap: float
) -> None:
    from qtpy.QtCore import QSettings

    from napari_swin_umamba.plugin.options import SegmentOptions
    from napari_swin_umamba.plugin.options_box import OptionsBox
    from napari_swin_umamba.plugin.settings import Settings

    name = "napari-swin-umamba"
    store = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, name, name)
    store.setValue("segment/options", json.dumps({"overlap": stored, "mirror": True}))
    store.sync()
    default = SegmentOptions(overlap=preferred)
    settings, box = Settings(), OptionsBox()
    qtbot.addWidget(box)
    box.show_options(settings.options(default))
    shown = box.options(False)
    assert (shown.overlap, shown.mirror) == (overlap, True)
    settings.remember_options(shown, default)
    assert Settings().options(default).overlap == overlap


def test_release_memory(
    viewer: Any, widget: Any, volume: Image, click: Callable, wait_for_end: Callable
) -> None:
    click(widget.options_box.header)
    click(widget.options_box.release_button)
    assert "No model was loaded" in widget.outcome.text
    click(widget.run_row.preview_button)
    wait_for_end(widget)
    click(widget.options_box.release_button)
    assert widget.outcome.text == "The model was unloaded."
    click(widget.run_row.preview_button)
    wait_for_end(widget)
    assert widget.outcome.kind == "done"


def test_a_click_while_a_preview_runs_is_not_lost(
    viewer: Any,
    widget: Any,
    volume: Image,
    semantic_model: Path,
    click: Callable,
    wait_for_end: Callable,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    click(widget.run_row.follow_check)
    qtbot.waitUntil(lambda: widget._run.current is not None, timeout=60_000)
    assert not widget.run_row.running
    click(widget.run_row.run_button)
    qtbot.waitUntil(lambda: widget.outcome.kind == "done", timeout=240_000)
    (labels,) = labels_of(viewer)
    np.testing.assert_array_equal(labels.data, expected(semantic_model))
    click(widget.run_row.follow_check)


def test_memory_is_looked_at_before_a_run(
    viewer: Any, widget: Any, volume: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_swin_umamba.plugin import segment_form

    monkeypatch.setattr(segment_form, "available_memory", lambda: 1_000_000)
    widget.refresh()
    assert widget.obstacle.kind == "warning"
    assert "of memory, and 0.0 GB are free" in widget.obstacle.text
    assert widget.run_row.run_button.isEnabled()  # it is an estimate


def test_other_data_of_the_same_size_ends_the_run(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Callable,
    qtbot: Any,
    wait_for_end: Callable,
) -> None:
    data = RNG.integers(0, 255, (60, 200, 200)).astype(np.uint8)
    image = viewer.add_image(data, name="long")
    widget.model_row.import_file(semantic_model)
    click(widget.run_row.run_button)
    qtbot.waitUntil(lambda: bool(labels_of(viewer)), timeout=240_000)
    image.data = data[::-1].copy()
    wait_for_end(widget)
    assert widget.outcome.kind == "error"
    assert "The image changed meanwhile" in widget.outcome.text


def test_cancel_brings_the_earlier_result_back(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Callable,
    qtbot: Any,
    wait_for_end: Callable,
) -> None:
    viewer.add_image(RNG.integers(0, 255, (15, 100, 100)).astype(np.uint8), name="long")
    widget.model_row.import_file(semantic_model)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    (labels,) = labels_of(viewer)
    before = labels.data.copy()
    widget.options_box.mirror.setChecked(True)
    widget.options_box.overlap.setValue(0.8)
    click(widget.run_row.run_button)
    qtbot.waitUntil(lambda: "1 of 15" in widget.run_row.status.text(), timeout=240_000)
    click(widget.run_row.cancel_button)
    wait_for_end(widget)
    assert widget.outcome.text.startswith("Stopped; ")
    assert "The others show the result before." in widget.outcome.text
    np.testing.assert_array_equal(labels.data[-5:], before[-5:])
    assert not np.array_equal(labels.data[0], before[0])
    click(widget.run_row.run_button)  # all of it is ours: replaced without asking
    qtbot.waitUntil(lambda: " of 15" in widget.run_row.status.text(), timeout=240_000)
    click(widget.run_row.cancel_button)
    wait_for_end(widget)
    assert labels_of(viewer) == [labels]


def test_slices_of_a_group_are_drawn_before_the_next_group_is_done(
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Callable,
    qtbot: Any,
    wait_for_end: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They come in one burst, and a layer is drawn anew every quarter of a second at most."""
    import threading

    from napari_swin_umamba.network.swin_umamba import SwinUMambaD
    from napari_swin_umamba.segmentation import device_fit

    monkeypatch.setattr(device_fit, "_CPU_PIXELS", 2 * 4 * 32 * 32)  # two slices of four tiles
    forward, calls, go_on = SwinUMambaD.forward, [], threading.Event()

    def held(self: Any, *args: Any) -> Any:
        calls.append(None)
        if len(calls) > 4:  # two groups were done, of two rows of tiles each
            go_on.wait(60)
        return forward(self, *args)

    monkeypatch.setattr(SwinUMambaD, "forward", held)
    viewer.add_image(RNG.integers(0, 255, (6, 40, 36)).astype(np.uint8), name="volume")
    widget.model_row.import_file(semantic_model)
    viewer.dims.ndisplay = 3  # all slices are in sight
    drawn: list[int] = []
    """Slices that the layer held each time that it was drawn."""

    def watch(event: Any) -> None:
        layer = event.value
        layer.events.set_data.connect(lambda _: drawn.append(int(layer.data.any((1, 2)).sum())))

    viewer.layers.events.inserted.connect(watch)
    click(widget.run_row.run_button)
    try:
        qtbot.waitUntil(lambda: len(calls) > 4, timeout=240_000)
        qtbot.waitUntil(lambda: drawn[-1:] == [4], timeout=5_000)
        (labels,) = labels_of(viewer)
    finally:
        go_on.set()
    wait_for_end(widget)
    assert labels.data.any(axis=(1, 2)).all()
