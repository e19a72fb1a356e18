"""Residual blocks compute what MONAI's do, on our kernels and off them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from napari_swin_umamba.network.residual import ResidualBlock, UpBlock


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.mark.parametrize("channels", [3, 16, 48])
def test_blocks_equal_monais(channels: int) -> None:
    torch.manual_seed(0)
    block = ResidualBlock(channels, 48).to(memory_format=torch.channels_last)
    image = torch.randn(2, channels, 32, 48)
    fast = block(image)
    with torch.enable_grad():
        expected = block(image)

    torch.testing.assert_close(fast, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(16, 16), (64, 4), (32, 40)])
def test_up_blocks_equal_monais(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    block = UpBlock(96, 48)
    x, skip = torch.randn(2, 96, *size), torch.randn(2, 48, 2 * size[0], 2 * size[1])
    fast = block(x, skip)
    with torch.enable_grad():
        expected = block(x, skip)

    torch.testing.assert_close(fast, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_layouts_do_not_change_the_result(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    block, image = ResidualBlock(16, 48), torch.randn(2, 16, 33, 47)
    expected = block(image)

    y = block.to(memory_format=layout)(image.to(memory_format=layout))

    assert torch.equal(y, expected)


def test_inference_mode_changes_nothing() -> None:
    torch.manual_seed(0)
    block, x, skip = UpBlock(96, 48), torch.randn(1, 96, 16, 24), torch.randn(1, 48, 32, 48)
    expected = block(x, skip)
    with torch.inference_mode():
        assert torch.equal(block(x.clone(), skip.clone()), expected)


class TestTorchsOwnOperators:
    """Where the kernels must keep out."""

    @pytest.fixture
    def block(self) -> ResidualBlock:
        torch.manual_seed(0)
        return ResidualBlock(16, 32)

    @pytest.fixture
    def image(self) -> Tensor:
        torch.manual_seed(1)
        return torch.randn(1, 16, 32, 32)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
    def test_other_numbers(self, block: ResidualBlock, image: Tensor, dtype: torch.dtype) -> None:
        expected = block(image)

        y = block.to(dtype)(image.to(dtype))

        assert y.dtype == dtype
        tolerance = 0.1 if dtype == torch.bfloat16 else 1e-4
        torch.testing.assert_close(y.float(), expected, rtol=tolerance, atol=tolerance)

    def test_autocast(self, block: ResidualBlock, image: Tensor) -> None:
        expected = block(image)

        with torch.autocast("cpu", torch.bfloat16):
            y = block(image)

        torch.testing.assert_close(y.float(), expected, rtol=0.1, atol=0.1)
        assert not torch.equal(y.float(), expected)

    def test_first_and_second_gradients(self, block: ResidualBlock, image: Tensor) -> None:
        x = image.requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(block(x).square().sum(), x, create_graph=True)
            (second,) = torch.autograd.grad(gradient.square().sum(), x)

        assert gradient.abs().sum() > 0
        assert second.abs().sum() > 0

    def test_compilation_and_tracing(self, block: ResidualBlock, image: Tensor) -> None:
        other = torch.randn_like(image)
        expected = block(other)

        compiled = torch.compile(block, backend="aot_eager", fullgraph=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, about tracing
            traced = torch.jit.trace(block, image)

        torch.testing.assert_close(compiled(other), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(traced(other), expected, rtol=1e-4, atol=1e-4)
