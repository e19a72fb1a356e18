"""Annotate, train, look whether it helped, correct, train again: in a real window, by the mouse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_swin_umamba.plugin.annotate.annotation_layer import is_annotation
from napari_swin_umamba.plugin.result_layer import is_result

from ..training_cases import own_cache

SLICES = 24
TINY = {"patch": 64, "batch": 2, "device": "cpu"}
ONE_STEP = 0.01
"""Seconds that are too few for a step, of which there is always one: the same on any computer."""


def make_truth() -> np.ndarray:
    rows, columns = np.indices((64, 64))
    truth = np.zeros((SLICES, 64, 64), np.uint8)
    for z in range(SLICES):
        truth[z][np.hypot(rows - 20 - z % 5, columns - 20) < 12] = 1
        truth[z][40:58, 30 + z % 7 : 58] = 2
    return truth


@pytest.fixture
def volume_file(tmp_path: Path) -> Path:
    """A disc and a brighter bar, one millimetre apart from slice to slice."""
    noise = np.random.default_rng(0).normal(0, 4, (SLICES, 64, 64))
    image = (40 + 60.0 * make_truth() + noise).clip(0, 255).astype(np.uint8)
    file = tmp_path / "scans" / "stack.tif"
    file.parent.mkdir()
    tifffile.imwrite(file, image, ome=True, metadata={"axes": "ZYX"})
    return file


class Person:
    """Does what a person does in the dock."""

    def __init__(self, dock: Any, viewer: Any, qtbot: Any, paint: Callable[..., None]) -> None:
        self.dock, self.viewer, self.qtbot, self.drag = dock, viewer, qtbot, paint
        self.sections = dock.training
        self.train = self.sections.train

    def stroke(self, z: int, label: int, *pixels: tuple[float, float], size: int = 3) -> None:
        layer = self.dock.opened.annotation_layer()
        self.dock.opened.go_to((z,))
        layer.selected_label = label
        self.drag(layer, *pixels, size=size)
        assert (layer.data[z] == label).any(), "nothing was painted: there will be no verdict"

    def paint_slice(self, z: int, classes: tuple[int, ...] = (1, 2, 3)) -> None:
        if 1 in classes:
            self.stroke(z, 1, (4, 4), (4, 60), (34, 60))
        if 2 in classes:
            self.stroke(z, 2, (16 + z % 5, 20), (24 + z % 5, 22), size=5)
            self.stroke(z, 2, (20 + z % 5, 14), (20 + z % 5, 26), size=5)
        if 3 in classes:
            self.stroke(z, 3, (44, 40), (44, 54), (54, 54), size=5)

    def click_train(self, seconds: float, **options: Any) -> Any:
        """Train for so long; return the comparison."""
        self.begin_training(seconds, **options)
        return self.wait_for_end()

    def begin_training(self, seconds: float, **options: Any) -> None:
        form = self.train.form
        minutes = seconds / 60
        if form.time.findData(minutes) < 0:
            form.time.addItem(f"{seconds:g} s", minutes)
        form.time.setCurrentIndex(form.time.findData(minutes))
        for name, value in {**TINY, **options}.items():
            widget = getattr(form, name)
            if name == "careful":
                widget.setChecked(value)
            else:
                widget.setCurrentIndex(widget.findData(value))
        assert self.train.train_button.isEnabled(), self.train.train_button.toolTip()
        self.train.train_button.click()
        assert self.train.notice.kind != "error", self.train.notice.text
        assert self.sections.watch.running

    def train_until(self, dice: float) -> Any:
        """Train until the curves of all classes are so high, then stop; return the comparison."""
        self.begin_training(300)
        state = self.sections.watch.process.state

        def good() -> bool:
            curves = state.dice.values()
            return bool(curves) and all(points[-1][1] >= dice for points in curves)

        self.qtbot.waitUntil(good, timeout=480_000)
        self.train.progress.stop_button.click()
        return self.wait_for_end()

    def wait_for_end(self) -> Any:
        self.qtbot.waitUntil(lambda: not self.sections.watch.running, timeout=240_000)
        process = self.sections.watch.process
        assert process.trouble() is None, process.read_log()
        self.qtbot.waitUntil(lambda: not self.sections.volume.running, timeout=120_000)
        return process.state.comparison

    def predictions(self) -> list[Any]:
        found = [layer for layer in self.viewer.layers if is_result(layer)]
        return [layer for layer in found if "live" not in layer.name]

    def live_layer(self) -> Any:
        return next(layer for layer in self.viewer.layers if layer.name == "stack – live")


@pytest.fixture
def make_person(viewer: Any, qtbot: Any, paint: Callable[..., None]) -> Callable[[Any], Person]:
    return lambda dock: Person(dock, viewer, qtbot, paint)


@pytest.fixture
def person(
    dock: Any,
    tmp_path: Path,
    volume_file: Path,
    wait_shown: Callable[[Any], None],
    make_person: Callable[[Any], Person],
    monkeypatch: pytest.MonkeyPatch,
) -> Person:
    own_cache(tmp_path, monkeypatch)
    import napari_swin_umamba.network.selective_scan  # noqa: F401 - torch, as after a prediction

    dock.create_project(tmp_path / "leber ö", "semantic", ("disc", "bar"))
    dock.sections[0].add_files([volume_file])
    wait_shown(dock)
    return make_person(dock)


def test_a_short_loop(
    person: Person,
    viewer: Any,
    qtbot: Any,
    make_dock: Callable[[], Any],
    wait_shown: Callable[[Any], None],
    make_person: Callable[[Any], Person],
) -> None:
    train, dock = person.train, person.dock
    assert not train.train_button.isEnabled()
    assert "Paint a few strokes" in train.train_button.toolTip()
    for z in (2, 4, 10, 12):
        person.paint_slice(z)
    qtbot.waitUntil(lambda: train.train_button.isEnabled(), timeout=5000)
    # Two blocks of eight slices, neither settled: the second is chosen to be held out.
    assert train.held_out.fold.header.text() == "Held out: a fifth, chosen at Train"
    image = dock.opened.project.images[0].id
    dock.opened.flush()  # the last stroke may not be on disk yet
    train.held_out.choose((image, 1), "held_out")
    assert train.held_out.fold.header.text() == "Held out: 2 slices"
    assert "at least 3" in train.held_out.advice.text()

    drawn: list[int] = []
    person.sections.live.drawn.connect(drawn.append)
    dock.opened.go_to((5,))
    person.begin_training(900)
    # The slice shown is predicted meanwhile, again and again.
    qtbot.waitUntil(lambda: len(set(drawn)) > 1, timeout=240_000)
    live = person.live_layer()
    assert live.data[5].any()
    assert not live.data[6].any()
    qtbot.waitUntil(lambda: "left" in train.progress.status.text(), timeout=60_000)
    train.progress.stop_button.click()
    found = person.wait_for_end()
    assert (found.outcome, found.before) == ("first", None)
    assert not live.visible
    assert not live.data.any()
    assert person.sections.verdict.isVisibleTo(dock)
    assert "v1 is this project’s first model".replace("’", "'") in (
        person.sections.verdict.verdict.text()
    )
    assert train.held_out.combos == {}  # settled
    assert "Stopped after" in train.notice.text
    (layer,) = person.predictions()
    assert layer.name == "stack – leber ö v1"
    assert layer.data.shape == (SLICES, 64, 64)
    assert layer.data[20].any()

    # Correct it: the whole slice is taken over, then painted on.
    prediction = next(one for one in dock.sections if hasattr(one, "slice_button"))
    assert prediction.prediction == layer
    dock.opened.go_to((6,))
    prediction.slice_button.click()
    person.paint_slice(6)
    qtbot.wait(300)
    assert train.form.start.currentText() == "this project’s model, v1"
    again = person.click_train(ONE_STEP)
    assert again.before == "v1"
    assert again.outcome == "too_little"
    verdict = person.sections.verdict
    assert "Too little to tell" in verdict.verdict.text()
    newest = person.predictions()[-1]
    assert newest.name == "stack – leber ö v2"  # to look at, and choose
    assert prediction.prediction == newest
    assert (layer.visible, newest.visible) == (False, True)
    verdict.use_button.click()
    assert "v2 is this project’s model, as you chose" in verdict.verdict.text()
    assert not verdict.use_button.isVisibleTo(dock)
    verdict.back_button.click()
    assert "v1 is this project’s model" in verdict.verdict.text()
    qtbot.waitUntil(lambda: not person.sections.volume.running, timeout=60_000)
    assert prediction.prediction == layer
    assert (layer.visible, newest.visible) == (True, False)

    # Close and open again: all is there.
    folder = dock.opened.project.folder
    strokes = dock.opened.annotation_layer().data.copy()
    assert dock.close_project()
    viewer.layers.clear()
    other = make_dock()
    other.open_project(folder)
    wait_shown(other)
    np.testing.assert_array_equal(other.opened.annotation_layer().data, strokes)
    back = make_person(other)
    assert "v1 is this project’s model" in back.sections.verdict.verdict.text()
    assert back.sections.verdict.history.count() == 2
    assert back.train.progress.plot.isVisibleTo(other)
    assert back.train.form.start.currentText() == "this project’s model, v1"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_loop(
    person: Person,
    viewer: Any,
    qtbot: Any,
    make_dock: Callable[[], Any],
    wait_shown: Callable[[Any], None],
    make_person: Callable[[Any], Person],
) -> None:
    """Verdicts of all kinds, and a dock that is closed and opened in mid-training."""
    dock, train, sections = person.dock, person.train, person.sections
    for z in (1, 3, 5, 9, 11, 13, 15):
        person.paint_slice(z)
    image = dock.opened.project.images[0].id
    qtbot.waitUntil(lambda: (image, 1) in train.held_out.combos, timeout=5000)
    train.held_out.choose((image, 1), "held_out")
    assert person.click_train(ONE_STEP).outcome == "first"
    better = person.train_until(dice=0.8)
    assert better.outcome == "better", better
    assert "v2 is better than v1 and is now" in sections.verdict.verdict.text()
    assert sections.verdict.back_button.text() == "Back to v1"
    same = person.click_train(ONE_STEP, careful=True)
    assert same.outcome in ("tie", "worse"), same
    assert "stays" in sections.verdict.verdict.text()
    assert sections.verdict.history.itemText(1).startswith("v2 (in use)")

    dock.opened.replace_settings(
        dock.opened.project.settings.model_copy(
            update={
                "classes": (
                    *dock.opened.project.classes,
                    dock.opened.project.classes[0].model_copy(
                        update={"id": 4, "name": "spot", "color": "#123456"}
                    ),
                ),
                "next_class_id": 5,
            }
        )
    )
    person.stroke(2, 4, (60, 6), (60, 12))
    qtbot.wait(300)
    few = person.click_train(ONE_STEP, careful=False)
    assert few.outcome == "too_little"
    assert "spot on 0 held-out slices" in sections.verdict.verdict.text()

    # The dock is closed while a training goes on, and finds it again.
    person.begin_training(600)
    process = sections.watch.process
    qtbot.waitUntil(lambda: process.state.step > 0, timeout=120_000)
    folder = dock.opened.project.folder
    assert dock.close_project()
    assert process.alive
    viewer.layers.clear()
    other = make_dock()
    other.open_project(folder)
    wait_shown(other)
    back = make_person(other)
    assert back.sections.watch.running
    qtbot.waitUntil(lambda: "step" in back.train.progress.status.text(), timeout=60_000)
    assert back.train.progress.stop_button.isVisibleTo(other)
    back.train.progress.stop_button.click()
    found = back.wait_for_end()
    assert found is not None
    assert "Stopped after" in back.train.notice.text
    assert back.train.resume_button.isVisibleTo(other)
    assert not any(layer.visible for layer in viewer.layers if "live" in layer.name)
    assert [layer for layer in viewer.layers if is_annotation(layer)]
