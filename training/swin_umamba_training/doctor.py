"""What this machine computes with, and whether it computes right."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from napari_swin_umamba.network import warm_up
from napari_swin_umamba.network.selective_scan import (
    BackendStatus,
    ScanSpeed,
    SelfCheck,
    active_backend,
    backend_statuses,
    check_backend,
    measure_speed,
)
from napari_swin_umamba.segmentation import has_bf16, resolve_device

__all__ = ["Report", "examine"]

_PACKAGES = (
    *("napari-swin-umamba", "torch", "numba", "triton", "mamba-ssm", "numpy", "lightning"),
    *("monai", "scikit-image", "napari"),
)
_BF16 = "available (segment --precision bf16, train --set precision.format=bf16)"


@dataclass(frozen=True)
class Report:
    """Findings of :func:`examine`."""

    device: str
    device_reason: str
    backend: str
    backend_reason: str
    threads: int
    """That torch and the scan use on the CPU."""
    bf16: bool
    """Whether the device computes in bfloat16 by itself."""
    backends: tuple[BackendStatus, ...]
    """All of them, and why those cannot run that cannot."""
    check: SelfCheck
    """Errors of the scan against float64."""
    speed: ScanSpeed
    versions: dict[str, str]

    @property
    def healthy(self) -> bool:
        """Whether the scan's results are right."""
        return self.check.passed

    def rows(self) -> list[tuple[str, str]]:
        """Label and text of every finding, for a table."""
        findings = (
            f"{'passed' if self.healthy else 'FAILED'}: error {self.check.forward_error:.1e} "
            f"forward, {self.check.gradient_error:.1e} of gradients, against float64"
        )
        return [
            ("device", _with_reason(self.device, self.device_reason)),
            ("scan", _with_reason(self.backend, self.backend_reason)),
            *((f"  {status.name}", _status(status)) for status in self.backends),
            ("threads", str(self.threads)),
            ("bfloat16", _BF16 if self.bf16 else "not available (no instructions for it)"),
            ("self-check", findings),
            ("speed", _speed(self.speed)),
            *self.versions.items(),
        ]

    def to_dict(self) -> dict[str, Any]:
        """All findings, for programs."""
        return {**asdict(self), "healthy": self.healthy}


def examine(device: str = "auto") -> Report:
    """Look at this machine, compile the kernels, check them against the reference and time them.

    Beside the first compilation it takes about ten seconds at most.

    Parameters
    ----------
    device
        As in ``swin-umamba segment``.

    Raises
    ------
    InputError
        The device is not there, or the scan backend asked for cannot run on it.
    """
    chosen, reason = resolve_device(device)
    backend = active_backend(chosen)
    if backend.name == "numba":
        warm_up()
    return Report(
        device=str(chosen),
        device_reason=reason or "",
        backend=backend.name,
        backend_reason=backend.reason,
        backends=backend_statuses(chosen),
        threads=torch.get_num_threads(),
        bf16=has_bf16(chosen),
        check=check_backend(backend.name, chosen),
        speed=measure_speed(backend.name, chosen),
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"
    versions = {"python": platform.python_version(), "system": system}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _status(status: BackendStatus) -> str:
    return _with_reason("available" if status.available else "not available", status.reason)


def _speed(speed: ScanSpeed) -> str:
    words = f"{speed.forward_ms:.3g} ms forward"
    if speed.training_ms is not None:
        words += f", {speed.training_ms:.3g} ms with gradients"
    return f"{words}, for the largest scan of a 512 x 512 image in swin-umamba-d"


def _with_reason(name: str, reason: str) -> str:
    return f"{name} ({reason})" if reason else name
