"""Models and their files.

What only needs a file's header (:func:`read_model_header`, :func:`bundled_models`) works
without importing torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_swin_umamba.checkpoints.info import ModelInfo
from napari_swin_umamba.checkpoints.model import (
    Model,
    bundled_models,
    load_model,
    model_files,
    read_model_header,
)

if TYPE_CHECKING:
    from napari_swin_umamba.checkpoints.upstream import LoadReport, load_upstream_state_dict

__all__ = [
    "LoadReport",
    "Model",
    "ModelInfo",
    "bundled_models",
    "load_model",
    "load_upstream_state_dict",
    "model_files",
    "read_model_header",
]


def __getattr__(name: str) -> Any:
    if name in ("LoadReport", "load_upstream_state_dict"):
        from napari_swin_umamba.checkpoints import upstream

        return getattr(upstream, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
