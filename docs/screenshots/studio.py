"""A napari window with one of the docks, and a camera."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from napari.settings import get_settings
from PIL import Image, ImageColor
from qtpy.QtCore import QBuffer, QEvent, QIODevice, Qt
from qtpy.QtWidgets import QApplication, QWidget

from napari_swin_umamba.plugin.image_layer import LayerData
from napari_swin_umamba.plugin.segment_widget import SegmentWidget

THEMES = ("dark", "light")
PATIENCE = 900
"""Seconds that anything may take, on a slow and busy computer as well."""
WINDOW = (1280, 800)
DOCK_WIDTH = 320
COLOURS = 256
KEPT = ("#56b4e9", "#009e73", "#e69f00", "#d55e00", "#0072b2")
"""Of small areas that must keep their colour: edges of notices, the main button."""


class Studio:
    """One window; pictures of it in both themes go to a folder."""

    def __init__(
        self,
        folder: Path,
        make: Callable[[napari.Viewer], Any] = SegmentWidget,
        name: str = "Segment (Swin-UMamba)",
    ) -> None:
        self.folder = folder
        self.viewer = napari.Viewer(show=True)
        self._dress(THEMES[0])
        self.window: QWidget = self.viewer.window._qt_window
        self.window.resize(*WINDOW)
        self.widget = make(self.viewer)
        dock = self.viewer.window.add_dock_widget(self.widget, name=name, area="right")
        self.wait(0.5)
        self.viewer.window._qt_window.resizeDocks([dock], [DOCK_WIDTH], Qt.Orientation.Horizontal)

    def wait(self, seconds: float) -> None:
        """Let the window live for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            _process_events()

    def wait_for(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Let the window live until something is true.

        Raises
        ------
        TimeoutError
            It did not become true in time.
        """
        until = time.monotonic() + seconds
        while not condition():
            _process_events()
            if time.monotonic() > until:
                raise TimeoutError(f"nothing to photograph after {seconds} s")

    def wait_for_end(self) -> None:
        """Let the window live until no run is left."""
        row = self.widget.run_row
        self.wait_for(lambda: not row.running and not row.status.isVisible())

    def run(self) -> None:
        """Click the main button and wait for the end."""
        self.widget.run_row.run_button.click()
        self.wait_for_end()

    def open(self, layers: list[LayerData]) -> None:
        """Show what a reader or a sample gives; nothing else stays open."""
        self.widget.cancel()
        self.wait_for_end()
        self.viewer.layers.clear()
        self.wait(0.3)  # drawn in between, or Mesa's software renderer crashes at the next labels
        self.viewer.dims.ndisplay = 2
        for data, arguments, kind in layers:
            getattr(self.viewer, f"add_{kind}")(data, **arguments)
        self.viewer.reset_view()
        self.wait(0.3)

    def photograph(self, name: str, of: QWidget | None = None, settle: float = 0.5) -> None:
        """Save the window, or something else, as ``NAME-THEME.png``, in each theme.

        Parameters
        ----------
        name
            What is seen.
        of
            None: the window.
        settle
            Seconds before the first picture is taken.
        """
        self.wait(settle)
        for theme in THEMES:
            self._dress(theme)
            self._save(of or self.window, self.folder / f"{name}-{theme}.png")
        self._dress(THEMES[0])

    def _dress(self, theme: str) -> None:
        if self.viewer.theme != theme:
            get_settings().appearance.theme = self.viewer.theme = theme
            self.wait(0.2)

    def _save(self, widget: QWidget, file: Path) -> None:
        buffer = QBuffer()
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        widget.grab().save(buffer, "PNG")
        picture = Image.open(io.BytesIO(bytes(buffer.data().data()))).convert("RGB")
        with_palette(picture).save(file, optimize=True)

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()
        self.wait(0.2)


def _process_events() -> None:
    QApplication.processEvents()
    # As the event loop does by itself; napari's old sliders would lie below the new ones.
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    time.sleep(0.005)


def with_palette(picture: Image.Image) -> Image.Image:
    """Reduce a picture to few colours: half the file, and nobody sees it.

    Parameters
    ----------
    picture
        In RGB.
    """
    most = picture.quantize(COLOURS - len(KEPT), Image.Quantize.MEDIANCUT).getpalette() or []
    palette = Image.new("P", (1, 1))
    rest = most[: 3 * (COLOURS - len(KEPT))]
    palette.putpalette(rest + [part for colour in KEPT for part in ImageColor.getrgb(colour)])
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)
