"""The Mamba decoder of Swin-UMamba† (upstream ``nets/SwinUMambaD.py``, class UNetResDecoder)."""

from typing import cast

import torch
from torch import Tensor, nn

from napari_swin_umamba.network.blocks import PatchExpand, VSSStage, drop_path_rates
from napari_swin_umamba.network.encoder import DROP_PATH_RATE
from napari_swin_umamba.network.linear import linear
from napari_swin_umamba.network.norms import classify

BLOCKS_PER_STAGE = 2
_STRIP_PIXELS = 256
"""Coarse pixels whose fine features, 6 kB each, fit into a core's cache."""


class VSSDecoder(nn.Module):
    """Patch expanding, skip connections by concatenation, two VSS blocks a stage, x4 at the end.

    Parameters
    ----------
    dims
        Channels of the encoder's stages, finest first.
    num_classes
        Output channels.
    """

    def __init__(self, dims: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        skips = dims[-2::-1]  # coarsest first
        blocks = BLOCKS_PER_STAGE
        rates = drop_path_rates(DROP_PATH_RATE, 0.0, blocks * len(skips))
        self.expand_layers = nn.ModuleList([PatchExpand(2 * dim, dim, scale=2) for dim in skips])
        self.concat_back_dim = nn.ModuleList([nn.Linear(2 * dim, dim) for dim in skips])
        self.stages = nn.ModuleList(
            [VSSStage(d, rates[blocks * i : blocks * (i + 1)]) for i, d in enumerate(skips)]
        )
        self.expand_layers.append(PatchExpand(dims[0], dims[0], scale=4))
        # One head per stage for deep supervision; the last belongs to the full resolution.
        self.seg_layers = nn.ModuleList([nn.Conv2d(d, num_classes, 1) for d in (*skips, dims[0])])

    def forward(self, features: list[Tensor], all_outputs: bool) -> list[Tensor]:
        """Decode the encoder's features.

        Parameters
        ----------
        features
            Maps of the encoder's stages, channels last, finest first.
        all_outputs
            Also apply the deep supervision heads.

        Returns
        -------
        list of Tensor, each ``(B, classes, H, W)``
            Logits, finest first: at the scales 1, 1/4, 1/8, 1/16 of the image, or only the first.
        """
        outputs = []
        x = features[-1]
        for i, stage in enumerate(self.stages):
            x = torch.cat([self.expand_layers[i](x), features[-2 - i]], dim=-1)
            reduce = cast("nn.Linear", self.concat_back_dim[i])
            x = stage(linear(x, reduce.weight, reduce.bias))
            if all_outputs:
                outputs.append(self.seg_layers[i](x.permute(0, 3, 1, 2)))
        outputs.append(self._finest_logits(x))
        return outputs[::-1]

    def _finest_logits(self, x: Tensor) -> Tensor:
        """Expand ``(B, H, W, C)`` by four and classify: logits ``(B, classes, 4H, 4W)``.

        Norm and head act on each fine pixel alone, so they run before the pixels are put in place:
        only the few logits are moved, not all their features. Without autograd the rows are taken
        in strips, which keeps the fine features, 16 times the coarse ones, in the cache.
        """
        batch, height, width, _ = x.shape
        whole = torch.is_grad_enabled() or x.device.type != "cpu"
        rows = height if whole else max(1, _STRIP_PIXELS // width)
        expand = cast("PatchExpand", self.expand_layers[-1])
        head = cast("nn.Conv2d", self.seg_layers[-1])
        scale, classes = expand.scale, head.out_channels
        strips = [
            classify(expand.norm, head, expand.subpixels(strip)) for strip in x.split(rows, dim=1)
        ]  # each (B, rows, W scale^2, classes)
        logits = torch.cat(strips, dim=1).view(batch, height, width, scale, scale, classes)
        logits = logits.permute(0, 5, 1, 3, 2, 4)
        return logits.reshape(batch, classes, height * scale, width * scale)
