"""A training in a process of its own: followed, stopped, killed, resumed, found again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from napari_swin_umamba.checkpoints import load_model
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.event_tail import EventTail
from napari_swin_umamba.plugin.annotate.training_end import explain_end
from napari_swin_umamba.plugin.annotate.training_launch import CHILDREN
from napari_swin_umamba.plugin.annotate.training_process import (
    TrainingProcess,
    last_run,
    new_run_folder,
    running_elsewhere,
)
from napari_swin_umamba.plugin.annotate.training_state import TrainingState
from napari_swin_umamba.project import FolderLock, Project, ProjectModels

from .training_cases import LONG, TINY, make_painted_project, own_cache, wait

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    own_cache(tmp_path, monkeypatch)
    return make_painted_project(tmp_path)


@pytest.fixture
def started() -> list[TrainingProcess]:
    """Trainings that are ended with the test, however it ends."""
    processes: list[TrainingProcess] = []
    yield processes
    for process in processes:
        if process.alive and process.pid is not None:
            os.kill(process.pid, signal.SIGTERM)
            wait(process)


def begin(project: Project, started: list, arguments: list[str], run: Path | None = None):
    run = run or new_run_folder(project.folder)
    process = TrainingProcess.start(project.folder, run, arguments)
    started.append(process)
    return process


def test_live_reattach_stop_resume(project: Project, started: list) -> None:
    process = begin(project, started, LONG)
    assert process.run == project.folder / "runs" / "0001"
    process.ask_for_live(True)
    wait(process, lambda: process.state.live_step is not None and bool(process.state.dice))
    assert load_model(process.live_model).plan.architecture == "swin-umamba-d-tiny"
    assert (process.state.training_slices, process.state.held_out_slices) == (6, 3)
    assert process.trouble() is None

    # Another window, or this one opened again.
    found = last_run(project.folder)
    assert found.run.samefile(process.run)
    assert found.alive
    assert found.state.step >= process.state.live_step
    assert found.state.dice.keys() == {"disc", "bar"}
    assert running_elsewhere(project.folder) == ""

    # A second training of the project says so, and changes nothing.
    second = begin(project, started, TINY)
    wait(second)
    trouble = second.trouble()
    assert "is being trained already" in trouble.text
    assert "wait for its end or stop it" in trouble.text
    assert not (second.run / "events.jsonl").exists()

    found.stop()
    wait(found)
    assert found.state.phase == "done"
    assert found.state.reason == "stopped"
    assert found.trouble() is None
    assert found.state.comparison.outcome == "first"
    assert ProjectModels(project.folder).read().current.name == "v1"
    wait(process)
    assert process.state.step == found.state.step

    found.ask_for_live(False)
    assert not process.live_model.exists()
    before = found.state.step
    again = begin(project, started, ["--resume", "--device", "cpu"], found.run)
    wait(again, lambda: again.state.step > before)
    assert [step for step, _ in again.state.losses] == sorted({s for s, _ in again.state.losses})
    again.stop()
    wait(again)
    assert again.state.reason == "stopped"
    assert again.state.step > before


@posix
def test_killed_and_resumed(project: Project, started: list) -> None:
    process = begin(project, started, [*TINY, "--steps", "20", "--val-every", "10"])
    wait(process, lambda: bool(process.state.dice))
    os.kill(process.pid, signal.SIGKILL)
    wait(process)
    trouble = process.trouble()
    assert "ended by the system" in trouble.text
    assert "is kept" in trouble.text
    assert trouble.remedy == "resume"

    found = last_run(project.folder)  # napari was closed meanwhile
    assert not found.alive
    assert found.trouble().remedy == "resume"
    again = begin(project, started, ["--resume", "--device", "cpu"], found.run)
    wait(again)
    assert again.state.phase == "done"
    assert again.state.step == 20
    assert [len(points) for points in again.state.dice.values()] == [2, 2]
    assert again.state.comparison is not None


@pytest.mark.slow
@posix
def test_out_of_memory(project: Project, started: list) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, hard))  # what it is begun with
    try:
        arguments = ["--arch", "swin-umamba-d-tiny", "--patch", "1024", "--batch", "16"]
        process = begin(project, started, [*arguments, "--steps", "2", "--device", "cpu"])
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    wait(process)
    trouble = process.trouble()
    assert "out of memory" in trouble.text, process.read_log()
    assert trouble.remedy == "less_memory"


@pytest.mark.slow
def test_numbers_that_are_none(project: Project, started: list) -> None:
    arguments = [*TINY, "--recipe", "quick", "--steps", "300", "--learning-rate", "1e12"]
    process = begin(project, started, [*arguments, "--val-every", "100"])
    wait(process)
    trouble = process.trouble()
    assert trouble.remedy == "careful"
    assert "broke down" in trouble.text
    assert process.state.troubles


def test_stopped_before_its_first_step(
    project: Project, started: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    process = begin(project, started, LONG)
    if sys.platform != "win32":  # the window goes first
        assert os.getpriority(os.PRIO_PROCESS, process.pid) >= 10
    process.stop()
    wait(process)
    assert process.trouble() is None
    assert last_run(project.folder).trouble() is None  # the dock, opened again
    CHILDREN.pop(process.run.absolute())
    assert last_run(project.folder).trouble() is None  # another napari
    assert not ProjectModels(project.folder).read().models
    assert not FolderLock(project.folder, "train", "x").is_taken()


def test_a_training_is_found_from_its_first_moment(project: Project, started: list) -> None:
    process = begin(project, started, LONG)
    found = last_run(project.folder)  # the dock was closed and opened at once
    assert found.run.samefile(process.run)
    assert found.alive
    assert found.pid == process.pid
    found.stop()
    wait(found)
    assert not process.alive
    assert found.trouble() is None


def test_the_lock_is_taken_before_torch_is_imported(project: Project, tmp_path: Path) -> None:
    program = (
        "import sys; from swin_umamba_training.cli import app\n"
        "try:\n    app(sys.argv[1:])\n"
        "except SystemExit as end:\n    print(end.code, 'torch' in sys.modules)\n"
    )
    arguments = ["train", str(project.folder), "-o", str(tmp_path / "run"), *TINY]
    with FolderLock(project.folder, "train", "being trained", note={"run": "another"}):
        ended = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120
        )
    assert ended.stdout.split() == ["2", "False"], ended.stderr
    assert "is being trained already" in " ".join(ended.stderr.split())
    assert not (tmp_path / "run").exists()


def test_an_image_that_vanished_is_named(project: Project, started: list) -> None:
    (project.folder.parent / "stack.tif").unlink()
    process = begin(project, started, TINY)
    wait(process)
    trouble = process.trouble()
    assert "stack.tif" in trouble.text
    assert "not there any more; put it back" in trouble.text
    assert not (process.run / "events.jsonl").exists()


def test_a_program_that_cannot_be_started_leaves_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no python"))
    with pytest.raises(InputError, match="cannot be begun"):
        TrainingProcess.start(tmp_path, new_run_folder(tmp_path), TINY)
    assert last_run(tmp_path) is None


def test_no_run_and_unreadable_ones(tmp_path: Path) -> None:
    assert last_run(tmp_path) is None
    assert new_run_folder(tmp_path) == tmp_path / "runs" / "0001"
    (tmp_path / "runs" / "0007").mkdir(parents=True)
    (tmp_path / "runs" / "notes").mkdir()
    assert new_run_folder(tmp_path).name == "0008"
    found = last_run(tmp_path)
    assert not found.alive
    assert "unexpectedly" in found.trouble().text
    with FolderLock(tmp_path, "train", "x", note={"run": "/there"}):
        info = tmp_path / ".locks" / "train.json"
        info.write_text(json.dumps({**json.loads(info.read_text()), "host": "cluster"}))
        assert running_elsewhere(tmp_path) == "cluster"


def test_the_tail_takes_whole_lines_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail = EventTail(path)
    assert tail.read() == []
    path.write_bytes(b'{"event": "step", "step": 1}\n{"event": "st')
    assert [event["step"] for event in tail.read()] == [1]
    with path.open("ab") as file:
        file.write(b'ep", "step": 2}\nrubbish\n[1]\n{"event": "step", "step": 3}\n')
    assert [event["step"] for event in tail.read()] == [2, 3]
    assert tail.read() == []
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event": "cut o')  # the training was killed in this moment
    assert tail.read() == []
    path.write_bytes(whole + b'{"event": "resumed"}\n')
    assert tail.read() == [{"event": "resumed"}]
    path.write_bytes(b'{"event": "new"}\n')
    assert tail.read() == [{"event": "new"}]


def test_events_that_are_incomplete_change_nothing() -> None:
    state = TrainingState()
    for name in ("start", "step", "validation", "comparison", "done", "slices", "over", "take"):
        state.take({"event": name})
    assert state.phase == "starting"
    assert (state.progress, state.log, state.losses) == (0.0, [], [])


@pytest.mark.parametrize(
    ("kind", "message", "log", "code", "words", "remedy"),
    [
        ("memory", "CUDA out of memory. Tried", "", 1, "ran out of memory", "less_memory"),
        ("numbers", "the loss is nan", "", 1, "broke down", "careful"),
        ("input", "the data set X is not what it was when the run", "", 2, "changed", "restart"),
        ("input", "no file (--init)", "", 2, "No file.", "restart"),
        ("interrupted", "interrupted", "", 1, "interrupted", "restart"),
        ("error", "KeyError: 'x'", "trace", 1, "unexpectedly (exit code 1): KeyError", "restart"),
        ("", "", "error: unknown device 'x' (--device)", 2, "Unknown device 'x'.", "restart"),
        ("", "", "", None, "ended unexpectedly.", "restart"),
        ("", "", "ImportError: no module", 1, "ImportError: no module", "restart"),
    ],
)
def test_words(kind: str, message: str, log: str, code: int, words: str, remedy: str) -> None:
    state = TrainingState(phase="failed" if kind else "starting", message=message, failure=kind)
    trouble = explain_end(state, log, code, resumable=False)
    assert words in trouble.text
    assert trouble.remedy == remedy
    assert "--" not in trouble.text
