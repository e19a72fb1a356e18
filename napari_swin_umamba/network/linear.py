"""Linear layers on channels-last feature maps, by the faster of two libraries."""

import platform

import torch
from torch import Tensor
from torch.nn import functional

_X86 = platform.machine().lower() in ("x86_64", "amd64")
_HAS_ONEDNN = _X86 and torch.backends.mkldnn.is_available()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply a linear layer to every pixel of a feature map.

    On x86 processors float32 products run as 1x1 convolutions: oneDNN's code for them is compiled
    for the processor at hand, while the BLAS that ``functional.linear`` calls takes twice as long
    on AMD (``docs/decisions/0042``).

    Parameters
    ----------
    x
        Features, ``(B, H, W, C)``.
    weight, bias
        ``(E, C)`` and ``(E,)``.

    Returns
    -------
    Tensor, ``(B, H, W, E)``
    """
    if not _suits_onednn(x, weight):
        return functional.linear(x, weight, bias)
    # conv2d itself would not take oneDNN for one image on one thread.
    y = torch.mkldnn_convolution(
        x.permute(0, 3, 1, 2), weight[:, :, None, None], bias, (0, 0), (1, 1), (1, 1), 1
    )
    return y.permute(0, 2, 3, 1)


def _suits_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        _HAS_ONEDNN
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")  # which casts what linear takes, not this
        and not torch.compiler.is_compiling()  # the operator tells nothing about its result
    )
