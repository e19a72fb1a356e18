"""Every kind of image that people have: opened, segmented, and the labels sit on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari.layers import Labels
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_swin_umamba.images import Image
from napari_swin_umamba.plugin.folder_job import FolderTask
from napari_swin_umamba.plugin.layer_view import data_to_world
from napari_swin_umamba.plugin.result_layer import METADATA_KEY
from napari_swin_umamba.segmentation import ObjectRules, bundled_models, load_model, segment

pytestmark = pytest.mark.window

UNSEEN = Path(__file__).parents[2] / "examples" / "nuclei" / "unseen" / "images"
RNG = np.random.default_rng(0)
OBLIQUE = np.array([[0.9, 0.1, -0.2, 5], [0.05, 0.95, 0.1, -3], [0.2, -0.1, 0.9, 10], [0, 0, 0, 1]])


def labels_of(viewer: Any) -> list[Labels]:
    return [layer for layer in viewer.layers if isinstance(layer, Labels)]


def check(viewer: Any, image: Any, kept: tuple[int, ...], expected: np.ndarray) -> Labels:
    """The one Labels layer holds what is expected, where the image is."""
    (labels,) = labels_of(viewer)
    np.testing.assert_array_equal(labels.data, expected)
    matrix = data_to_world(image)
    corners = [*kept, image.ndim]
    np.testing.assert_allclose(data_to_world(labels), matrix[np.ix_(corners, corners)], atol=1e-6)
    assert labels.units == tuple(image.units[axis] for axis in kept)
    assert labels.axis_labels == tuple(image.axis_labels[axis] for axis in kept)
    return labels


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@pytest.mark.parametrize(
    ("shape", "axes", "layer"),
    [
        pytest.param((3, 40, 36), "ZYX", {"scale": (6, 1.3, 0.9), "affine": OBLIQUE}, id="oblique"),
        pytest.param(
            (2, 3, 33, 34),
            "TZYX",
            {"axis_labels": ("t", "z", "y", "x"), "scale": (1, 2, 1, 1)},
            id="volumes over time",
        ),
    ],
)
def test_volumes(
    shape: tuple[int, ...],
    axes: str,
    layer: dict,
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Callable,
    wait_for_end: Callable,
) -> None:
    data = RNG.integers(0, 4000, shape).astype(np.int16)
    image = viewer.add_image(data, name="volume", units=("mm",) * len(shape), **layer)
    widget.model_row.import_file(semantic_model)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    expected = segment(data, load_model(semantic_model), axes=axes, plane="Z", device="cpu").labels
    check(viewer, image, tuple(range(len(shape))), expected)
    assert "slices in" in widget.outcome.text


def test_lazy_multiscale_volume(
    viewer: Any, widget: Any, semantic_model: Path, click: Callable, wait_for_end: Callable
) -> None:
    da = pytest.importorskip("dask.array")
    data = RNG.integers(0, 255, (2, 64, 64)).astype(np.uint8)
    levels = [da.from_array(data, chunks=(1, 64, 64)), da.from_array(data[:, ::2, ::2])]
    image = viewer.add_image(levels, multiscale=True, name="pyramid")
    widget.model_row.import_file(semantic_model)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    expected = segment(data, load_model(semantic_model), axes="ZYX", device="cpu").labels
    check(viewer, image, (0, 1, 2), expected)


def test_channels_of_a_micrograph(
    viewer: Any, widget: Any, make_model: Callable, click: Callable, wait_for_end: Callable
) -> None:
    path = make_model("two", channels=("DAPI", "actin"))
    data = RNG.random((2, 40, 36), dtype=np.float32)
    image = viewer.add_image(data, name="cells", scale=(1, 0.5, 0.25), axis_labels=("c", "y", "x"))
    widget.model_row.import_file(path)
    assert "2 channels along C as DAPI, actin" in widget.reading_row.text.text()
    click(widget.run_row.run_button)
    wait_for_end(widget)
    expected = segment(data, load_model(path), axes="CYX", device="cpu").labels
    check(viewer, image, (1, 2), expected)


def test_colours_and_their_stack(
    viewer: Any, widget: Any, make_model: Callable, click: Callable, wait_for_end: Callable
) -> None:
    path = make_model("rgb", channels=("red", "green", "blue"), rgb=True)
    data = RNG.integers(0, 255, (2, 40, 36, 3)).astype(np.uint8)
    image = viewer.add_image(data, rgb=True, name="stained")
    widget.model_row.import_file(path)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    expected = segment(data, load_model(path), axes="ZYXC", device="cpu").labels
    check(viewer, image, (0, 1, 2), expected)


def test_slices_along_another_axis(
    viewer: Any, widget: Any, semantic_model: Path, click: Callable, wait_for_end: Callable
) -> None:
    data = RNG.random((33, 3, 34), dtype=np.float32)
    image = viewer.add_image(data, name="coronal", scale=(1, 4, 1), units=("mm",) * 3)
    widget.model_row.import_file(semantic_model)
    assert "coarser along Y (4 mm)" in widget.obstacle.text
    click(widget.obstacle.remedy_button)
    assert viewer.dims.order == (1, 0, 2)
    assert widget.readiness().findings == ()
    assert "all 3 slices along Y" in widget.readiness().tooltip
    click(widget.run_row.run_button)
    wait_for_end(widget)
    expected = segment(data, load_model(semantic_model), axes="ZYX", plane="Y", device="cpu").labels
    check(viewer, image, (0, 1, 2), expected)


def test_slices_along_the_axis_that_the_model_learned(
    viewer: Any, widget: Any, make_model: Callable, click: Callable
) -> None:
    data = RNG.random((33, 3, 34), dtype=np.float32)
    viewer.add_image(data, name="coronal", scale=(1, 4, 1), units=("mm",) * 3)
    widget.model_row.import_file(make_model("axial", plane="Z"))
    assert widget.readiness().findings == ()  # coarser along Y or not
    viewer.dims.order = (1, 0, 2)
    widget.refresh()
    assert "the model learned slices along Z" in widget.obstacle.text
    click(widget.obstacle.remedy_button)
    assert viewer.dims.order == (0, 1, 2)
    assert widget.readiness().findings == ()


def test_objects_go_on_from_slice_to_slice(
    viewer: Any,
    widget: Any,
    make_model: Callable,
    click: Callable,
    wait_for_end: Callable,
) -> None:
    path = make_model("boundary", output="boundary", min_object_pixels=4)
    slice_ = RNG.integers(0, 255, (40, 36)).astype(np.uint8)
    viewer.add_image(np.stack([slice_] * 3), name="copies")
    widget.model_row.import_file(path)
    assert widget.result_row.objects.isChecked()
    click(widget.run_row.run_button)
    wait_for_end(widget)
    (labels,) = labels_of(viewer)
    assert labels.data.max() > 1
    for plane in labels.data[1:]:
        np.testing.assert_array_equal(plane, labels.data[0])
    widget.result_row.classes.setChecked(True)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    classes = labels_of(viewer)[-1]
    assert classes is not labels  # objects and classes are different results
    np.testing.assert_array_equal(classes.data, labels.data > 0)


def test_slices_are_scaled_by_the_size_of_their_objects(
    viewer: Any, widget: Any, make_model: Callable, click: Callable, wait_for_end: Callable
) -> None:
    known = make_model("known", output="boundary", min_object_pixels=4, object_diameter=12.0)
    unknown = make_model("unknown", output="boundary", min_object_pixels=4)
    data = RNG.integers(0, 255, (64, 70)).astype(np.uint8)
    viewer.add_image(data, name="cells")
    box = widget.options_box.object_diameter
    widget.model_row.import_file(unknown)
    assert not box.isEnabled()
    assert "does not say" in box.toolTip()
    widget.model_row.import_file(known)
    assert box.isEnabled()
    assert "12 pixels" in box.toolTip()
    widget.options_box.resample.setChecked(True)
    box.setValue(24)
    assert not widget.options_box.resample.isChecked()  # both would scale
    click(widget.run_row.run_button)
    wait_for_end(widget)
    expected = segment(data, load_model(known), object_diameter=24.0, device="cpu").labels
    np.testing.assert_array_equal(labels_of(viewer)[0].data, expected)
    widget.options_box.resample.setChecked(True)
    assert widget.options().object_diameter is None


def test_objects_of_another_size_than_in_training_are_pointed_out(
    viewer: Any, widget: Any, click: Callable, wait_for_end: Callable
) -> None:
    data = iio.imread(UNSEEN / "c3bec106.png")[::4, ::4]
    viewer.add_image(data, name="far away")
    widget.model_row.import_file(bundled_models()["nuclei"])
    click(widget.run_row.run_button)
    wait_for_end(widget)
    said = widget.outcome.text
    assert "pixels across, those in training were 20" in said
    assert "give the object diameter." in said  # and no word of the command line
    widget.options_box.object_diameter.setValue(5)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    assert "across" not in widget.outcome.text
    found = [layer.data.max() for layer in labels_of(viewer)]
    assert found[-1] > 30


def test_a_folder_says_how_many_images_are_of_another_magnification(
    widget: Any, tmp_path: Path, wait_for_end: Callable
) -> None:
    (tmp_path / "in").mkdir()
    micrograph = iio.imread(UNSEEN / "c3bec106.png")
    for name, image in {"a": micrograph[:128, :128], "b": micrograph[::4, ::4]}.items():
        iio.imwrite(tmp_path / "in" / f"{name}.png", image)
    model = bundled_models()["nuclei"]
    widget.model_row.import_file(model)
    widget.run_folder(FolderTask(tmp_path / "in", tmp_path / "out", model, widget.options()))
    wait_for_end(widget)
    said = widget.outcome.text
    assert "2 of 2 images segmented." in said
    assert "In 1 image (the first: b.png) objects are of another size than in training" in said


def test_small_objects_and_those_at_the_edge_are_left_out(
    viewer: Any, widget: Any, make_model: Callable, click: Callable, wait_for_end: Callable
) -> None:
    model = make_model("cells", output="boundary", min_object_pixels=4)
    data = RNG.integers(0, 255, (64, 70)).astype(np.uint8)
    scaled = {"scale": (0.5, 0.5), "units": ("micrometer", "micrometer")}
    viewer.add_image(data, name="cells", **scaled)
    widget.model_row.import_file(model)
    box = widget.options_box
    assert box.min_area.suffix() == " µm²"
    assert box.min_area.isEnabled()
    click(widget.run_row.run_button)
    wait_for_end(widget)
    (labels,) = labels_of(viewer)
    everything = labels.data.copy()
    box.min_area.setValue(2)
    box.edge_objects.setChecked(False)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    image = Image(data, "YX", spacing=(0.5, 0.5), unit="micrometer")
    rules = ObjectRules(2, at_edge=False)
    expected = segment(image, load_model(model), device="cpu", object_rules=rules).labels
    (labels,) = labels_of(viewer)
    np.testing.assert_array_equal(labels.data > 0, expected > 0)
    assert 0 < expected.max() < everything.max()
    settings = labels.metadata[METADATA_KEY]["runs"][-1]["settings"]
    assert (settings["min_area"], settings["edge_objects"]) == (2, False)

    click(widget.result_row.classes)  # classes know no objects
    assert not box.min_area.isEnabled()
    assert "objects" in box.edge_objects.toolTip()
    assert widget.options().min_area is None
    click(widget.result_row.objects)
    assert box.min_area.value() == 2
    viewer.add_image(data, name="unknown size")  # 2 of what?
    widget.image_combo.setCurrentIndex(widget.image_combo.findText("unknown size"))
    widget.refresh()
    assert box.min_area.suffix() == " px"
    assert widget.options().min_area is None


def test_a_folder_says_in_which_units_its_smallest_object_is(
    viewer: Any, widget: Any, make_model: Callable
) -> None:
    widget.model_row.import_file(make_model("cells", output="boundary", min_object_pixels=4))
    scaled = {"scale": (0.5, 0.5), "units": ("micrometer", "micrometer")}
    viewer.add_image(np.zeros((64, 70), np.uint8), name="cells", **scaled)
    said: list[str] = []

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        said.append(dialog.units.text if dialog.units.isVisible() else "")
        dialog.reject()

    for area in (0, 2.5):
        widget.options_box.min_area.setValue(area)
        QTimer.singleShot(300, look)
        widget.run_row.folder_action.trigger()
    assert said[0] == ""
    assert "Smallest object is 2.5 µm² for the image in the dock" in said[1]
    assert "2.5 pixels" in said[1]
    assert "In a folder" in widget.options_box.min_area.toolTip()


def test_corrected_channels_and_pixel_size(
    viewer: Any, widget: Any, make_model: Callable, click: Callable, wait_for_end: Callable
) -> None:
    model = make_model("fine", spacing=(0.5, 0.5), unit="micrometer")
    data = RNG.random((64, 70), dtype=np.float32)
    viewer.add_image(data, name="no size")
    widget.model_row.import_file(model)
    row = widget.reading_row
    click(row.edit_button)
    assert row.channels.isVisibleTo(widget)
    row.unit.setCurrentText("µm")
    row.unit.activated.emit(2)
    for spin in row.steps.values():
        spin.setValue(0.25)
    assert "0.25 µm per pixel" in row.text.text().replace("\u00a0", " ")
    assert "2 times finer than in training" in widget.obstacle.text
    click(widget.obstacle.remedy_button)
    assert widget.options().resample
    assert widget.obstacle.text == ""
    click(widget.run_row.run_button)
    wait_for_end(widget)
    loaded = load_model(model)
    expected = segment(data, loaded, spacing=(0.25, 0.25), resample=True, device="cpu").labels
    np.testing.assert_array_equal(labels_of(viewer)[0].data, expected)
    assert "resized" not in widget.outcome.text
    click(row.reset_button)
    assert "pixel size not known" in row.text.text()
    assert "cannot be resampled" in widget.obstacle.text
    by_itself = make_model("own", spacing=(0.5, 0.5), unit="micrometer", resample=True)
    widget.options_box.resample.setChecked(False)
    widget.model_row.import_file(by_itself)
    assert widget.options().resample  # as the model was trained
    widget.model_row.import_file(model)
    assert not widget.options().resample
