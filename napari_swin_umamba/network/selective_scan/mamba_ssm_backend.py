"""The scan by mamba-ssm's CUDA extension: four copies of the map, one call (optional).

Its interface: ``selective_scan_fn(u, delta, A, B, C, D, delta_bias=..., delta_softplus=...)`` with
``u, delta (B, E, L)``, ``A (E, N)``, ``B, C (B, groups, N, L)``, ``D (E,)``
(state-spaces/mamba, ``mamba_ssm/ops/selective_scan_interface.py``).
"""

from typing import Any

import torch
from torch import Tensor

from napari_swin_umamba.network.selective_scan.traversal import (
    DIRECTIONS,
    follow_traversals,
    put_back,
)


def forward(
    u: Tensor, x_dbl: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, D: Tensor
) -> Tensor:
    """Scan a feature map along all four traversals; differentiable by autograd.

    Arguments and result are those of :func:`.operator.selective_scan_2d`.

    Raises
    ------
    ImportError
        The package or its kernel is not there.
    """
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    scan: Any = selective_scan_fn
    batch, height, width, channels = u.shape
    states, rank = A.shape[-1], dt_weight.shape[-1]
    u_scan = follow_traversals(u[..., None, :].expand(-1, -1, -1, DIRECTIONS, -1))
    x_scan = follow_traversals(x_dbl.unflatten(-1, (DIRECTIONS, rank + 2 * states)))
    dt_low, B, C = x_scan.split([rank, states, states], dim=-1)
    dt = torch.matmul(dt_low, dt_weight.transpose(1, 2))  # (B, 4, L, D)
    y: Tensor = scan(
        _steps_last(u_scan).flatten(1, 2),
        _steps_last(dt).flatten(1, 2),
        A.flatten(0, 1).contiguous(),
        _steps_last(B),
        _steps_last(C),
        D.flatten().float().contiguous(),
        delta_bias=dt_bias.flatten().float().contiguous(),
        delta_softplus=True,
    )
    y_scan = y.unflatten(1, (DIRECTIONS, channels)).transpose(2, 3)  # (B, 4, L, D)
    return put_back(y_scan, height, width)


def _steps_last(x: Tensor) -> Tensor:
    return x.transpose(2, 3).contiguous()
