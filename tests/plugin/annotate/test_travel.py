"""*On another computer*, in a real window: a job leaves, its result comes back."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog

from napari_swin_umamba.plugin.annotate import travelling
from napari_swin_umamba.plugin.annotate.training_options import FROM_FILE, PATCHES, TrainingOptions
from napari_swin_umamba.plugin.result_layer import is_result
from napari_swin_umamba.project import Comparison, ProjectModels, unpack_job, write_result
from swin_umamba_training.config import make_config
from swin_umamba_training.recipe_files import load_recipe

from ..training_cases import own_cache


@pytest.fixture
def travel(project: Any) -> Any:
    """The section, strokes on three slices."""
    for z in (0, 2, 4):
        paint(project, z)
    project.opened.flush()
    section = project.training.travel
    assert section.export_button.isEnabled()
    return section


def paint(dock: Any, z: int) -> None:
    layer = dock.opened.annotation_layer()
    for row, label in ((5, 1), (15, 2), (25, 3)):
        for column in range(5, 50, 5):
            layer.paint((z, row, column), new_label=label)


@pytest.fixture
def click(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Click a button and choose a file in the dialog that it opens; wait until all is done."""

    def click(section: Any, button: Any, file: Path | None, wait: bool = True) -> None:
        answer = (str(file) if file else "", "")
        for name in ("getSaveFileName", "getOpenFileName"):
            monkeypatch.setattr(QFileDialog, name, lambda *_, answer=answer: answer)
        assert button.isEnabled(), button.toolTip()
        button.click()
        if wait:
            qtbot.waitUntil(lambda: not section.running, timeout=30_000)

    return click


def words(section: Any) -> str:
    return section.notice.text


