"""Both networks compute what the official code computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_swin_umamba.network import build_network

UPSTREAM = {"SwinUMamba": "swin-umamba", "SwinUMambaD": "swin-umamba-d"}


@pytest.mark.parametrize("upstream", UPSTREAM)
@pytest.mark.parametrize(
    # With autograd the networks take fewer shortcuts; the reference is the same in both.
    ("backend", "autograd"),
    [("reference", False), ("torch", False), ("numba", False), ("numba", True)],
)
def test_every_output_agrees_with_upstream(
    upstream: str,
    backend: str,
    autograd: bool,
    golden: Path,
    seeded_state_dict: Callable,
    seeded_image: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SWIN_UMAMBA_SCAN_BACKEND", backend)
    expected = {
        key: value
        for key, value in np.load(golden / "network.npz").items()
        if key.startswith(f"{upstream}|")
    }
    assert len(expected) == 4
    _, in_channels, classes, size, seed, _ = next(iter(expected)).split("|")
    height, width = map(int, size.split("x"))
    seed_number = int(seed.removeprefix("seed"))

    network = build_network(UPSTREAM[upstream], int(in_channels), int(classes), True).eval()
    network.load_state_dict(seeded_state_dict(network, seed_number))
    image = seeded_image((1, int(in_channels), height, width), seed_number)
    with torch.set_grad_enabled(autograd):
        outputs = network(image)

    for key, truth in expected.items():
        ours = outputs[int(key.rsplit("out", 1)[1])].detach().numpy()
        error = np.abs(ours - truth).max() / truth.std()
        assert error <= 1e-4, f"{key}: {error:.1e}"


@pytest.mark.parametrize("upstream", UPSTREAM)
def test_tensors_have_upstream_names_and_shapes(upstream: str, golden: Path) -> None:
    shapes = json.loads((golden / "state_dict_shapes.json").read_text())[upstream]

    network = build_network(UPSTREAM[upstream], 1, 4)

    ours = {name: list(tensor.shape) for name, tensor in network.state_dict().items()}
    assert ours == shapes


@pytest.mark.parametrize(("name", "millions"), [("swin-umamba", 59.89), ("swin-umamba-d", 27.49)])
def test_number_of_parameters_is_that_of_the_paper(name: str, millions: float) -> None:
    network = build_network(name, 3, 3)

    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)


def test_the_tiny_network_has_at_most_two_million_parameters() -> None:
    network = build_network("swin-umamba-d-tiny", 3, 3)

    assert sum(p.numel() for p in network.parameters()) <= 2_000_000
