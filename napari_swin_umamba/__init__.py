"""Swin-UMamba segmentation: run a model from Python, from the command line or in napari.

>>> from napari_swin_umamba import load_model, segment
>>> result = segment(image, load_model("nuclei"))
>>> result.labels

Nothing heavy is imported until it is used: torch takes half a second to import, and napari
loads this package at start-up.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_swin_umamba.checkpoints import Model, load_model
    from napari_swin_umamba.errors import Cancelled, InputError
    from napari_swin_umamba.segmentation import Segmentation, segment

__all__ = [
    "Cancelled",
    "InputError",
    "Model",
    "Segmentation",
    "__version__",
    "load_model",
    "segment",
]

try:
    __version__ = version("napari-swin-umamba")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

_HOME = {
    "Cancelled": "errors",
    "InputError": "errors",
    "Model": "checkpoints",
    "load_model": "checkpoints",
    "Segmentation": "segmentation",
    "segment": "segmentation",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
