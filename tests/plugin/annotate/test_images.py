"""Many images of many kinds: added, opened when asked for, put back where they lay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari_swin_umamba.images import read_image
from napari_swin_umamba.plugin.annotate.adding import layer_to_add
from napari_swin_umamba.project import Project

pytestmark = pytest.mark.window

RANDOM = np.random.default_rng(0)


def names(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers]


def test_going_from_image_to_image_and_back_keeps_strokes_and_their_undo(
    viewer: Any,
    project: Any,
    paint: Callable,
    wait_shown: Callable,
    wait_saved: Callable,
    tmp_path: Path,
) -> None:
    images, opened = project.sections[0], project.opened
    first = opened.images.current
    layer = opened.annotation_layer()
    paint(layer, (10, 10), (10, 30))
    painted = layer.data.copy()
    tool = layer.mode
    file = tmp_path / "flat.png"
    import imageio.v3 as imageio

    imageio.imwrite(file, RANDOM.integers(0, 255, (30, 44, 3)).astype(np.uint8))
    images.add_files([file])
    wait_shown(project)
    assert names(viewer) == ["flat", "flat – annotation"]
    flat = opened.annotation_layer()
    assert flat.ndim == 2
    assert flat.mode == tool
    paint(flat, (5, 5), (5, 20))
    wait_saved(project)
    assert opened.project.annotation(opened.images.current).painted() == ((),)
    images.list.select(first)
    images.list.itemClicked.emit(images.list.currentItem())
    wait_shown(project)
    assert names(viewer) == ["volume", "volume – annotation"]
    layer = opened.annotation_layer()
    np.testing.assert_array_equal(layer.data, painted)
    paint(layer, (20, 10), (20, 30))
    layer.undo()
    layer.undo()
    assert not layer.data.any()
    wait_saved(project)
    assert opened.project.annotation(first).painted() == ()
    assert "painted" in images.list.item(1).text()


def test_an_image_without_a_file_is_written_into_the_project(
    viewer: Any, project: Any, wait_shown: Callable, paint: Callable
) -> None:
    data = RANDOM.normal(size=(3, 20, 26)).astype(np.float32)
    layer = viewer.add_image(data, name="filtered α", scale=(5, 0.3, 0.3), units=("um",) * 3)
    images, opened = project.sections[0], project.opened
    images.fill_menu()
    texts = [action.text() for action in images.menu.actions() if action.text()]
    assert texts == ["“filtered α”, which is open", "Image files…"]
    images.menu.actions()[0].trigger()
    wait_shown(project)
    reference = opened.project.images[1]
    assert opened.images.current == reference.id
    assert opened.image_layer(reference.id) == layer  # the person's own layer, as it is
    assert (reference.axes, reference.slice_axis) == ("ZYX", "Z")
    assert reference.spacing == (5, 0.3, 0.3)
    (file,) = opened.project.find_files(reference.id)
    assert file.is_relative_to(opened.project.folder)
    stored = read_image(file)
    np.testing.assert_array_equal(stored.array, data)
    assert stored.spacing == pytest.approx((5, 0.3, 0.3))
    np.testing.assert_allclose(opened.annotation_layer().scale, (5, 0.3, 0.3))


@pytest.mark.parametrize(
    ("shape", "layer", "axes"),
    [
        ((20, 26), {}, "YX"),
        ((20, 26, 3), {"rgb": True}, "YXC"),
        ((2, 20, 26), {"axis_labels": ("c", "y", "x")}, "CYX"),
        ((4, 20, 26), {"axis_labels": ("t", "y", "x")}, "TYX"),
        ((4, 3, 20, 26), {}, "TZYX"),
        ((3, 2, 20, 26), {"axis_labels": ("z", "c", "y", "x")}, "CZYX"),
    ],
)
def test_kinds_of_layers(shape: tuple, layer: dict, axes: str) -> None:
    from napari.layers import Image

    described = layer_to_add(Image(np.zeros(shape, np.uint8), **layer)).image
    assert described.axes == axes
    assert described.array.ndim == len(axes)


def test_an_image_with_channels_is_annotated_without_them(
    viewer: Any, project: Any, wait_shown: Callable, wait_saved: Callable, paint: Callable
) -> None:
    data = RANDOM.integers(0, 255, (4, 2, 20, 26)).astype(np.uint8)
    file = project.opened.project.folder.parent / "channels.tif"
    tifffile.imwrite(file, data, ome=True, metadata={"axes": "TCYX"})
    project.sections[0].add_files([file])
    wait_shown(project)
    opened = project.opened
    image = opened.image_layer(opened.images.current)
    layer = opened.annotation_layer()
    assert layer.data.shape == (4, 20, 26)
    assert image.axis_labels == ("c", "t", "y", "x")
    opened.go_to((3,))
    assert opened.position() == (3,)
    paint(layer, (5, 5), (5, 15))
    wait_saved(project)
    assert opened.project.annotation(opened.images.current).painted() == ((3,),)


def test_where_a_person_put_an_image_comes_back(
    viewer: Any, project: Any, wait_shown: Callable
) -> None:
    opened = project.opened
    image = opened.image_layer(opened.images.current)
    image.translate, image.rotate = (1, 2, 3), (0, 0, 30)
    before = np.asarray(image.data_to_world((1, 2, 3)))
    folder = opened.project.folder
    assert project.close_project()
    project.open_project(folder)
    wait_shown(project)
    opened = project.opened
    for layer in (opened.image_layer(opened.images.current), opened.annotation_layer()):
        np.testing.assert_allclose(layer.data_to_world((1, 2, 3)), before)


def test_a_copy_is_taken_if_the_person_says_so(
    dock: Any,
    tmp_path: Path,
    volume_file: Path,
    wait_shown: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from napari_swin_umamba.plugin.annotate import images_section

    asked: list[bool] = []
    monkeypatch.setattr(images_section, "ask_whether_to_copy", lambda _: asked.append(True) or True)
    dock.create_project(tmp_path / "p", "semantic", ("a",))
    dock.sections[0].add_files([volume_file])
    wait_shown(dock)
    volume_file.unlink()
    assert dock.close_project()
    dock.project_section.again_button.click()
    wait_shown(dock)
    (reference,) = Project.open(tmp_path / "p").images
    assert reference.files[0].inside
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, np.ones((9, 9), np.uint8))
    dock.sections[0].add_files([other, other])
    wait_shown(dock)
    assert "is in the project already" in dock.sections[0].notice.text
    assert len(asked) == 1
