"""Files of VMamba weights (github.com/MzeroMiko/VMamba): the one layout that fits, and the others.

Swin-UMamba's encoder is VMamba-T of the first release ("v0"). Later releases changed the block, and
their files look alike from outside; a file is known by the names and shapes of its tensors.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_swin_umamba.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["DEPTHS", "DIMS", "read_vmamba_tiny", "tiny_layout"]

DIMS = (96, 192, 384, 768)
"""Channels of the four stages of VMamba-T."""
DEPTHS = (2, 2, 9, 2)
"""Blocks of the four stages of VMamba-T v0."""

_STATES = 16
_CLASSES = 1000
_NAMES_SHOWN = 3
# What a damaged or foreign file makes torch.load raise.
_UNREADABLE = (
    *(pickle.UnpicklingError, RuntimeError, EOFError, zipfile.BadZipFile, UnicodeError),
    *(ValueError, LookupError, TypeError, AttributeError, ImportError, AssertionError),
)

Shape = tuple[int, ...]


def tiny_layout() -> dict[str, Shape]:
    """Return name and shape of every tensor of VMamba-T v0: 212, 22,893,448 numbers."""
    layout: dict[str, Shape] = {
        "patch_embed.proj.weight": (DIMS[0], 3, 4, 4),
        "patch_embed.proj.bias": (DIMS[0],),
        **_norm("patch_embed.norm", DIMS[0]),
    }
    for stage, (dim, depth) in enumerate(zip(DIMS, DEPTHS, strict=True)):
        for block in range(depth):
            layout |= _block(f"layers.{stage}.blocks.{block}", dim)
        if stage < len(DIMS) - 1:
            down = f"layers.{stage}.downsample"
            layout |= {f"{down}.reduction.weight": (2 * dim, 4 * dim)}
            layout |= _norm(f"{down}.norm", 4 * dim)
    layout |= _norm("norm", DIMS[-1])
    return layout | {"head.weight": (_CLASSES, DIMS[-1]), "head.bias": (_CLASSES,)}


def _block(prefix: str, dim: int) -> dict[str, Shape]:
    inner, rank = 2 * dim, -(-dim // 16)
    attention = f"{prefix}.self_attention"
    return {
        **_norm(f"{prefix}.ln_1", dim),
        f"{attention}.x_proj_weight": (4, rank + 2 * _STATES, inner),
        f"{attention}.dt_projs_weight": (4, inner, rank),
        f"{attention}.dt_projs_bias": (4, inner),
        f"{attention}.A_logs": (4 * inner, _STATES),
        f"{attention}.Ds": (4 * inner,),
        f"{attention}.in_proj.weight": (2 * inner, dim),
        f"{attention}.conv2d.weight": (inner, 1, 3, 3),
        f"{attention}.conv2d.bias": (inner,),
        **_norm(f"{attention}.out_norm", inner),
        f"{attention}.out_proj.weight": (dim, inner),
    }


def _norm(prefix: str, channels: int) -> dict[str, Shape]:
    return {f"{prefix}.weight": (channels,), f"{prefix}.bias": (channels,)}


def read_vmamba_tiny(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a VMamba-T v0 file.

    Parameters
    ----------
    path
        ``{"model": {name: tensor}}`` as saved by ``torch.save``; what lies beside ``model`` is
        ignored. Read with ``weights_only``: nothing in the file can run code.

    Returns
    -------
    dict of Tensor
        float32, finite, exactly the names and shapes of :func:`tiny_layout`.

    Raises
    ------
    InputError
        The file is missing, damaged, holds Python objects, or another network's tensors; the
        message names the family if it is known, and what differs.
    """
    import torch

    tensors = _tensors(path, _load(path))
    _check_layout(path, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise InputError(f"{path}: '{name}' holds {kind} numbers, not float32 as published")
        if not torch.isfinite(tensor).all():
            raise InputError(f"{path}: '{name}' has values that are not finite")
    return tensors


def _load(path: Path) -> Any:
    import torch

    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"cannot read the weights {path}: {error.strerror or error}") from error
    try:
        with warnings.catch_warnings():
            # Of old formats torch warns; what cannot be read is said below.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, *_UNREADABLE) as error:  # a truncated file: OSError "invalid argument"
        if forbidden := _forbidden(path, error):
            raise InputError(
                f"{path} holds Python objects beside its tensors ({', '.join(forbidden)}); reading "
                "those could run code, so the file is refused; VMamba's early files hold their "
                "settings so: take the one that 'swin-umamba weights list' names"
            ) from error
        raise InputError(
            f"{path} is damaged, or no file of PyTorch weights; copy or download it again"
        ) from error


