"""How layers are read, and which models fit them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel

from napari_swin_umamba.plugin.layer_view import LayerView, view_of_layer
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.preflight import look_ahead
from napari_swin_umamba.plugin.reading import (
    Correction,
    Reading,
    read_layer,
    why_no_preview,
    why_not,
)
from napari_swin_umamba.plugin.words import describe_reading


def shown(data: Any, **kwargs: Any) -> tuple[ViewerModel, Any]:
    viewer = ViewerModel()
    return viewer, viewer.add_image(data, name="img", **kwargs)


def taken(reading: Reading, data: Any) -> np.ndarray:
    """The plane that a preview would segment."""
    return reading.layout.extract(data, reading.position)


def view(data: Any, **kwargs: Any) -> LayerView:
    viewer, layer = shown(data, **kwargs)
    return view_of_layer(layer, viewer.dims)


def test_grey_image(make_plan: Callable) -> None:
    image = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
    this = view(image, scale=(0.5, 0.5), units=("um", "um"))
    reading = read_layer(this, make_plan())
    assert (reading.layout.axes, reading.kept_axes, reading.fixed_axes) == ("YX", (0, 1), ())
    np.testing.assert_array_equal(taken(reading, image), image)
    assert reading.spacing_in("nanometer") == pytest.approx((500, 500))
    assert reading.spacing_in("second") is None
    assert describe_reading(reading, make_plan()) == (
        "20 × 30 pixels (Y × X), 16‑bit, 1 channel, 0.5 µm per pixel."
    )


def test_result_does_not_share_memory_with_layer(make_plan: Callable) -> None:
    image = np.zeros((20, 30))
    extracted = taken(read_layer(view(image), make_plan()), image)
    image[:] = 1
    assert not extracted.any()


def test_slider_decides_slice_in_words_and_values(make_plan: Callable) -> None:
    volume = np.arange(6 * 8 * 9, dtype=np.float32).reshape(6, 8, 9)
    viewer, layer = shown(volume, scale=(6, 1.3, 0.9), units=("mm",) * 3, axis_labels="zyx")
    viewer.dims.set_current_step(0, 4)
    reading = read_layer(view_of_layer(layer, viewer.dims), make_plan())
    np.testing.assert_array_equal(taken(reading, volume), volume[4])
    assert reading.position == (4,)
    assert reading.volume_spacing == (6, 1.3, 0.9)
    assert describe_reading(reading, make_plan()) == (
        "Slice 4 along Z (0 to 5), the one shown. 8 × 9 pixels (Y × X), float32, 1 channel, "
        "1.3 × 0.9 mm per pixel, slices 6 mm apart."
    )


def test_volume_in_3d_view(make_plan: Callable) -> None:
    viewer, layer = shown(np.zeros((6, 8, 9)))
    viewer.dims.set_current_step(0, 4)
    viewer.dims.ndisplay = 3
    reading = read_layer(view_of_layer(layer, viewer.dims), make_plan())
    assert reading.position == (4,)
    assert "the one shown in 2D" in describe_reading(reading, make_plan())


def test_rolled_axes(make_plan: Callable) -> None:
    volume = np.arange(6 * 8 * 9).reshape(6, 8, 9)
    viewer, layer = shown(volume)
    viewer.dims.order = (1, 2, 0)  # the slider moves along Y
    viewer.dims.set_current_step(1, 3)
    reading = read_layer(view_of_layer(layer, viewer.dims), make_plan())
    np.testing.assert_array_equal(taken(reading, volume), volume[:, 3, :])
    assert reading.plane == (0, 2)


def test_time_series_of_volumes_beside_a_flat_layer(make_plan: Callable) -> None:
    series = np.arange(3 * 4 * 8 * 9).reshape(3, 4, 8, 9)
    viewer, layer = shown(series)
    flat = viewer.add_image(np.ones((8, 9)))
    viewer.dims.set_current_step((0, 1), (2, 1))
    reading = read_layer(view_of_layer(layer, viewer.dims), make_plan())
    np.testing.assert_array_equal(taken(reading, series), series[2, 1])
    assert read_layer(view_of_layer(flat, viewer.dims), make_plan()).fixed_axes == ()


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@pytest.mark.parametrize("seed", range(5))
def test_oblique_affine_reads_what_is_on_screen(seed: int, make_plan: Callable) -> None:
    rng = np.random.default_rng(seed)
    volume = rng.random((12, 8, 9))
    affine = np.eye(4)
    affine[:3, :3] += 0.2 * rng.normal(size=(3, 3))
    affine[:3, 3] = rng.normal(size=3) * 10
    viewer, layer = shown(volume, affine=affine)
    viewer.dims.set_current_step(0, int(viewer.dims.nsteps[0] // 2))
    this = view_of_layer(layer, viewer.dims)
    if this.in_view:
        on_screen = layer._slice.image.raw  # what napari draws
        np.testing.assert_array_equal(taken(read_layer(this, make_plan()), volume), on_screen)


def test_lazy_and_multiscale_data(make_plan: Callable) -> None:
    da = pytest.importorskip("dask.array")
    levels = [da.ones((16, 32, 32)), da.ones((8, 16, 16))]
    viewer, layer = shown(levels, multiscale=True)
    reading = read_layer(view_of_layer(layer, viewer.dims), make_plan())
    assert taken(reading, layer.data[0]).shape == (32, 32)


def test_colours(make_plan: Callable) -> None:
    rgba = np.zeros((8, 9, 4), np.uint8)
    reading = read_layer(view(rgba, rgb=True), make_plan())
    assert (reading.layout.axes, reading.layout.channels) == ("YXC", 3)
    assert reading.kept_axes == (0, 1)
    assert taken(reading, rgba).shape == (8, 9, 4)
    assert why_not(reading, make_plan()) is None
    assert "turned to grey, transparency ignored" in describe_reading(reading, make_plan())
    assert why_not(reading, make_plan(("a", "b"))) is not None


def test_grey_for_a_colour_model(make_plan: Callable) -> None:
    plan = make_plan(("red", "green", "blue"), rgb=True)
    reading = read_layer(view(np.zeros((8, 9))), plan)
    assert why_not(reading, plan) is None
    assert "grey, repeated as red, green and blue" in describe_reading(reading, plan)


@pytest.mark.parametrize(
    ("shape", "labels", "channel_axis", "kept"),
    [
        ((2, 8, 9), None, 0, (1, 2)),
        ((8, 9, 2), None, 2, (0, 1)),
        ((5, 2, 8, 9), None, 1, (0, 2, 3)),
        ((2, 2, 8, 9), ("t", "C", "y", "x"), 1, (0, 2, 3)),
    ],
)
def test_channel_axis(
    shape: tuple, labels: Any, channel_axis: int, kept: tuple, make_plan: Callable
) -> None:
    plan = make_plan(("DAPI", "actin"))
    data = np.random.default_rng(0).random(shape)
    reading = read_layer(view(data, axis_labels=labels), plan)
    assert (reading.channel_axis, reading.kept_axes) == (channel_axis, kept)
    assert why_not(reading, plan) is None
    extracted = taken(reading, data)
    assert (reading.layout.axes, extracted.shape) == ("CYX", (2, 8, 9))
    expected = np.moveaxis(data, channel_axis, -1)
    while expected.ndim > 3:
        expected = expected[expected.shape[0] // 2 if len(shape) < 4 else reading.view.index[0]]
    np.testing.assert_array_equal(extracted, np.moveaxis(expected, -1, 0))
    assert "2 channels along" in describe_reading(reading, plan)


def test_channel_axis_can_be_corrected(make_plan: Callable) -> None:
    plan = make_plan(("DAPI", "actin"))
    this = view(np.zeros((2, 2, 8, 9)))
    assert read_layer(this, plan).channel_axis == 0
    assert read_layer(this, plan, Correction(channel_axis=1)).kept_axes == (0, 2, 3)
    assert read_layer(this, plan, Correction(channel_axis=None)).layout.channels == 1


def plain_view(shape: tuple[int, ...], dtype: type = float) -> LayerView:
    ndim = len(shape)
    return LayerView(
        name="img",
        shape=shape,
        dtype=np.dtype(dtype),
        colours=0,
        axis_labels=tuple(str(axis - ndim) for axis in range(ndim)),
        spacing=(1.0,) * ndim,
        units=("pixel",) * ndim,
        order=tuple(range(ndim)),
        index=(0,) * ndim,
        in_view=True,
    )


@pytest.mark.parametrize(
    ("this", "channels", "says"),
    [
        (plain_view((8, 9)), ("a", "b"), "needs 2 channels (a, b), but “img” has 1"),
        (plain_view((8, 9), complex), ("a",), "complex numbers"),
        (plain_view((8, 9), str), ("a",), "not numbers"),
        (plain_view((3, 0, 9)), ("a",), "empty"),
    ],
)
def test_why_not(this: LayerView, channels: tuple, says: str, make_plan: Callable) -> None:
    plan = make_plan(channels)
    assert says in (why_not(read_layer(this, plan), plan) or "")


def test_slice_beside_the_layer(make_plan: Callable) -> None:
    viewer, layer = shown(np.zeros((5, 8, 9)))
    viewer.add_image(np.zeros((20, 8, 9)))
    viewer.dims.set_current_step(0, 15)
    reading = read_layer(view_of_layer(layer, viewer.dims), make_plan())
    assert "Move the slider" in (why_no_preview(reading) or "")
    assert why_not(reading, make_plan()) is None  # all slices can be segmented
    assert why_no_preview(read_layer(replace(reading.view, in_view=True))) is None


def test_spacing_can_be_corrected(make_plan: Callable) -> None:
    this = view(np.zeros((4, 8, 9)))
    assert read_layer(this).spacing is None
    reading = read_layer(this, None, Correction("guess", (2.0, 0.5, 0.25), "micrometer"))
    assert reading.spacing_in("nanometer") == pytest.approx((500, 250))
    assert reading.volume_spacing == (2.0, 0.5, 0.25)
    unknown = read_layer(view(np.zeros((8, 9)), scale=(2, 2), units=("mm", "mm")), None)
    assert unknown.spacing == (2, 2)
    dropped = read_layer(unknown.view, None, Correction("guess", (2.0, 2.0), None))
    assert dropped.spacing is None


def test_time_is_no_length(make_plan: Callable) -> None:
    labels = ("t", "z", "y", "x")
    units = ("second", "um", "um", "um")
    reading = read_layer(view(np.zeros((2, 3, 8, 9)), axis_labels=labels, units=units))
    assert reading.spatial_axes == (1, 2, 3)
    assert reading.volume_spacing == (1, 1, 1)
    assert reading.links_objects
    film = read_layer(view(np.zeros((3, 8, 9)), axis_labels=("time", "y", "x")))
    assert not film.links_objects


@pytest.mark.parametrize("unit", ["ms", "s", "min", "hour"])
def test_units_of_time(unit: str) -> None:
    film = read_layer(view(np.zeros((3, 8, 9)), units=(unit, "um", "um")))
    assert not film.links_objects
    assert film.spatial_axes == (1, 2)


@pytest.mark.parametrize(
    ("labels", "shape"),
    [
        (("z", "y", "x"), (3, 40, 36)),
        (("t", "y", "x"), (3, 40, 36)),
        (("t", "z", "y", "x"), (3, 5, 40, 36)),
        (("z", "y", "x"), (10, 40, 3)),
    ],
)
def test_axes_that_are_space_or_time_hold_no_channels(
    make_plan: Callable, labels: tuple[str, ...], shape: tuple[int, ...]
) -> None:
    plan = make_plan(("red", "green", "blue"), rgb=True)
    reading = read_layer(view(np.zeros(shape), axis_labels=labels), plan)
    assert reading.channel_axis is None
    assert reading.layout.labels_shape == shape
    assert why_not(reading, plan) is None
    by_unit = view(np.zeros((3, 40, 36)), units=("min", "um", "um"))
    assert read_layer(by_unit, plan).channel_axis is None
    assert read_layer(view(np.zeros((3, 40, 36))), plan).channel_axis == 0
    named = view(np.zeros((3, 3, 40, 36)), axis_labels=("z", "c", "y", "x"))
    assert read_layer(named, plan).channel_axis == 1


def test_sizes_in_one_unit() -> None:
    mixed = view(np.zeros((4, 8, 9)), scale=(0.002, 0.5, 0.25), units=("mm", "um", "um"))
    steps, unit = read_layer(mixed).steps
    assert (steps, unit) == (pytest.approx({0: 2, 1: 0.5, 2: 0.25}), "micrometer")
    corrected = read_layer(mixed, None, Correction("guess", (3.0, 0.5, 0.25), "millimeter"))
    assert corrected.steps == ({0: 3, 1: 0.5, 2: 0.25}, "millimeter")
    assert read_layer(view(np.zeros((4, 8, 9)))).steps == ({0: 1, 1: 1, 2: 1}, None)


def test_a_coarser_axis_is_noticed(make_plan: Callable) -> None:
    units = ("mm", "mm", "mm")
    viewer, layer = shown(np.zeros((6, 8, 9)), scale=(6, 1.3, 0.9), units=units)
    assert read_layer(view_of_layer(layer, viewer.dims)).coarser_axis is None
    viewer.dims.order = (1, 0, 2)
    assert read_layer(view_of_layer(layer, viewer.dims)).coarser_axis == 0
    assert read_layer(view(np.zeros((8, 9)), scale=(6, 1), units=("mm", "mm"))).coarser_axis is None


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
def test_size_of_a_pixel_of_a_sheared_layer(make_plan: Callable) -> None:
    affine = np.array([[2, 0.5, 0.3, 7], [0, 1.5, 0.4, 8], [0, 0, 0.5, 9], [0, 0, 0, 1]])
    this = view(np.zeros((4, 8, 9)), affine=affine, units=("mm",) * 3)
    reading = read_layer(this, make_plan())
    assert reading.pixel_size((0, 1, 2)) == pytest.approx(2 * 1.5 * 0.5)
    steps = np.linalg.norm(affine[:3, :3], axis=0)
    corrected = read_layer(this, None, Correction("guess", tuple(2 * steps), "micrometer"))
    assert corrected.pixel_size((0, 1, 2)) == pytest.approx(8 * 2 * 1.5 * 0.5)
    plain = read_layer(view(np.zeros((4, 8, 9)), scale=(3, 2, 1), units=("um",) * 3))
    assert plain.pixel_size((0, 1, 2)) == pytest.approx(6)
    assert plain.pixel_size((1, 2)) == pytest.approx(2)
    assert read_layer(view(np.zeros((4, 8, 9)))).pixel_size((0, 1, 2)) is None


@pytest.mark.parametrize(
    ("options", "enlarged"),
    [
        (SegmentOptions(), False),
        (SegmentOptions(object_diameter=40.0), False),
        (SegmentOptions(object_diameter=5.0), True),
        (SegmentOptions(resample=True), True),
    ],
)
def test_memory_is_that_of_slices_as_the_network_sees_them(
    make_plan: Callable, options: SegmentOptions, enlarged: bool
) -> None:
    sizes = {"object_diameter": 20.0, "spacing": (0.5, 0.5), "unit": "micrometer"}
    plan = make_plan(output="boundary", **sizes)
    this = view(np.zeros((3000, 2000), np.uint8), scale=(2, 2), units=("um", "um"))
    found = look_ahead(read_layer(this, plan), plan, options, free_memory=2_000_000_000)
    assert any("of memory" in finding.text for finding in found) == enlarged
