"""What forward and backward pass of the Triton kernels share: sizes, buffers, launches."""

import contextlib
from typing import Any

import torch
import triton
from torch import Tensor

from napari_swin_umamba.network.selective_scan import triton_tuning as tuning
from napari_swin_umamba.network.selective_scan.traversal import DIRECTIONS
from napari_swin_umamba.network.selective_scan.triton_forward import (
    carry_kernel,
    scan_kernel,
    summary_kernel,
)
from napari_swin_umamba.network.selective_scan.triton_strips_forward import (
    strip_scan_kernel,
    strip_summary_kernel,
)

_LOG2E = 1.4426950408889634


class Scan:
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
        """Numbers that all large kernels take, in their order."""
        return (
            self.height,
            self.width,
            self.channels,
            self.rank,
            self.size,
            self.plan.chunks,
            self.plan.length,
        )

    @property
    def forward_blocks(self) -> int:
        """Blocks into which the forward kernels cut the channels."""
        return -(-self.channels // tuning.FORWARD_CHANNELS)

    @property
    def forward_tile(self) -> dict[str, int]:
        """Tile of the forward kernels."""
        return {
            "BLOCK_D": tuning.FORWARD_CHANNELS,
            "BLOCK_N": triton.next_power_of_2(self.size),
            "BLOCK_R": triton.next_power_of_2(min(self.rank, tuning.PROJECT_UP_TO_RANK)),
        }

    @property
    def strip_channels(self) -> int:
        """Channels of a block of the kernels that go in strips."""
        enough: int = triton.next_power_of_2(self.channels)
        return min(tuning.STRIP_CHANNELS, max(16, enough))

    @property
    def strip_blocks(self) -> int:
        """Blocks into which those kernels cut the channels."""
        return -(-self.channels // self.strip_channels)

    def strips(self, steps: int, registers: int) -> dict[str, int]:
        """Arguments of a kernel that goes in strips of so many steps."""
        length = self.plan.length
        in_parts = self.channels % self.strip_channels or self.pixels % length
        largest = self.pixels * DIRECTIONS * max(self.channels, self.columns)
        arguments = {
            "EVEN": not in_parts and length % (2 * steps) == 0,
            "WIDE": largest > tuning.LARGEST_OFFSET,
            "SIZE": self.size,
            "STEPS": steps,
            "BLOCK_D": self.strip_channels,
            "num_warps": 1,
        }
        if self.u.is_cuda and torch.version.hip is None:
            arguments["maxnreg"] = registers
        return arguments

    def resident_programs(self, per_processor: int) -> int:
        """Programs that are launched: each takes several items, and has scratch of its own."""
        if not self.u.is_cuda:
            return 3
        processors: int = torch.cuda.get_device_properties(self.u.device).multi_processor_count
        return processors * per_processor

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
        tensors = (u, x_dbl, weight, bias, dt, rates, states, totals)
        flags = {"PROJECT": project, "ADJOINT": adjoint}
        if tuning.SCAN_IN_STRIPS:
            strips = self.strips(tuning.SCAN_STRIP_STEPS, tuning.SCAN_REGISTERS)
            grid = (self.batch * 2 * self.plan.chunks, self.strip_blocks)
            strip_summary_kernel[grid](*tensors, *self.sizes, **flags, **strips)
        else:
            grid = (self.batch * DIRECTIONS * self.plan.chunks, self.forward_blocks)
            summary_kernel[grid](
                *tensors, *self.sizes, 1, **flags, **self.forward_tile, num_warps=1
            )
        carry_kernel[(self.batch * DIRECTIONS, self.forward_blocks)](
            states,
            totals,
            rates,
            self.channels,
            self.size,
            self.plan.chunks,
            ADJOINT=adjoint,
            BLOCK_D=self.forward_tile["BLOCK_D"],
            BLOCK_N=self.forward_tile["BLOCK_N"],
            num_warps=1,
        )

    def scan_chunks(
        self,
        u: Tensor,
        x_dbl: Tensor,
        weight: Tensor,
        bias: Tensor,
        dt: Tensor,
        rates: Tensor,
        skip: Tensor,
        states: Tensor,
        project: bool,
        keep_states: bool,
    ) -> Tensor:
        """Scan all chunks from their ``states``; y summed over each pair, ``(2, B, H, W, D)``."""
        y = u.new_empty(2, *u.shape, dtype=torch.float32)
        tensors = (u, x_dbl, weight, bias, dt, rates, skip, states)
        flags = {"PROJECT": project, "FROM_ZERO": self.plan.chunks == 1}
        chunks = self.batch * 2 * self.plan.chunks
        if tuning.SCAN_IN_STRIPS:
            work = torch.empty_like(states) if keep_states else states
            strips = self.strips(tuning.SCAN_STRIP_STEPS, tuning.SCAN_REGISTERS)
            grid = (chunks, self.strip_blocks)
            strip_scan_kernel[grid](*tensors, work, y, self.batch, *self.sizes, **flags, **strips)
        else:
            grid = (chunks, self.forward_blocks)
            numbers = (self.batch, *self.sizes, 1)
            scan_kernel[grid](*tensors, y, *numbers, **flags, **self.forward_tile, num_warps=1)
        return y
