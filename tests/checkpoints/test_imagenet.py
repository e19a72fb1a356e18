"""ImageNet weights in both networks: every tensor where it belongs, for any number of channels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from napari_swin_umamba.checkpoints import load_imagenet
from napari_swin_umamba.checkpoints.imagenet import IMAGENET_ARCHITECTURES, check_takes_imagenet
from napari_swin_umamba.checkpoints.vmamba import tiny_layout
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.network import ARCHITECTURES, build_network

CLASSIFIER = {"norm.weight", "norm.bias", "head.weight", "head.bias"}
OWN_STEM = {"patch_embed.proj.weight", "patch_embed.proj.bias", "patch_embed.norm.weight"}
PROJECTION = "vssm_encoder.patch_embed.proj.weight"


@pytest.fixture(scope="module")
def file_tensors(vmamba_file: Path) -> dict[str, Tensor]:
    return torch.load(vmamba_file, weights_only=True)["model"]


def build(architecture: str, channels: int) -> tuple[nn.Module, dict[str, Tensor]]:
    """A network, and its weights as drawn."""
    torch.manual_seed(channels)
    network = build_network(architecture, channels, 2).eval()
    return network, {name: tensor.clone() for name, tensor in network.state_dict().items()}


def place(name: str) -> str:
    """Where a tensor of the file belongs; spelt out, apart from the code's own rule."""
    for stage in range(3):
        name = name.replace(f"layers.{stage}.downsample.", f"downsamples.{stage}.")
    return f"vssm_encoder.{name}"


@pytest.mark.parametrize("architecture", IMAGENET_ARCHITECTURES)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_every_tensor_arrives_where_it_belongs(
    architecture: str, channels: int, vmamba_file: Path, file_tensors: dict
) -> None:
    network, drawn = build(architecture, channels)
    skipped = CLASSIFIER | (OWN_STEM if architecture == "swin-umamba" else set())
    adapted = architecture == "swin-umamba-d" and channels != 3

    report = load_imagenet(network, vmamba_file)

    own = network.state_dict()
    filled = {place(name): name for name in file_tensors.keys() - skipped}
    for name, tensor in own.items():
        if name in filled and not (adapted and name == PROJECTION):
            assert torch.equal(tensor, file_tensors[filled[name]]), name
        elif name not in filled:
            assert torch.equal(tensor, drawn[name]), name
    assert set(report.skipped) == skipped
    assert set(report.loaded) | set(report.adapted) == set(filled)
    assert not set(report.loaded) & set(report.adapted)
    assert set(report.drawn) == own.keys() - filled.keys()
    assert report.complete
    assert set(report.adapted) == ({PROJECTION} if adapted else set())
    if adapted:
        colours = file_tensors["patch_embed.proj.weight"]
        torch.testing.assert_close(
            own[PROJECTION], (colours.sum(1, keepdim=True) / channels).repeat(1, channels, 1, 1)
        )
        assert f"{PROJECTION}" in str(report)
        assert "red, green and blue" in report.adapted[PROJECTION]
        assert ("divided by 5" in report.adapted[PROJECTION]) == (channels == 5)


@pytest.mark.parametrize("channels", [1, 5])
def test_equal_channels_are_encoded_as_a_grey_colour_image(
    channels: int, vmamba_file: Path
) -> None:
    grey = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    colour, _ = build("swin-umamba-d", 3)
    other, _ = build("swin-umamba-d", channels)
    encoders = []
    with torch.no_grad():
        for network, count in ((colour, 3), (other, channels)):
            load_imagenet(network, vmamba_file)
            encoders.append(network.vssm_encoder(grey.repeat(1, count, 1, 1)))
    for expected, found in zip(*encoders, strict=True):
        assert expected.std() > 1e-3
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4 * float(expected.std()))


def test_a_network_of_another_width_is_refused_unchanged(vmamba_file: Path) -> None:
    network, drawn = build("swin-umamba-d-tiny", 1)
    with pytest.raises(InputError, match="do not fit this network's encoder"):
        load_imagenet(network, vmamba_file)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, drawn[name])


def test_another_file_changes_nothing(tmp_path: Path) -> None:
    network, drawn = build("swin-umamba-d", 1)
    layout = tiny_layout()
    del layout["layers.2.blocks.8.ln_1.bias"]
    path = tmp_path / "other.pth"
    torch.save({"model": {name: torch.ones(1).expand(s) for name, s in layout.items()}}, path)
    with pytest.raises(InputError, match=r"1 missing: layers\.2\.blocks\.8\.ln_1\.bias"):
        load_imagenet(network, path)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, drawn[name])


def test_which_networks_take_imagenet_weights() -> None:
    for name in ARCHITECTURES:
        if name in IMAGENET_ARCHITECTURES:
            check_takes_imagenet(name)
        else:
            with pytest.raises(InputError, match=f"{name}.*--arch swin-umamba or swin-umamba-d"):
                check_takes_imagenet(name)
