"""What is done with "this slice" is done with the one that the viewer shows, or with none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from hypothesis import given
from hypothesis import strategies as st

from napari_swin_umamba.plugin.annotate.slice_order import order_of_slices, shows_slices
from napari_swin_umamba.project import FileReference, ImageReference

pytestmark = pytest.mark.window


def reference(axes: str, slice_axis: str | None) -> ImageReference:
    file = FileReference(path="a.tif", sha256="0" * 64, size=1)
    sizes = tuple(range(2, 2 + len(axes)))
    return ImageReference(
        id="a", name="a", files=(file,), axes=axes, shape=sizes, slice_axis=slice_axis
    )


KINDS = [("YX", None), ("ZYX", "Z"), ("ZYX", "Y"), ("ZYX", "X"), ("TZYX", "X"), ("TYX", None)]


@given(st.sampled_from(KINDS), st.integers(0, 2))
def test_the_order_of_slices_shows_slices(kind: tuple[str, str | None], more: int) -> None:
    image = reference(*kind)
    ndim = len(image.label_axes) + more
    order = order_of_slices(image, ndim)
    assert sorted(order) == list(range(ndim))
    assert shows_slices(image, order, 2)
    planes = [more + image.label_axes.index(axis) for axis in image.plane_axes]
    assert list(order[-2:]) == planes
    for axes in [order[-2:], order[-3:]] if ndim > 2 else []:
        rolled = (*(axis for axis in order if axis not in axes), *axes)
        fixed = {more + image.label_axes.index(axis) for axis in image.fixed_axes}
        assert shows_slices(image, rolled, len(axes)) == (not fixed & set(axes))


def section(dock: Any, attribute: str) -> Any:
    return next(one for one in dock.sections if hasattr(one, attribute))


def test_a_cut_through_all_slices_is_no_slice(viewer: Any, project: Any, qtbot: Any) -> None:
    opened, layer = project.opened, project.opened.annotation_layer()
    predicted = np.zeros(layer.data.shape, np.uint8)
    predicted[:, 5:20, 5:20] = 1
    viewer.add_labels(predicted, name="predicted", scale=layer.scale, units=layer.units)
    part, painted = section(project, "slice_button"), section(project, "complete_check")
    for order, ndisplay in (((1, 0, 2), 2), ((0, 1, 2), 3)):
        viewer.dims.ndisplay, viewer.dims.order = ndisplay, order
        qtbot.waitUntil(lambda: not painted.complete_check.isEnabled(), timeout=2000)
        assert "cuts through all slices" in painted.complete_check.toolTip()
        part.slice_button.click()
        assert "cuts through all slices" in part.notice.text
        assert not layer.data.any()
        opened.go_to((3,))
        assert (viewer.dims.ndisplay, tuple(viewer.dims.order)) == (2, (0, 1, 2))
        assert opened.position() == (3,)
        qtbot.waitUntil(painted.complete_check.isEnabled, timeout=2000)
    part.slice_button.click()
    assert [place for place in range(5) if layer.data[place].any()] == [3]


def test_a_volume_is_shown_along_its_coarsest_axis(
    viewer: Any, project: Any, wait_shown: Callable, wait_saved: Callable, qtbot: Any
) -> None:
    """A sagittal scan: its slices lie along X."""
    first = project.opened.images.current
    values = np.random.default_rng(0).integers(0, 255, (30, 40, 6)).astype(np.uint8)
    viewer.add_image(values, name="sagittal", scale=(0.5, 0.5, 4), units=("mm",) * 3)
    images, opened = project.sections[0], project.opened
    images.add_layers([viewer.layers["sagittal"]])
    qtbot.waitUntil(lambda: opened.images.current not in ("", first), timeout=10_000)
    assert opened.images.shown_image.reference.slice_axis == "X"
    assert tuple(viewer.dims.order) == (2, 0, 1)
    opened.go_to((4,))
    section(project, "complete_check").complete_check.click()
    assert opened.project.annotation(opened.images.current).complete() == ((4,),)
    opened.images.show(first)
    qtbot.waitUntil(lambda: opened.images.current == first, timeout=10_000)
    assert tuple(viewer.dims.order) == (0, 1, 2)


@pytest.mark.parametrize("shape", [(1, 20, 26), (1, 1, 20, 26)])
def test_one_slice_is_an_image_that_can_be_opened_again(
    viewer: Any,
    dock: Any,
    tmp_path: Path,
    wait_shown: Callable,
    wait_saved: Callable,
    paint: Callable,
    shape: tuple[int, ...],
) -> None:
    viewer.add_image(np.random.default_rng(0).random(shape).astype(np.float32), name="one")
    dock.create_project(tmp_path / "projekt ß", "semantic", ("a",))
    dock.sections[0].add_layers([viewer.layers["one"]])
    wait_shown(dock)
    assert dock.opened.project.images[0].axes == "YX"
    paint(dock.opened.annotation_layer(), (5, 5), (5, 15))
    wait_saved(dock)
    painted = dock.opened.annotation_layer().data.copy()
    assert painted.any()
    assert dock.close_project()
    viewer.layers.clear()
    dock.open_project(tmp_path / "projekt ß")
    wait_shown(dock)
    np.testing.assert_array_equal(dock.opened.annotation_layer().data, painted)
