"""Which slices a preview that follows the slider leaves as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image

from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.job_messages import SegmentTask
from napari_swin_umamba.plugin.provenance import describe_settings
from napari_swin_umamba.plugin.reruns import may_write, newest_result, origin, run_of
from napari_swin_umamba.plugin.result_layer import label_dtype, place_result, slice_key

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["why_leave"]


def why_leave(
    viewer: ViewerModel, image: Image, task: SegmentTask, plan: Plan, instances: bool
) -> str | None:
    """Say why a preview that nobody clicked for must leave the slice as it is; None: it need not.

    Parameters
    ----------
    viewer, image, task
        What is to be previewed.
    plan, instances
        Of the model, and whether objects are numbered.

    Returns
    -------
    str or None
        Empty if the slice holds what the preview would show.
    """
    dtype, position = label_dtype(plan, instances), task.positions[0]
    place = place_result(task.reading, dtype, position=position, window=task.window)
    axes = task.layout.fixed_axes
    source = origin(str(image.unique_id), str(task.model_path), instances, axes)
    layer = newest_result(viewer.layers, place, source, dtype)
    if layer is None:
        return None
    key = place.only or slice_key(axes, position)
    if not may_write(layer, key, place.index(task.layout.target(position))):
        return "You changed this slice: it is left as it is."
    run = run_of(layer, key)
    if run is None or run["scope"] != "all slices":
        return None
    if run["settings"] == describe_settings(task.options.for_plan(plan), task.reading):
        return ""
    return (
        "This slice belongs to a run over all slices, with other settings: it is left as it is. "
        "Preview slice segments it anew."
    )
