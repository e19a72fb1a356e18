"""The two ways in which the backward pass walks back through the chunks, of which one is chosen.

Each takes the scan, the gradient of y, the inputs, the time steps before softplus (replaced by
their gradients), the states before each chunk and the gradients of those after it (replaced by the
chunk's share of the gradient of A). Each returns the gradients of u, ``(B, H, W, D)``, of B and C,
``(blocks, B, L, 4, 2 N)``, and of D, ``(B, chunks, D)``: the last two still to be summed.
"""

import torch
import triton
from torch import Tensor

from napari_swin_umamba.network.selective_scan import triton_tuning as tuning
from napari_swin_umamba.network.selective_scan.traversal import DIRECTIONS
from napari_swin_umamba.network.selective_scan.triton_backward import backward_kernel
from napari_swin_umamba.network.selective_scan.triton_launch import Scan
from napari_swin_umamba.network.selective_scan.triton_strips_backward import strip_kernel

_Walked = tuple[Tensor, Tensor, Tensor]


def walk_step_by_step(
    scan: Scan,
    grad_y: Tensor,
    x_dbl: Tensor,
    dt: Tensor,
    rates: Tensor,
    skip: Tensor,
    states: Tensor,
    carries: Tensor,
) -> _Walked:
    """Walk back with :func:`.triton_backward.backward_kernel`."""
    plan, u = scan.plan, scan.u
    n_states = triton.next_power_of_2(scan.size)
    n_low = min(n_states, tuning.STATE_LANES)
    lanes = 32 // tuning.STATE_LANES
    tile = {
        "N_HIGH": n_states // n_low,
        "N_LOW": n_low,
        "D_HIGH": tuning.BACKWARD_CHANNELS // lanes,
        "D_LOW": lanes,
    }
    g_u = u.new_empty(2, *u.shape, dtype=torch.float32)
    g_bc = dt.new_empty(plan.groups, scan.batch, scan.pixels, DIRECTIONS, 2 * scan.size)
    g_skip = dt.new_empty(scan.batch, plan.chunks, scan.channels)
    items = scan.batch * 2 * plan.chunks * plan.groups
    programs = min(items, scan.resident_programs(tuning.PROGRAMS_PER_PROCESSOR))
    notes = -(-plan.length // tuning.REPLAYED_STEPS)
    scratch = dt.new_empty(programs, notes, n_states * tuning.BACKWARD_CHANNELS)
    blocks = -(-scan.channels // tuning.BACKWARD_CHANNELS)
    backward_kernel[(programs,)](
        grad_y,
        u,
        x_dbl,
        dt,
        rates,
        skip,
        states,
        carries,
        g_u,
        g_bc,
        g_skip,
        scratch,
        scan.batch,
        *scan.sizes,
        1,
        plan.groups,
        -(-blocks // plan.groups),
        items,
        FROM_ZERO=plan.chunks == 1,
        **tile,
        num_warps=1,
    )
    return torch.add(g_u[0], g_u[1]), g_bc, g_skip


def walk_in_strips(
    scan: Scan,
    grad_y: Tensor,
    x_dbl: Tensor,
    dt: Tensor,
    rates: Tensor,
    skip: Tensor,
    states: Tensor,
    carries: Tensor,
) -> _Walked:
    """Walk back with :func:`.triton_strips_backward.strip_kernel`."""
    plan, u = scan.plan, scan.u
    steps, blocks = tuning.WALK_STRIP_STEPS, scan.strip_blocks
    g_u = u.new_empty(2, *u.shape, dtype=torch.float32)
    g_bc = dt.new_empty(blocks, scan.batch, scan.pixels, DIRECTIONS, 2 * scan.size)
    g_skip = dt.new_empty(scan.batch, plan.chunks, scan.channels)
    items = scan.batch * 2 * plan.chunks * blocks
    programs = min(items, scan.resident_programs(tuning.WALK_PROGRAMS_PER_PROCESSOR))
    notes = 2 + -(-plan.length // steps)
    scratch = dt.new_empty(programs, scan.size, notes, 2 * scan.strip_channels)
    strip_kernel[(programs,)](
        grad_y,
        u,
        x_dbl,
        dt,
        rates,
        skip,
        states,
        carries,
        g_u,
        g_bc,
        g_skip,
        scratch,
        scan.batch,
        *scan.sizes,
        blocks,
        items,
        FROM_ZERO=plan.chunks == 1,
        **scan.strips(steps, tuning.WALK_REGISTERS),
    )
    return torch.add(g_u[0], g_u[1]), g_bc, g_skip
