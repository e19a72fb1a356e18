"""A docked widget, a project with a volume, and a mouse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile


@pytest.fixture
def volume_file(tmp_path: Path) -> Path:
    """A volume of 5 slices, each of 40 x 60 pixels, in millimetres."""
    values = np.random.default_rng(0).integers(0, 255, (5, 40, 60)).astype(np.uint8)
    file = tmp_path / "bild mit Größe" / "volume.tif"
    file.parent.mkdir()
    sizes = {"PhysicalSizeZ": 3.0, "PhysicalSizeY": 0.5, "PhysicalSizeX": 0.5}
    units = {f"PhysicalSize{axis}Unit": "mm" for axis in "ZYX"}
    tifffile.imwrite(file, values, ome=True, metadata={"axes": "ZYX", **sizes, **units})
    return file


@pytest.fixture
def make_dock(
    viewer: Any, settings_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Any]]:
    """Return a function that opens the dock, as napari does."""
    from napari.utils._proxies import PublicOnlyProxy

    from napari_swin_umamba.plugin.annotate import images_section
    from napari_swin_umamba.plugin.annotate.annotate_widget import AnnotateWidget

    monkeypatch.setattr(images_section, "ask_whether_to_copy", lambda _: False)
    docks: list[Any] = []

    def make() -> Any:
        widget = AnnotateWidget(PublicOnlyProxy(viewer))
        viewer.window.add_dock_widget(widget, name="Annotate & train")
        docks.append(widget)
        return widget

    yield make
    for dock in docks:
        watch = dock.training.watch if dock.training is not None else None
        left = watch.process if watch is not None and watch.running else None
        dock.shut_down()
        if left is not None:  # a test failed: its training would go on for minutes
            left._terminate()


@pytest.fixture
def dock(make_dock: Callable[[], Any]) -> Any:
    return make_dock()


@pytest.fixture
def wait_shown(qtbot: Any) -> Callable[[Any], None]:
    """Wait until no image is being added or read and one is shown."""

    def wait(dock: Any) -> None:
        images = dock.sections[0]
        qtbot.waitUntil(lambda: not images._runner.running, timeout=30_000)
        qtbot.waitUntil(lambda: not dock.opened.images.busy, timeout=30_000)
        qtbot.waitUntil(lambda: dock.opened.images.current != "", timeout=30_000)

    return wait


@pytest.fixture
def wait_saved(qtbot: Any) -> Callable[[Any], None]:
    """Wait until every stroke is on disk, and no longer than a person may lose."""

    def wait(dock: Any) -> None:
        qtbot.waitUntil(lambda: not dock.opened.strokes.busy, timeout=2000)

    return wait


@pytest.fixture
def project(dock: Any, tmp_path: Path, volume_file: Path, wait_shown: Callable[[Any], None]) -> Any:
    """The dock with a new project, the volume open in it."""
    dock.create_project(tmp_path / "leber ö", "semantic", ("liver", "vessel"))
    dock.sections[0].add_files([volume_file])
    wait_shown(dock)
    return dock


@pytest.fixture
def paint(viewer: Any, qtbot: Any) -> Callable[..., None]:
    """Return a function that drags the mouse over the canvas, from pixel to pixel of a layer."""
    from qtpy.QtCore import QEvent, QPointF, Qt
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    # The window stays hidden. With one that is drawn, Mesa's software renderer ends the program
    # some time after a Labels layer that had a tool was removed, in napari alone as well.
    canvas = viewer.window._qt_viewer.canvas

    def send(native: Any, kind: Any, place: Any, button: Any, buttons: Any) -> None:
        there = QPointF(native.mapToGlobal(place.toPoint()))
        none = Qt.KeyboardModifier.NoModifier
        QApplication.sendEvent(native, QMouseEvent(kind, place, there, button, buttons, none))

    def drag(layer: Any, *pixels: tuple[float, float], mode: str = "paint", size: int = 1) -> None:
        layer.mode, layer.brush_size = mode, size
        viewer.layers.selection.active = layer
        qtbot.wait(20)
        native = canvas.native
        visual = canvas.layer_to_visual[layer].node
        transform = visual.get_transform("visual", "canvas")
        places = []
        for row, column in pixels:
            x, y = transform.map([column + 0.5, row + 0.5])[:2]
            places.append(QPointF(float(x), float(y)))
        left, up = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        kinds = QEvent.Type
        send(native, kinds.MouseMove, places[0], up, up)
        send(native, kinds.MouseButtonPress, places[0], left, left)
        for place in places[1:]:
            qtbot.wait(20)  # vispy drops moves that come sooner than 10 ms after the last one
            send(native, kinds.MouseMove, place, up, left)
        send(native, kinds.MouseButtonRelease, places[-1], left, up)
        qtbot.wait(1)

    return drag
