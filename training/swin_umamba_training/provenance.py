"""What a run was made on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from napari_swin_umamba.network.selective_scan import active_backend

__all__ = ["describe_environment"]

_PACKAGES = ("napari-swin-umamba", "torch", "lightning", "monai", "numpy", "numba", "scipy")


def describe_environment(device: torch.device, number_format: str) -> dict[str, str]:
    """Device, number format, scan, computer and versions, for people.

    Parameters
    ----------
    device
        Where the network is trained.
    number_format
        ``fp32``, ``bf16`` or ``fp16``.
    """
    name = str(device)
    if device.type == "cuda":
        name += f" ({torch.cuda.get_device_name(device)})"
    found = {
        "device": name,
        "precision": f"{number_format}, scan fp32",
        "scan": active_backend(device).name,
        "threads": str(torch.get_num_threads()),
        "computer": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        "python": platform.python_version(),
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
