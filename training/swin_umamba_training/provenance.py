"""What a run was made of: the data's hash, and the machine."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

import torch

from napari_swin_umamba.network.selective_scan import active_backend
from swin_umamba_training.dataset import Sample

__all__ = ["describe_environment", "hash_data"]

_PACKAGES = ("napari-swin-umamba", "torch", "lightning", "monai", "numpy", "numba", "scipy")


def hash_data(samples: Iterable[Sample]) -> str:
    """SHA-256 over names and contents of all images and masks, in the order of names.

    Parameters
    ----------
    samples
        Of the whole data set.
    """
    total = hashlib.sha256()
    for sample in sorted(samples, key=lambda item: item.name):
        total.update(sample.name.encode() + b"\0")
        for path in (sample.image, sample.mask):
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


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
