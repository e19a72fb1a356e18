"""MONAI's residual blocks, run channels last and with fewer passes where nobody asks for gradients.

Parameters, names and results are MONAI's; only the way of the work differs.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from monai.networks.blocks.dynunet_block import UnetResBlock
from monai.networks.blocks.unetr_block import UnetrBasicBlock, UnetrUpBlock
from torch import Tensor, nn

from napari_swin_umamba.network.cpu import LANES

_LEAST_PIXELS = 32 * 32
"""Of a map that our kernels convolve: below, what they prepare takes longer than they save."""


class ResidualBlock(UnetrBasicBlock):
    """Two 3x3 convolutions with instance norm, and a shortcut."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        norm = _instance_norm(out_channels)
        super().__init__(2, in_channels, out_channels, 3, 1, norm, res_block=True)

    def forward(self, x: Tensor) -> Tensor:
        """Transform ``(B, C, H, W)`` to ``(B, E, H, W)``."""
        return _residual(self.layer, [x])


class UpBlock(UnetrUpBlock):
    """Double the resolution, append the skip connection, and pass a residual block."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        norm = _instance_norm(out_channels)
        super().__init__(2, in_channels, out_channels, 3, 2, norm, res_block=True)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Combine ``(B, C, H, W)`` with a skip connection ``(B, E, 2H, 2W)``; return its shape."""
        return _residual(self.conv_block, [_upsample(self.transp_conv, x), skip])


def _instance_norm(channels: int) -> tuple[str, dict[str, object]]:
    """Instance norm without parameters, as one group per channel.

    The same numbers: torch's group norm keeps the channels-last layout, its instance norm copies
    out of it and back.
    """
    return "group", {"num_groups": channels, "affine": False}


def _upsample(transposed: Any, x: Tensor) -> Tensor:
    conv: nn.ConvTranspose2d = transposed.conv
    if not _suits_kernels(x, conv.weight, conv.out_channels):
        return _tensor(conv(x))
    from napari_swin_umamba.network.cpu import pointwise

    if not pointwise.can_upsample(x.shape[3]):
        return _tensor(conv(x))
    return _each_sample(lambda maps: pointwise.upsample(maps[0], conv.weight), [x])


def _residual(block: UnetResBlock, maps: list[Tensor]) -> Tensor:
    """Pass maps, taken as one with the channels of all, through a residual block."""
    convolutions = [block.conv1, block.conv2, *([block.conv3] if block.downsample else [])]
    first, second, *rest = [cast("nn.Conv2d", c.conv).weight for c in convolutions]
    suited = all(_suits_kernels(x, first, first.shape[0]) for x in maps)
    if not suited or maps[0].shape[2] * maps[0].shape[3] < _LEAST_PIXELS:
        return _tensor(block(torch.cat(maps, dim=1) if len(maps) > 1 else maps[0]))
    from napari_swin_umamba.network.cpu.residual import residual_block

    shortcut = rest[0] if rest else None
    return _each_sample(lambda maps: residual_block(maps, first, second, shortcut), maps)


def _suits_kernels(x: Tensor, weight: Tensor, out_channels: int) -> bool:
    """Tell whether our kernels may work on a map: no gradients asked, whole vectors to write."""
    return (
        not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and not torch.is_autocast_enabled("cpu")
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and out_channels % LANES == 0
    )


def _each_sample(transform: Callable[[list[Tensor]], Tensor], maps: list[Tensor]) -> Tensor:
    """Apply a function of maps ``(H, W, C)`` to samples of maps ``(B, C, H, W)``."""
    channels_last = [x.permute(0, 2, 3, 1).contiguous() for x in maps]
    outputs = [transform(list(sample)) for sample in zip(*channels_last, strict=True)]
    whole = torch.stack(outputs) if len(outputs) > 1 else outputs[0][None]
    return whole.permute(0, 3, 1, 2)


def _tensor(output: Tensor) -> Tensor:
    """Give a module's output, which has no type of its own, the type it has."""
    return output
