"""Passes recorded as one CUDA graph give what the network gives."""

from __future__ import annotations

import pytest
import torch

from napari_swin_umamba.network import build_network
from napari_swin_umamba.network.gpu.replay import Replay


def tiny_network(device: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network("swin-umamba-d-tiny", 1, 2).eval().to(device)


def test_passes_on_the_cpu_are_as_usual() -> None:
    network, replay = tiny_network("cpu"), Replay()
    image = torch.randn(1, 1, 32, 32)
    with torch.inference_mode():
        expected = network(image)
        for _ in range(4):
            assert torch.equal(replay(network, image), expected)
    assert not replay.recorded


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_replayed_passes_are_those_of_the_network(precision: torch.dtype | None) -> None:
    network, replay = tiny_network("cuda"), Replay()
    images = [torch.randn(2, 1, 64, 64, device="cuda") for _ in range(6)]
    results = []
    for image in images:  # each in a context of its own, as the engine has them
        with torch.inference_mode(), torch.autocast("cuda", precision, enabled=bool(precision)):
            results.append(replay(network, image))
    assert replay.recorded
    for image, result in zip(images, results, strict=True):
        with torch.inference_mode(), torch.autocast("cuda", precision, enabled=bool(precision)):
            expected = network(image)
        tolerance = 0.05 if precision else 1e-4
        assert (result - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_other_weights_count_at_once() -> None:
    network, replay = tiny_network("cuda"), Replay()
    image = torch.randn(1, 1, 64, 64, device="cuda")
    with torch.inference_mode():
        for _ in range(4):
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
    assert not replay.recorded
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_another_shape_is_another_recording() -> None:
    network, replay = tiny_network("cuda"), Replay()
    with torch.inference_mode():
        for size in (64, 96, 64):
            image = torch.randn(1, 1, size, size, device="cuda")
            for _ in range(4):
                result = replay(network, image)
            assert replay.recorded
            torch.testing.assert_close(result, network(image), rtol=1e-3, atol=1e-3)
