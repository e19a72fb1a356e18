"""Segment images: preprocessing, tiling, prediction, objects.

Importing this package does not import torch; the functions that need it do, when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_swin_umamba.checkpoints import (
    Model,
    ModelInfo,
    bundled_models,
    load_model,
    load_model_into,
    model_files,
    read_model_header,
)
from napari_swin_umamba.errors import Cancelled, InputError

if TYPE_CHECKING:
    from napari_swin_umamba.network.selective_scan import active_backend
    from napari_swin_umamba.segmentation.batch import BatchOptions, run_batch
    from napari_swin_umamba.segmentation.batch_planning import Batch, plan_batch
    from napari_swin_umamba.segmentation.batch_report import BatchSummary, FileReport
    from napari_swin_umamba.segmentation.device import resolve_device
    from napari_swin_umamba.segmentation.flicker import Flicker, measure_flicker
    from napari_swin_umamba.segmentation.instances import (
        instances_from_boundary,
        instances_from_distance,
        number_objects,
        output_probabilities,
    )
    from napari_swin_umamba.segmentation.linking import ObjectLinker
    from napari_swin_umamba.segmentation.measurement import measure_labels
    from napari_swin_umamba.segmentation.object_rules import ObjectRules
    from napari_swin_umamba.segmentation.plane import PlaneSegmenter
    from napari_swin_umamba.segmentation.precision import has_bf16
    from napari_swin_umamba.segmentation.prediction import predict_logits, predict_logits_of_many
    from napari_swin_umamba.segmentation.preprocessing import preprocess
    from napari_swin_umamba.segmentation.segmenter import Segmentation, segment
    from napari_swin_umamba.segmentation.table import Measurements

__all__ = [
    "Batch",
    "BatchOptions",
    "BatchSummary",
    "Cancelled",
    "FileReport",
    "Flicker",
    "InputError",
    "Measurements",
    "Model",
    "ModelInfo",
    "ObjectLinker",
    "ObjectRules",
    "PlaneSegmenter",
    "Segmentation",
    "active_backend",
    "bundled_models",
    "has_bf16",
    "instances_from_boundary",
    "instances_from_distance",
    "number_objects",
    "output_probabilities",
    "load_model",
    "load_model_into",
    "measure_flicker",
    "measure_labels",
    "model_files",
    "plan_batch",
    "predict_logits",
    "predict_logits_of_many",
    "preprocess",
    "read_model_header",
    "resolve_device",
    "run_batch",
    "segment",
]

_HOME = {
    "Batch": "batch_planning",
    "BatchOptions": "batch",
    "BatchSummary": "batch_report",
    "FileReport": "batch_report",
    "Flicker": "flicker",
    "Measurements": "table",
    "Segmentation": "segmenter",
    "has_bf16": "precision",
    "instances_from_boundary": "instances",
    "instances_from_distance": "instances",
    "number_objects": "instances",
    "output_probabilities": "instances",
    "measure_flicker": "flicker",
    "measure_labels": "measurement",
    "plan_batch": "batch_planning",
    "ObjectLinker": "linking",
    "ObjectRules": "object_rules",
    "PlaneSegmenter": "plane",
    "predict_logits": "prediction",
    "predict_logits_of_many": "prediction",
    "preprocess": "preprocessing",
    "resolve_device": "device",
    "run_batch": "batch",
    "segment": "segmenter",
}


def __getattr__(name: str) -> Any:
    if name == "active_backend":
        from napari_swin_umamba.network.selective_scan import active_backend

        return active_backend
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
