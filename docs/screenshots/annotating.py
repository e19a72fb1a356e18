"""The dock *Annotate & train*, photographed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from studio import Studio

from napari_swin_umamba.plugin.annotate import images_section
from napari_swin_umamba.plugin.annotate.annotate_widget import AnnotateWidget
from napari_swin_umamba.plugin.annotate.class_editor import ClassEditor
from napari_swin_umamba.plugin.annotate.classes_section import ClassesSection
from napari_swin_umamba.plugin.annotate.project_dialog import ProjectDialog
from napari_swin_umamba.plugin.sample_data import crowded_nuclei, hippocampus

SLICES = (6, 13, 20)
SHOWN = 13

images_section.ask_whether_to_copy = lambda _: False  # no question may hold the photographer up


def photograph_annotating(theme: str, out: Path, temporary: Path) -> None:
    """A volume with classes, and a micrograph with objects.

    Parameters
    ----------
    theme
        Of napari.
    out
        For the pictures.
    temporary
        For the projects.
    """
    studio = Studio(theme, out, AnnotateWidget, "Annotate & train (Swin-UMamba)")
    dock = studio.widget
    studio.photograph("annotate-empty")
    _paint_volume(studio, temporary / theme / "hippocampus-2026")
    studio.photograph("annotate-volume", settle=1.5)
    travel = dock.training.travel
    travel.export_to(temporary / theme / "hippocampus-2026-job.zip")
    studio.wait_for(lambda: not travel.running)
    studio.photograph("train-elsewhere")
    section = next(one for one in dock.sections if isinstance(one, ClassesSection))
    editor = ClassEditor(section, dock.opened.project.settings, section.keys)
    editor.toggle_removed(editor.rows[1])
    editor.show()
    studio.photograph("annotate-classes", of=editor)
    editor.close()
    dialog = ProjectDialog(dock, Path("/data"))
    dialog.name.setText("hippocampus-2026")
    dialog.classes.setText("anterior, posterior")
    dialog.show()
    studio.photograph("annotate-new", of=dialog)
    dialog.close()
    dock.close_project()
    studio.close()


def photograph_objects(theme: str, out: Path, temporary: Path) -> None:
    """A micrograph whose objects are numbered.

    Parameters
    ----------
    theme
        Of napari.
    out
        For the pictures.
    temporary
        For the projects.
    """
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    studio = Studio(theme, out, AnnotateWidget, "Annotate & train (Swin-UMamba)")
    dock = studio.widget
    image = _open(studio, crowded_nuclei()[0])
    dock.create_project(temporary / theme / "nuclei-2026", "instances", ("nucleus",))
    _add(studio, image)
    layer = dock.opened.annotation_layer()
    smooth = ndimage.gaussian_filter(image.data.astype(float), 1)
    objects, number = ndimage.label(smooth > 1.3 * threshold_otsu(smooth))
    sizes = np.bincount(objects.ravel(), minlength=number + 1)
    for value in [one for one in range(1, number + 1) if 120 < sizes[one] < 330][:14]:
        layer.data_setitem(np.nonzero(objects == value), dock.opened.free_number())
    studio.photograph("annotate-objects", settle=1.5)
    dock.close_project()
    studio.close()


def _paint_volume(studio: Studio, folder: Path) -> None:
    dock, viewer = studio.widget, studio.viewer
    samples = hippocampus()
    image = _open(studio, samples[0])
    dock.create_project(folder, "semantic", ("anterior", "posterior"))
    _add(studio, image)
    layer = dock.opened.annotation_layer()
    truth = np.asarray(samples[1][0])
    for place in SLICES:
        plane = np.zeros(truth.shape[1:], np.uint16)
        plane[truth[place] > 0] = truth[place][truth[place] > 0] + 1
        plane[6:9, 4:34] = 1  # strokes of background
        plane[46:49, 4:34] = 1
        where = np.nonzero(plane)
        layer.data_setitem((np.full(len(where[0]), place), *where), plane[where])
    dock.opened.set_complete((SLICES[0],), True)
    viewer.dims.set_current_step(0, SHOWN)


def _open(studio: Studio, sample: Any) -> Any:
    data, arguments, _ = sample
    layer = studio.viewer.add_image(data, **arguments)
    studio.viewer.reset_view()
    studio.wait(0.5)
    return layer


def _add(studio: Studio, layer: Any) -> None:
    dock = studio.widget
    dock.sections[0].add_layers([layer])
    studio.wait_for(lambda: dock.opened.images.current != "")
    studio.wait(0.5)
