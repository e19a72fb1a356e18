"""What is photographed. Each scene leaves the dock as the next one may find it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import dask.array
import numpy as np
from models import nuclei_of_half_a_micrometre
from qtpy.QtWidgets import QAbstractButton, QListWidget
from studio import Studio

from napari_swin_umamba.plugin.folder_dialog import FolderDialog
from napari_swin_umamba.plugin.image_layer import LayerData
from napari_swin_umamba.plugin.sample_data import crowded_nuclei, hippocampus, large_nuclei
from napari_swin_umamba.segmentation import device_fit

SLICE = 13


def photograph_segmenting(out: Path, temporary: Path) -> None:
    """All of the dock *Segment*.

    Parameters
    ----------
    out
        For the pictures.
    temporary
        For what they need.
    """
    studio = Studio(out)
    photograph_images(studio)
    photograph_volume(studio)
    photograph_settings(studio, temporary)
    photograph_messages(studio, nuclei_of_half_a_micrometre(temporary))
    studio.close()


def photograph_images(studio: Studio) -> None:
    """Two-dimensional images: from the dock that is ready to the table."""
    choose_model(studio, "nuclei")
    studio.open(large_nuclei())
    studio.photograph("segment-ready")
    studio.run()  # the first run compiles: the second tells how long one takes
    studio.open(large_nuclei())
    studio.widget.release_memory()  # and the slice is not known from the first
    studio.run()
    studio.photograph("segment-done")


def photograph_volume(studio: Studio) -> None:
    """A volume: corrected, previewed, running, done, in 3D."""
    viewer, widget = studio.viewer, studio.widget
    choose_model(studio, "hippocampus")
    studio.open(hippocampus()[:1])
    viewer.dims.set_current_step(0, SLICE)
    with checked(widget.reading_row.edit_button):
        studio.photograph("segment-edit")

    widget.run_row.follow_check.setChecked(True)
    studio.wait(0.5)
    studio.wait_for_end()
    studio.photograph("segment-preview")
    widget.run_row.follow_check.setChecked(False)
    studio.open(hippocampus()[:1])
    viewer.dims.set_current_step(0, SLICE)

    row = widget.run_row
    # Four times the work, and few slices at once: time to press the shutter.
    with checked(widget.options_box.mirror), patch.object(device_fit, "_CPU_PIXELS", 64 * 64):
        widget.run_row.run_button.click()
        studio.wait_for(lambda: re.match(r"(1[5-9]|2\d) of 34 slices", row.status.text()))
        studio.photograph("segment-running", settle=0)
        studio.wait_for_end()
    widget.run_row.run_button.click()
    studio.wait_for_end()
    studio.photograph("segment-volume")

    viewer.dims.ndisplay = 3
    viewer.layers[0].visible = False
    viewer.scene.camera.angles = (10, 25, 70)
    studio.photograph("segment-3d", settle=1)
    viewer.dims.ndisplay = 2


def photograph_settings(studio: Studio, temporary: Path) -> None:
    """Options, the folder dialog, napari's Preferences."""
    widget = studio.widget
    choose_model(studio, "nuclei")
    studio.open(crowded_nuclei())
    widget.options_box.min_area.setValue(60)
    with checked(widget.options_box.header):
        studio.photograph("segment-options")
    widget.options_box.min_area.setValue(0)

    dialog = FolderDialog(widget, "nuclei", "20 µm²")
    here = Path.cwd()
    os.chdir(temporary)  # so that the picture shows nobody's own folders
    Path("plate 7").mkdir()
    dialog.images.setText("plate 7")
    dialog.show()
    studio.photograph("segment-folder", of=dialog)
    dialog.close()
    os.chdir(here)

    preferences = studio.viewer.window._open_preferences_dialog()
    pages = preferences.findChild(QListWidget)
    pages.setCurrentRow(pages.count() - 1)
    studio.photograph("segment-preferences", of=preferences)
    preferences.reject()


def photograph_messages(studio: Studio, scaled_model: Path) -> None:
    """A warning with its remedy, and an error."""
    widget = studio.widget
    widget.model_row.import_file(scaled_model)
    (image, arguments, kind), *_ = crowded_nuclei()
    size = {"scale": (2, 2), "units": ("micrometer", "micrometer")}
    studio.open([(image, arguments | size, kind)])
    studio.photograph("segment-warning")

    choose_model(studio, "hippocampus")
    studio.open([unreadable_volume()])
    widget.run_row.run_button.click()
    studio.wait_for(lambda: widget.outcome.kind == "error")
    studio.photograph("segment-error", settle=2)


def choose_model(studio: Studio, name: str) -> None:
    """Choose a bundled model."""
    combo = studio.widget.model_row.combo
    combo.setCurrentIndex(combo.findText(f"{name} (bundled)"))


def unreadable_volume() -> LayerData:
    """A volume on a drive that is unplugged after some slices."""
    (image, arguments, _), *_ = hippocampus()

    def read(block: np.ndarray, block_info: dict) -> np.ndarray:
        number = block_info[0]["chunk-location"][0]
        if number == len(image) - 1:
            raise OSError(5, "Input/output error", rf"E:\brain.zarr\0.0\{number}")
        return block

    lazy = dask.array.from_array(image, chunks=(1, -1, -1))
    arguments = {**arguments, "name": "brain", "contrast_limits": (0, int(image.max()))}
    return dask.array.map_blocks(read, lazy, dtype=image.dtype), arguments, "image"


@contextmanager
def checked(box: QAbstractButton) -> Iterator[None]:
    """Tick or unfold something for a while."""
    box.setChecked(True)
    try:
        yield
    finally:
        box.setChecked(False)
