"""A training that goes on beside napari's window, for ``event_loop.py``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from event_loop_brush import Brush
from event_loop_project import make_project
from event_loop_scenarios import Studio

__all__ = ["brush_beside_training", "training"]

BRUSH_SECONDS = 15


def training(studio: Studio) -> None:
    """A training of one minute on 24 x 256 x 256, live, while somebody paints and moves on."""
    with _dock(studio) as widget:
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
        for name, seconds in seen.items():
            studio.recorder.notes[f"from Train to {name}, s"] = seconds
        trouble = sections.watch.trouble
        if trouble is not None:
            print(f"the training failed: {trouble.text}")


def brush_beside_training(studio: Studio) -> None:
    """The brush is drawn over 256 x 256, by the mouse, while a project is trained, live."""
    with _dock(studio) as widget:
        train, sections = widget.training.train, widget.training
        brush = Brush(studio, widget.opened.annotation_layer())
        brush.draw(2)  # textures and caches
        alone = brush.draw(BRUSH_SECONDS)
        train.form.time.setCurrentIndex(train.form.time.findData(5))
        drawn: list[int] = []
        sections.live.drawn.connect(drawn.append)
        studio.click(train.train_button)
        studio.live(lambda: len(drawn) > 1)
        drawn.clear()
        with studio.recorder.on():
            beside = brush.draw(BRUSH_SECONDS)
        predictions = len(drawn)
        brush.put_away()
        train.progress.stop_button.click()
        studio.live(lambda: not sections.watch.running and not sections.volume.running)
    for name, frames in (("alone", alone), ("beside a training", beside)):
        studio.recorder.notes[f"frames {name}, ms: median"] = 1000 * statistics.median(frames)
        studio.recorder.notes[f"frames {name}, ms: p99"] = (
            1000 * statistics.quantiles(frames, n=100)[98]
        )
        studio.recorder.notes[f"frames {name}"] = len(frames)
    studio.recorder.notes["live predictions meanwhile"] = predictions


@contextmanager
def _dock(studio: Studio) -> Iterator[Any]:
    """The dock *Annotate & train* with a new project, its image shown."""
    from napari.utils._proxies import PublicOnlyProxy

    from napari_swin_umamba.plugin.annotate.annotate_widget import AnnotateWidget

    studio.viewer.layers.clear()
    widget = AnnotateWidget(PublicOnlyProxy(studio.viewer))
    dock = studio.viewer.window.add_dock_widget(widget, name="Annotate & train", area="right")
    widget.open_project(make_project(studio.new_folder()))
    studio.live(lambda: widget.opened.images.current != "")
    yield widget
    widget.close_project()
    studio.viewer.window.remove_dock_widget(dock)


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