def _forbidden(path: Path, error: Exception) -> list[str]:
    """Return the Python names in a file that torch refuses to load."""
    import torch

    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except (OSError, *_UNREADABLE):  # older than torch 1.6's format: only the first name is known
        return re.findall(r"GLOBAL (\S+) was not", str(error))[:1]


def _tensors(path: Path, content: Any) -> dict[str, Tensor]:
    import torch

    if isinstance(content, dict) and "network_weights" in content:
        raise InputError(
            f"{path} is a checkpoint of nnU-Net, a whole network; these are not ImageNet weights"
        )
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        content = content["model"]
    found = dict(content) if isinstance(content, dict) else {}
    if not found or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in found.items()
    ):
        raise InputError(f"{path} holds no table of tensors under 'model', as VMamba's files do")
    return found


def _check_layout(path: Path, shapes: Mapping[str, Shape]) -> None:
    wanted = tiny_layout()
    if shapes == wanted:
        return
    family = _family(shapes)
    missing = [name for name in wanted if name not in shapes]
    unexpected = [name for name in shapes if name not in wanted]
    other = [
        f"{name} is {list(shapes[name])}, not {list(shape)}"
        for name, shape in wanted.items()
        if name in shapes and shapes[name] != shape
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": other}
    found = "; ".join(
        f"{len(names)} {kind}: {_some(names)}" for kind, names in kinds.items() if names
    )
    raise InputError(
        f"{path} holds {family or 'no VMamba-T v0'}, while Swin-UMamba needs VMamba-T v0 "
        f"('swin-umamba weights fetch imagenet'). Tensors {found}"
    )


def _family(shapes: Mapping[str, Shape]) -> str:
    """Say what a state dict is, and why it cannot be used; empty if it is not known.

    Names as in VMamba's files: ``vssm_tiny_0230_ckpt_epoch_262``, ``vssm1_tiny_0230s_…_264``.
    """
    if any(".op." in name for name in shapes):
        return f"a newer VMamba ({'; '.join(_newer(shapes))})"
    if any("self_attention.A_logs" in name for name in shapes):
        if any(name.startswith("vssm_encoder.") for name in shapes):
            return "a whole Swin-UMamba network rather than ImageNet weights"
        width = shapes.get("patch_embed.proj.weight", (0,))[0]
        blocks = re.compile(r"layers\.(\d+)\.blocks\.(\d+)\.ln_1\.weight")
        found = [match.group(1) for name in shapes if (match := blocks.fullmatch(name))]
        depths = tuple(found.count(stage) for stage in sorted(set(found)))
        if (width, depths) != (DIMS[0], DEPTHS):
            size = {96: "VMamba-S v0", 128: "VMamba-B v0"} if depths == (2, 2, 27, 2) else {}
            name = size.get(width, "a VMamba v0 of another size")
            return f"{name} ({width} channels, blocks {', '.join(map(str, depths))})"
    if any("relative_position_bias_table" in name for name in shapes):
        return "a Swin Transformer"
    return ""


def _newer(shapes: Mapping[str, Shape]) -> list[str]:
    """List what sets a newer VMamba apart, as its tensors show."""
    parts = ["its block is another one"]
    if any(".mlp." in name for name in shapes):
        parts.append("with an MLP")
    states = {shape[1] for name, shape in shapes.items() if name.endswith(".A_logs") if shape[1:]}
    if states and states != {_STATES}:
        parts.append(f"{', '.join(map(str, sorted(states)))} instead of {_STATES} states")
    gates = [
        shapes[name][0] != 2 * shapes[name.replace("in_proj.weight", "out_norm.weight")][0]
        for name in shapes
        if name.endswith(".op.in_proj.weight")
        and name.replace("in_proj.weight", "out_norm.weight") in shapes
    ]
    if any(gates):
        parts.append("no gate")
    if "patch_embed.0.weight" in shapes:
        parts.append("patches embedded by several convolutions")
    return [parts[0], ", ".join(parts[1:])] if parts[1:] else parts


def _some(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f", and {more} more" if more > 0 else "")
