"""What gpu.py compares: our scan and networks, the official arrangement, nnU-Net's network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mamba_extension
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_swin_umamba.network.selective_scan import selective_scan_2d
from napari_swin_umamba.network.ss2d import SS2D, STATE_SIZE

FEATURES = [32, 64, 128, 256, 512, 512, 512, 512]
STAGES = {192: 4, 384: 8, 768: 16, 1536: 32}
"""Channels D of the scans of Swin-UMamba†, and how many pixels of the image a side of one spans."""


def scan_inputs(batch: int, side: int, channels: int, dtype: torch.dtype) -> list[Tensor]:
    """Inputs of one scan as a freshly drawn network has them."""
    rank = channels // 32
    block = SS2D(channels // 2).cuda()
    u = torch.randn(batch, side, side, channels, device="cuda", dtype=dtype)
    x_dbl = torch.randn(batch, side, side, 4 * (rank + 2 * STATE_SIZE), device="cuda", dtype=dtype)
    A = -block.A_logs.detach().exp().view(4, channels, STATE_SIZE)
    weights = [block.dt_projs_weight.detach(), block.dt_projs_bias.detach(), A]
    return [u, x_dbl, *weights, block.Ds.detach().view(4, channels)]


def scan_runs(batch: int, channels: int) -> dict[str, Callable[[], tuple[Tensor, ...]]]:
    """Forward, which returns y, and forward with backward, which returns the gradients."""
    side = 512 // STAGES[channels]
    inputs = scan_inputs(batch, side, channels, torch.bfloat16)
    leaves = [x.detach().requires_grad_() for x in inputs]
    grad = torch.randn_like(inputs[0])

    def forward() -> tuple[Tensor, ...]:
        with torch.no_grad():
            return (selective_scan_2d(*inputs, backend="triton"),)

    def training() -> tuple[Tensor, ...]:
        y = selective_scan_2d(*leaves, backend="triton")
        return torch.autograd.grad(y, leaves, grad.to(y.dtype))

    return {"forward": forward, "training": training}


def official_inputs(inputs: list[Tensor]) -> list[Tensor]:
    """Lay a scan's inputs out as the official network has them before it copies the map.

    There x_proj runs on the four copies, so its result, ``(B, 4, R + 2 N, L)``, comes in the order
    of the traversals; putting it in order is not part of the scan.
    """
    u, x_dbl, dt_weight, dt_bias, A, D = inputs
    x = x_dbl.unflatten(-1, (4, -1)).permute(0, 3, 4, 1, 2)  # (B, 4, R + 2 N, H, W)
    low = torch.stack([_traversals(x[:, k])[k] for k in range(4)], dim=1)
    return [u.permute(0, 3, 1, 2).contiguous(), low, dt_weight, dt_bias, A, D]


def official_scan(extension: Any, inputs: list[Tensor]) -> Tensor:
    """The same scan as the official network arranges it: four copies, one call, four added up."""
    u, low, dt_weight, dt_bias, A, D = inputs
    ys = _scan_copies(extension, _cross_scan(u), low, dt_weight, dt_bias, A, D)
    return _cross_merge(ys, u.shape[2], u.shape[3])


class OfficialSS2D(SS2D):
    """SS2D as the official code computes it (upstream ``nets/SwinUMamba.py``), our weights."""

    extension: Any = None

    def forward(self, x: Tensor) -> Tensor:
        """Mix the features of a map ``(B, H, W, C)``."""
        _, height, width, _ = x.shape
        u, z = functional.linear(x, self.in_proj.weight).chunk(2, dim=-1)
        u = functional.silu(self.conv2d(u.permute(0, 3, 1, 2).contiguous()))
        xs = _cross_scan(u)
        x_dbl = torch.einsum("bkdl,kcd->bkcl", xs, self.x_proj_weight)
        A = -torch.exp(self.A_logs.float()).view(4, self.inner, STATE_SIZE)
        D = self.Ds.float().view(4, self.inner)
        ys = _scan_copies(self.extension, xs, x_dbl, self.dt_projs_weight, self.dt_projs_bias, A, D)
        y = self.out_norm(_cross_merge(ys, height, width).to(self.out_norm.weight.dtype))
        return functional.linear(y * functional.silu(z), self.out_proj.weight)


def arrange_officially(network: nn.Module, extension: Any) -> nn.Module:
    """Make every SS2D of a network an :class:`OfficialSS2D`."""
    for module in network.modules():
        if isinstance(module, SS2D):
            module.__class__ = OfficialSS2D
            module.extension = extension
    return network


def _traversals(maps: Tensor) -> list[Tensor]:
    """``(B, E, H, W)`` along the four traversals, each ``(B, E, L)``."""
    rows, columns = maps.flatten(2), maps.transpose(2, 3).flatten(2)
    return [rows, columns, rows.flip(-1), columns.flip(-1)]


def _cross_scan(u: Tensor) -> Tensor:
    return torch.stack(_traversals(u), dim=1)


def _scan_copies(
    extension: Any, xs: Tensor, x_dbl: Tensor, weight: Tensor, bias: Tensor, A: Tensor, D: Tensor
) -> Tensor:
    """Scan ``xs (B, 4, D, L)`` in float32; the result has its shape."""
    rank, states = weight.shape[-1], A.shape[-1]
    dt, B, C = x_dbl.split([rank, states, states], dim=2)
    dt = torch.einsum("bkrl,kdr->bkdl", dt, weight.to(dt.dtype))
    y = mamba_extension.scan(
        extension,
        xs.float().flatten(1, 2).contiguous(),
        dt.float().flatten(1, 2).contiguous(),
        A.flatten(0, 1).contiguous(),
        B.float().contiguous(),
        C.float().contiguous(),
        D.flatten().float().contiguous(),
        bias.flatten().float().contiguous(),
    )
    return y.view(xs.shape)


def _cross_merge(ys: Tensor, height: int, width: int) -> Tensor:
    rows = ys[:, 0] + ys[:, 2].flip(-1)
    columns = (ys[:, 1] + ys[:, 3].flip(-1)).unflatten(2, (width, height)).transpose(2, 3)
    return (rows.unflatten(2, (height, width)) + columns).permute(0, 2, 3, 1).contiguous()


Scan = Callable[[list[Tensor]], Tensor]


def scan_candidates(extension: Any) -> dict[str, tuple[Callable[..., list[Tensor]], Scan]]:
    """For each candidate: how it wants a scan's inputs, and the scan."""
    candidates: dict[str, tuple[Callable[..., list[Tensor]], Scan]] = {
        "Triton": (list, lambda inputs: selective_scan_2d(*inputs, backend="triton")),
        "torch": (list, lambda inputs: selective_scan_2d(*inputs, backend="torch")),
    }
    if extension is not None:
        candidates["selective_scan_cuda, with copies"] = (
            official_inputs,
            lambda inputs: official_scan(extension, inputs),
        )
    return candidates


def build_dynunet() -> nn.Module:
    """nnU-Net's 2D network for large images (8 stages, 46 M parameters)."""
    from monai.networks.nets import DynUNet

    return DynUNet(
        spatial_dims=2,
        in_channels=3,
        out_channels=3,
        kernel_size=[3] * len(FEATURES),
        strides=[1] + [2] * (len(FEATURES) - 1),
        upsample_kernel_size=[2] * (len(FEATURES) - 1),
        filters=FEATURES,
        norm_name=("INSTANCE", {"affine": True}),
        act_name=("leakyrelu", {"inplace": True, "negative_slope": 0.01}),
        res_block=False,
        deep_supervision=False,
    )
