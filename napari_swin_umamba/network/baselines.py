"""Networks of others to compare with, as MONAI has them: trained and run like ours.

They lie here and not with the training code so that a file of such a model can be opened and used
wherever ours can. MONAI is imported when one is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from monai.networks.nets.dynunet import DynUNet
    from monai.networks.nets.segresnet import SegResNet

__all__ = ["DynUNetBaseline", "SegResNetBaseline"]

_STAGES = 6
"""Five halvings: tiles are multiples of 32. nnU-Net halves once or twice more for large patches."""
_SMALLEST = 2 ** (_STAGES - 1)
"""Edge of an image of which one pixel is left at last, which instance norm does not take."""


class DynUNetBaseline(nn.Module):
    """nnU-Net's plain 2D U-Net: two 3x3 convolutions a stage, instance norm, leaky ReLU.

    ``PlainConvUNet`` of nnU-Net v2's 2D configuration: 32 features, doubled with each halving, at
    most 512; transposed convolutions upwards. nnU-Net has convolutions with biases, MONAI without,
    which the instance norm behind them makes equal.

    Parameters
    ----------
    in_channels, num_classes
        Channels of the image and of the logits.
    features, most
        Of the first stage, and of any stage.
    deep_supervision
        Return the logits of all resolutions but the two coarsest.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        features: int = 32,
        most: int = 512,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        from monai.networks.nets.dynunet import DynUNet

        strides = [1, *[2] * (_STAGES - 1)]
        self.in_channels = in_channels
        self.deep_supervision = deep_supervision
        net: DynUNet = DynUNet(
            spatial_dims=2,
            in_channels=in_channels,
            out_channels=num_classes,
            kernel_size=[3] * _STAGES,
            strides=strides,
            upsample_kernel_size=strides[1:],
            filters=[min(features * 2**stage, most) for stage in range(_STAGES)],
            deep_supervision=True,  # the heads are in the state dict either way
            deep_supr_num=_STAGES - 3,
        )
        # Its parts, and not itself: it holds all of them twice, which would double model files.
        self.encoder = nn.ModuleList([net.input_block, *net.downsamples, net.bottleneck])
        self.decoder = net.upsamples
        self.head = net.output_block
        self.coarse_heads = net.deep_supervision_heads

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Logits of an image batch.

        Parameters
        ----------
        image
            ``(B, C, H, W)``, H and W multiples of 32.

        Returns
        -------
        Tensor, ``(B, classes, H, W)``, or list of Tensor
            With deep supervision the logits at the scales 1, 1/2, 1/4 and 1/8.
        """
        if image.shape[2] == image.shape[3] == _SMALLEST:
            wide = functional.pad(image, (0, _SMALLEST, 0, 0), mode="replicate")
            outputs = self.forward(wide)
            many = outputs if isinstance(outputs, list) else [outputs]
            halves = [logits[..., : logits.shape[3] // 2] for logits in many]
            return halves if self.deep_supervision else halves[0]
        skips: list[Tensor] = []
        x = image
        for block in self.encoder:
            x = block(x)
            skips.append(x)
        maps: list[Tensor] = []
        for block, skip in zip(self.decoder, reversed(skips[:-1]), strict=True):
            x = block(x, skip)
            maps.append(x)
        finest: Tensor = self.head(x)
        if not self.deep_supervision:
            return finest
        coarse = zip(self.coarse_heads, reversed(maps[:-1]), strict=False)
        return [finest, *(head(features) for head, features in coarse)]


class SegResNetBaseline(nn.Module):
    """MONAI's SegResNet in 2D: residual blocks with group norm (arXiv 1810.11654).

    Parameters
    ----------
    in_channels, num_classes
        Channels of the image and of the logits.
    features
        Of the first stage.
    deep_supervision
        Return a list; the network has one resolution only.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        features: int = 32,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        from monai.networks.nets.segresnet import SegResNet

        self.in_channels = in_channels
        self.deep_supervision = deep_supervision
        self.net: SegResNet = SegResNet(
            spatial_dims=2,
            init_filters=features,
            in_channels=in_channels,
            out_channels=num_classes,
        )

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Logits of an image batch ``(B, C, H, W)``; with deep supervision a list of one."""
        logits: Tensor = self.net(image)
        return [logits] if self.deep_supervision else logits