@pytest.mark.slow
def test_there_and_back(
    travel: Any,
    project: Any,
    viewer: Any,
    tmp_path: Path,
    click: Callable[..., None],
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the buttons, with the command that the dock names, run in a folder of its own."""
    own_cache(tmp_path, monkeypatch)
    form = project.training.train.form
    form.patch.setCurrentIndex(form.patch.findData(64))
    form.batch.setCurrentIndex(form.batch.findData(1))
    there = tmp_path / "there"
    there.mkdir()
    click(travel, travel.export_button, there / "leber-job")  # .zip is added
    assert travel.notice.kind == "done", words(travel)
    assert "leber-job.zip is written" in words(travel)
    assert "Then import leber-run/result.zip here" in words(travel)
    assert project.opened.project.roles.images  # settled, as by a training
    travel.notice.remedy_button.click()
    command = QGuiApplication.clipboard().text()
    assert command == "swin-umamba train leber-job.zip -o leber-run"
    program = [sys.executable, "-m", "swin_umamba_training", *command.split()[1:]]
    subprocess.run([*program, "--device", "cpu", "--steps", "2"], cwd=there, check=True)

    click(travel, travel.import_button, there / "leber-run" / "result.zip")
    assert travel.notice.kind == "done", words(travel)
    assert words(travel).startswith("The model is back, after 2 steps in")
    verdict = project.training.verdict
    assert verdict.isVisibleTo(project)
    assert verdict.verdict.text() == "v1 is this project's first model."
    known = ProjectModels(project.opened.project.folder).read()
    assert known.current.name == "v1"
    assert form.start.itemText(0) == "this project’s model, v1"
    # The image shown is predicted with it, as after a training here.
    qtbot.waitUntil(lambda: not project.training.volume.running, timeout=60_000)
    assert [layer for layer in viewer.layers if is_result(layer)]

    click(travel, travel.import_button, there / "leber-run" / "result.zip")
    assert words(travel) == "The project has this model already, as v1."


def send_back(dock: Any, job: Path, folder: Path, comparison: Comparison | None) -> Path:
    """A result without a training; its model is one in name only."""
    (folder / "run").mkdir(parents=True)
    (folder / "run" / "model.safetensors").write_text(str(comparison))
    opened = unpack_job(job, folder / "run" / "job")
    result = folder / "result.zip"
    write_result(opened, folder / "run", result, "none", 1200, 300.0, "steps", comparison)
    return result


@pytest.fixture
def any_model(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as models of this project, and predict nothing."""
    training = {"project": project.opened.project.settings.uid, "project_class_ids": [1, 2, 3]}

    class Info:
        pass

    info = Info()
    info.training = training  # type: ignore[attr-defined]
    monkeypatch.setattr(travelling, "read_model_header", lambda _: (None, "", info))


def test_what_changed_is_said_and_the_person_chooses(
    travel: Any, project: Any, tmp_path: Path, click: Callable[..., None], any_model: None
) -> None:
    folder = project.opened.project.folder
    one = tmp_path / "one.safetensors"
    one.write_text("one")
    models = ProjectModels(folder)
    models.add(one, "none", comparison=Comparison(outcome="first"))
    job = tmp_path / "job.zip"
    click(travel, travel.export_button, job)
    paint(project, 1)
    paint(project, 3)
    two = tmp_path / "two.safetensors"
    two.write_text("two")
    models.add(two, "v1", comparison=Comparison(outcome="better", before="v1"))
    better = Comparison(outcome="better", before="v1")
    click(travel, travel.import_button, send_back(project, job, tmp_path / "a", better))
    assert travel.notice.kind == "warning"
    assert "The model is back, after 1,200 steps in 5 min 0 s: v3." in words(travel)
    assert "2 slices were annotated or changed since the job was exported." in words(travel)
    assert "the project's model is another by now" in words(travel)
    verdict = project.training.verdict
    assert "v3 was compared with v1, but this project goes by v2 by now" in verdict.verdict.text()
    assert verdict.use_button.isVisibleTo(project)
    verdict.use_button.click()
    assert models.read().current.name == "v3"


def test_results_that_are_refused(
    travel: Any, project: Any, tmp_path: Path, click: Callable[..., None], any_model: None
) -> None:
    job = tmp_path / "job.zip"
    click(travel, travel.export_button, job)
    result = send_back(project, job, tmp_path / "a", Comparison(outcome="first"))
    models = ProjectModels(project.opened.project.folder)
    cut = tmp_path / "cut.zip"
    cut.write_bytes(result.read_bytes()[:-50])
    for file, why in (
        (cut, "damaged or cut off"),
        (job, "is a job, not a result"),
        (tmp_path / "gone.zip", "No such file"),
    ):
        click(travel, travel.import_button, file)
        assert travel.notice.kind == "error"
        assert why in words(travel)
        assert not models.read().models
    project.opened.project.add_class("tumour")
    project.opened.tell_changed()
    click(travel, travel.import_button, result)
    assert "'tumour' was added" in words(travel)
    assert "Export a new job" in words(travel)
    assert not models.read().models
    click(travel, travel.import_button, None)  # the person changed their mind
    assert "'tumour' was added" in words(travel)


def test_a_large_job_says_its_size_first(
    travel: Any,
    tmp_path: Path,
    click: Callable[..., None],
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(travelling, "LARGE", 10_000)
    for answer in ("cancel", "write"):
        click(travel, travel.export_button, tmp_path / "job.zip", wait=False)
        qtbot.waitUntil(lambda: travel.notice.kind == "warning", timeout=10_000)
        assert travel.notice.text.startswith("The job will have ")
        assert "1 annotated image is copied into it" in travel.notice.text
        assert travel.cancel_button.isVisibleTo(travel)
        assert not travel.export_button.isVisibleTo(travel)
        button = travel.cancel_button if answer == "cancel" else travel.notice.remedy_button
        button.click()
        qtbot.waitUntil(lambda: not travel.running, timeout=10_000)
        assert (tmp_path / "job.zip").exists() == (answer == "write")
        if answer == "cancel":
            assert words(travel) == "Cancelled. No file was written."
            assert travel.export_button.isVisibleTo(travel)


def test_a_job_in_writing_can_be_cancelled(
    travel: Any,
    project: Any,
    tmp_path: Path,
    click: Callable[..., None],
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the middle of its first file, which is made slow."""
    import time

    from napari_swin_umamba.archives import writing

    monkeypatch.setattr(writing, "BLOCK", 50)
    real = writing.ArchiveWriter._add

    def slowly(self: Any, name: str, file: Any, size: int) -> Any:
        told = self._on_bytes
        self._on_bytes = lambda *now: (time.sleep(0.01), told(*now))
        return real(self, name, file, size)

    monkeypatch.setattr(writing.ArchiveWriter, "_add", slowly)
    before = sorted(tmp_path.iterdir())
    click(travel, travel.export_button, tmp_path / "job.zip", wait=False)
    qtbot.waitUntil(lambda: travel.bar.value() > 0, timeout=20_000)
    assert "Writing the job:" in travel.status.text()
    travel.cancel_button.click()
    qtbot.waitUntil(lambda: not travel.running, timeout=10_000)
    assert words(travel) == "Cancelled. No file was written."
    assert sorted(tmp_path.iterdir()) == before
    click(travel, travel.export_button, tmp_path / "job.zip", wait=False)
    project.close_project()  # ends it as well
    qtbot.waitUntil(lambda: sorted(tmp_path.iterdir()) == before, timeout=10_000)


def test_a_place_that_cannot_be_written(
    travel: Any, tmp_path: Path, click: Callable[..., None]
) -> None:
    (tmp_path / "file").write_text("")
    click(travel, travel.export_button, tmp_path / "file" / "job.zip")
    assert travel.notice.kind == "error"
    assert "cannot write" in words(travel).lower()


def test_nothing_painted_and_read_only(
    project: Any,
    make_dock: Callable[[], Any],
    tmp_path: Path,
    click: Callable[..., None],
    wait_shown: Callable[[Any], None],
) -> None:
    travel = project.training.travel
    assert not travel.export_button.isEnabled()
    assert "Paint a few strokes" in travel.export_button.toolTip()
    assert travel.import_button.isEnabled()
    paint(project, 0)
    project.opened.flush()
    folder = project.opened.project.folder
    other = make_dock()
    other.open_project(folder)
    wait_shown(other)
    second = other.training.travel
    assert other.opened.read_only
    assert not second.import_button.isEnabled()
    assert "read only" in second.import_button.toolTip()
    before = sorted(path for path in folder.rglob("*") if ".locks" not in path.parts)
    click(second, second.export_button, tmp_path / "job.zip")
    assert second.notice.kind == "done"
    with zipfile.ZipFile(tmp_path / "job.zip") as archive:
        assert archive.testzip() is None
    assert sorted(path for path in folder.rglob("*") if ".locks" not in path.parts) == before


@given(
    init=st.sampled_from(["none", "imagenet", "project", "nuclei"]),
    minutes=st.sampled_from([1, 5, 480]),
    network=st.sampled_from(["", "swin-umamba-d"]),
    patch=st.sampled_from([0, *PATCHES]),
    batch=st.sampled_from([0, 4]),
    careful=st.booleans(),
)
def test_a_job_is_trained_as_the_button_would(tmp_path_factory: Any, **values: Any) -> None:
    options = TrainingOptions(**values)
    arguments = options.arguments()
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_text(options.recipe())
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    overrides = {"precision.format": "fp32"} if values["careful"] else {}
    patch = int(given["--patch"]) if "--patch" in given else None
    wanted = make_config(
        dataset="a",
        run="b",
        init=given["--init"],
        minutes=float(given["--minutes"]),
        patch=(patch, patch) if patch else None,
        batch=int(given["--batch"]) if "--batch" in given else None,
        learning_rate=float(given["--learning-rate"]) if values["careful"] else None,
        overrides=overrides,
    )
    assert load_recipe(path) == wanted.recipe
    assert options.arch == given.get("--arch")


def test_a_file_that_is_yet_to_be_chosen(travel: Any, project: Any, tmp_path: Path) -> None:
    form = project.training.train.form
    index = form.start.findData(FROM_FILE)
    form.start.setCurrentIndex(index)
    travel.export_to(tmp_path / "job.zip")
    assert "no model file is chosen" in words(travel).lower()
    assert yaml.safe_load(TrainingOptions().recipe())["base"] == "quick"
