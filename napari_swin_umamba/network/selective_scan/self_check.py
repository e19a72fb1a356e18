"""A quick look at whether a backend computes right on this machine, and how fast."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from napari_swin_umamba.network.selective_scan import reference
from napari_swin_umamba.network.selective_scan.custom_op import scan_with

FORWARD_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4

_Sizes = tuple[int, int, int, int, int, int]  # batch, height, width, channels, rank, states
_SMALL: _Sizes = (1, 5, 7, 20, 3, 16)
_USUAL: _Sizes = (2, 9, 11, 24, 3, 16)
_STAGE: _Sizes = (1, 128, 128, 192, 6, 16)
"""The first stage of Swin-UMamba† on a 512 x 512 image, where most of the scan's time goes."""


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


@dataclass(frozen=True)
class ScanSpeed:
    """Milliseconds of one scan of the first stage of a 512 x 512 image, 192 channels."""

    forward_ms: float
    training_ms: float | None
    """Forward and backward; None where the time did not suffice."""


def check_backend(backend: str, device: torch.device, small: bool = False) -> SelfCheck:
    """Scan a small random map forward and backward, and compare with the float64 reference.

    Whether the backend may run there is not asked.

    Parameters
    ----------
    backend
        Name of the backend.
    device
        Where it runs; the reference runs on the CPU.
    small
        Take the smallest map that says something.
    """
    # The first scan may be one of a prediction: no gradients, other precision.
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast(device.type, enabled=False),
    ):
        inputs, grad_y = _draw(_SMALL if small else _USUAL, torch.float64)
        truth = reference.forward(*inputs)
        true_grads = reference.backward(grad_y, *inputs)
        own = [x.to(device, torch.float32).requires_grad_() for x in inputs]
        y = _scan(own, backend)
        grads = torch.autograd.grad(y, own, grad_y.to(device, torch.float32))
    return SelfCheck(
        backend=backend,
        forward_error=_error(y, truth),
        gradient_error=max(_error(g, t) for g, t in zip(grads, true_grads, strict=True)),
    )


def measure_speed(backend: str, device: torch.device, seconds: float = 8.0) -> ScanSpeed:
    """Time one backend on the largest map that a scan meets in a 512 x 512 image.

    Parameters
    ----------
    backend
        Name of the backend.
    device
        Where it runs.
    seconds
        About the time this may take; one run is made in any case.
    """
    inputs, grad_y = _draw(_STAGE, torch.float32)
    own = [x.to(device) for x in inputs]
    grad_y = grad_y.to(device)
    start = time.perf_counter()

    def forward() -> None:
        with torch.no_grad():
            _scan(own, backend)

    def training() -> None:
        leaves = [x.detach().requires_grad_() for x in own]
        with torch.enable_grad():
            torch.autograd.grad(_scan(leaves, backend), leaves, grad_y)

    forward_s = _best_of(forward, device, until=start + seconds / 3)
    spent = time.perf_counter() - start
    if spent + 8 * forward_s > seconds:  # forward and backward take at most about that long
        return ScanSpeed(1e3 * forward_s, None)
    return ScanSpeed(1e3 * forward_s, 1e3 * _best_of(training, device, until=start + seconds))


def _best_of(run, device: torch.device, until: float, repeats: int = 5) -> float:  # type: ignore[no-untyped-def]
    """Shortest of a few runs, the first of which counts only where there is no time for others."""
    best = float("inf")
    for turn in range(repeats + 1):
        start = time.perf_counter()
        run()
        if device.type in ("cuda", "mps"):
            getattr(torch, device.type).synchronize()
        now = time.perf_counter()
        best = now - start if turn == 1 else min(best, now - start)
        if now + best > until:
            break
    return best


def _scan(inputs: list[Tensor], backend: str) -> Tensor:
    u, x_dbl, dt_weight, dt_bias, A, D = inputs
    return scan_with(backend, u, x_dbl, dt_weight, dt_bias, A, D)


def _draw(sizes: _Sizes, dtype: torch.dtype) -> tuple[list[Tensor], Tensor]:
    """Random inputs of a scan on the CPU, and a gradient of its result."""
    batch, height, width, channels, rank, states = sizes
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    inputs = [
        normal(batch, height, width, channels),
        normal(batch, height, width, 4 * (rank + 2 * states)),
        normal(4, channels, rank) / rank**0.5,
        normal(4, channels) - 2.0,
        -normal(4, channels, states).exp(),
        normal(4, channels),
    ]
    return inputs, normal(batch, height, width, channels)


def _error(result: Tensor, truth: Tensor) -> float:
    return float((result.detach().cpu().double() - truth).abs().max() / truth.abs().max())
