"""Which implementation of the scan runs, and why."""

import functools
import importlib.util
import os
import sys
import warnings
from dataclasses import dataclass

import torch

from napari_swin_umamba.errors import InputError

ENVIRONMENT_VARIABLE = "SWIN_UMAMBA_SCAN_BACKEND"
BACKENDS = ("reference", "numba")
LARGE_STEPS = 64 * 64
"""Pixels from which the sequential reference is slow enough to be worth a warning."""


@dataclass(frozen=True)
class ScanBackend:
    """The implementation in use and the reason for the choice, in words for people."""

    name: str
    reason: str


def active_backend(device: torch.device | str = "cpu", requested: str | None = None) -> ScanBackend:
    """Tell which backend a scan on ``device`` uses.

    Parameters
    ----------
    device
        Where the tensors are.
    requested
        Name of a backend; None reads ``SWIN_UMAMBA_SCAN_BACKEND``, then chooses by device.

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
    if device.type != "cpu":
        return ScanBackend("reference", f"no fast scan kernel for {device.type} devices yet")
    if not _has_numba():
        return ScanBackend("reference", "Numba is not installed: pip install numba")
    return ScanBackend("numba", "compiled CPU kernels")


def _requested_backend(requested: str, asked_by: str, device: torch.device) -> ScanBackend:
    if requested not in BACKENDS:
        raise InputError(
            f"unknown scan backend {requested!r} (from {asked_by}): "
            f"choose one of {', '.join(BACKENDS)}"
        )
    if requested == "numba" and device.type != "cpu":
        raise InputError(
            f"scan backend 'numba' (from {asked_by}) runs on the CPU, not on {device.type}: "
            "unset it, or choose the CPU (--device cpu)"
        )
    if requested == "numba" and not _has_numba():
        raise InputError(f"scan backend 'numba' (from {asked_by}) needs Numba: pip install numba")
    return ScanBackend(requested, f"requested by {asked_by}")


def resolve_backend(device: torch.device, requested: str | None, steps: int) -> ScanBackend:
    """Choose as :func:`active_backend` does; warn once where nobody asked for a slow choice."""
    backend = active_backend(device, requested)
    unasked = requested is None and not os.environ.get(ENVIRONMENT_VARIABLE)
    if backend.name == "reference" and unasked and steps >= LARGE_STEPS:
        _warn_slow(backend.reason)
    return backend


def _has_numba() -> bool:
    return "numba" in sys.modules or importlib.util.find_spec("numba") is not None


@functools.cache
def _warn_slow(reason: str) -> None:
    warnings.warn(
        f"the scan runs in its slow reference form: {reason}", RuntimeWarning, stacklevel=4
    )
