"""Models and their files.

What only needs a file's header (:func:`read_model_header`, :func:`bundled_models`) works
without importing torch, and so does :func:`fetch_weights` for a file whose hash is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_swin_umamba.checkpoints.fetching import LocalWeights, fetch_weights, import_weights
from napari_swin_umamba.checkpoints.info import ModelInfo
from napari_swin_umamba.checkpoints.model import (
    Model,
    bundled_models,
    load_model,
    load_model_into,
    model_files,
    read_model_header,
)

if TYPE_CHECKING:
    from napari_swin_umamba.checkpoints.imagenet import load_imagenet
    from napari_swin_umamba.checkpoints.upstream import LoadReport, load_upstream_state_dict

__all__ = [
    "LoadReport",
    "LocalWeights",
    "Model",
    "ModelInfo",
    "bundled_models",
    "fetch_weights",
    "import_weights",
    "load_imagenet",
    "load_model",
    "load_model_into",
    "load_upstream_state_dict",
    "model_files",
    "read_model_header",
]


def __getattr__(name: str) -> Any:
    if name == "load_imagenet":
        from napari_swin_umamba.checkpoints.imagenet import load_imagenet

        return load_imagenet
    if name in ("LoadReport", "load_upstream_state_dict"):
        from napari_swin_umamba.checkpoints import upstream

        return getattr(upstream, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
