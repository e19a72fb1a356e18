"""Channels are matched only where that cannot be wrong; intensities are put on one scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass
from napari_swin_umamba.segmentation import preprocess
from napari_swin_umamba.segmentation.preprocessing import select_channels

CLASSES = (SegmentationClass(id=0, name="background"), SegmentationClass(id=1, name="cell"))
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
RGB = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)


def make_plan(channels: int = 1, rgb: bool = False, **norm: object) -> Plan:
    normalization = Normalization.model_validate({"scheme": "none"} | norm)
    specs = tuple(Channel(name=f"c{i}", normalization=normalization) for i in range(channels))
    return Plan(architecture="net", channels=specs, rgb=rgb, classes=CLASSES, patch=(32, 32))


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(
        st.sampled_from(["?", "u1", "<u2", ">u2", "u4", "i4", ">i4", "u8", "f2", ">f4", "f8"]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=8),
    ),
    st.sampled_from(["zscore", "percentile", "rgb_to_01", "none"]),
)
def test_any_real_image_gives_finite_input(array: np.ndarray, scheme: str) -> None:
    if array.dtype.kind == "f":  # what is not finite is refused: see below
        array = np.nan_to_num(array, nan=0, posinf=1e4, neginf=-1e4).clip(-6e4, 6e4)
    before = array.copy()
    out = preprocess(array, "YX", make_plan(scheme=scheme))
    assert out.dtype == np.float32
    assert out.shape == (1, *array.shape)
    assert out.flags.c_contiguous
    assert np.isfinite(out).all()
    assert np.array_equal(array, before)
    assert not np.shares_memory(out, array)


# Channels.


def test_grey_is_repeated_for_an_rgb_model() -> None:
    out, notes = select_channels(GREY, "YX", make_plan(3, rgb=True))
    assert np.array_equal(out, np.stack([GREY] * 3))
    assert notes == ("grey image repeated into red, green and blue",)


def test_rgb_becomes_luminance_for_a_grey_model() -> None:
    out, notes = select_channels(RGB, "YXC", make_plan(1))
    np.testing.assert_allclose(out[0], RGB @ [0.2126, 0.7152, 0.0722], rtol=1e-5)
    assert notes == ("colours turned to grey (luminance)",)


@pytest.mark.parametrize("channels", [1, 3])
def test_alpha_is_dropped(channels: int) -> None:
    plan = make_plan(channels, rgb=channels == 3)
    out, notes = select_channels(np.dstack([RGB, GREY]), "YXC", plan)
    assert notes[0] == "transparency (alpha channel) ignored"
    assert np.array_equal(out, select_channels(RGB, "YXC", plan)[0])


def test_four_channels_for_a_four_channel_model_are_kept() -> None:
    out, notes = select_channels(np.dstack([RGB, GREY]), "YXC", make_plan(4))
    assert len(out) == 4
    assert not notes


def test_a_guess_is_told() -> None:
    notes = select_channels(RGB, None, make_plan(3))[1]
    assert notes == ("axes of shape (20, 30, 3) taken as YXC",)
    assert select_channels(GREY, None, make_plan(1))[1] == ()


@pytest.mark.parametrize(
    ("shape", "axes", "plan", "words"),
    [
        ((5, 8, 8), "CYX", make_plan(1), r"has 5 channels.*takes 1 \(c0\)"),
        ((5, 8, 8), None, make_plan(1), "say which axes"),
        ((8, 8, 5), "YXC", make_plan(3, rgb=True), "has 5 channels.*takes 3"),
        ((3, 8, 8), "CYX", make_plan(1), "has 3 channels.*axes YXC"),
        ((8, 8), "YX", make_plan(2), "has 1 channel .*takes 2"),
        ((8, 8), "YX", make_plan(3), "has 1 channel .*takes 3"),
        ((2, 8, 8), "CYX", make_plan(3, rgb=True), "has 2 channels"),
        ((4, 8, 8), "CYX", make_plan(3, rgb=True), "has 4 channels"),
        ((0, 8), "YX", make_plan(1), "empty"),
        ((0, 8, 8), "CYX", make_plan(1), "empty"),
    ],
)
def test_wrong_channels(shape: tuple[int, ...], axes: str | None, plan: Plan, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        preprocess(np.zeros(shape), axes, plan)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_values_that_are_not_finite(bad: float, dtype: str) -> None:
    array = np.ones((4, 5), dtype)
    array[1, 2] = bad
    with pytest.raises(InputError, match="1 of 20 values.*NaN or infinite"):
        preprocess(array, "YX", make_plan())


def test_opposite_infinities_do_not_cancel() -> None:
    with pytest.raises(InputError, match="2 of 3 values"):
        preprocess(np.array([[np.inf, -np.inf, 0]]), "YX", make_plan())


def test_values_beyond_float32() -> None:
    with pytest.raises(InputError, match="beyond the range of float32"):
        preprocess(np.array([[1e300, 0]]), "YX", make_plan())


def test_large_finite_values_are_fine() -> None:
    out = preprocess(np.full((4, 4), 3e38), "YX", make_plan(scheme="zscore"))
    assert np.array_equal(out, np.zeros((1, 4, 4)))


@pytest.mark.parametrize("dtype", [complex, object, "U3"])
def test_not_numbers(dtype: object) -> None:
    with pytest.raises(InputError, match="real numbers"):
        preprocess(np.zeros((4, 4), dtype), "YX", make_plan())


# Intensities.


def test_zscore() -> None:
    out = preprocess(GREY, "YX", make_plan(scheme="zscore"))
    np.testing.assert_allclose(out[0], (GREY - GREY.mean()) / GREY.std(), atol=1e-5)


@pytest.mark.parametrize("value", [0, 0.1, 1e-20, 7, 1e6, 1e30])
@pytest.mark.parametrize("scheme", ["zscore", "percentile"])
def test_a_constant_image_becomes_zeros(value: float, scheme: str) -> None:
    out = preprocess(np.full((50, 60), value), "YX", make_plan(scheme=scheme))
    assert np.array_equal(out, np.zeros((1, 50, 60)))


def test_percentile_ignores_outliers() -> None:
    image = RNG.normal(100, 10, (200, 200))
    speckled = image.copy()
    speckled[::50, ::50] = 1e6
    plan = make_plan(scheme="percentile")
    difference = preprocess(speckled, "YX", plan) - preprocess(image, "YX", plan)
    assert np.abs(np.delete(difference[0], np.s_[::50], axis=0)).max() < 0.05


def test_percentile_is_per_channel() -> None:
    image = np.stack([GREY, GREY * 3.0 + 5])
    out = preprocess(image, "CYX", make_plan(2, scheme="percentile"))
    np.testing.assert_allclose(out[0], out[1], atol=1e-5)


def test_a_few_bright_spots_on_black_are_not_clipped_away() -> None:
    image = np.zeros((100, 100))
    image[3, 4] = 1000
    out = preprocess(image, "YX", make_plan(scheme="percentile"))
    assert out[0, 3, 4] > 10


def test_ct() -> None:
    plan = make_plan(scheme="ct", lower=-100, upper=200, mean=50, std=25)
    out = preprocess(np.array([[-1000, 50, 75, 4000]], np.int16), "YX", plan)
    np.testing.assert_allclose(out[0, 0], [-6, 0, 1, 6])


def test_rgb_to_01_and_none() -> None:
    np.testing.assert_allclose(
        preprocess(GREY, "YX", make_plan(scheme="rgb_to_01"))[0], GREY / 255, rtol=1e-6
    )
    assert np.array_equal(preprocess(GREY, "YX", make_plan())[0], GREY)
