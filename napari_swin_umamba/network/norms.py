"""Layer norms of feature maps and what follows them: by kernels of ours where we only infer."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_swin_umamba.network.cpu import LANES
from napari_swin_umamba.network.linear import linear
from napari_swin_umamba.network.selective_scan.backends import resolve_backend
from napari_swin_umamba.network.selective_scan.obstacles import interprets_triton

_MOST_CLASSES = 16
"""Up to which our kernels take class by class; with more, a matrix product is faster."""

_LEAST_NUMBERS = 1 << 17
"""Of a map that the CPU's kernels work on: calling them takes longer than calling torch."""


def layer_norm(norm: nn.LayerNorm, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Normalise the features of every pixel.

    Parameters
    ----------
    norm
        The layer.
    x
        Features, ``(B, H, W, C)``.
    dtype
        Type of the result where a GPU's kernel computes it; None means that of the products that
        follow. torch's own layer decides for itself.

    Returns
    -------
    Tensor, ``(B, H, W, C)``
    """
    if _kernels(x) == "gpu":
        from napari_swin_umamba.network.gpu import norms as gpu

        return gpu.layer_norm(norm, x, dtype or _product_dtype(x))
    normed: Tensor = norm(x)
    return normed


def gated_norm_(norm: nn.LayerNorm, x: Tensor, gate: Tensor) -> Tensor:
    """``norm(x) silu(gate)``, each ``(B, H, W, C)``; ``x`` may be written over."""
    kernels = _kernels(x)
    if kernels == "gpu":
        from napari_swin_umamba.network.gpu import norms as gpu

        return gpu.gated_norm(norm, x, gate)
    if kernels == "cpu":
        from napari_swin_umamba.network.cpu import norms as cpu

        return cpu.gated_norm_(norm, x, gate)
    gated: Tensor = norm(x) * functional.silu(gate)
    return gated


def classify(norm: nn.LayerNorm, head: nn.Conv2d, x: Tensor) -> Tensor:
    """Logits of features ``(B, H, W, C)`` by norm and 1x1 convolution, ``(B, H, W, classes)``."""
    kernels = _kernels(x) if head.out_channels <= _MOST_CLASSES else None
    if kernels == "gpu":
        from napari_swin_umamba.network.gpu import norms as gpu

        return gpu.classify(norm, head, x)
    if kernels == "cpu":
        from napari_swin_umamba.network.cpu import norms as cpu

        return cpu.classify(norm, head, x)
    return linear(layer_norm(norm, x), head.weight.flatten(1), head.bias)


def _kernels(x: Tensor) -> Literal["gpu", "cpu"] | None:
    """Whose kernels may work on a map: none where gradients are asked for."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return None
    if x.device.type == "cuda" or interprets_triton():
        floats = (torch.float32, torch.bfloat16, torch.float16)
        suited = x.dtype in floats and resolve_backend(str(x.device), None, 0) == "triton"
        return "gpu" if suited else None
    plain = x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    suited = x.device.type == "cpu" and plain and x.is_contiguous() and x.shape[-1] % LANES == 0
    return "cpu" if suited and x.numel() >= _LEAST_NUMBERS else None


def _product_dtype(x: Tensor) -> torch.dtype:
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
