"""Several processes train as one does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass
from swin_umamba_training.checkpointing import load_state
from swin_umamba_training.config import make_config
from swin_umamba_training.data.preparing import with_batch


def train(folder: Path, run: Path, devices: int) -> None:
    command = [
        *(sys.executable, "-m", "swin_umamba_training", "train", str(folder), "-o", str(run)),
        *("--arch", "swin-umamba-d-tiny", "--patch", "32", "--batch", "4", "--steps", "5"),
        *("--device", "cpu", "--devices", str(devices), "--val-every", "5"),
        # frozen at first, so that some weights have no gradient in some steps
        *("--set", "freeze.steps=2"),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    answer = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=250, check=False
    )
    assert answer.returncode == 0, answer.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="gloo on Windows needs more than this")
def test_two_processes_equal_one(make_dataset) -> None:
    """Drop path included: it depends on the sample, and not on who computes it."""
    folder = make_dataset(images=6)
    one, two = folder.parent / "one", folder.parent / "two"
    train(folder, one, 1)
    train(folder, two, 2)
    ours, theirs = (load_state(run / "last.ckpt") for run in (one, two))
    start = load_state(one / "last.ckpt")["network"]
    assert start.keys() == theirs["network"].keys()
    worst = max(float((ours["network"][key] - theirs["network"][key]).abs().max()) for key in start)
    assert worst < 1e-5
    assert ours["best"] == pytest.approx(theirs["best"], abs=1e-5)
    names = {file.name for file in one.iterdir()}
    assert {file.name for file in two.iterdir()} == names
    events = [json.loads(line) for line in (two / "events.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events].count("done") == 1
    losses = [
        [json.loads(x) for x in (run / "events.jsonl").read_text().splitlines()]
        for run in (one, two)
    ]
    first = [[e["loss"] for e in run if e["event"] == "validation"] for run in losses]
    assert first[0] == pytest.approx(first[1], abs=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGTERM on Windows")
def test_sigterm_ends_all_processes_and_saves(make_dataset) -> None:
    folder = make_dataset(images=6)
    command = [
        *(sys.executable, "-m", "swin_umamba_training", "train", str(folder)),
        *("--arch", "swin-umamba-d-tiny", "--patch", "32", "--batch", "4", "--steps", "5000"),
        *("--device", "cpu", "--devices", "2", "--val-every", "5000"),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for attempt in range(3):  # it depended on the moment whether anything was saved
        run = folder.parent / f"run{attempt}"
        process = subprocess.Popen(
            [*command, "-o", str(run)], env=environment, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            events = run / "events.jsonl"
            if events.exists() and '"event": "step"' in events.read_text():
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 1, stderr
        assert stderr.splitlines().count("error: interrupted") >= 1, stderr
        assert load_state(run / "last.ckpt")["clock"]["step"] > 0
        assert (run / "model.safetensors").exists()


def test_a_batch_must_be_shared_out_equally(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--batch: 4 patches .* 3 devices"):
        make_config(dataset=tmp_path, run=tmp_path / "run", batch=4, devices=3)


def test_a_batch_that_nobody_chose_is_shared_out_equally(tmp_path: Path) -> None:
    plan = Plan(
        architecture="swin-umamba-d-tiny",
        channels=(Channel(name="intensity", normalization=Normalization(scheme="none")),),
        classes=tuple(SegmentationClass(id=i, name=str(i)) for i in range(2)),
        patch=(256, 256),
    )
    for devices, batch in ((1, 4), (3, 6)):
        config = make_config(dataset=tmp_path, run=tmp_path / "run", devices=devices)
        assert config.batch == 0
        assert with_batch(config, plan).batch == batch


def test_sums_are_those_of_all_processes(tmp_path: Path) -> None:
    """Loss and gradient of two half batches, averaged as DDP does, are those of the whole one."""
    program = """
import sys, torch
from torch import distributed
from swin_umamba_training.losses import DiceCrossEntropy
rank, folder = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
generator = torch.Generator().manual_seed(0)
logits = torch.randn(4, 3, 8, 8, generator=generator)
target = torch.randint(-1, 3, (4, 8, 8), generator=generator)
weight = torch.ones(3, 1, 1, requires_grad=True)
mine = slice(2 * rank, 2 * rank + 2)
loss = DiceCrossEntropy()(logits[mine] * weight, target[mine])
loss.backward()
distributed.all_reduce(weight.grad)
torch.save((loss.detach(), weight.grad / 2), f"{folder}/{rank}.pt")
distributed.destroy_process_group()
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(rank), str(tmp_path)], stderr=subprocess.PIPE
        )
        for rank in (0, 1)
    ]
    for process in processes:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr.decode()
    from swin_umamba_training.losses import DiceCrossEntropy

    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, 8, 8, generator=generator)
    target = torch.randint(-1, 3, (4, 8, 8), generator=generator)
    weight = torch.ones(3, 1, 1, requires_grad=True)
    loss = DiceCrossEntropy()(logits * weight, target)
    loss.backward()
    for rank in (0, 1):
        their_loss, their_gradient = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert their_loss.item() == pytest.approx(loss.item(), abs=1e-6)
        assert torch.allclose(their_gradient, weight.grad, atol=1e-6)
