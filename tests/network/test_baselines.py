"""The networks to compare with: they are what their names say, and fit into our files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.networks.nets.dynunet import DynUNet

from napari_swin_umamba import load_model, segment
from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.network import BASELINES, build_network
from napari_swin_umamba.plan import Plan


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", BASELINES)
def test_logits_of_any_multiple_of_32(name: str) -> None:
    network = build_network(name, 2, 4).eval()
    with torch.no_grad():
        finest = network(torch.zeros(1, 2, 32, 96))
        several = build_network(name, 2, 4, deep_supervision=True)(torch.zeros(2, 2, 64, 32))
    assert finest.shape == (1, 4, 32, 96)
    assert [tuple(logits.shape) for logits in several] == [
        (2, 4, 64 // scale, 32 // scale) for scale in (1, 2, 4, 8)[: len(several)]
    ]
    assert len(several) == (1 if name == "segresnet" else 4)


def test_dynunet_computes_what_monais_does() -> None:
    ours = build_network("dynunet-tiny", 1, 3).eval()
    filters = [10, 20, 40, 80, 140, 140]
    theirs = DynUNet(
        *(2, 1, 3, [3] * 6, [1, 2, 2, 2, 2, 2], [2] * 5, filters),
        deep_supervision=True,
        deep_supr_num=3,
    ).eval()
    parts = {
        "encoder": [theirs.input_block, *theirs.downsamples, theirs.bottleneck],
        "decoder": theirs.upsamples,
        "head": theirs.output_block,
        "coarse_heads": theirs.deep_supervision_heads,
    }
    for name, part in parts.items():
        modules = torch.nn.ModuleList(part) if isinstance(part, list) else part
        getattr(ours, name).load_state_dict(modules.state_dict())
    image = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(ours(image), theirs(image))


def test_sizes() -> None:
    assert count(build_network("dynunet", 1, 3)) == pytest.approx(20.6e6, rel=0.01)
    tiny = count(build_network("swin-umamba-d-tiny", 1, 3))
    assert count(build_network("dynunet-tiny", 1, 3)) == pytest.approx(tiny, rel=0.15)
    # The state dict holds every weight once.
    state = build_network("dynunet", 1, 3).state_dict()
    assert sum(tensor.numel() for tensor in state.values()) == count(build_network("dynunet", 1, 3))


def test_a_file_of_a_baseline_segments_like_any_other(tmp_path: Path) -> None:
    plan = Plan(
        architecture="dynunet-tiny",
        channels=[{"name": "c", "normalization": {"scheme": "zscore"}}],
        classes=[{"id": 0, "name": "background"}, {"id": 1, "name": "cell"}],
        patch=(32, 32),
    )
    network = build_network("dynunet-tiny", 1, 2)
    path = Model(network, plan, "unet").save(tmp_path / "unet.safetensors")
    loaded = load_model(path)
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            loaded.network.state_dict().values(), network.state_dict().values(), strict=True
        )
    )
    image = np.random.default_rng(0).integers(0, 255, (50, 70)).astype(np.uint8)
    assert segment(image, loaded).labels.shape == (50, 70)
