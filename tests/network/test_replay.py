"""Passes recorded as one CUDA graph give what the network gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from napari_swin_umamba.network import build_network
from napari_swin_umamba.network.gpu import replay as replaying
from napari_swin_umamba.network.gpu.replay import PASSES_BEFORE, Replay, Tally

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
MANY = PASSES_BEFORE + 3


def tiny_network(device: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network("swin-umamba-d-tiny", 1, 2).eval().to(device)


def kinds_recorded(kinds: str) -> str:
    tally = Tally()
    tally.begins_anew("state")
    return "".join(kind for kind in kinds if tally.is_due(kind))


def test_what_comes_again_and_again_is_recorded_once() -> None:
    assert kinds_recorded("a" * PASSES_BEFORE) == ""
    assert kinds_recorded("a" * 1000) == "a"


def test_smaller_batches_between_do_not_hinder() -> None:
    assert kinds_recorded("ab" * 100) == "ab"  # rows of tiles: a full batch, and the rest


def test_few_kinds_are_recorded() -> None:
    assert kinds_recorded("abcdefg" * 100) == "abc"


def test_another_state_begins_anew() -> None:
    tally = Tally()
    assert tally.begins_anew("weights here")
    assert sum(tally.is_due("a") for _ in range(MANY)) == 1
    assert not tally.begins_anew("weights here")
    assert tally.begins_anew("weights there")
    assert not any(tally.is_due("a") for _ in range(PASSES_BEFORE))
    assert tally.is_due("a")


def test_passes_on_the_cpu_are_as_usual() -> None:
    network, replay = tiny_network("cpu"), Replay()
    image = torch.randn(1, 1, 32, 32)
    with torch.inference_mode():
        expected = network(image)
        for _ in range(MANY):
            assert torch.equal(replay(network, image), expected)
    assert replay.recordings == 0


@pytest.mark.gpu
@on_gpu
@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_replayed_passes_are_those_of_the_network(precision: torch.dtype | None) -> None:
    network, replay = tiny_network("cuda"), Replay()
    images = [torch.randn(2 + i % 2, 1, 64, 64, device="cuda") for i in range(2 * MANY)]
    results = []
    for image in images:  # each in a context of its own, as the engine has them
        with torch.inference_mode(), torch.autocast("cuda", precision, enabled=bool(precision)):
            results.append(replay(network, image))
    assert replay.recordings == 2
    for image, result in zip(images, results, strict=True):
        with torch.inference_mode(), torch.autocast("cuda", precision, enabled=bool(precision)):
            expected = network(image)
        tolerance = 0.05 if precision else 1e-4
        assert (result - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.gpu
@on_gpu
def test_other_weights_count_at_once() -> None:
    network, replay = tiny_network("cuda"), Replay()
    image = torch.randn(1, 1, 64, 64, device="cuda")
    with torch.inference_mode():
        for _ in range(MANY):
            replay(network, image)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(1.1)
    with torch.inference_mode():
        in_place = replay(network, image)
        expected = network(image)
        torch.testing.assert_close(in_place, expected, rtol=1e-3, atol=1e-3)
        network.cpu()
        network.cuda()  # to another place
        moved = replay(network, image)
    assert replay.recordings == 0
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
@on_gpu
def test_a_recording_that_fails_leaves_all_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    network, replay = tiny_network("cuda"), Replay()
    image = torch.randn(1, 1, 64, 64, device="cuda")
    run = replaying._run

    def fails_in_a_recording(network: torch.nn.Module, x: torch.Tensor) -> Any:
        if torch.cuda.is_current_stream_capturing():
            x.sum().item()  # waits for the GPU, which a recording must not
        return run(network, x)

    monkeypatch.setattr(replaying, "_run", fails_in_a_recording)
    stream = torch.cuda.current_stream()
    with torch.inference_mode():
        expected = network(image)
        for _ in range(MANY):
            torch.testing.assert_close(replay(network, image), expected, rtol=1e-3, atol=1e-3)
    assert replay.recordings == 0
    assert torch.cuda.current_stream() == stream
