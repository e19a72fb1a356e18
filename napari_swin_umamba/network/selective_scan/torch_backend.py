"""The scan in plain torch operations on whole stretches of a traversal: any device, and export.

A recurrence ``h <- a h + b`` is a chain of affine maps, and composing two of them gives a third. So
neighbours are paired until one is left, and the halves filled in on the way back (odd-even
reduction; Blelloch, "Prefix sums and their applications", 1990): about log2(steps) rounds, work
proportional to the steps. Products of decays, never quotients: nothing overflows.
"""

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from napari_swin_umamba.network.selective_scan.traversal import (
    DIRECTIONS,
    follow_traversals,
    put_back,
)

STRETCH_ELEMENTS = 1 << 20
"""Elements of the states that are held at once, ``(B, 4, steps, D, N)``: 4 MB in float32."""


def forward(
    u: Tensor,
    x_dbl: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    stretch_elements: int = STRETCH_ELEMENTS,
) -> Tensor:
    """Scan a feature map along all four traversals; differentiable by autograd.

    Arguments and result are those of :func:`.operator.selective_scan_2d`, in any float type.
    """
    batch, height, width, channels = u.shape
    states, rank = A.shape[-1], dt_weight.shape[-1]
    u_scan = follow_traversals(u[..., None, :].expand(-1, -1, -1, DIRECTIONS, -1))  # (B, 4, L, D)
    x_scan = follow_traversals(x_dbl.unflatten(-1, (DIRECTIONS, rank + 2 * states)))
    dt_low, B, C = x_scan.split([rank, states, states], dim=-1)
    dt = torch.matmul(dt_low, dt_weight.transpose(1, 2)) + dt_bias[:, None]
    delta = functional.softplus(dt)  # (B, 4, L, D)

    h = u.new_zeros(batch, DIRECTIONS, channels, states)
    parts = []
    per_step = max(1, batch * DIRECTIONS * channels * states)
    size = max(1, stretch_elements // per_step)
    for start in range(0, height * width, size):
        part = slice(start, start + size)
        inputs = (delta[:, :, part], u_scan[:, :, part], B[:, :, part], C[:, :, part], A, h)
        if torch.is_grad_enabled():  # keep the state at the borders, not every state
            y, h = checkpoint(_scan_stretch, *inputs, use_reentrant=False)
        else:
            y, h = _scan_stretch(*inputs)
        parts.append(y)
    y_scan = torch.cat(parts, dim=2)  # (B, 4, L, D)
    return put_back(y_scan, height, width) + D.sum(0) * u


def _scan_stretch(
    delta: Tensor, u: Tensor, B: Tensor, C: Tensor, A: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:
    """Scan neighbouring steps from state ``h``; return their y and the last state."""
    decay = torch.exp(delta[..., None] * A[:, None])  # (B, 4, S, D, N)
    drive = (delta * u)[..., None] * B[..., None, :]
    first = drive[:, :, :1] + decay[:, :, :1] * h[:, :, None]
    path = _compose(decay, torch.cat([first, drive[:, :, 1:]], dim=2))
    return torch.matmul(path, C[..., None]).squeeze(-1), path[:, :, -1]


def _compose(a: Tensor, b: Tensor) -> Tensor:
    """All ``h[t] = a[t] h[t-1] + b[t]``, ``h[-1] = 0``, along axis 2."""
    steps = a.shape[2]
    if steps == 1:
        return b
    half = steps // 2
    early_b = b[:, :, 0 : 2 * half : 2]
    late_a, late_b = a[:, :, 1::2], b[:, :, 1::2]
    late = _compose(late_a * a[:, :, 0 : 2 * half : 2], late_a * early_b + late_b)
    following = b[:, :, 2::2] + a[:, :, 2::2] * late[:, :, : steps - half - 1]
    early = torch.cat([b[:, :, :1], following], dim=2)
    pairs = torch.stack([early[:, :, :half], late], dim=3).flatten(2, 3)
    return pairs if steps % 2 == 0 else torch.cat([pairs, early[:, :, half:]], dim=2)
