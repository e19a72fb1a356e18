"""What is predicted of the image shown, and by which model file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.job_messages import SegmentTask
from napari_swin_umamba.plugin.layer_view import view_of_layer
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.reading import read_layer, why_no_preview, why_not
from napari_swin_umamba.segmentation import read_model_header

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["prediction_task"]


def prediction_task(
    viewer: ViewerModel, layer: Image, model: Path, device: str, whole: bool
) -> tuple[SegmentTask, Plan]:
    """Describe a run of a model on an image layer.

    Parameters
    ----------
    viewer
        Where the layer is shown.
    layer
        The image.
    model
        File of the model.
    device
        Where to compute.
    whole
        All slices; otherwise the one shown.

    Raises
    ------
    InputError
        The model cannot be read, or does not take the image.
    """
    plan, _, _ = read_model_header(model)
    reading = read_layer(view_of_layer(layer, viewer.dims), plan)
    problem = why_not(reading, plan) or (None if whole else why_no_preview(reading))
    if problem is not None:
        raise InputError(problem)
    one = not whole or not reading.has_slices
    task = SegmentTask(
        data=layer.data[0] if layer.multiscale else layer.data,
        reading=reading,
        model_path=model,
        positions=(reading.position,) if one else tuple(reading.layout.positions()),
        options=SegmentOptions(device=device, objects=plan.numbers_objects),
    )
    return task, plan
