"""What this machine computes with, and whether it computes right."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from napari_swin_umamba.network import warm_up
from napari_swin_umamba.network.selective_scan import SelfCheck, active_backend, self_check
from napari_swin_umamba.segmentation import resolve_device

__all__ = ["Report", "examine"]

_PACKAGES = (
    *("napari-swin-umamba", "torch", "numba", "numpy", "lightning", "monai"),
    *("scikit-image", "napari"),
)


@dataclass(frozen=True)
class Report:
    """Findings of :func:`examine`."""

    device: str
    device_reason: str
    backend: str
    backend_reason: str
    threads: int
    """That torch and the scan use on the CPU."""
    check: SelfCheck
    """Errors of the scan against float64."""
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
            ("threads", str(self.threads)),
            ("self-check", findings),
            *self.versions.items(),
        ]

    def to_dict(self) -> dict[str, Any]:
        """All findings, for programs."""
        return {**asdict(self), "healthy": self.healthy}


def examine(device: str = "auto") -> Report:
    """Look at this machine, compile the kernels and check them against the reference.

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
        threads=torch.get_num_threads(),
        check=self_check(chosen),
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


def _with_reason(name: str, reason: str) -> str:
    return f"{name} ({reason})" if reason else name
