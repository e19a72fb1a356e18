"""The selective scan written as its recurrence: slow, in plain torch, in any float type. The truth.

Per channel d and state n (Mamba, arXiv 2312.00752, eq. 2 and algorithm 2)::

    delta = softplus(dt)
    h[n] <- exp(delta * A[n]) * h[n] + delta * u * B[n]
    y     = sum_n h[n] * C[n] + D * u
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from napari_swin_umamba.network.selective_scan.traversal import DIRECTIONS, traversal_orders

Gradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def forward(
    u: Tensor, x_dbl: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, D: Tensor
) -> Tensor:
    """Scan a feature map along all four traversals; differentiable by autograd.

    Arguments and result are those of
    :func:`napari_swin_umamba.network.selective_scan.selective_scan_2d`.
    """
    batch, height, width, channels = u.shape
    states, rank = A.shape[-1], dt_weight.shape[-1]
    orders = traversal_orders(height, width, u.device)  # (4, L)

    u_flat = u.reshape(batch, -1, channels)  # (B, L, D)
    x_flat = x_dbl.reshape(batch, height * width, DIRECTIONS, rank + 2 * states)
    u_scan = u_flat[:, orders]  # (B, 4, L, D)
    directions = torch.arange(DIRECTIONS, device=u.device)[:, None]
    x_scan = x_flat[:, orders, directions]  # (B, 4, L, R + 2N)
    dt_low, B, C = x_scan.split([rank, states, states], dim=-1)

    dt = torch.einsum("bklr,kdr->bkld", dt_low, dt_weight) + dt_bias[:, None]
    delta = functional.softplus(dt)  # (B, 4, L, D)
    drive = delta * u_scan  # (B, 4, L, D)

    h = u.new_zeros(batch, DIRECTIONS, channels, states)
    steps = []
    for t in range(height * width):
        decay = torch.exp(delta[:, :, t, :, None] * A)  # (B, 4, D, N)
        h = decay * h + drive[:, :, t, :, None] * B[:, :, t, None, :]
        steps.append(torch.einsum("bkdn,bkn->bkd", h, C[:, :, t]))
    y_scan = torch.stack(steps, dim=2) + D[:, None] * u_scan  # (B, 4, L, D)

    inverse = torch.argsort(orders, dim=1)  # (4, L)
    y = y_scan[:, directions, inverse].sum(dim=1)  # (B, L, D)
    return y.view(batch, height, width, channels)


def backward(
    grad_y: Tensor,
    u: Tensor,
    x_dbl: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
) -> Gradients:
    """Gradients of the six inputs, by running :func:`forward` again under autograd."""
    return differentiate(forward, grad_y, u, x_dbl, dt_weight, dt_bias, A, D)


def differentiate(
    scan: Callable[..., Tensor],
    grad_y: Tensor,
    u: Tensor,
    x_dbl: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
) -> Gradients:
    """Gradients of the six inputs of a scan that autograd can follow, by running it again."""
    inputs = [x.detach().requires_grad_() for x in (u, x_dbl, dt_weight, dt_bias, A, D)]
    with torch.enable_grad():
        y = scan(*inputs)
    g_u, g_x_dbl, g_weight, g_bias, g_A, g_D = torch.autograd.grad(y, inputs, grad_y)
    return g_u, g_x_dbl, g_weight, g_bias, g_A, g_D
