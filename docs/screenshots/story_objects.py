"""Nuclei: the tutorial's second part, done and photographed."""

from __future__ import annotations

from pathlib import Path

from loop import Loop

from napari_swin_umamba.plugin.segment_widget import SegmentWidget

NAME = "nuclei-2026"
EXAMPLES = Path(__file__).parents[2] / "examples" / "nuclei" / "train"
HELD_OUT = ("1f9e429c", "5908488d", "75120baa")
CORRECTED = 1
"""Row of the image that is corrected by hand."""
TWO_IN_ONE = (82, 119)
"""A pixel of two nuclei that the bundled model takes for one."""


def photograph_objects_story(out: Path, temporary: Path) -> None:
    """Do all of it once.

    Parameters
    ----------
    out
        For the pictures.
    temporary
        For the project's folder.
    """
    loop = Loop(out, temporary)
    loop.new_project(NAME, "nucleus", objects=True)
    images = loop.dock.sections[0]
    loop.hand.then(lambda box: box.buttons()[0].click())  # files stay where they are
    images.add_files(sorted((EXAMPLES / "images").iterdir()))
    loop.wait_for_image()
    loop.studio.wait_for(lambda: images.list.count() == 8)
    _segment(loop)
    _correct(loop)
    _import_others(loop)
    loop.hold_out(8, HELD_OUT)
    loop.hand.choose(loop.training.train.form.start, "nuclei (bundled)")
    loop.train()
    loop.hand.look_at(loop.training.verdict)
    loop.studio.photograph("train-objects")
    loop.close()


def _segment(loop: Loop) -> None:
    """Have the bundled model predict an image, in the other dock."""
    loop.hand.click_row(loop.dock.sections[0].list, CORRECTED)
    loop.studio.wait(1)
    loop.wait_for_image()
    segment = SegmentWidget(loop.viewer)
    dock = loop.viewer.window.add_dock_widget(segment, name="Segment (Swin-UMamba)", area="right")
    loop.studio.wait(0.5)
    loop.hand.click(segment.run_row.run_button)
    loop.studio.wait_for(lambda: not segment.busy)
    loop.studio.wait(0.5)
    loop.viewer.window.remove_dock_widget(dock)
    loop.studio.wait(0.5)


def _correct(loop: Loop) -> None:
    """Take the prediction over, split what should be two."""
    loop.hand.click(loop.section("PredictionSection").slice_button)
    loop.section("PredictionSection").prediction.visible = False
    loop.hand.click(loop.section("ObjectsSection").split_button)
    loop.hand.click_pixel(loop.dock.opened.annotation_layer(), TWO_IN_ONE)
    loop.hand.look_at(loop.dock.project_section)
    loop.studio.photograph("annotate-objects", settle=1)
    loop.complete()


def _import_others(loop: Loop) -> None:
    """Import masks for the images that are left."""
    button = loop.dock.sections[0].import_button
    names = sorted((EXAMPLES / "masks").iterdir())
    loop.hand.then(lambda dialog: dialog.accept())
    button.import_files([one for row, one in enumerate(names) if row != CORRECTED])
    loop.studio.wait(1)
    loop.studio.wait_for(lambda: not button.busy)
    loop.studio.wait(1)
