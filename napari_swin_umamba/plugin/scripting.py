"""What the dock does, for scripts and napari's console: it waits for the end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.job import run_segmentation
from napari_swin_umamba.plugin.job_messages import (
    AskBeside,
    Begun,
    Checked,
    SegmentedSlice,
    SegmentTask,
    TakeOut,
)
from napari_swin_umamba.plugin.layer_view import Window, view_of_layer
from napari_swin_umamba.plugin.loaded_model import LoadedModel
from napari_swin_umamba.plugin.model_list import read_choice
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.reading import Correction, read_layer, why_no_preview, why_not
from napari_swin_umamba.plugin.results import ResultWriter
from napari_swin_umamba.plugin.slice_cache import SliceCache
from napari_swin_umamba.plugin.worker import Channel
from napari_swin_umamba.segmentation import bundled_models

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["segment_layer"]


def segment_layer(
    viewer: ViewerModel,
    layer: Image,
    model: str | os.PathLike[str] = "nuclei",
    options: SegmentOptions | None = None,
    *,
    shown_only: bool = False,
    window: Window | None = None,
    correction: Correction | None = None,
) -> Labels:
    """Segment an image layer and add or update its Labels layer.

    Slices follow the axis that the viewer's slider follows (``viewer.dims.order``).

    Parameters
    ----------
    viewer
        Where `layer` is.
    layer
        The image.
    model
        Name of a bundled model, a ``.safetensors`` file, or a folder or ``.pth`` file of nnU-Net.
    options
        As in the dock; by default those of :func:`napari_swin_umamba.segment`.
    shown_only
        Only the slice that the viewer shows.
    window
        First and behind-the-last row and column of a part of the slice shown; it gets a layer of
        its own.
    correction
        What the layer's data says wrongly: channel axis, pixel size.

    Returns
    -------
    Labels
        Named ``IMAGE – MODEL``. A result of an earlier run is replaced only if nobody changed it.

    Raises
    ------
    InputError
        The image or the model cannot be used; the message says what to change.
    """
    path = bundled_models().get(os.fspath(model)) or Path(model).resolve()
    choice = read_choice(path)
    if choice.plan is None:
        raise InputError(choice.problem)
    options = options or SegmentOptions()
    reading = read_layer(view_of_layer(layer, viewer.dims), choice.plan, correction)
    one = shown_only or window is not None
    problem = why_not(reading, choice.plan) or (why_no_preview(reading) if one else None)
    if problem is not None:
        raise InputError(problem)
    task = SegmentTask(
        data=layer.data[0] if layer.multiscale else layer.data,
        reading=reading,
        model_path=path,
        positions=(reading.position,) if one else tuple(reading.layout.positions()),
        options=options,
        window=window,
    )
    channel = _Direct(lambda begun: ResultWriter(viewer, layer, task, begun))
    finished = False
    try:
        run_segmentation(task, LoadedModel(), SliceCache(), channel)
        finished = True
    finally:
        if channel.writer is not None:
            channel.writer.close(finished)
    assert channel.writer is not None
    channel.writer.redraw(now=True)
    return channel.writer.layer


class _Direct(Channel):
    """Writes each slice as it comes, in the thread that computes it: the window's."""

    def __init__(self, make_writer: Callable[[Begun], ResultWriter]) -> None:
        super().__init__()
        self._make_writer = make_writer
        self._begun: Begun | None = None
        self.writer: ResultWriter | None = None

    def deliver(self, result: Any) -> None:
        """Show a slice."""
        if isinstance(result, Begun):
            self._begun = result
        elif isinstance(result, TakeOut):
            result.reply(self._made().taken)
        elif isinstance(result, AskBeside):
            result.reply(self._made().beside())
        elif isinstance(result, Checked):
            self._made().settle(result.untouched)
        elif isinstance(result, SegmentedSlice):
            self._made().write(result)

    def _made(self) -> ResultWriter:
        assert self._begun is not None
        self.writer = self.writer or self._make_writer(self._begun)
        return self.writer
