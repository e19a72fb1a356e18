"""A run that is killed goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_swin_umamba import InputError, load_model
from swin_umamba_training.checkpointing import FORMAT, load_state, save_state
from swin_umamba_training.config import make_config
from swin_umamba_training.train import train

STEPS = 12
OPTIONS = {
    "arch": "swin-umamba-d-tiny",
    "patch": (32, 32),
    "batch": 2,
    "steps": STEPS,
    "val_every": 3,
    "device": "cpu",
}


def run(folder: Path, name: str, **values: object):
    return train(make_config(dataset=folder, run=folder.parent / name, **(OPTIONS | values)))


@pytest.fixture(scope="module")
def straight(write_dataset, module_folder: Path) -> Path:
    """Folder of a run that nothing interrupted, on the images that `make_dataset` makes."""
    return run(write_dataset(module_folder / "data"), "straight").model.parent


def last_weights(run_folder: Path) -> dict[str, torch.Tensor]:
    return load_state(run_folder / "last.ckpt")["network"]


def assert_same_runs(first: Path, second: Path) -> None:
    ours, theirs = last_weights(first), last_weights(second)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    ours, theirs = (
        load_model(folder / "model.safetensors").network.state_dict() for folder in (first, second)
    )
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    columns = [line.split(",") for line in (first / "scores.csv").read_text().splitlines()]
    others = [line.split(",") for line in (second / "scores.csv").read_text().splitlines()]
    # all but the seconds that it took
    assert [row[:1] + row[2:] for row in columns] == [row[:1] + row[2:] for row in others]


def kill_at(folder: Path, run_folder: Path, step: int, wait: float = 0.0) -> None:
    """Train in a process of its own and kill it once it has made a step, by SIGKILL."""
    threads = str(torch.get_num_threads())
    command = [
        *(sys.executable, "-m", "swin_umamba_training", "train", str(folder), "-o"),
        *(str(run_folder), "--arch", "swin-umamba-d-tiny", "--patch", "32", "--batch", "2"),
        *("--steps", str(STEPS), "--val-every", "3", "--device", "cpu"),
    ]
    # As many threads: sums are added in another order otherwise.
    environment = os.environ | {"OMP_NUM_THREADS": threads}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    events = run_folder / "events.jsonl"
    deadline = time.monotonic() + 200
    try:
        while time.monotonic() < deadline and process.poll() is None:
            lines = events.read_text().splitlines() if events.exists() else []
            if any(f'"step": {made},' in line for line in lines for made in range(step, STEPS + 1)):
                break
            time.sleep(0.02)
        time.sleep(wait)
    finally:
        process.kill()
        _, stderr = process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0, 1), stderr.decode()


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_a_killed_run_goes_on_bit_by_bit(make_dataset, straight: Path) -> None:
    folder = make_dataset()
    killed = folder.parent / "killed"
    kill_at(folder, killed, 5)
    before = [json.loads(line) for line in (killed / "events.jsonl").read_text().splitlines()]
    assert before[-1]["event"] != "done"
    resumed = run(folder, "killed", resume=True)
    assert resumed.steps == STEPS
    after = [json.loads(line) for line in (killed / "events.jsonl").read_text().splitlines()]
    begin = [event for event in after if event["event"] == "start"][1]
    assert 3 <= begin["resumed"] < STEPS
    assert_same_runs(straight, killed)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
@pytest.mark.timeout(1800)
def test_ten_random_kill_points(make_dataset, straight: Path) -> None:
    folder = make_dataset()
    rng = np.random.default_rng()
    for point in range(10):
        killed = folder.parent / f"killed{point}"
        kill_at(folder, killed, int(rng.integers(1, STEPS)), float(rng.uniform(0, 0.3)))
        run(folder, killed.name, resume=True)
        assert_same_runs(straight, killed)


def test_a_stopped_run_goes_on(make_dataset, straight: Path) -> None:
    folder = make_dataset()

    def stop(event: dict) -> None:
        if event["event"] == "step" and event["step"] == 4:
            (folder.parent / "stopped" / "stop").touch()

    config = make_config(dataset=folder, run=folder.parent / "stopped", **OPTIONS)
    first = train(config, stop)
    assert (first.reason, first.steps) == ("stopped", 4)
    resumed = run(folder, "stopped", resume=True)
    assert (resumed.reason, resumed.steps) == ("steps", STEPS)
    ours, theirs = last_weights(straight), last_weights(resumed.model.parent)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    # Its settings are its own, whatever is asked for now; and what is over stays over.
    again = run(folder, "stopped", resume=True, steps=100, batch=4)
    assert (again.reason, again.steps) == ("steps", STEPS)


def test_a_run_that_ended_early_is_over(make_dataset) -> None:
    folder = make_dataset()
    # A rate of next to nothing: no validation is better than the first.
    options = {"steps": 60, "learning_rate": 1e-12, "overrides": {"length.early_stop": 2}}
    first = run(folder, "run", **options)
    assert (first.reason, first.steps) == ("early", 9)
    before = last_weights(first.model.parent)
    again = run(folder, "run", resume=True)
    assert (again.reason, again.steps, again.score) == ("early", 9, first.score)
    after = last_weights(first.model.parent)
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_stop_does_not_count_as_a_validation_without_gain(make_dataset) -> None:
    folder = make_dataset()
    options = {"steps": 9, "learning_rate": 1e-12, "overrides": {"length.early_stop": 2}}

    def stop(event: dict) -> None:
        if event["event"] == "step" and event["step"] == 7:
            (folder.parent / "run" / "stop").touch()

    first = train(
        make_config(dataset=folder, run=folder.parent / "run", **(OPTIONS | options)), stop
    )
    assert (first.reason, first.steps) == ("stopped", 7)
    again = run(folder, "run", resume=True)
    assert again.steps == 9


def test_a_signal_ends_a_run_while_slices_are_prepared(make_dataset) -> None:
    folder = make_dataset(images=6)
    heard: list[str] = []

    def interrupt(event: dict) -> None:
        heard.append(event["event"])
        if event["event"] == "slices" and event["done"] == 1:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        train(make_config(dataset=folder, run=folder.parent / "run", **OPTIONS), interrupt)
    assert heard == ["slices", "slices", "failed"]
    assert run(folder, "run", resume=True).steps == STEPS


def test_a_signal_during_a_validation_ends_the_run_after_the_next_step(make_dataset) -> None:
    folder = make_dataset()

    def interrupt(event: dict) -> None:
        if event["event"] == "validation" and event["step"] == 3:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        train(make_config(dataset=folder, run=folder.parent / "run", **OPTIONS), interrupt)
    assert load_state(folder.parent / "run" / "last.ckpt")["clock"]["step"] == 4
    assert "ended: interrupted" in (folder.parent / "run" / "report.html").read_text()


def test_data_may_move_and_the_start_model_may_go(make_dataset) -> None:
    folder = make_dataset()
    start = run(folder, "start", steps=1, class_names=("old",)).model
    copy = folder.parent / "copy.safetensors"
    copy.write_bytes(start.read_bytes())
    options = {"steps": 6, "class_names": ("new",), "arch": None, "patch": None}
    straight = run(folder, "straight", init=str(start), **options)

    def stop(event: dict) -> None:
        if event["event"] == "step" and event["step"] == 3:
            (folder.parent / "run" / "stop").touch()

    settings = OPTIONS | options | {"init": str(copy)}
    train(make_config(dataset=folder, run=folder.parent / "run", **settings), stop)
    copy.unlink()
    moved = folder.rename(folder.parent / "elsewhere")
    resumed = run(moved, "run", resume=True)
    assert resumed.steps == 6
    ours, theirs = last_weights(straight.model.parent), last_weights(resumed.model.parent)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    names = [item.name for item in load_model(resumed.model).plan.classes]
    assert names == ["background", "old", "new"]
    assert any("starts from" in note for note in resumed.notes)
    assert json.loads((moved.parent / "run" / "config.json").read_text())["dataset"] == str(moved)
    shutil.copytree(moved, folder)
    (folder / "images" / "cell0.png").write_bytes((folder / "images" / "cell1.png").read_bytes())
    with pytest.raises(InputError, match="not what it was when the run .* began"):
        run(folder, "run", resume=True)


def test_what_cannot_be_resumed(make_dataset) -> None:
    folder = make_dataset()
    with pytest.raises(InputError, match="holds no run to resume.*--resume"):
        run(folder, "nothing", resume=True)
    assert not (folder.parent / "nothing").exists()
    result = run(folder, "run", steps=3)
    mask = folder / "masks" / "cell0.png"
    mask.write_bytes((folder / "masks" / "cell1.png").read_bytes())
    with pytest.raises(InputError, match="not what it was when the run .* began"):
        run(folder, "run", resume=True)
    (result.model.parent / "last.ckpt").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(InputError, match="cannot resume from .*last.ckpt"):
        load_state(result.model.parent / "last.ckpt")


def test_what_is_held_out_must_stay(make_dataset, tmp_path: Path) -> None:
    folder, names = make_dataset(), tmp_path / "held_out.txt"
    names.write_text("cell0\n")
    run(folder, "run", steps=3, val=(str(names),))
    names.write_text("cell1\n")
    with pytest.raises(InputError, match="other images are held out"):
        run(folder, "run", resume=True)


def test_a_checkpoint_is_no_program(tmp_path: Path) -> None:
    """One from elsewhere must not run code when it is read."""
    import pickle

    class Evil:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"format": FORMAT, "network": Evil()}, tmp_path / "last.ckpt", pickle_module=pickle)
    with pytest.raises(InputError, match="cannot resume from"):
        load_state(tmp_path / "last.ckpt")
    assert not (tmp_path / "ran").exists()


def test_a_full_disk_leaves_the_former_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    save_state(path, {"step": 1})
    # A limit on the size of files is the nearest to a full disk that a test can have.
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(InputError, match=r"cannot write .*last\.ckpt"):
            save_state(path, {"step": 2, "weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)
    assert load_state(path)["step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]
