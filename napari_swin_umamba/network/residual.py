"""MONAI's residual blocks, run channels last and with fewer passes where nobody asks for gradients.

Parameters, names and results are MONAI's; only the order of the work differs.
"""

from typing import Any

import torch
from monai.networks.blocks.dynunet_block import UnetResBlock
from monai.networks.blocks.unetr_block import UnetrBasicBlock, UnetrUpBlock
from torch import Tensor, nn
from torch.nn import functional

from napari_swin_umamba.network.linear import linear


class ResidualBlock(UnetrBasicBlock):
    """Two 3x3 convolutions with instance norm, and a shortcut."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        norm = _instance_norm(out_channels)
        super().__init__(2, in_channels, out_channels, 3, 1, norm, res_block=True)

    def forward(self, x: Tensor) -> Tensor:
        """Transform ``(B, C, H, W)`` to ``(B, E, H, W)``."""
        return _residual(self.layer, x)


class UpBlock(UnetrUpBlock):
    """Double the resolution, append the skip connection, and pass a residual block."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        norm = _instance_norm(out_channels)
        super().__init__(2, in_channels, out_channels, 3, 2, norm, res_block=True)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Combine ``(B, C, H, W)`` with a skip connection ``(B, E, 2H, 2W)``; return its shape."""
        x = torch.cat((self.transp_conv(x), skip), dim=1)
        return _residual(self.conv_block, x)


def _instance_norm(channels: int) -> tuple[str, dict[str, object]]:
    """Instance norm without parameters, as one group per channel.

    The same numbers: torch's group norm keeps the channels-last layout, its instance norm copies
    out of it and back.
    """
    return "group", {"num_groups": channels, "affine": False}


def _residual(block: UnetResBlock, x: Tensor) -> Tensor:
    if torch.is_grad_enabled() or x.device.type != "cpu" or torch.compiler.is_compiling():
        return _tensor(block(x))
    from napari_swin_umamba.network.cpu import instance_norm

    y = _conv(block.conv1, x)
    if not instance_norm.supports(y):
        return _tensor(block(x))
    y = _conv(block.conv2, instance_norm.normalize_(y))
    if block.downsample:
        return instance_norm.normalize_(y, _conv(block.conv3, x))
    y = instance_norm.normalize_(y, activate=False)
    return functional.leaky_relu_(y.add_(x), instance_norm.SLOPE)


def _conv(convolution: Any, x: Tensor) -> Tensor:
    conv: nn.Conv2d = convolution.conv
    if conv.kernel_size == (1, 1):
        return linear(x.permute(0, 2, 3, 1), conv.weight.flatten(1), conv.bias).permute(0, 3, 1, 2)
    return _tensor(conv(x))


def _tensor(output: Tensor) -> Tensor:
    """Give a module's output, which has no type of its own, the type it has."""
    return output
