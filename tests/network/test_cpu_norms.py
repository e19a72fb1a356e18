"""Norms with what follows them: by kernels of ours, and by torch in double precision."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from napari_swin_umamba.network import norms
from napari_swin_umamba.network.cpu import norms as kernels
from napari_swin_umamba.network.ss2d import SS2D


def layer(channels: int) -> nn.LayerNorm:
    norm = nn.LayerNorm(channels)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def exactly(norm: nn.LayerNorm, x: torch.Tensor) -> torch.Tensor:
    weights = norm.weight.double(), norm.bias.double()
    return functional.layer_norm(x.double(), norm.normalized_shape, *weights, norm.eps)


@settings(max_examples=30, deadline=None)
@given(
    pixels=st.integers(1, 50),
    vectors=st.integers(1, 9),
    mean=st.sampled_from([0.0, 30.0, -1000.0]),
    seed=st.integers(0, 2**16),
)
@torch.inference_mode()
def test_gated_norms_of_all_sizes(pixels: int, vectors: int, mean: float, seed: int) -> None:
    torch.manual_seed(seed)
    norm, x = layer(16 * vectors), torch.randn(1, 1, pixels, 16 * vectors) + mean
    gate = 10 * torch.randn_like(x)
    expected = exactly(norm, x) * functional.silu(gate.double())
    # A large mean takes digits from every float32 computation: from ours no more than from torch's.
    error_of_torch = (norm(x) * functional.silu(gate) - expected).abs().max()

    result = kernels.gated_norm_(norm, x, gate)

    assert result is x
    error = (result.double() - expected).abs().max()
    assert error <= 4 * error_of_torch + 1e-5 * expected.abs().max()


@pytest.mark.parametrize(("classes", "bias"), [(1, True), (3, True), (16, False)])
@torch.inference_mode()
def test_logits_of_normalised_pixels(classes: int, bias: bool) -> None:
    torch.manual_seed(classes)
    norm, x = layer(48), torch.randn(2, 3, 7, 48) + 5
    head = nn.Conv2d(48, classes, 1, bias=bias)
    expected = exactly(norm, x) @ head.weight.flatten(1).double().T
    if head.bias is not None:
        expected = expected + head.bias.double()

    logits = kernels.classify(norm, head, x)

    assert logits.shape == (2, 3, 7, classes)
    torch.testing.assert_close(logits.double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("gate", [-200.0, 0.0, 200.0])
@torch.inference_mode()
def test_gates_far_from_zero(gate: float) -> None:
    norm, x = layer(16), torch.randn(1, 1, 3, 16)
    gates = torch.full_like(x, gate)
    expected = exactly(norm, x) * functional.silu(gates.double())

    torch.testing.assert_close(
        kernels.gated_norm_(norm, x, gates).double(), expected, rtol=1e-4, atol=1e-5
    )


def test_gradients_are_torchs_own() -> None:
    norm, x = layer(32), torch.randn(1, 64, 64, 32)
    gate = torch.randn_like(x)
    before = x.clone()

    gated = norms.gated_norm_(norm, x.requires_grad_(), gate)

    assert gated.requires_grad
    assert torch.equal(x, before)  # autograd still needs it


@pytest.mark.parametrize("size", [8, 64], ids=["torch", "kernels"])
def test_a_mixer_infers_what_it_computes_with_gradients(size: int) -> None:
    torch.manual_seed(0)
    mixer, x = SS2D(32), torch.randn(1, size, size, 32)
    expected = mixer(x).detach()

    with torch.inference_mode():
        result = mixer(x)

    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)
