"""The convolutional decoder's own kernels compute what torch computes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from napari_swin_umamba.network.cpu import instance_norm, pointwise
from napari_swin_umamba.network.cpu.convolution import Source, convolve
from napari_swin_umamba.network.cpu.threads import ranges

CHANNELS = st.sampled_from([16, 32, 48, 96])
SIDE = st.integers(1, 21)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def channels_first(x: Tensor) -> Tensor:
    return x.permute(2, 0, 1)[None].double()


def deviation(ours: Tensor, truth: Tensor) -> float:
    """Root mean square of the difference, in standard deviations of the truth."""
    return float((channels_first(ours) - truth).square().mean().sqrt() / truth.std())


@settings(max_examples=25, deadline=None)
@given(height=SIDE, width=SIDE, first=CHANNELS, second=st.sampled_from([0, 16, 48]), out=CHANNELS)
def test_winograd_convolves(height: int, width: int, first: int, second: int, out: int) -> None:
    torch.manual_seed(height * 100 + width)
    maps = [torch.randn(height, width, c) for c in (first, second) if c]
    weight = torch.randn(out, first + second, 3, 3)

    y, moments = convolve([Source(x) for x in maps], weight)

    truth = functional.conv2d(channels_first(torch.cat(maps, -1)), weight.double(), padding=1)
    assert deviation(y, truth) < 5e-6
    np.testing.assert_allclose(moments, instance_norm.moments(y), rtol=1e-4, atol=1e-4)


def test_winograd_rounds_little() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(64, 64, 96), torch.randn(48, 96, 3, 3)
    truth = functional.conv2d(channels_first(x), weight.double(), padding=1)

    # oneDNN's direct convolution: 5e-7. The usual points of Winograd's: 1.9e-6.
    assert deviation(convolve([Source(x)], weight)[0], truth) < 1.3e-6


def test_what_is_read_is_normalised_and_activated_but_its_border_is_zero() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(13, 18, 16) * 3 + 5, torch.randn(16, 16, 3, 3)
    normed = functional.leaky_relu(functional.instance_norm(channels_first(x)), 0.01)

    y, _ = convolve([Source(x, instance_norm.moments(x), instance_norm.SLOPE)], weight)

    assert deviation(y, functional.conv2d(normed, weight.double(), padding=1)) < 1e-5


def test_not_a_number_stays_one() -> None:
    x = torch.zeros(8, 8, 16)
    x[2, 3, 4] = torch.nan

    y, _ = convolve([Source(x)], torch.ones(16, 16, 3, 3))

    assert torch.isnan(y[1:4, 2:5]).all()


@settings(max_examples=25, deadline=None)
@given(height=SIDE, width=st.integers(8, 40), first=CHANNELS, second=CHANNELS, out=CHANNELS)
def test_pointwise_convolves(height: int, width: int, first: int, second: int, out: int) -> None:
    torch.manual_seed(height * 100 + width)
    maps = [torch.randn(height, width, c) for c in (first, second)]
    weight = torch.randn(out, first + second, 1, 1)

    y = torch.empty(height, width, out)

    pointwise.convolve_into(y, maps, weight)

    truth = functional.conv2d(channels_first(torch.cat(maps, -1)), weight.double())
    assert deviation(y, truth) < 1e-5


@settings(max_examples=25, deadline=None)
@given(height=SIDE, width=st.integers(8, 40), channels=CHANNELS, out=CHANNELS)
def test_upsampling_is_a_transposed_convolution(
    height: int, width: int, channels: int, out: int
) -> None:
    torch.manual_seed(height * 100 + width)
    x, weight = torch.randn(height, width, channels), torch.randn(channels, out, 2, 2)

    y = pointwise.upsample(x, weight)

    truth = functional.conv_transpose2d(channels_first(x), weight.double(), stride=2)
    assert deviation(y, truth) < 1e-5


@pytest.mark.parametrize("shape", [(1, 3, 16), (7, 9, 48), (40, 20, 32)])
def test_norm_sum_and_activation_equal_torchs(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x, other = torch.randn(shape) * 3 + 5, torch.randn(shape)
    normed = [functional.instance_norm(channels_first(m)) for m in (x, other)]
    expected = functional.leaky_relu(normed[0] + normed[1], 0.01)

    instance_norm.add_and_activate_(
        x, instance_norm.moments(x), other, instance_norm.moments(other)
    )

    torch.testing.assert_close(channels_first(x), expected, rtol=1e-4, atol=1e-5)


def test_variance_survives_a_large_mean() -> None:
    torch.manual_seed(0)
    x = 1000 + torch.randn(64, 64, 16)

    moments = instance_norm.moments(x)

    expected = 1 / np.sqrt(x.double().var((0, 1), unbiased=False).numpy() + 1e-5)
    np.testing.assert_allclose(moments[16:], expected, rtol=1e-4)


def test_a_constant_channel_has_a_finite_scale() -> None:
    moments = instance_norm.moments(torch.full((8, 8, 16), 7.0))

    assert (moments[:16] == 7).all()
    np.testing.assert_allclose(moments[16:], 1e-5**-0.5, rtol=1e-5)


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_do_not_change_the_result(threads: int) -> None:
    torch.manual_seed(0)
    source, weight = Source(torch.randn(50, 60, 16)), torch.randn(48, 16, 3, 3)
    (expected, _), before = convolve([source], weight), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(convolve([source], weight)[0], expected)
    finally:
        torch.set_num_threads(before)


@given(count=st.integers(1, 500), per_thread=st.integers(1, 8))
def test_ranges_cover_all_once(count: int, per_thread: int) -> None:
    parts = [range(first, last) for first, last in ranges(count, per_thread)]

    assert all(parts)
    assert [i for part in parts for i in part] == list(range(count))
