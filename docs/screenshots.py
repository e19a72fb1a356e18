"""Make the pictures of the real window in ``docs/images``.

Run it again whenever the window changes, on a computer with a screen or under Xvfb::

    xvfb-run -a -s "-screen 0 1400x1000x24" python docs/screenshots.py

``--model FILE`` segments with another model than the bundled ``nuclei``.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
from napari.settings import get_settings
from qtpy.QtCore import QSettings, Qt
from qtpy.QtWidgets import QApplication

from napari_swin_umamba.plugin.sample_data import crowded_nuclei, large_nuclei
from napari_swin_umamba.plugin.segment_widget import SegmentWidget

WINDOW = (1280, 800)
DOCK_WIDTH = 320
FOLDER = Path(__file__).parent / "images"


class Studio:
    """A napari window with the dock, and a camera."""

    def __init__(self, theme: str, folder: Path) -> None:
        get_settings().appearance.theme = theme
        self.theme, self.folder = theme, folder
        self.viewer = napari.Viewer(show=True)
        self.viewer.theme = theme
        window = self.viewer.window._qt_window
        window.resize(*WINDOW)
        self.widget = SegmentWidget(self.viewer)
        dock = self.viewer.window.add_dock_widget(
            self.widget, name="Segment (Swin-UMamba)", area="right"
        )
        self.wait(0.5)
        window.resizeDocks([dock], [DOCK_WIDTH], Qt.Orientation.Horizontal)

    def wait(self, seconds: float) -> None:
        """Let the window live for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            QApplication.processEvents()
            time.sleep(0.005)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        """Let the window live until something is true.

        Raises
        ------
        TimeoutError
            It did not become true in time.
        """
        until = time.monotonic() + seconds
        while not condition():
            QApplication.processEvents()
            time.sleep(0.005)
            if time.monotonic() > until:
                raise TimeoutError(f"nothing to photograph after {seconds} s")

    def run(self) -> None:
        """Click *Segment* and wait for the end."""
        self.widget.run_row.run_button.click()
        self.wait_for(lambda: not self.widget.run_row.running)

    def photograph(self, name: str, settle: float = 0.5) -> None:
        """Save the window as ``NAME-THEME.png``."""
        self.wait(settle)
        self.viewer.window._qt_window.grab().save(str(self.picture(name)))

    def picture(self, name: str) -> Path:
        """Return the file of a picture."""
        return self.folder / f"{name}-{self.theme}.png"

    def open_sample(self, sample: Callable[[], list]) -> None:
        """Show a sample image."""
        for data, arguments, _ in sample():
            self.viewer.add_image(data, **arguments)

    def close(self) -> None:
        """Close the window."""
        self.viewer.close()
        self.wait(0.2)


def photograph_segment(studio: Studio, model: Path | None) -> None:
    """Show the dock *Segment* in all its states."""
    widget = studio.widget
    studio.photograph("segment-empty")
    if model is not None:
        widget.model_row.import_file(model)
    studio.open_sample(large_nuclei)
    studio.photograph("segment-ready")

    widget.run_row.run_button.click()
    bar = widget.run_row.progress_bar
    studio.wait_for(lambda: bar.value() > 0.3 * bar.maximum() > 0)
    studio.photograph("segment-running", settle=0)
    widget.cancel()
    studio.wait_for(lambda: not widget.run_row.running)
    studio.photograph("segment-cancelled")

    studio.run()
    studio.photograph("segment-done")
    if studio.theme == "dark":
        shutil.copy(studio.picture("segment-done"), studio.folder / "segment.png")  # README
    studio.viewer.layers.clear()
    studio.open_sample(crowded_nuclei)
    studio.run()
    studio.photograph("segment-crowded")


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="a model file (.safetensors)")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the pictures")
    parser.add_argument("--theme", choices=["dark", "light"], action="append")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    # Pictures must not depend on how whoever makes them has set up napari, nor change it.
    settings = tempfile.mkdtemp(prefix="screenshots-")
    get_settings(Path(settings) / "napari.yaml")
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, settings)
    for theme in arguments.theme or ["dark", "light"]:
        studio = Studio(theme, arguments.out)
        photograph_segment(studio, arguments.model)
        studio.close()


if __name__ == "__main__":
    main()
