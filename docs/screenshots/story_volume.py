"""From an empty folder to a corrected volume: the tutorial's first part, done and photographed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from loop import Loop
from strokes import strokes, whole_slice

from napari_swin_umamba.plugin.segment_widget import SegmentWidget

NAME = "hippocampus-2026"
COMPLETE = (5, 6, 7)
"""Slices that are painted to the end, and held out."""
STROKES = (9, 12, 15, 18, 21, 25, 30)
"""Slices that get a few strokes; the last one shows background alone."""
SHOWN = 11
CORRECTED = (SHOWN, 8)
ELSEWHERE = 20
"""Steps of the training on the other computer: enough to have a result."""


def photograph_volume_story(out: Path, temporary: Path) -> None:
    """Do all of it once.

    Parameters
    ----------
    out
        For the pictures.
    temporary
        For the project's folder.
    """
    loop = Loop(out, temporary)
    truth = _begin(loop)
    _paint(loop, truth)
    _train(loop, truth)
    _go_on(loop, truth)
    _travel(loop)
    _save(loop, truth)
    loop.close()


def _begin(loop: Loop) -> np.ndarray:
    """Open the sample, make the project, add the image; return what an expert drew in it."""
    loop.viewer.open_sample("napari-swin-umamba", "hippocampus")
    loop.studio.photograph("annotate-empty")
    loop.new_project(NAME, "anterior, posterior", objects=False, picture="annotate-new")
    loop.hand.then(lambda box: box.buttons()[0].click())  # files stay where they are
    loop.hand.menu(loop.dock.sections[0].add_button, "“Hippocampus”")
    loop.wait_for_image()
    expert = loop.viewer.layers["Hippocampus labels"]
    expert.visible = False
    return np.asarray(expert.data)


def _paint(loop: Loop, truth: np.ndarray) -> None:
    for place in STROKES:
        loop.viewer.dims.set_current_step(0, place)
        loop.paint(strokes(truth[place]))
    loop.viewer.dims.set_current_step(0, STROKES[1])
    loop.hand.look_at(loop.dock.project_section)
    loop.studio.photograph("annotate-volume", settle=1.5)
    for place in COMPLETE:
        loop.viewer.dims.set_current_step(0, place)
        loop.paint(whole_slice(truth[place]))
        loop.complete()
    loop.studio.photograph("annotate-complete", settle=1)

    def look(editor: Any) -> None:
        editor.toggle_removed(editor.rows[1])
        loop.studio.photograph("annotate-classes", of=editor)
        editor.reject()

    loop.hand.in_dialog(loop.section("ClassesSection").edit_button, look)


def _train(loop: Loop, truth: np.ndarray) -> None:
    """The first training; correct what it predicts."""
    loop.hold_out(4, [" 0–7"], "train-held-out")
    loop.viewer.dims.set_current_step(0, SHOWN)
    loop.train("train-running")
    loop.hand.look_at(loop.training.verdict)
    loop.studio.photograph("train-first")
    for place, picture in zip(CORRECTED, ("annotate-accept", ""), strict=True):
        _correct(loop, truth, place, picture)


def _go_on(loop: Loop, truth: np.ndarray) -> None:
    """Slices that the model is least sure of, corrected; the second training; back and forth."""
    suggest = loop.section("SuggestSection")
    loop.hand.click(suggest.suggest_button)
    loop.studio.wait_for(lambda: not suggest.running)
    places = [suggest.list.slice_of(suggest.list.item(row))[1][0] for row in range(3)]
    loop.hand.click_row(suggest.list, 0)
    loop.hand.tick(suggest.heat_check)
    loop.hand.look_at(suggest)
    loop.studio.photograph("suggest-slices", settle=1)
    loop.hand.tick(suggest.heat_check, False)
    for place in places:
        _correct(loop, truth, place)
    loop.viewer.dims.set_current_step(0, SHOWN + 2)
    loop.train()
    verdict = loop.training.verdict
    loop.hand.look_at(verdict)
    loop.studio.photograph("train-verdict")
    if verdict.use_button.isVisible():
        loop.hand.click(verdict.use_button)
        loop.wait_for_prediction()
    loop.hand.tick(verdict.fold.header)
    loop.hand.look_at(verdict)
    loop.studio.photograph("train-history")
    loop.hand.tick(verdict.fold.header, False)


def _correct(loop: Loop, truth: np.ndarray, place: int, picture: str = "") -> None:
    """Take a slice over from the prediction, and paint over what is wrong in it."""
    loop.viewer.dims.set_current_step(0, place)
    loop.studio.wait(0.3)
    loop.hand.click(loop.section("PredictionSection").slice_button)
    if picture:
        loop.studio.photograph(picture)
    painted, wanted = loop.dock.opened.annotation_layer().data[place], truth[place] + 1
    for label in (1, 2, 3):
        wrong = ((wanted == label) & (painted != label)).astype(int)
        loop.paint([(label, pixels, size) for _, pixels, size in whole_slice(wrong)])
    loop.complete()


def _travel(loop: Loop) -> None:
    """Export a job, train it by the command that the dock names, import its result."""
    travel, hand = loop.training.travel, loop.hand
    job = loop.folder / f"{NAME}-job.zip"
    hand.with_file(travel.export_button, job)
    loop.studio.wait_for(lambda: job.exists() and not travel.running)
    hand.look_at(travel)
    loop.studio.photograph("train-elsewhere")
    run = loop.folder / f"{NAME}-run"
    command = [sys.executable, "-m", "swin_umamba_training", "train", str(job), "-o", str(run)]
    subprocess.run([*command, "--device", "cpu", "--steps", str(ELSEWHERE)], check=True)
    hand.with_file(travel.import_button, run / "result.zip")
    loop.studio.wait(1)
    loop.studio.wait_for(lambda: not travel.running)
    loop.wait_for_prediction()
    hand.look_at(travel)
    loop.studio.photograph("train-imported")


def _save(loop: Loop, truth: np.ndarray) -> None:
    """The result in 3D, and as a file, by the other dock."""
    viewer = loop.viewer
    layer = viewer.layers[f"Hippocampus – {NAME} v2"]
    for one in viewer.layers:
        one.visible = one == layer
    viewer.layers.selection.active = layer
    wrong = np.nonzero(layer.data != truth)
    layer.data_setitem(wrong, truth[wrong])  # a person paints for some minutes
    viewer.dims.ndisplay = 3
    viewer.scene.camera.angles = (10, 25, 70)
    loop.hand.look_at(loop.dock.project_section)
    loop.studio.photograph("annotate-corrected", settle=1)
    viewer.dims.ndisplay = 2
    segment = SegmentWidget(viewer)
    viewer.window.add_dock_widget(segment, name="Segment (Swin-UMamba)", area="right")
    loop.studio.wait(0.5)
    file = loop.folder / "corrected.nii.gz"
    segment.save(segment.labels_to_save(), file)
    loop.studio.wait_for(file.exists)
