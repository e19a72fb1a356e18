"""Reproducible weights and images, the same values that the golden outputs were made with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


@pytest.fixture
def seeded_image() -> Callable[..., Tensor]:
    """Return a function of shape and seed that draws a standard normal image."""

    def draw(shape: tuple[int, ...], seed: int = 0) -> Tensor:
        rng = np.random.Generator(np.random.PCG64(seed))
        return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))

    return draw


@pytest.fixture
def seeded_state_dict(
    seeded_array: Callable[..., np.ndarray],
) -> Callable[..., dict[str, Tensor]]:
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
