"""The dock closes without taking napari with it."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

import numpy as np

pytestmark = pytest.mark.window


def make(viewer: Any) -> Any:
    from napari.utils._proxies import PublicOnlyProxy

    from napari_swin_umamba.plugin.segment_widget import SegmentWidget

    return SegmentWidget(PublicOnlyProxy(viewer))


@pytest.mark.parametrize("running", [False, True])
def test_closing_the_dock(
    running: bool,
    viewer: Any,
    settings_folder: Path,
    semantic_model: Path,
    slow_image: np.ndarray,
    qtbot: Any,
    click: Callable,
) -> None:
    before = len(viewer.dims.events.callbacks)
    for _ in range(2):
        viewer.add_image(slow_image)
        widget = make(viewer)
        dock = viewer.window.add_dock_widget(widget, name="Segment")
        widget.model_row.import_file(semantic_model)
        if running:
            click(widget.run_row.run_button)
            qtbot.wait(100)
        dock.title.close_button.click()
        assert len(viewer.dims.events.callbacks) == before
        del dock, widget
        qtbot.wait(50)
        gc.collect()
        qtbot.wait(50)
        gc.collect()


def test_a_widget_that_was_never_docked(viewer: Any, settings_folder: Path, qtbot: Any) -> None:
    widget = make(viewer)
    del widget
    gc.collect()
    qtbot.wait(50)
    gc.collect()


def test_moving_the_dock_to_a_window_of_its_own_keeps_it(viewer: Any, widget: Any) -> None:
    dock = widget.parent()
    dock.setFloating(True)
    dock.setFloating(False)
    image = viewer.add_image(np.zeros((8, 8)), name="still followed")
    assert widget.image_combo.layer() == image
