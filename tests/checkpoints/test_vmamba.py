"""Which files of VMamba weights are taken, and what is said about the others."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from math import prod
from pathlib import Path

import pytest
import torch
from torch import Tensor

from napari_swin_umamba.checkpoints.vmamba import read_vmamba_tiny, tiny_layout
from napari_swin_umamba.errors import InputError


def named(*shapes: tuple[str, tuple[int, ...]]) -> dict[str, Tensor]:
    return {name: torch.zeros(shape) for name, shape in shapes}


@pytest.fixture
def save(tmp_path: Path) -> Callable[[object], Path]:
    def to_file(content: object) -> Path:
        torch.save(content, tmp_path / "weights.pth")
        return tmp_path / "weights.pth"

    return to_file


@pytest.fixture
def weights() -> dict[str, Tensor]:
    """The exact layout, of one number per tensor: a file of a few kilobytes once cloned less."""
    return {name: torch.zeros(1).expand(shape) for name, shape in tiny_layout().items()}


def test_the_layout_is_that_of_the_published_file() -> None:
    layout = tiny_layout()
    assert len(layout) == 212
    assert sum(map(prod, layout.values())) == 22_893_448
    assert layout["layers.3.blocks.1.self_attention.x_proj_weight"] == (4, 80, 1536)
    assert layout["layers.2.blocks.8.self_attention.dt_projs_weight"] == (4, 768, 24)
    assert layout["layers.0.downsample.reduction.weight"] == (192, 384)
    assert layout["patch_embed.proj.weight"] == (96, 3, 4, 4)
    assert "layers.3.downsample.norm.bias" not in layout


def test_what_lies_beside_the_weights_is_ignored(save, weights: dict) -> None:
    path = save({"model": weights, "epoch": 292, "optimizer": {"state": [1, 2]}})
    assert read_vmamba_tiny(path).keys() == weights.keys()


def test_a_bare_state_dict_is_read(save, weights: dict) -> None:
    assert read_vmamba_tiny(save(weights)).keys() == weights.keys()


@pytest.mark.parametrize(
    ("shapes", "messages"),
    [
        pytest.param(
            [
                ("patch_embed.0.weight", (48, 3, 3, 3)),
                ("layers.0.blocks.0.norm.weight", (96,)),
                ("layers.0.blocks.0.op.A_logs", (384, 1)),
                ("layers.0.blocks.0.op.in_proj.weight", (96, 96)),
                ("layers.0.blocks.0.op.out_norm.weight", (96,)),
                ("layers.0.blocks.0.mlp.fc1.weight", (384, 96)),
                ("classifier.head.weight", (1000, 768)),
            ],
            ["newer VMamba", "MLP", "1 instead of 16 states", "no gate", "several convolutions"],
            id="v2",
        ),
        pytest.param(
            [
                ("patch_embed.proj.weight", (96, 3, 4, 4)),
                ("layers.2.blocks.26.op.A_logs", (1536, 16)),
            ],
            ["newer VMamba (its block is another one)"],
            id="an intermediate release",
        ),
        pytest.param(
            [("patch_embed.proj.weight", (128, 3, 4, 4))]
            + [
                item
                for stage, depth in enumerate((2, 2, 27, 2))
                for block in range(depth)
                for item in (
                    (f"layers.{stage}.blocks.{block}.ln_1.weight", (128,)),
                    (f"layers.{stage}.blocks.{block}.self_attention.A_logs", (1024, 16)),
                )
            ],
            ["VMamba-B v0 (128 channels, blocks 2, 2, 27, 2)"],
            id="base",
        ),
        pytest.param(
            [("vssm_encoder.layers.0.blocks.0.self_attention.A_logs", (768, 16))],
            ["a whole Swin-UMamba network"],
            id="Swin-UMamba",
        ),
        pytest.param(
            [("layers.0.blocks.0.attn.relative_position_bias_table", (169, 3))],
            ["a Swin Transformer"],
            id="Swin",
        ),
        pytest.param([("x", (1,))], ["no VMamba-T v0", "212 missing", "1 unexpected: x"], id="any"),
    ],
)
def test_other_networks_are_named(shapes: list, messages: list[str], save) -> None:
    with pytest.raises(InputError) as caught:
        read_vmamba_tiny(save({"model": named(*shapes)}))
    message = str(caught.value)
    for part in (*messages, "needs VMamba-T v0"):
        assert part in message
    assert "\n" not in message


def test_what_differs_is_named(save, weights: dict) -> None:
    del weights["head.bias"]
    weights["norm.weight"] = torch.zeros(5)
    weights["more"] = torch.zeros(1)
    with pytest.raises(InputError) as caught:
        read_vmamba_tiny(save({"model": weights}))
    for part in (
        "1 missing: head.bias",
        "1 unexpected: more",
        "1 of another shape: norm.weight is [5], not [768]",
    ):
        assert part in str(caught.value)


def test_numbers_of_another_kind(save, weights: dict) -> None:
    halves = {name: tensor.half() for name, tensor in weights.items()}
    with pytest.raises(InputError, match="holds float16 numbers, not float32"):
        read_vmamba_tiny(save({"model": halves}))
    weights["norm.bias"] = torch.full((768,), torch.nan)
    with pytest.raises(InputError, match=r"'norm\.bias'.*not finite"):
        read_vmamba_tiny(save({"model": weights}))


class Settings(dict):
    """As yacs' CfgNode, which early VMamba files hold under ``config``."""


def test_python_objects_are_refused_by_name(save, weights: dict) -> None:
    path = save({"model": weights, "config": Settings(a=1)})
    with pytest.raises(InputError, match=r"Python objects .*\bSettings\b.*could run code"):
        read_vmamba_tiny(path)


@pytest.mark.parametrize("old_format", [False, True])
def test_a_file_cannot_run_code(old_format: bool, tmp_path: Path, capfd) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return print, ("run",)

    path = tmp_path / "evil.pth"
    torch.save({"model": Evil()}, path, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(InputError, match=r"\((builtins\.)?print\)"):
        read_vmamba_tiny(path)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"PK\x03\x04", b"<html></html>", pickle.dumps([1]), bytes(1000), b"\x80\x02}."],
)
def test_what_is_no_file_of_weights(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.pth is damaged, or no file|holds no table"):
        read_vmamba_tiny(path)


def test_a_part_of_a_file(save, weights: dict) -> None:
    path = save({"model": weights})
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.999):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputError, match="damaged"):
            read_vmamba_tiny(path)


@pytest.mark.parametrize("content", [[1], {}, {"model": {}}, {"model": {"a": 1}}, {1: {}}, "text"])
def test_what_holds_no_tensors(content: object, save) -> None:
    with pytest.raises(InputError, match="no table of tensors"):
        read_vmamba_tiny(save(content))


def test_a_checkpoint_of_nnunet(save) -> None:
    with pytest.raises(InputError, match="checkpoint of nnU-Net"):
        read_vmamba_tiny(save({"network_weights": named(("a", (1,)))}))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the weights"):
        read_vmamba_tiny(tmp_path / "none.pth")
