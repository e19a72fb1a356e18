"""Launches of the kernels in :mod:`.norm_kernels`."""

import contextlib
from typing import Any

import torch
import triton
from torch import Tensor, nn

from napari_swin_umamba.network.gpu.norm_kernels import (
    classify_kernel,
    gated_norm_kernel,
    norm_kernel,
)

_TILE = 4096
"""Elements of a program's tile, of which each thread of four warps holds 32."""


def layer_norm(norm: nn.LayerNorm, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Normalise the last axis of ``x (..., C)``; the result is of ``dtype``."""
    x = x.contiguous()
    out = torch.empty_like(x, dtype=dtype)
    _launch(norm_kernel, norm, x, (), (out,))
    return out


def gated_norm(norm: nn.LayerNorm, x: Tensor, gate: Tensor) -> Tensor:
    """``norm(x) silu(gate)``, ``(..., C)``, of the gate's type."""
    x, gate = x.contiguous(), gate.contiguous()
    out = torch.empty_like(gate)
    _launch(gated_norm_kernel, norm, x, (gate,), (out,))
    return out


def classify(norm: nn.LayerNorm, head: nn.Conv2d, x: Tensor) -> Tensor:
    """Logits ``(..., classes)`` of ``x (..., C)`` by norm and 1x1 convolution, of the type of x."""
    x = x.contiguous()
    weight = head.weight.flatten(1).float().contiguous()
    bias = x.new_zeros(len(weight), dtype=torch.float32)
    if head.bias is not None:
        bias = head.bias.float()
    out = x.new_empty(*x.shape[:-1], len(weight))
    _launch(classify_kernel, norm, x, (), (weight, bias, out), len(weight))
    return out


def _launch(
    kernel: Any,
    norm: nn.LayerNorm,
    x: Tensor,
    before: tuple[Tensor, ...],
    after: tuple[Tensor, ...],
    *numbers: int,
) -> None:
    channels = x.shape[-1]
    rows = x.numel() // channels if channels else 0
    if rows == 0:
        return
    width = triton.next_power_of_2(channels)
    block = max(1, _TILE // width)
    weights = (norm.weight.float(), norm.bias.float())
    device: Any = torch.cuda.device(x.device) if x.is_cuda else contextlib.nullcontext()
    with device:
        kernel[(-(-rows // block),)](
            x,
            *before,
            *weights,
            *after,
            rows,
            channels,
            *numbers,
            norm.eps,
            BLOCK_R=block,
            C=width,
            num_warps=4,
        )
