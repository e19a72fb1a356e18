"""A training that goes on beside napari's window, for ``event_loop.py``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from event_loop_scenarios import Studio, nuclei

__all__ = ["training"]

SLICES, SIZE = 24, 256
PAINTED = (2, 4, 6, 12)


def training(studio: Studio) -> None:
    """A training of one minute on 24 x 256 x 256, live, while somebody paints and moves on."""
    from napari.utils._proxies import PublicOnlyProxy

    from napari_swin_umamba.plugin.annotate.annotate_widget import AnnotateWidget

    studio.viewer.layers.clear()
    widget = AnnotateWidget(PublicOnlyProxy(studio.viewer))
    dock = studio.viewer.window.add_dock_widget(widget, name="Annotate & train", area="right")
    widget.open_project(_make_project(studio.folder))
    studio.live(lambda: widget.opened.images.current != "")
    train, sections = widget.training.train, widget.training
    train.form.time.setCurrentIndex(train.form.time.findData(1))
    seen: dict[str, float] = {}
    ticks = iter(range(1_000_000))

    def act() -> None:
        tick = next(ticks)
        if tick % 10 < 5:
            studio.step()
        elif tick % 10 == 7:
            _paint(widget)

    with studio.recorder.on():
        begin = time.monotonic()
        sections.live.drawn.connect(
            lambda _: seen.setdefault("live prediction", time.monotonic() - begin)
        )
        studio.click(train.train_button)
        studio.live(lambda: not sections.watch.running, act)
        seen["judged"] = time.monotonic() - begin
        studio.live(lambda: not sections.volume.running, act)
        seen["predicted"] = time.monotonic() - begin
    print("from Train, s: " + ", ".join(f"{name} {value:.1f}" for name, value in seen.items()))
    trouble = sections.watch.trouble
    if trouble is not None:
        print(f"the training failed: {trouble.text}")
    widget.close_project()
    studio.viewer.window.remove_dock_widget(dock)


def _make_project(folder: Path) -> Path:
    from napari_swin_umamba.images import read_image
    from napari_swin_umamba.project import Project

    image = nuclei(SLICES, SIZE, 9)
    tifffile.imwrite(folder / "nuclei.tif", image, metadata={"axes": "ZYX"})
    project = Project.create(folder / "training", "semantic", ["nucleus"])
    added = project.add_image([folder / "nuclei.tif"], read_image(folder / "nuclei.tif"))
    for z in PAINTED:
        labels = np.zeros((SIZE, SIZE), np.uint8)
        labels[60:200:6] = np.where(image[z] > 40, 2, 1)[60:200:6]
        project.annotation(added.id).write((z,), labels)
    return project.folder


def _paint(widget: Any) -> None:
    """A stroke on the slice shown."""
    layer = widget.opened.annotation_layer()
    position = widget.opened.position()
    if layer is None or position is None:
        return
    layer.selected_label = 1
    with layer.block_history():
        for column in range(100, 160, 10):
            layer.paint((*position, 30, column), new_label=1)
