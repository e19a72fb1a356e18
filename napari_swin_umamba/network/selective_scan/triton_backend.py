"""The scan on GPUs by kernels written in Triton: buffers, layouts and launches.

float32 inside; maps may be float32, bfloat16 or float16.
"""

import contextlib
from typing import Any

import torch
import triton
from torch import Tensor

from napari_swin_umamba.network.selective_scan import triton_tuning as tuning
from napari_swin_umamba.network.selective_scan.reference import Gradients
from napari_swin_umamba.network.selective_scan.traversal import DIRECTIONS
from napari_swin_umamba.network.selective_scan.triton_backward import backward_kernel
from napari_swin_umamba.network.selective_scan.triton_forward import (
    carry_kernel,
    scan_kernel,
    summary_kernel,
)

_LOG2E = 1.4426950408889634


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
    scan = _Scan(u, x_dbl, dt_weight, A, keep_states)
    if u.numel() == 0:
        return torch.zeros_like(u, dtype=out_dtype), scan.new_states(None if keep_states else 0)
    project = scan.rank <= tuning.PROJECT_UP_TO_RANK
    weight = dt_weight.transpose(1, 2).contiguous()  # (4, R, D)
    dt = u if project else scan.time_steps(x_dbl, dt_weight, dt_bias)  # not read if projected
    rates = scan.rates(A)
    states = scan.new_states()
    with scan.device:
        if scan.plan.chunks > 1:
            scan.summarise(u, x_dbl, weight, dt_bias, dt, rates, states, project, adjoint=False)
        elif keep_states:
            states.zero_()
        y = u.new_empty(2, *u.shape, dtype=torch.float32)
        grid = (scan.batch * 2 * scan.plan.chunks, scan.forward_blocks)
        scan_kernel[grid](
            u,
            x_dbl,
            weight,
            dt_bias,
            dt,
            rates,
            D.sum(0),
            states,
            y,
            scan.batch,
            *scan.sizes,
            PROJECT=project,
            FROM_ZERO=scan.plan.chunks == 1,
            **scan.forward_tile,
            num_warps=1,
        )
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
    scan = _Scan(u, x_dbl, dt_weight, A, keep_states=True)
    plan = scan.plan
    dt = scan.time_steps(x_dbl, dt_weight, dt_bias)  # (B, L, 4, D); the kernel leaves gradients
    rates = scan.rates(A)
    carries = scan.new_states()
    g_u = u.new_empty(2, *u.shape, dtype=torch.float32)
    g_bc = dt.new_empty(plan.groups, scan.batch, scan.pixels, DIRECTIONS, 2 * scan.size)
    g_skip = dt.new_empty(scan.batch, plan.chunks, scan.channels)
    items = scan.batch * 2 * plan.chunks * plan.groups
    programs = min(items, scan.resident_programs())
    tile = scan.backward_tile
    elements = tile["N_HIGH"] * tile["N_LOW"] * tile["D_HIGH"] * tile["D_LOW"]
    scratch = dt.new_empty(programs, -(-plan.length // tuning.REPLAYED_STEPS), elements)
    blocks = -(-scan.channels // tuning.BACKWARD_CHANNELS)
    with scan.device:
        if plan.chunks > 1:
            scan.summarise(grad_y, x_dbl, dt, dt, dt, rates, carries, project=False, adjoint=True)
        backward_kernel[(programs,)](
            grad_y,
            u,
            x_dbl,
            dt,
            rates,
            D.sum(0),
            states,
            carries,
            g_u,
            g_bc,
            g_skip,
            scratch,
            scan.batch,
            *scan.sizes,
            plan.groups,
            -(-blocks // plan.groups),
            items,
            FROM_ZERO=plan.chunks == 1,
            **tile,
            num_warps=1,
        )
    g_dt = dt.flatten(0, 1).transpose(0, 1)  # (4, B L, D)
    low = x_dbl.view(-1, DIRECTIONS, scan.columns)[..., : scan.rank].transpose(0, 1).float()
    g_low = torch.bmm(g_dt, dt_weight).transpose(0, 1)  # (B L, 4, R)
    g_x = torch.cat([g_low, g_bc.sum(0).flatten(0, 1)], dim=-1)
    return (
        torch.add(g_u[0], g_u[1]).to(u.dtype),
        g_x.view(x_dbl.shape).to(x_dbl.dtype),
        torch.bmm(g_dt.transpose(1, 2), low),
        g_dt.sum(1),
        carries.sum((0, 2)).transpose(1, 2).contiguous(),
        g_skip.sum((0, 1)).expand(DIRECTIONS, -1).contiguous(),
    )


class _Scan:
    """Sizes of a scan, and what forward and backward pass have in common."""

    def __init__(
        self, u: Tensor, x_dbl: Tensor, dt_weight: Tensor, A: Tensor, keep_states: bool
    ) -> None:
        self.batch, self.height, self.width, self.channels = u.shape
        self.rank, self.size = dt_weight.shape[-1], A.shape[-1]
        self.pixels = self.height * self.width
        self.columns = self.rank + 2 * self.size
        self.plan = tuning.plan_scan(self.batch, self.pixels, self.channels, keep_states)
        self.u = u
        self.device: Any = torch.cuda.device(u.device) if u.is_cuda else contextlib.nullcontext()

    @property
    def sizes(self) -> tuple[int, ...]:
        return (
            self.height,
            self.width,
            self.channels,
            self.rank,
            self.size,
            self.plan.chunks,
            self.plan.length,
            1,
        )

    @property
    def forward_blocks(self) -> int:
        return -(-self.channels // tuning.FORWARD_CHANNELS)

    @property
    def forward_tile(self) -> dict[str, int]:
        return {
            "BLOCK_D": tuning.FORWARD_CHANNELS,
            "BLOCK_N": triton.next_power_of_2(self.size),
            "BLOCK_R": triton.next_power_of_2(min(self.rank, tuning.PROJECT_UP_TO_RANK)),
        }

    @property
    def backward_tile(self) -> dict[str, int]:
        states = triton.next_power_of_2(self.size)
        low = min(states, tuning.STATE_LANES)
        lanes = 32 // tuning.STATE_LANES
        return {
            "N_HIGH": states // low,
            "N_LOW": low,
            "D_HIGH": tuning.BACKWARD_CHANNELS // lanes,
            "D_LOW": lanes,
        }

    def resident_programs(self) -> int:
        """Programs that are launched: each takes several items, and has scratch of its own."""
        if not self.u.is_cuda:
            return 3
        processors: int = torch.cuda.get_device_properties(self.u.device).multi_processor_count
        return processors * tuning.PROGRAMS_PER_PROCESSOR

    def new_states(self, elements: int | None = None) -> Tensor:
        """Uninitialised states of all chunk borders, or an empty tensor in their place."""
        if elements is not None:
            return self.u.new_empty(elements, dtype=torch.float32)
        shape = (self.batch, DIRECTIONS, self.plan.chunks, self.size, self.channels)
        return self.u.new_empty(shape, dtype=torch.float32)

    def rates(self, A: Tensor) -> Tensor:
        """``A log2(e)`` in the kernels' layout, ``(4, N, D)``."""
        return (A * _LOG2E).transpose(1, 2).contiguous()

    def time_steps(self, x_dbl: Tensor, dt_weight: Tensor, dt_bias: Tensor) -> Tensor:
        """Time steps before softplus, ``(B, L, 4, D)``, float32."""
        x = x_dbl.view(-1, DIRECTIONS, self.columns)[..., : self.rank].transpose(0, 1).float()
        dt = x_dbl.new_empty(
            self.batch * self.pixels, DIRECTIONS, self.channels, dtype=torch.float32
        )
        # One product after another into its place: together they would be laid out (4, B L, D).
        for k in range(DIRECTIONS):
            torch.addmm(dt_bias[k], x[k], dt_weight[k].t(), out=dt[:, k])
        return dt.view(self.batch, self.pixels, DIRECTIONS, self.channels)

    def summarise(
        self,
        u: Tensor,
        x_dbl: Tensor,
        weight: Tensor,
        bias: Tensor,
        dt: Tensor,
        rates: Tensor,
        states: Tensor,
        project: bool,
        adjoint: bool,
    ) -> None:
        """Write the state, or its gradient, that enters each chunk into ``states``."""
        totals = states.new_empty(self.batch, DIRECTIONS, self.plan.chunks, self.channels)
        tile = self.forward_tile
        summary_kernel[(self.batch * DIRECTIONS * self.plan.chunks, self.forward_blocks)](
            u,
            x_dbl,
            weight,
            bias,
            dt,
            rates,
            states,
            totals,
            *self.sizes,
            PROJECT=project,
            ADJOINT=adjoint,
            **tile,
            num_warps=1,
        )
        carry_kernel[(self.batch * DIRECTIONS, self.forward_blocks)](
            states,
            totals,
            rates,
            self.channels,
            self.size,
            self.plan.chunks,
            ADJOINT=adjoint,
            BLOCK_D=tile["BLOCK_D"],
            BLOCK_N=tile["BLOCK_N"],
            num_warps=1,
        )
