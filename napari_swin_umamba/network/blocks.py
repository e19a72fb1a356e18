"""Building blocks of encoder and decoder; they work channels last, ``(B, H, W, C)``."""

import torch
from torch import Tensor, nn

from napari_swin_umamba.network.linear import linear
from napari_swin_umamba.network.norms import layer_norm
from napari_swin_umamba.network.ss2d import SS2D


class DropPath(nn.Module):
    """Stochastic depth: while training, zero a sample's residual branch (arXiv 1603.09382).

    Parameters
    ----------
    rate
        Probability of dropping a sample; the others are scaled by ``1 / (1 - rate)``.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.draws: Tensor | None = None
        """Numbers in [0, 1), ``(B,)``, to decide by; None: torch's random state decides. A training
        run gives them, so that what is dropped depends on the sample alone."""

    def forward(self, x: Tensor) -> Tensor:
        """Drop whole samples of ``x``, ``(B, ...)``."""
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        draws = torch.rand(x.shape[0], device=x.device) if self.draws is None else self.draws
        mask = (draws < keep).to(x.dtype).view(-1, *(1,) * (x.ndim - 1))
        return x * (mask / keep)


class VSSBlock(nn.Module):
    """Visual state space block: ``x + DropPath(SS2D(LayerNorm(x)))``."""

    def __init__(self, channels: int, drop_path: float = 0.0) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(channels)
        self.self_attention = SS2D(channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(B, H, W, C)`` to features of the same shape."""
        branch: Tensor = self.drop_path(self.self_attention(layer_norm(self.ln_1, x)))
        return x + branch


class VSSStage(nn.Module):
    """A row of :class:`VSSBlock` at one resolution, one for each entry of ``drop_path``."""

    def __init__(self, channels: int, drop_path: list[float]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([VSSBlock(channels, rate) for rate in drop_path])

    def forward(self, x: Tensor) -> Tensor:
        """Map features ``(B, H, W, C)`` to features of the same shape."""
        for block in self.blocks:
            x = block(x)
        return x


class PatchEmbed(nn.Module):
    """Project square patches of an image: ``(B, C, H, W)`` to ``(B, H/p, W/p, E)``."""

    def __init__(self, patch_size: int, in_channels: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, channels, kernel_size=patch_size, stride=patch_size)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Embed an image ``(B, C, H, W)``."""
        # The first stage adds to this map: it keeps more than products would read of it.
        return layer_norm(self.norm, self.proj(x).permute(0, 2, 3, 1), self.norm.weight.dtype)


class PatchMerging(nn.Module):
    """Halve the resolution, double the channels: ``(B, H, W, C)`` to ``(B, H/2, W/2, 2C)``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)
        self.norm = nn.LayerNorm(4 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Merge each 2x2 neighbourhood of ``(B, H, W, C)``; H and W are even."""
        batch, height, width, channels = x.shape
        x = x.view(batch, height // 2, 2, width // 2, 2, channels)
        # Upstream's order of the four neighbours: the column moves slowest.
        x = x.permute(0, 1, 3, 4, 2, 5).reshape(batch, height // 2, width // 2, 4 * channels)
        return linear(layer_norm(self.norm, x), self.reduction.weight)


class PatchExpand(nn.Module):
    """Raise the resolution by ``scale``: ``(B, H, W, C)`` to ``(B, sH, sW, E)`` (arXiv 2105.05537).

    Parameters
    ----------
    channels
        Features C of a pixel that comes in.
    out_channels
        Features E of a pixel that goes out.
    scale
        Factor by which height and width grow.
    """

    def __init__(self, channels: int, out_channels: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.expand = nn.Linear(channels, scale * scale * out_channels, bias=False)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Expand features ``(B, H, W, C)``."""
        batch, height, width, _ = x.shape
        s = self.scale
        fine: Tensor = layer_norm(self.norm, self.subpixels(x)).unflatten(2, (width, s * s))
        fine = fine.unflatten(3, (s, s)).transpose(2, 3)  # (B, H, s, W, s, E)
        return fine.reshape(batch, height * s, width * s, fine.shape[-1])

    def subpixels(self, x: Tensor) -> Tensor:
        """Compute the fine pixels of each coarse one, neither in their places nor normalised.

        Returns
        -------
        Tensor, ``(B, H, W s s, E)``
            The s x s fine pixels of a coarse pixel lie one after another, row by row.
        """
        fine: Tensor = linear(x, self.expand.weight).unflatten(-1, (self.scale**2, -1))
        return fine.flatten(2, 3)


def drop_path_rates(first: float, last: float, blocks: int) -> list[float]:
    """Drop path rates of ``blocks`` consecutive blocks, linear from ``first`` to ``last``."""
    return [float(rate) for rate in torch.linspace(first, last, blocks, device="cpu")]
