"""The VMamba encoder that Swin-UMamba and Swin-UMamba† share."""

from itertools import pairwise

from torch import Tensor, nn

from napari_swin_umamba.network.blocks import PatchEmbed, PatchMerging, VSSStage, drop_path_rates

DROP_PATH_RATE = 0.2


class VSSMEncoder(nn.Module):
    """Patch embedding and four stages of VSS blocks (VMamba-T v0 where dims start at 96).

    Parameters
    ----------
    in_channels
        Channels of the image or stem output.
    patch_size
        Side of the patches that become one feature vector, in pixels.
    dims, depths
        Channels and number of blocks of each stage.
    """

    def __init__(
        self, in_channels: int, patch_size: int, dims: tuple[int, ...], depths: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(patch_size, in_channels, dims[0])
        rates = drop_path_rates(0.0, DROP_PATH_RATE, sum(depths))
        starts = [sum(depths[:i]) for i in range(len(depths) + 1)]
        self.layers = nn.ModuleList(
            [
                VSSStage(dim, rates[start:stop])
                for dim, (start, stop) in zip(dims, pairwise(starts), strict=True)
            ]
        )
        self.downsamples = nn.ModuleList([PatchMerging(dim) for dim in dims[:-1]])
        self.apply(_initialise)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encode ``(B, C, H, W)`` into one map per stage, channels last, finest first.

        Stage i has shape ``(B, H / (p 2^i), W / (p 2^i), dims[i])`` for patch size p.
        """
        features = []
        x = self.patch_embed(x)
        for i, stage in enumerate(self.layers):
            x = stage(x)
            features.append(x)
            if i < len(self.downsamples):
                x = self.downsamples[i](x)
        return features


def _initialise(module: nn.Module) -> None:
    """Draw linear weights as VMamba does: truncated normal, standard deviation 0.02."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
