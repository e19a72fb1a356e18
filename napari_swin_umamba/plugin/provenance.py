"""What made a result, and where it was computed."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.reading import Reading
from napari_swin_umamba.plugin.words import axis_name, count

if TYPE_CHECKING:
    import torch

    from napari_swin_umamba.segmentation import Model

__all__ = [
    "Runtime",
    "describe_origin",
    "describe_run",
    "describe_runtime",
    "describe_settings",
]

_PACKAGES = ("napari", "torch", "numba", "numpy")


@dataclass(frozen=True)
class Runtime:
    """Where a run computes, in words."""

    text: str
    """Device and scan: ``Runs on: CPU, 2 threads · Numba scan``."""
    reason: str
    """Why this scan."""


def describe_origin(
    image: str, model: Model, model_path: Path, model_sha256: str
) -> dict[str, JsonValue]:
    """Return what all of a result layer comes from, as it keeps it in its metadata.

    Parameters
    ----------
    image
        Name of the image layer.
    model, model_path, model_sha256
        What segments, its file, and that file's hash.
    """
    return {
        "image": image,
        "model": model.name,
        "model_path": str(model_path),
        "model_sha256": model_sha256,
        "licence": model.info.licence,
        "architecture": model.plan.architecture,
        "classes": {str(item.id): item.name for item in model.plan.label_classes},
    }


def describe_run(
    options: SegmentOptions, reading: Reading, scope: str, device: str
) -> dict[str, JsonValue]:
    """Return how slices of a result layer were made: settings, versions, time.

    Parameters
    ----------
    options
        Settings of the run, for the model's plan.
    reading
        How the layer was read, corrections included.
    scope
        ``"all slices"``, ``"slice"`` or ``"region"``.
    device
        What computes.
    """
    from importlib.metadata import version

    from napari_swin_umamba import __version__

    return {
        "scope": scope,
        "settings": describe_settings(options, reading),
        "device": device,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "software": {
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
    }


def describe_settings(options: SegmentOptions, reading: Reading) -> dict[str, JsonValue]:
    """Return all that decides on the labels of a slice, beside the image and the model.

    Parameters
    ----------
    options
        For the model's plan.
    reading
        How the layer was read, corrections included.
    """
    return {
        "objects": options.objects,
        "overlap": options.overlap,
        "mirror": options.mirror,
        "precision": options.precision,
        "resample": options.resample,
        "object_diameter": options.object_diameter,
        "min_area": options.min_area,
        "edge_objects": options.edge_objects,
        "slices_along": [axis_name(reading, axis) for axis in reading.fixed_axes],
        "channel_axis": reading.channel_axis,
        "spacing": None if reading.spacing is None else list(reading.spacing),
        "unit": reading.unit,
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
    scan = {"numba": "Numba", "triton": "Triton", "mamba_ssm": "mamba-ssm", "torch": "plain torch"}
    kind = f"{scan.get(backend.name, backend.name)} scan"
    if not backend.compiled:
        kind += " (slow)"
    return Runtime(f"Runs on: {where} · {kind}", f"Scan: {backend.reason}")
