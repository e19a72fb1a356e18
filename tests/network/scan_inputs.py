"""Inputs of scans whose truth is known, and the definition of their error."""

from __future__ import annotations

import math

import torch
from torch import Tensor

NAMES = ("u", "x_dbl", "dt_weight", "dt_bias", "A", "D")


def draw_inputs(
    height: int,
    width: int,
    batch: int = 1,
    channels: int = 5,
    rank: int = 3,
    states: int = 16,
    seed: int = 0,
) -> list[Tensor]:
    """Float64 inputs that float32 holds exactly, so that only the scan's own error is seen."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    inputs = [
        normal(batch, height, width, channels),
        normal(batch, height, width, 4 * (rank + 2 * states)),
        normal(4, channels, rank) / rank**0.5,
        normal(4, channels) - 2,
        -torch.exp(0.2 * normal(4, channels, states)) * torch.arange(1, states + 1),
        normal(4, channels),
    ]
    return [x.double() for x in inputs]


def with_time_steps(inputs: list[Tensor], delta: Tensor) -> list[Tensor]:
    """Make every element's time step what ``delta``, ``(B, H, W, 4, D)``, says."""
    u, x_dbl, dt_weight, dt_bias, A, D = inputs
    channels, rank, states = u.shape[-1], dt_weight.shape[-1], A.shape[-1]
    rest = x_dbl.unflatten(-1, (4, rank + 2 * states))[..., rank:]
    before_softplus = delta + torch.log(-torch.expm1(-delta))
    x_dbl = torch.cat([before_softplus, rest], dim=-1).flatten(3).float().double()
    identity = torch.eye(channels, dtype=torch.float64).expand(4, -1, -1)
    return [u, x_dbl, identity, torch.zeros_like(dt_bias), A, D]


def relative_error(result: Tensor, truth: Tensor) -> float:
    scale = truth.abs().max().item() or 1.0
    return (result.double() - truth).abs().max().item() / scale


def spread_time_steps(inputs: list[Tensor]) -> list[Tensor]:
    """Give every element a time step of its own, log-uniform in [1e-6, 20]."""
    shape = (*inputs[0].shape[:3], 4, inputs[0].shape[3])
    uniform = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    low, high = math.log(1e-6), math.log(20)
    return with_time_steps(inputs, torch.exp(low + (high - low) * uniform))
