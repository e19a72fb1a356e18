"""Networks by name."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.network.swin_umamba import SwinUMamba, SwinUMambaD


@dataclass(frozen=True)
class _Architecture:
    network: Callable[..., nn.Module]
    dims: tuple[int, ...]
    depths: tuple[int, ...]


_VMAMBA_T = {"dims": (96, 192, 384, 768), "depths": (2, 2, 9, 2)}

_ARCHITECTURES = {
    "swin-umamba": _Architecture(SwinUMamba, **_VMAMBA_T),
    "swin-umamba-d": _Architecture(SwinUMambaD, **_VMAMBA_T),
    "swin-umamba-d-tiny": _Architecture(SwinUMambaD, (24, 48, 96, 192), (2, 2, 4, 2)),
}

ARCHITECTURES: tuple[str, ...] = tuple(_ARCHITECTURES)
"""Names that :func:`build_network` accepts."""


def build_network(
    name: str, in_channels: int, num_classes: int, deep_supervision: bool = False
) -> nn.Module:
    """Build a network with freshly drawn weights.

    Parameters
    ----------
    name
        One of :data:`ARCHITECTURES`: ``swin-umamba`` (60 M parameters, convolutional decoder),
        ``swin-umamba-d`` (27 M, Swin-UMamba†) or ``swin-umamba-d-tiny`` (the same with fewer and
        narrower blocks, for laptops).
    in_channels, num_classes
        Channels of the image and of the logits (background included).
    deep_supervision
        Return the logits of several resolutions, finest first, in training and eval mode alike.
        The heads are in the state dict either way.

    Returns
    -------
    torch.nn.Module
        Maps ``(B, in_channels, H, W)`` to logits ``(B, num_classes, H, W)``; H and W must be
        multiples of 32.

    Raises
    ------
    InputError
        The name is unknown or a number of channels is not positive.
    """
    if name not in _ARCHITECTURES:
        raise InputError(f"unknown network {name!r}: choose one of {', '.join(ARCHITECTURES)}")
    for what, value in (("in_channels", in_channels), ("num_classes", num_classes)):
        if value < 1:
            raise InputError(f"{what} must be at least 1, got {value}")
    arch = _ARCHITECTURES[name]
    return arch.network(in_channels, num_classes, arch.dims, arch.depths, deep_supervision)
