"""What made a result, and where it was computed."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.words import count

if TYPE_CHECKING:
    import torch

    from napari_swin_umamba.segmentation import Model

__all__ = ["Runtime", "describe_origin", "describe_runtime"]

_PACKAGES = ("napari", "torch", "numba", "numpy")


@dataclass(frozen=True)
class Runtime:
    """Where a run computes, in words."""

    text: str
    """Device and scan: ``Runs on: CPU, 2 threads · Numba scan``."""
    reason: str
    """Why this scan."""


def describe_origin(
    image: str,
    model: Model,
    model_path: Path,
    model_sha256: str,
    options: SegmentOptions,
    device: str,
) -> dict[str, JsonValue]:
    """Return model, settings and versions, as a result layer keeps them in its metadata.

    Parameters
    ----------
    image
        Name of the image layer.
    model, model_path, model_sha256
        What segments, its file, and that file's hash.
    options
        Settings of the run.
    device
        What computes.
    """
    from importlib.metadata import version

    from napari_swin_umamba import __version__

    return {
        "image": image,
        "model": model.name,
        "model_path": str(model_path),
        "model_sha256": model_sha256,
        "licence": model.info.licence,
        "architecture": model.plan.architecture,
        "classes": {str(item.id): item.name for item in model.plan.label_classes},
        "settings": {
            "objects": options.objects,
            "overlap": options.overlap,
            "mirror": options.mirror,
            "resample": options.resample,
            "device": device,
        },
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "software": {
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
    }


def describe_runtime(device: torch.device) -> Runtime:
    """Say where the network runs."""
    import torch

    from napari_swin_umamba.segmentation import active_backend

    if device.type == "cpu":
        where = f"CPU, {count(torch.get_num_threads(), 'thread')}"
    elif device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    else:
        where = "Apple GPU"
    backend = active_backend(device)
    scan = {"numba": "Numba", "triton": "Triton", "mamba_ssm": "mamba-ssm"}.get(backend.name)
    kind = f"{scan} scan" if scan else f"{backend.name} scan (slow)"
    return Runtime(f"Runs on: {where} · {kind}", f"Scan: {backend.reason}")
