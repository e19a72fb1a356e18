"""Layer norms of maps by the kernels in :mod:`.norm_kernels`, channels last, float32."""

import functools
from typing import Any

from numba import types
from torch import Tensor, nn

from napari_swin_umamba.network.cpu.compilation import kernel
from napari_swin_umamba.network.cpu.norm_kernels import classify_kernel, gated_norm_kernel
from napari_swin_umamba.network.cpu.threads import ranges, run_all

_ARRAY = types.float32[::1]
_GATED_NORM = types.void(*[_ARRAY] * 4, types.float64, *[types.int64] * 3)
_CLASSIFY = types.void(*[_ARRAY] * 4, types.float64, *[types.int64] * 4)


def warm_up() -> None:
    """Compile the kernels, or load them from Numba's cache."""
    kernel(gated_norm_kernel, _GATED_NORM)
    kernel(classify_kernel, _CLASSIFY)


def gated_norm_(norm: nn.LayerNorm, x: Tensor, gate: Tensor) -> Tensor:
    """Write ``norm(x) silu(gate)`` over ``x (..., C)``, contiguous, C a multiple of 16."""
    arrays = (x.view(-1).numpy(), _flat(gate), _flat(norm.weight), _flat(norm.bias))
    run = kernel(gated_norm_kernel, _GATED_NORM)
    _run(functools.partial(run, *arrays, norm.eps, x.shape[-1]), x)
    return x


def classify(norm: nn.LayerNorm, head: nn.Conv2d, x: Tensor) -> Tensor:
    """Logits ``(..., classes)`` of features ``(..., C)`` by norm and 1x1 convolution."""
    weight = head.weight.flatten(1)
    constants = weight @ norm.bias
    if head.bias is not None:
        constants = constants + head.bias
    out = x.new_empty(*x.shape[:-1], len(weight))
    arrays = (_flat(x), _flat(weight * norm.weight), _flat(constants), _flat(out))
    run = kernel(classify_kernel, _CLASSIFY)
    _run(functools.partial(run, *arrays, norm.eps, x.shape[-1], len(weight)), x)
    return out


def _run(part: Any, x: Tensor) -> None:
    rows = x.numel() // x.shape[-1]
    run_all([functools.partial(part, first, last) for first, last in ranges(rows)])


def _flat(x: Tensor) -> Any:
    return x.detach().contiguous().view(-1).numpy()
