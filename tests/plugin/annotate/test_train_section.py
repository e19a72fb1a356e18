"""What the sections *Train* and *Did it help?* show of files that trainings left; what they ask."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.curve import thinned
from napari_swin_umamba.plugin.annotate.training_options import (
    FROM_FILE,
    PATCHES,
    TrainingOptions,
)
from napari_swin_umamba.project import ClassScore, Comparison, FolderLock, ProjectModels
from napari_swin_umamba.project.comparison import EarlierScore
from swin_umamba_training.cli import app

START = {
    "event": "start",
    "steps": 400,
    "device": "cpu",
    "arch": "swin-umamba-d-tiny",
    "classes": ["background", "liver"],
    "training_images": 3,
    "validation_images": 3,
    "notes": [],
    "resumed": 0,
}
STEPS = [
    {"event": "step", "step": n, "loss": 2 / n, "progress": n / 400, "seconds": n * 0.5}
    for n in range(1, 101)
]
LOOKED_AT = {"event": "validation", "step": 100, "loss": 0.1, "best": True, "dice": {"liver": 0.7}}


def write_run(project: Any, *events: dict[str, Any]) -> Path:
    run = project.folder / "runs" / "0001"
    run.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(event) + "\n" for event in events)
    (run / "events.jsonl").write_text(text)
    return run


def reopen(dock: Any, wait_shown: Callable[[Any], None]) -> Any:
    dock.open_project(dock.opened.project.folder)
    wait_shown(dock)
    return dock.training


def paint_slice(dock: Any, z: int) -> None:
    layer = dock.opened.annotation_layer()
    layer.paint((z, 10, 10), new_label=2)
    dock.opened.flush()


def test_a_training_of_another_window_is_followed_to_its_end(
    project: Any, wait_shown: Callable[[Any], None], qtbot: Any
) -> None:
    folder = project.opened.project
    run = write_run(folder, START, *STEPS, LOOKED_AT)
    lock = FolderLock(folder.folder, "train", "being trained", note={"run": str(run.absolute())})
    with lock:
        sections = reopen(project, wait_shown)
        progress = sections.train.progress
        assert sections.watch.running
        assert progress.bar.value() == 250
        assert (
            progress.status.text().replace("\u00a0", " ").startswith("2 min 30 s left · step 100")
        )
        assert "liver 0.700" in progress.log.toPlainText()
        assert progress.plot.isVisibleTo(project)
        assert not sections.train.train_button.isVisibleTo(project)
        progress.stop_button.click()
        assert (run / "stop").exists()
        assert "Stopping" in progress.status.text()
        assert not progress.stop_button.isEnabled()
        end = {"event": "done", "step": 100, "seconds": 50, "reason": "stopped", "model": "x"}
        with (run / "events.jsonl").open("a") as file:
            file.write(json.dumps(end) + "\n")
    qtbot.waitUntil(lambda: not sections.watch.running, timeout=5000)
    assert sections.train.notice.text == "Stopped after 100 steps, 50 s."
    assert not (run / "live").exists()


def test_what_was_killed_can_go_on(project: Any, wait_shown: Callable[[Any], None]) -> None:
    run = write_run(project.opened.project, START, *STEPS, LOOKED_AT)
    for name in ("last.ckpt", "config.json"):
        (run / name).touch()
    paint_slice(project, 1)
    sections = reopen(project, wait_shown)
    notice = sections.train.notice
    assert notice.kind == "error"
    assert "ended unexpectedly" in notice.text
    assert notice.remedy_button.text() == "Resume"
    assert sections.train.train_button.isEnabled()


def test_out_of_memory_offers_less(project: Any, wait_shown: Callable[[Any], None]) -> None:
    failed = {"event": "failed", "kind": "memory", "message": "can't allocate memory"}
    write_run(project.opened.project, START, failed)
    sections = reopen(project, wait_shown)
    assert "ran out of memory" in sections.train.notice.text
    assert sections.train.notice.remedy_button.text() == "Train with less memory"


def test_a_second_window_leaves_the_training_alone(
    project: Any, make_dock: Callable[[], Any], wait_shown: Callable[[Any], None]
) -> None:
    folder = project.opened.project
    run = write_run(folder, START, *STEPS)
    lock = FolderLock(folder.folder, "train", "being trained", note={"run": str(run.absolute())})
    with lock:
        sections = reopen(project, wait_shown)
        assert (run / "live").exists()
        other = make_dock()
        other.open_project(folder.folder)
        progress = other.training.train.progress
        assert other.training.watch.running
        assert progress.bar.value() == 250
        assert not progress.stop_button.isEnabled()
        assert "read only" in progress.stop_button.toolTip()
        progress.live_check.setChecked(False)
        other.close_project()
        assert (run / "live").exists()
        assert not (run / "stop").exists()
        sections.train.progress.live_check.setChecked(False)
        assert not (run / "live").exists()


def test_two_windows(project: Any, make_dock: Callable[[], Any]) -> None:
    """The second one, open to read only, trains nothing and chooses nothing, and says why."""
    folder = project.opened.project.folder
    model = folder.parent / "model.safetensors"
    model.write_text("x")
    ProjectModels(folder).add(model, "none", comparison=Comparison(outcome="too_little"))
    other = make_dock()
    other.open_project(folder)
    train, verdict = other.training.train, other.training.verdict
    for button in (train.train_button, verdict.use_button):
        assert not button.isEnabled()
        assert "read only" in button.toolTip()


def score(**values: Any) -> ClassScore:
    usual = {"id": 2, "name": "liver", "before": 0.81, "after": 0.86, "slices": 3, "pixels": 900}
    return ClassScore(**{**usual, "outcome": "better", "interval": (0.02, 0.08), **values})


def test_the_verdict(project: Any, tmp_path: Path) -> None:
    models = ProjectModels(project.opened.project.folder)
    section = project.training.verdict
    assert not section.isVisibleTo(project)
    for number, comparison in enumerate(
        (
            Comparison(outcome="first", classes=(score(before=None, outcome="first"),)),
            Comparison(
                outcome="better",
                before="v1",
                slices=("a:1", "a:2", "a:3"),
                classes=(
                    score(earlier=EarlierScore(before=0.8, after=0.6, slices=3, forgotten=True)),
                    score(name="<b>vessel", before=None, after=None, outcome="too_little"),
                ),
            ),
        )
    ):
        file = tmp_path / f"{number}.safetensors"
        file.write_text(str(number))
        models.add(file, "none", comparison=comparison)
    section.refresh()
    assert section.isVisibleTo(project)
    from qtpy.QtWidgets import QLabel

    texts = [label.text() for label in section._table.findChildren(QLabel)]
    for text in ("liver", "0.81", "0.86", "0.80", "0.60", "<b>vessel", "–"):
        assert text in texts
    assert any("forgot" in text for text in texts)
    assert "v2 is better than v1" in section.verdict.text()
    assert "it forgot: liver 0.80" in section.verdict.text()
    assert not section.use_button.isVisibleTo(project)
    section.back_button.click()
    assert models.read().current.name == "v1"
    assert section.use_button.text() == "Use v2"
    section.use_button.click()
    assert models.read().current.name == "v2"
    assert section.history.itemText(0) == "v2 (in use) · better"
    assert section.history_words.text().replace("\u00a0", " ").endswith("· liver 0.86")
    section.history.setCurrentIndex(section.history.findData(1))
    assert "vessel" not in section.history_words.text()
    section.choose_button.click()
    assert models.read().current.name == "v1"
    assert len(models.read().models) == 2


def test_a_damaged_list_of_models_is_said(project: Any) -> None:
    models = project.opened.project.folder / "models"
    models.mkdir()
    (models / "models.json").write_text("{")
    project.training.verdict.refresh()
    project.training.train.refresh()
    assert "damaged" in project.training.verdict.notice.text
    assert "damaged" in project.training.train.notice.text
    assert (models / "models.json").read_text() == "{"


@given(
    st.builds(
        TrainingOptions,
        init=st.sampled_from(["none", "imagenet", "nuclei", "project"]),
        minutes=st.sampled_from([0.5, 5.0, 60.0]),
        network=st.sampled_from(["", "swin-umamba", "swin-umamba-d-tiny"]),
        device=st.sampled_from(["auto", "cpu"]),
        patch=st.sampled_from([0, *PATCHES]),
        batch=st.sampled_from([0, 1, 8]),
        careful=st.booleans(),
    )
)
@settings(max_examples=12, deadline=None)
def test_the_command_line_understands_all_options(options: TrainingOptions) -> None:
    arguments = ["train", "no such folder", "-o", "no such run", *options.arguments()]
    result = CliRunner().invoke(app, arguments)
    assert result.stderr.startswith("error: ")
    assert "no such folder" in result.stderr  # and not: no such option
    assert result.exit_code == 2
    least = (options.batch, options.patch) == (1, PATCHES[0])
    assert least or need(options.with_less_memory()) < need(options)


def need(options: TrainingOptions) -> tuple[int, int]:
    return options.batch or 99, options.patch or 9999


def test_a_file_must_be_chosen() -> None:
    with pytest.raises(InputError, match="no model file"):
        TrainingOptions(init=FROM_FILE).arguments()


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 10)), max_size=50), st.integers(1, 20))
def test_thinned_points_keep_their_range(points: list[tuple[float, float]], most: int) -> None:
    few = thinned(points, most)
    assert len(few) == min(len(points), most)
    if points:
        assert few[-1][0] == points[-1][0]
        values = [value for _, value in points]
        assert all(min(values) - 1e-9 <= value <= max(values) + 1e-9 for _, value in few)
