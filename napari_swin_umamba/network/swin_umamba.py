"""The two networks of Swin-UMamba (arXiv 2402.03302): convolutional, and † Mamba decoder."""

import torch
from monai.networks.blocks.dynunet_block import UnetOutBlock
from torch import Tensor, nn

from napari_swin_umamba.network.decoder import VSSDecoder
from napari_swin_umamba.network.encoder import VSSMEncoder
from napari_swin_umamba.network.residual import ResidualBlock, UpBlock

SIZE_MULTIPLE = 32
"""Height and width of an image are multiples of this: it is halved five times."""


class SwinUMamba(nn.Module):
    """VMamba encoder behind a convolutional stem, residual convolutional decoder.

    Parameters
    ----------
    in_channels, num_classes
        Channels of the image and of the logits.
    dims, depths
        Channels and blocks of the encoder's stages.
    deep_supervision
        Return the logits of four resolutions instead of only the finest.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        dims: tuple[int, ...],
        depths: tuple[int, ...],
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.deep_supervision = deep_supervision
        stem = dims[0] // 2
        widths = (stem, *dims)  # channels at the scales 1, 1/2, 1/4, 1/8, 1/16
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, stem, kernel_size=7, stride=2, padding=3),
            nn.InstanceNorm2d(stem, affine=True),
        )
        self.vssm_encoder = VSSMEncoder(stem, 2, dims, depths)
        self.encoder1 = ResidualBlock(in_channels, widths[0])
        self.encoder2 = ResidualBlock(stem, widths[1])
        self.encoder3 = ResidualBlock(dims[0], widths[2])
        self.encoder4 = ResidualBlock(dims[1], widths[3])
        self.encoder5 = ResidualBlock(dims[2], widths[4])
        self.decoder6 = UpBlock(dims[3], widths[4])
        self.decoder5 = UpBlock(widths[4], widths[3])
        self.decoder4 = UpBlock(widths[3], widths[2])
        self.decoder3 = UpBlock(widths[2], widths[1])
        self.decoder2 = UpBlock(widths[1], widths[0])
        self.decoder1 = ResidualBlock(widths[0], widths[0])
        self.out_layers = nn.ModuleList([UnetOutBlock(2, w, num_classes) for w in widths[:4]])
        self.apply(_initialise_convolution)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it

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

        Raises
        ------
        ValueError
            The image has another shape.
        """
        _check_image(image, self.in_channels)
        image = image.contiguous(memory_format=torch.channels_last)
        stem = self.stem(image)
        features = [x.permute(0, 3, 1, 2) for x in self.vssm_encoder(stem)]
        x = self.decoder6(features[3], self.encoder5(features[2]))
        eighth = self.decoder5(x, self.encoder4(features[1]))
        quarter = self.decoder4(eighth, self.encoder3(features[0]))
        half = self.decoder3(quarter, self.encoder2(stem))
        full = self.decoder1(self.decoder2(half, self.encoder1(image)))
        maps = (full, half, quarter, eighth) if self.deep_supervision else (full,)
        outputs: list[Tensor] = [head(x) for head, x in zip(self.out_layers, maps, strict=False)]
        return outputs if self.deep_supervision else outputs[0]


class SwinUMambaD(nn.Module):
    """Swin-UMamba†: the same encoder on 4x4 patches, and a decoder of VSS blocks.

    Parameters are those of :class:`SwinUMamba`.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        dims: tuple[int, ...],
        depths: tuple[int, ...],
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.deep_supervision = deep_supervision
        self.vssm_encoder = VSSMEncoder(in_channels, 4, dims, depths)
        self.decoder = VSSDecoder(dims, num_classes)
        self.apply(_initialise_convolution)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Logits of an image batch.

        Parameters
        ----------
        image
            ``(B, C, H, W)``, H and W multiples of 32.

        Returns
        -------
        Tensor, ``(B, classes, H, W)``, or list of Tensor
            With deep supervision the logits at the scales 1, 1/4, 1/8 and 1/16.

        Raises
        ------
        ValueError
            The image has another shape.
        """
        _check_image(image, self.in_channels)
        outputs: list[Tensor] = self.decoder(
            self.vssm_encoder(image), all_outputs=self.deep_supervision
        )
        return outputs if self.deep_supervision else outputs[0]


def _check_image(image: Tensor, channels: int) -> None:
    if (
        image.ndim != 4
        or image.shape[1] != channels
        or any(n % SIZE_MULTIPLE for n in image.shape[2:])
    ):
        raise ValueError(
            f"the network takes images of shape (B, {channels}, H, W) with H and W multiples of "
            f"{SIZE_MULTIPLE}, got {tuple(image.shape)}"
        )


def _initialise_convolution(module: nn.Module) -> None:
    """He initialisation of convolutions, as nnU-Net draws them (negative slope 0.01)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, a=1e-2)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
