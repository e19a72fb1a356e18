"""The scan on GPUs by kernels written in Triton: buffers, layouts and launches.

float32 inside; maps may be float32, bfloat16 or float16.
"""

import math

import torch
from torch import Tensor

from napari_swin_umamba.network.selective_scan import triton_tuning as tuning
from napari_swin_umamba.network.selective_scan.reference import Gradients
from napari_swin_umamba.network.selective_scan.traversal import DIRECTIONS
from napari_swin_umamba.network.selective_scan.triton_launch import Scan


def forward(
    u: Tensor,
    x_dbl: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    keep_states: bool,
    out_dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Scan as :func:`.operator.selective_scan_2d` says.

    Returns
    -------
    y : Tensor, ``(B, H, W, D)``, ``out_dtype``
    states : Tensor, ``(B, 4, chunks, N, D)``
        States before each chunk; of size 0 unless kept.
    """
    scan = Scan(u, x_dbl, dt_weight, A, keep_states)
    if u.numel() == 0:
        return torch.zeros_like(u, dtype=out_dtype), scan.new_states(None if keep_states else 0)
    x = x_dbl.float()
    weight = dt_weight.transpose(1, 2).contiguous()  # (4, R, D)
    # Not read where the kernels compute it.
    dt = u if scan.project else scan.time_steps(x_dbl, dt_weight, dt_bias)
    rates = scan.rates(A)
    states = scan.new_states()
    with scan.device:
        if scan.plan.chunks > 1:
            scan.summarise(u, x, weight, dt_bias, dt, rates, states, adjoint=False)
        elif keep_states:
            states.zero_()
        y = scan.scan_chunks(u, x, weight, dt_bias, dt, rates, D.sum(0), states)
    total = torch.empty_like(u, dtype=out_dtype)
    torch.add(y[0], y[1], out=total)
    return total, states if keep_states else scan.new_states(0)


def backward(
    grad_y: Tensor,
    u: Tensor,
    x_dbl: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    states: Tensor,
) -> Gradients:
    """Gradients of the six inputs of :func:`forward`, each in its input's type."""
    inputs = (u, x_dbl, dt_weight, dt_bias, A, D)
    if u.numel() == 0:
        g_u, g_x, g_weight, g_bias, g_A, g_D = (torch.zeros_like(x) for x in inputs)
        return g_u, g_x, g_weight, g_bias, g_A, g_D
    scan = Scan(u, x_dbl, dt_weight, A, keep_states=True)
    dt = scan.time_steps(x_dbl, dt_weight, dt_bias)  # (B, L, 4, D); the kernel leaves gradients
    rates = scan.rates(A)
    carries = scan.new_states()
    with scan.device:
        if scan.plan.chunks > 1:
            scan.summarise(grad_y, x_dbl.float(), dt, dt, dt, rates, carries, adjoint=True)
        g_u, g_bc, g_skip = scan.walk_back(grad_y, x_dbl, dt, rates, D.sum(0), states, carries)
    g_dt = dt.flatten(0, 1).transpose(0, 1)  # (4, B L, D)
    low = x_dbl.view(-1, DIRECTIONS, scan.columns)[..., : scan.rank].transpose(0, 1).float()
    g_low = torch.bmm(g_dt, dt_weight).transpose(0, 1)  # (B L, 4, R)
    g_x = torch.cat([g_low, g_bc.sum(0).flatten(0, 1)], dim=-1)
    return (
        torch.add(g_u[0], g_u[1]).to(u.dtype),
        g_x.view(x_dbl.shape).to(x_dbl.dtype),
        _sum_products(g_dt, low),
        g_dt.sum(1),
        carries.sum((0, 2)).transpose(1, 2).contiguous(),
        g_skip.sum((0, 1)).expand(DIRECTIONS, -1).contiguous(),
    )


def _sum_products(g_dt: Tensor, low: Tensor) -> Tensor:
    """Sum over the pixels of ``(4, B L, D)`` times ``(4, B L, R)``: ``(4, D, R)``.

    Libraries give a small result to few processors however long the sum is: so it is cut in parts.
    """
    pixels = g_dt.shape[1]
    parts = math.gcd(pixels, tuning.WEIGHT_GRADIENT_PARTS)
    if parts == 1:
        return torch.bmm(g_dt.transpose(1, 2), low)
    split = (parts, pixels // parts)
    return torch.stack(
        [
            torch.bmm(g.unflatten(0, split).transpose(1, 2), x.unflatten(0, split)).sum(0)
            for g, x in zip(g_dt.unbind(), low.unbind(), strict=True)
        ]
    )
