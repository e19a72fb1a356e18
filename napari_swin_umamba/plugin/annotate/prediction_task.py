"""What is predicted of the image shown, and by which model file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.annotate.open_image import OpenImage
from napari_swin_umamba.plugin.job_messages import SegmentTask
from napari_swin_umamba.plugin.layer_view import view_of_layer
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.reading import read_layer, why_no_preview, why_not
from napari_swin_umamba.segmentation import read_model_header

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["class_ids", "prediction_task"]


def prediction_task(
    viewer: ViewerModel, image: OpenImage, model: Path, device: str, whole: bool
) -> tuple[SegmentTask, Plan]:
    """Describe a run of a model on an image: on its slices, however the viewer cuts through it.

    Parameters
    ----------
    viewer
        Where the image is shown.
    image
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
    layer, grid = image.image_layer, image.reference
    view = view_of_layer(layer, viewer.dims)
    slices = image.annotation.image_axes(grid.fixed_axes + grid.plane_axes)
    others = [axis for axis in range(len(view.shape)) if axis not in slices]
    reading = read_layer(replace(view, order=(*others, *slices)), plan)
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


def class_ids(model: Path, project_uid: str) -> dict[str, int]:
    """Which class of a project each value of a prediction is, by its id: names may change.

    Parameters
    ----------
    model
        File of the model.
    project_uid
        Of the project. A model of another one says nothing, nor does one that finds objects.

    Raises
    ------
    InputError
        The model cannot be read.
    """
    plan, _, info = read_model_header(model)
    ids = info.training.get("project_class_ids")
    if not project_uid or info.training.get("project") != project_uid or not isinstance(ids, list):
        return {}
    if plan.numbers_objects or plan.regions or len(ids) != plan.num_classes:
        return {}
    known = zip(plan.classes, ids, strict=True)
    return {str(item.id): number for item, number in known if item.id and isinstance(number, int)}
