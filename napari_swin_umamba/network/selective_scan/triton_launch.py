"""What forward and backward pass of the Triton kernels share: sizes, buffers, launches."""

import contextlib
from typing import Any

import torch
import triton
from torch import Tensor

from napari_swin_umamba.network.selective_scan import triton_tuning as tuning
from napari_swin_umamba.network.selective_scan.traversal import DIRECTIONS
from napari_swin_umamba.network.selective_scan.triton_backward import backward_kernel
from napari_swin_umamba.network.selective_scan.triton_borders import carry_kernel, summary_kernel
from napari_swin_umamba.network.selective_scan.triton_forward import scan_kernel

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
        """Numbers that the forward kernels take, in their order."""
        maps = (self.height, self.width, self.channels, self.columns)
        return (*maps, self.plan.chunks, self.plan.length)

    @property
    def block_channels(self) -> int:
        """Channels of a block."""
        enough: int = triton.next_power_of_2(self.channels)
        return min(self.plan.channels, max(16, enough))

    @property
    def blocks(self) -> int:
        """Blocks into which the channels are cut."""
        return -(-self.channels // self.block_channels)

    @property
    def project(self) -> bool:
        """Whether the forward kernels compute the time steps themselves."""
        return self.rank <= tuning.PROJECT_UP_TO_RANK

    def strips(self, steps: int, registers: int) -> dict[str, Any]:
        """Arguments of a kernel that runs chunks in strips of so many steps."""
        length = self.plan.length
        in_parts = self.channels % self.block_channels or self.pixels % length
        largest = self.pixels * DIRECTIONS * max(self.channels, self.columns)
        arguments: dict[str, Any] = {
            "EVEN": not in_parts and length % (2 * steps) == 0,
            "WIDE": largest > tuning.LARGEST_OFFSET,
            "SIZE": self.size,
            "STEPS": steps,
            "BLOCK_D": self.block_channels,
            "num_warps": 1,
        }
        if self.u.is_cuda and torch.version.hip is None:
            arguments["maxnreg"] = registers
        return arguments

    def forward_strips(self, x: Tensor, project: bool) -> dict[str, Any]:
        """Arguments of a kernel that holds states in registers; ``x`` as it reads it."""
        even = self.rank % 2 == 0 and self.size % 2 == 0
        narrow = self.plan.channels < tuning.CHANNELS
        registers = tuning.NARROW_REGISTERS if narrow else tuning.SCAN_REGISTERS
        return {
            "PROJECT": project,
            "RANK": self.rank if project else 0,
            "PAIRED": even and x.data_ptr() % 8 == 0,
            **self.strips(tuning.SCAN_STEPS, registers),
        }

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
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        dt: Tensor,
        rates: Tensor,
        states: Tensor,
        adjoint: bool,
    ) -> None:
        """Write the state, or its gradient, that enters each chunk into ``states``."""
        totals = states.new_empty(self.batch, DIRECTIONS, self.plan.chunks, self.channels)
        arguments = self.forward_strips(x, self.project and not adjoint)
        summary_kernel[(self.batch * DIRECTIONS * self.plan.chunks, self.blocks)](
            u,
            x,
            weight,
            bias,
            dt,
            rates,
            states,
            totals,
            *self.sizes,
            ADJOINT=adjoint,
            **arguments,
        )
        carry_kernel[(self.batch * DIRECTIONS, -(-self.channels // tuning.CARRY_CHANNELS))](
            states,
            totals,
            rates,
            self.channels,
            self.size,
            self.plan.chunks,
            ADJOINT=adjoint,
            BLOCK_D=tuning.CARRY_CHANNELS,
            BLOCK_N=triton.next_power_of_2(self.size),
            num_warps=1,
        )

    def scan_chunks(
        self,
        u: Tensor,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        dt: Tensor,
        rates: Tensor,
        skip: Tensor,
        states: Tensor,
    ) -> Tensor:
        """Scan all chunks from their ``states``; y summed over each pair, ``(2, B, H, W, D)``."""
        y = u.new_empty(2, *u.shape, dtype=torch.float32)
        scan_kernel[(self.batch * 2 * self.plan.chunks, self.blocks)](
            u,
            x,
            weight,
            bias,
            dt,
            rates,
            skip,
            states,
            y,
            self.batch,
            *self.sizes,
            FROM_ZERO=self.plan.chunks == 1,
            **self.forward_strips(x, self.project),
        )
        return y

    def walk_back(
        self,
        grad_y: Tensor,
        x: Tensor,
        dt: Tensor,
        rates: Tensor,
        skip: Tensor,
        states: Tensor,
        carries: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Walk back through all chunks.

        ``dt``, the time steps before softplus, is replaced by their gradients, and ``carries``, the
        gradients of the states after each chunk, by the chunk's share of the gradient of A.

        Returns
        -------
        Tensor, ``(2, B, H, W, D)``
            Gradient of u, summed over each pair of traversals.
        Tensor, ``(blocks, B, L, 4, 2 N)``
            Shares of the gradient of B and C.
        Tensor, ``(B, chunks, D)``
            Shares of the gradient of D.
        """
        g_u = self.u.new_empty(2, *self.u.shape, dtype=torch.float32)
        g_bc = dt.new_empty(self.blocks, self.batch, self.pixels, DIRECTIONS, 2 * self.size)
        g_skip = dt.new_empty(self.batch, self.plan.chunks, self.channels)
        items = self.batch * 2 * self.plan.chunks * self.blocks
        programs = min(items, self._resident_programs())
        notes = 2 + -(-self.plan.length // tuning.WALK_STEPS)
        scratch = dt.new_empty(programs, self.size, notes, 2 * self.block_channels)
        height, width, channels, _, chunks, length = self.sizes
        backward_kernel[(programs,)](
            grad_y,
            self.u,
            x,
            dt,
            rates,
            skip,
            states,
            carries,
            g_u,
            g_bc,
            g_skip,
            scratch,
            self.batch,
            height,
            width,
            channels,
            self.rank,
            self.size,
            chunks,
            length,
            self.blocks,
            items,
            FROM_ZERO=chunks == 1,
            **self.strips(tuning.WALK_STEPS, tuning.WALK_REGISTERS),
        )
        return g_u, g_bc, g_skip

    def _resident_programs(self) -> int:
        """Programs that are launched: each takes several items, and has scratch of its own."""
        if not self.u.is_cuda:
            return 3
        processors: int = torch.cuda.get_device_properties(self.u.device).multi_processor_count
        return processors * tuning.WALK_PROGRAMS_PER_PROCESSOR
