"""SS2D, the token mixer of VMamba v0: project, convolve, scan in four directions, gate."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_swin_umamba.network.linear import linear
from napari_swin_umamba.network.norms import gated_norm_
from napari_swin_umamba.network.selective_scan import DIRECTIONS, selective_scan_2d

STATE_SIZE = 16
EXPANSION = 2


class SS2D(nn.Module):
    """Two-dimensional selective scan block (VMamba v0, upstream ``nets/SwinUMamba.py`` class SS2D).

    Parameters
    ----------
    channels
        Features per pixel, C. Inside, D = 2 C features are scanned with N = 16 states each and
        time steps of rank R = ceil(C / 16).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = EXPANSION * channels
        rank = math.ceil(channels / 16)
        self.inner = inner
        self.in_proj = nn.Linear(channels, 2 * inner, bias=False)
        self.conv2d = nn.Conv2d(inner, inner, kernel_size=3, padding=1, groups=inner)
        self.x_proj_weight = nn.Parameter(torch.empty(DIRECTIONS, rank + 2 * STATE_SIZE, inner))
        self.dt_projs_weight = nn.Parameter(torch.empty(DIRECTIONS, inner, rank))
        self.dt_projs_bias = nn.Parameter(torch.empty(DIRECTIONS, inner))
        self.A_logs = nn.Parameter(torch.empty(DIRECTIONS * inner, STATE_SIZE))
        self.Ds = nn.Parameter(torch.empty(DIRECTIONS * inner))
        self.out_norm = nn.LayerNorm(inner)
        self.out_proj = nn.Linear(inner, channels, bias=False)
        self.reset_scan_parameters()

    @torch.no_grad()
    def reset_scan_parameters(self) -> None:
        """Start with A[n] = -n, D = 1 and time steps log-uniform in [1e-3, 1e-1] (S4D-real)."""
        rank = self.dt_projs_weight.shape[-1]
        nn.init.uniform_(self.x_proj_weight, -(self.inner**-0.5), self.inner**-0.5)
        nn.init.uniform_(self.dt_projs_weight, -(rank**-0.5), rank**-0.5)
        log_dt = torch.empty_like(self.dt_projs_bias).uniform_(math.log(1e-3), math.log(1e-1))
        dt = log_dt.exp()
        self.dt_projs_bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # inverse of softplus
        self.A_logs.copy_(torch.arange(1, STATE_SIZE + 1).log().expand_as(self.A_logs))
        self.Ds.fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the features of a map over its whole area.

        Parameters
        ----------
        x
            Feature map, channels last, ``(B, H, W, C)``.

        Returns
        -------
        Tensor, ``(B, H, W, C)``
        """
        # Two products rather than one that is split: both results lie contiguous in memory.
        weight_u, weight_z = self.in_proj.weight.split(self.inner)
        u = linear(x, weight_u)  # (B, H, W, D)
        z = linear(x, weight_z)  # (B, H, W, D)

        u = self.conv2d(u.permute(0, 3, 1, 2))
        u = functional.silu(u, inplace=not torch.is_grad_enabled()).permute(0, 2, 3, 1)
        # x_proj acts on each pixel alone, so one product serves all four directions.
        x_dbl = linear(u, self.x_proj_weight.flatten(0, 1))  # (B, H, W, 4 (R + 2N))
        y = selective_scan_2d(
            u,
            x_dbl,
            self.dt_projs_weight,
            self.dt_projs_bias,
            -torch.exp(self.A_logs.float()).view(DIRECTIONS, self.inner, STATE_SIZE),
            self.Ds.view(DIRECTIONS, self.inner),
            out_dtype=self.out_norm.weight.dtype,
        )
        y = gated_norm_(self.out_norm, y, z)
        return linear(y, self.out_proj.weight)
