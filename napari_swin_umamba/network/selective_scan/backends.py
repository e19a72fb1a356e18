"""Which implementation of the scan runs, and why."""

import functools
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import torch

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.network.selective_scan.obstacles import find_obstacle

ENVIRONMENT_VARIABLE = "SWIN_UMAMBA_SCAN_BACKEND"
BACKENDS = ("numba", "triton", "mamba_ssm", "torch", "reference")
LARGE_STEPS = 64 * 64
"""Pixels from which a scan without a kernel is slow enough to be worth a warning."""

_PREFERRED = {"cpu": ("numba",), "cuda": ("triton", "mamba_ssm")}
_REASONS = {
    "numba": "compiled CPU kernels",
    "triton": "compiled GPU kernels",
    "mamba_ssm": "CUDA kernels of mamba-ssm",
}
_WITHOUT_KERNEL = {
    "torch": "plain torch operations, slower than a kernel",
    "reference": "one step at a time, very slow, exact",
}

_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass(frozen=True)
class ScanBackend:
    """The implementation in use and the reason for the choice, in words for people."""

    name: str
    reason: str

    @property
    def compiled(self) -> bool:
        """Whether it is a kernel rather than a sequence of torch operations."""
        return self.name in _REASONS


@dataclass(frozen=True)
class BackendStatus:
    """Whether a backend can run, and what it is or why it cannot, in words for people."""

    name: str
    available: bool
    reason: str


def active_backend(device: torch.device | str = "cpu", requested: str | None = None) -> ScanBackend:
    """Tell which backend a scan on ``device`` uses.

    Parameters
    ----------
    device
        Where the tensors are.
    requested
        Name of a backend; None reads ``SWIN_UMAMBA_SCAN_BACKEND``, then chooses by device: the
        first kernel that works there, else plain torch operations.

    Raises
    ------
    InputError
        The backend asked for is unknown or cannot run on the device.
    """
    device = torch.device(device)
    asked_by = "the backend argument"
    if requested is None:
        requested = os.environ.get(ENVIRONMENT_VARIABLE) or None
        asked_by = ENVIRONMENT_VARIABLE
    if requested is not None:
        return _requested_backend(requested, asked_by, device)
    obstacles: list[str] = []
    for name in _PREFERRED.get(device.type, ()):
        obstacle = find_obstacle(name, device)
        if obstacle is None:
            passed_over = f" ({'; '.join(obstacles)})" if obstacles else ""
            return ScanBackend(name, _REASONS[name] + passed_over)
        obstacles.append(f"{name}: {obstacle}" if device.type == "cuda" else obstacle)
    why = "; ".join(obstacles) or f"there is no scan kernel for {device.type} devices"
    return ScanBackend("torch", why)


def backend_statuses(device: torch.device | str = "cpu") -> tuple[BackendStatus, ...]:
    """Tell of every backend whether it can run on ``device``, and if not, what is missing."""
    device = torch.device(device)
    statuses = []
    for name in BACKENDS:
        obstacle = find_obstacle(name, device)
        words = obstacle or _REASONS.get(name) or _WITHOUT_KERNEL[name]
        statuses.append(BackendStatus(name, obstacle is None, words))
    return tuple(statuses)


def _requested_backend(requested: str, asked_by: str, device: torch.device) -> ScanBackend:
    if requested not in BACKENDS:
        raise InputError(
            f"unknown scan backend {requested!r} (from {asked_by}): "
            f"choose one of {', '.join(BACKENDS)}"
        )
    obstacle = find_obstacle(requested, device)
    if obstacle is not None:
        raise InputError(
            f"scan backend {requested!r} (from {asked_by}) cannot be used: {obstacle}. "
            "Without that request, the fastest one that works here is taken"
        )
    return ScanBackend(requested, f"requested by {asked_by}")


def _constant(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Mark a function whose result torch.compile takes for a constant.

    As `torch.compiler.assume_constant_result` marks it, but that imports torch's compiler, which
    predictions do not need: a third of the time until the networks are imported.
    """
    function.__dict__["_dynamo_marked_constant"] = True
    return function


@_constant
def asks_for_backend(requested: str | None) -> bool:
    """Whether somebody named a backend, in the call or in the environment."""
    return requested is not None or bool(os.environ.get(ENVIRONMENT_VARIABLE))


@_constant
def resolve_backend(device: str, requested: str | None, steps: int) -> str:
    """Choose as :func:`active_backend` does; warn once where nobody asked for a slow choice.

    A compiled or exported network keeps the choice that was made while it was traced.
    """
    backend = active_backend(device, requested)
    if not backend.compiled and not asks_for_backend(requested) and steps >= LARGE_STEPS:
        _warn_slow(backend.reason)
    return backend.name


@functools.cache
def _warn_slow(reason: str) -> None:
    warnings.warn(
        f"the scan runs without a compiled kernel, which is slow: {reason}",
        RuntimeWarning,
        stacklevel=4,
    )
