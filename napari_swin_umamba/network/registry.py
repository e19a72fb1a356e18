"""Networks by name."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.network.baselines import DynUNetBaseline, SegResNetBaseline
from napari_swin_umamba.network.swin_umamba import SwinUMamba, SwinUMambaD

_VMAMBA_T: dict[str, Any] = {"dims": (96, 192, 384, 768), "depths": (2, 2, 9, 2)}
_TINY: dict[str, Any] = {"dims": (24, 48, 96, 192), "depths": (2, 2, 4, 2)}

_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "swin-umamba": partial(SwinUMamba, **_VMAMBA_T),
    "swin-umamba-d": partial(SwinUMambaD, **_VMAMBA_T),
    "swin-umamba-tiny": partial(SwinUMamba, dims=(16, 32, 64, 128), depths=(2, 2, 4, 2)),
    "swin-umamba-d-tiny": partial(SwinUMambaD, **_TINY),
}
_BASELINES: dict[str, Callable[..., nn.Module]] = {
    "dynunet": DynUNetBaseline,
    "dynunet-tiny": partial(DynUNetBaseline, features=10, most=140),
    "segresnet": SegResNetBaseline,
}

ARCHITECTURES: tuple[str, ...] = tuple(_NETWORKS)
"""Names of our networks."""
BASELINES: tuple[str, ...] = tuple(_BASELINES)
"""Names of networks to compare with; :func:`build_network` accepts them as well."""


def build_network(
    name: str, in_channels: int, num_classes: int, deep_supervision: bool = False
) -> nn.Module:
    """Build a network with freshly drawn weights.

    Parameters
    ----------
    name
        One of :data:`ARCHITECTURES`: ``swin-umamba`` (60 M parameters, convolutional decoder),
        ``swin-umamba-d`` (27 M, Swin-UMamba†), ``swin-umamba-tiny`` and ``swin-umamba-d-tiny`` (1.7
        M each: the same with fewer and narrower blocks, for laptops). Or one of
        :data:`BASELINES`: ``dynunet`` (nnU-Net's 2D network), ``dynunet-tiny`` (the same with
        as many parameters as our tiny ones) or ``segresnet``.
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
    networks = _NETWORKS | _BASELINES
    if name not in networks:
        raise InputError(f"unknown network {name!r}: choose one of {', '.join(networks)}")
    for what, value in (("in_channels", in_channels), ("num_classes", num_classes)):
        if value < 1:
            raise InputError(f"{what} must be at least 1, got {value}")
    return networks[name](in_channels, num_classes, deep_supervision=deep_supervision)
