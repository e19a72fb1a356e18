"""A quick look at whether the scan in use computes right on this machine."""

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_swin_umamba.network.selective_scan import reference
from napari_swin_umamba.network.selective_scan.backends import active_backend
from napari_swin_umamba.network.selective_scan.operator import selective_scan_2d

FORWARD_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4


@dataclass(frozen=True)
class SelfCheck:
    """Largest errors against float64, each relative to the largest true value."""

    backend: str
    forward_error: float
    gradient_error: float

    @property
    def passed(self) -> bool:
        """Whether both errors are within the tolerances that the test suite demands."""
        return self.forward_error <= FORWARD_TOLERANCE and self.gradient_error <= GRADIENT_TOLERANCE


def self_check(device: torch.device | str = "cpu") -> SelfCheck:
    """Scan a small random map forward and backward, and compare with the float64 reference.

    Parameters
    ----------
    device
        Where the scan runs; the reference runs on the CPU.
    """
    generator = torch.Generator().manual_seed(0)
    height, width, channels, rank, states = 9, 11, 24, 3, 16

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    inputs = (
        normal(2, height, width, channels),
        normal(2, height, width, 4 * (rank + 2 * states)),
        normal(4, channels, rank),
        normal(4, channels) - 2.0,
        -normal(4, channels, states).exp(),
        normal(4, channels),
    )
    grad_y = normal(2, height, width, channels)
    truth = reference.forward(*inputs)
    true_grads = reference.backward(grad_y, *inputs)

    own = [x.to(device, torch.float32).requires_grad_() for x in inputs]
    with torch.enable_grad():
        y = selective_scan_2d(own[0], own[1], own[2], own[3], own[4], own[5])
    grads = torch.autograd.grad(y, own, grad_y.to(device, torch.float32))
    return SelfCheck(
        backend=active_backend(device).name,
        forward_error=_error(y, truth),
        gradient_error=max(_error(g, t) for g, t in zip(grads, true_grads, strict=True)),
    )


def _error(result: Tensor, truth: Tensor) -> float:
    return float((result.detach().cpu().double() - truth).abs().max() / truth.abs().max())
