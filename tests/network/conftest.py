"""Reproducible weights and images, the same values that the golden outputs were made with."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


def seeded_array(name: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Values that depend on the tensor's name and shape alone, and keep activations near 1."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()) + seed))
    noise = rng.standard_normal(shape)
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "A_logs":
        value = np.log(np.arange(1, shape[-1] + 1)) + 0.2 * noise
    elif leaf == "Ds":
        value = 1 + 0.2 * noise
    elif leaf == "dt_projs_bias":
        dt = np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), shape))
        value = dt + np.log(-np.expm1(-dt))
    elif leaf == "dt_projs_weight":
        value = noise * 0.5 / np.sqrt(shape[-1])
    elif leaf == "x_proj_weight":
        value = noise / np.sqrt(shape[-1])
    elif leaf == "weight" and len(shape) == 1:
        value = 1 + 0.1 * noise
    elif leaf == "bias":
        value = 0.1 * noise
    else:
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else shape[0]
        value = noise / np.sqrt(max(fan_in, 1))
    return value.astype(np.float32)


@pytest.fixture
def seeded_image() -> Callable[..., Tensor]:
    """Return a function of shape and seed that draws a standard normal image."""

    def draw(shape: tuple[int, ...], seed: int = 0) -> Tensor:
        rng = np.random.Generator(np.random.PCG64(seed))
        return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))

    return draw


@pytest.fixture
def seeded_state_dict() -> Callable[..., dict[str, Tensor]]:
    """Return a function that draws a state dict for a network."""

    def draw(network: nn.Module, seed: int = 0) -> dict[str, Tensor]:
        return {
            name: torch.from_numpy(seeded_array(name, tuple(tensor.shape), seed))
            for name, tensor in network.state_dict().items()
        }

    return draw


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of outputs that the official code computed."""
    return GOLDEN
