"""What the Triton kernels around the scan must do; run like triton_cases.py."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_swin_umamba.network import build_network
from napari_swin_umamba.network.gpu import norms
from napari_swin_umamba.network.selective_scan import obstacles
from napari_swin_umamba.network.selective_scan.backends import ENVIRONMENT_VARIABLE

DEVICE = "cpu" if obstacles.interprets_triton() else "cuda"
CHANNELS = [1, 5, 96, 200] if DEVICE == "cpu" else [1, 5, 96, 192, 384, 768, 1536, 3072]


def layer(channels: int) -> nn.LayerNorm:
    norm = nn.LayerNorm(channels, device=DEVICE)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def features(channels: int, dtype: torch.dtype) -> torch.Tensor:
    torch.manual_seed(channels)
    # Far from zero: sums of squares without the mean taken off would lose all digits.
    return (torch.randn(2, 3, 5, channels, device=DEVICE) + 30).to(dtype)


def exactly(norm: nn.LayerNorm, x: torch.Tensor) -> torch.Tensor:
    weights = norm.weight.double(), norm.bias.double()
    return functional.layer_norm(x.double(), norm.normalized_shape, *weights, norm.eps)


@torch.inference_mode()
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norms_with_and_without_gate(channels: int, dtype: torch.dtype) -> None:
    norm, x = layer(channels), features(channels, dtype)
    gate = torch.randn(x.shape, device=DEVICE).to(dtype)
    expected = exactly(norm, x)
    error = 2e-4 if dtype == torch.float32 else 2e-2
    tolerance = {"rtol": error, "atol": error}

    torch.testing.assert_close(norms.layer_norm(norm, x, dtype).double(), expected, **tolerance)
    gated = norms.gated_norm(norm, x.float(), gate)
    assert gated.dtype == dtype
    torch.testing.assert_close(
        gated.double(), expected * functional.silu(gate.double()), **tolerance
    )


@torch.inference_mode()
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("classes", [1, 3])
def test_norm_and_head(channels: int, classes: int) -> None:
    norm, x = layer(channels), features(channels, torch.float32)
    head = nn.Conv2d(channels, classes, 1, device=DEVICE)
    expected = exactly(norm, x) @ head.weight.flatten(1).double().T + head.bias.double()

    logits = norms.classify(norm, head, x).double()

    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=5e-4)


@torch.inference_mode()
def test_an_empty_batch_gives_an_empty_result() -> None:
    norm = layer(4)
    assert norms.layer_norm(norm, features(4, torch.float32)[:0], torch.float32).shape[0] == 0


def test_a_network_infers_what_it_computes_with_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, "triton")
    torch.manual_seed(0)
    network = build_network("swin-umamba-d-tiny", 3, 2).eval().to(DEVICE)
    image = torch.randn(1, 3, 32, 32, device=DEVICE)
    expected = network(image).detach()
    with torch.inference_mode():
        result = network(image)

    assert (result - expected).abs().max() <= 1e-4 * expected.abs().max()
