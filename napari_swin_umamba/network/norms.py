"""Layer norms of feature maps and what follows them: by kernels where a GPU only infers."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_swin_umamba.network.linear import linear
from napari_swin_umamba.network.selective_scan.backends import resolve_backend
from napari_swin_umamba.network.selective_scan.obstacles import interprets_triton

_MOST_CLASSES = 16
"""Up to which our kernel takes class by class; with more, a matrix product is faster."""


def layer_norm(norm: nn.LayerNorm, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Normalise the features of every pixel.

    Parameters
    ----------
    norm
        The layer.
    x
        Features, ``(B, H, W, C)``.
    dtype
        Type of the result where a kernel computes it; None means that of the products that follow.
        torch's own layer decides for itself.

    Returns
    -------
    Tensor, ``(B, H, W, C)``
    """
    if not _suits_kernels(x):
        normed: Tensor = norm(x)
        return normed
    from napari_swin_umamba.network.gpu import norms

    return norms.layer_norm(norm, x, dtype or _product_dtype(x))


def gated_norm(norm: nn.LayerNorm, x: Tensor, gate: Tensor) -> Tensor:
    """``norm(x) silu(gate)``, each ``(B, H, W, C)``."""
    if not _suits_kernels(x):
        gated: Tensor = norm(x) * functional.silu(gate)
        return gated
    from napari_swin_umamba.network.gpu import norms

    return norms.gated_norm(norm, x, gate)


def classify(norm: nn.LayerNorm, head: nn.Conv2d, x: Tensor) -> Tensor:
    """Logits of features ``(B, H, W, C)`` by norm and 1x1 convolution, ``(B, H, W, classes)``."""
    if not _suits_kernels(x) or head.out_channels > _MOST_CLASSES:
        return linear(layer_norm(norm, x), head.weight.flatten(1), head.bias)
    from napari_swin_umamba.network.gpu import norms

    return norms.classify(norm, head, x)


def _product_dtype(x: Tensor) -> torch.dtype:
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def _suits_kernels(x: Tensor) -> bool:
    """Tell whether our kernels may work on a map: on a GPU, and no gradients asked."""
    return (
        (x.device.type == "cuda" or interprets_triton())
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and x.dtype in (torch.float32, torch.bfloat16, torch.float16)
        and resolve_backend(str(x.device), None, 0) == "triton"
    )
