"""The scan on the CPU by kernels compiled with Numba, on a pool of threads of our own.

``prange`` is not used: its thread pools abort when entered from two threads at once, or kill a
forked child.
"""

import functools
from typing import Any

import torch
from numba import types
from torch import Tensor
from torch.nn import functional

from napari_swin_umamba.network.cpu import LANES
from napari_swin_umamba.network.cpu.compilation import kernel
from napari_swin_umamba.network.cpu.threads import run_all
from napari_swin_umamba.network.selective_scan import numba_backward, numba_forward
from napari_swin_umamba.network.selective_scan.traversal import CHUNK

Gradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]

_LOG2E = 1.4426950408889634
_ARRAY = types.float32[::1]
_FORWARD = types.void(*[_ARRAY] * 9, *[types.int64] * 8)
_BACKWARD = types.void(*[_ARRAY] * 15, *[types.int64] * 10)


def warm_up(backward: bool = True) -> None:
    """Compile the kernels, or load them from Numba's cache."""
    kernel(numba_forward.forward_kernel, _FORWARD)
    if backward:
        kernel(numba_backward.backward_kernel, _BACKWARD)


def forward(
    u: Tensor,
    x_dbl: Tensor,
    dt_weight: Tensor,
    dt_bias: Tensor,
    A: Tensor,
    D: Tensor,
    keep_states: bool,
) -> tuple[Tensor, Tensor]:
    """Scan as :func:`.operator.selective_scan_2d` says, in float32.

    Returns
    -------
    y : Tensor, ``(B, H, W, D)``
    states : Tensor, ``(B, 4, chunks, N, D)``
        States at the chunk borders; of size 0 unless kept.
    """
    scan = kernel(numba_forward.forward_kernel, _FORWARD)
    shape = _Shape(u, x_dbl, dt_weight, A)
    packed = shape.pack(u, x_dbl, dt_weight, dt_bias, A, D)
    y = torch.empty_like(packed[0])
    states = u.new_empty(shape.states if keep_states else 0)

    def task(sample: int, first: int, last: int) -> None:
        scratch = u.new_empty(LANES * 3 * CHUNK + (last - first) * shape.size)
        arrays = [_flat(x) for x in (*packed, y, states, scratch)]
        scan(*arrays, sample, first, last, *shape.numbers)

    run_all(
        [
            functools.partial(task, sample, first, last)
            for sample in range(u.shape[0])
            for first, last in shape.ranges(-(-2 * torch.get_num_threads() // max(u.shape[0], 1)))
        ],
        small=shape.small,
    )
    return y[..., : u.shape[-1]].contiguous(), states


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
    """Gradients of the six inputs of :func:`forward`."""
    scan = kernel(numba_backward.backward_kernel, _BACKWARD)
    shape = _Shape(u, x_dbl, dt_weight, A)
    packed = shape.pack(u, x_dbl, dt_weight, dt_bias, A, D)
    u_packed, x_packed, weight, bias, rates, skip = packed
    batch = u.shape[0]
    # The number of parts depends on shapes alone, so results do not depend on the thread count.
    ranges = shape.ranges(-(-4 // max(batch, 1)))
    g_u = torch.empty_like(u_packed)
    g_x = u.new_empty(batch, len(ranges), *x_packed.shape[1:])
    g_weight, g_bias, g_rates, g_skip = (
        x.new_zeros(batch, *x.shape) for x in (weight, bias, rates, skip)
    )
    g_y = shape.pad_channels(grad_y)

    def task(sample: int, part: int) -> None:
        first, last = ranges[part]
        scratch = u.new_empty(
            LANES * numba_backward.SCRATCH_VECTORS
            + (last - first) * shape.size
            + CHUNK * (shape.rank + 2 * shape.size)
        )
        grads = (g_u, g_x, g_weight, g_bias, g_rates, g_skip)
        arrays = [_flat(x) for x in (g_y, *packed, states, *grads, scratch)]
        scan(*arrays, sample, part, len(ranges), first, last, *shape.numbers)

    run_all(
        [
            functools.partial(task, sample, part)
            for sample in range(batch)
            for part in range(len(ranges))
        ],
        small=shape.small,
    )
    return shape.unpack(
        g_u, g_x.sum(1), g_weight.sum(0), g_bias.sum(0), g_rates.sum(0), g_skip.sum(0)
    )


def _flat(tensor: Tensor) -> Any:
    return tensor.detach().view(-1).numpy()


class _Shape:
    """Sizes of a scan, and the layout that the kernels want: lanes filled, channels innermost."""

    def __init__(self, u: Tensor, x_dbl: Tensor, dt_weight: Tensor, A: Tensor) -> None:
        self.batch, self.height, self.width, self.given_channels = u.shape
        self.rank, self.given_size = dt_weight.shape[-1], A.shape[-1]
        self.channels = -(-self.given_channels // LANES) * LANES
        self.size = self.given_size + self.given_size % 2  # the kernels take states in pairs

    @property
    def numbers(self) -> tuple[int, ...]:
        return self.height, self.width, self.channels, self.rank, self.size

    @property
    def small(self) -> bool:
        """Whether the scan takes about 0.1 ms."""
        updates = self.batch * self.height * self.width * self.channels * self.size
        return 4 * updates < 1_000_000

    @property
    def states(self) -> tuple[int, ...]:
        chunks = -(-self.height * self.width // CHUNK)
        return self.batch, 4, chunks, self.size, self.channels

    def ranges(self, parts: int) -> list[tuple[int, int]]:
        """Cut the channels into at most ``parts`` ranges of whole vectors, as even as can be."""
        vectors = self.channels // LANES
        parts = max(1, min(parts, vectors))
        cuts = [LANES * (vectors * i // parts) for i in range(parts + 1)]
        return list(zip(cuts[:-1], cuts[1:], strict=True))

    def pad_channels(self, tensor: Tensor) -> Tensor:
        """Fill the last axis up to whole vectors with zeros."""
        return functional.pad(tensor, (0, self.channels - self.given_channels)).contiguous()

    def pack(
        self, u: Tensor, x_dbl: Tensor, dt_weight: Tensor, dt_bias: Tensor, A: Tensor, D: Tensor
    ) -> tuple[Tensor, ...]:
        """Bring the operator's inputs into the kernels' layout."""
        x = x_dbl.view(*x_dbl.shape[:3], 4, self.rank + 2 * self.given_size)
        if self.size > self.given_size:  # an added state whose B and C are zero adds nothing
            rank_and_b, c = x.split([self.rank + self.given_size, self.given_size], dim=-1)
            x = torch.cat([functional.pad(rank_and_b, (0, 1)), functional.pad(c, (0, 1))], dim=-1)
        rates = functional.pad(A * _LOG2E, (0, self.size - self.given_size))
        return (
            self.pad_channels(u),
            x.contiguous(),
            self.pad_channels(dt_weight.transpose(1, 2)),
            self.pad_channels(dt_bias),
            self.pad_channels(rates.transpose(1, 2)),
            self.pad_channels(D.sum(0)),
        )

    def unpack(
        self, g_u: Tensor, g_x: Tensor, g_weight: Tensor, g_bias: Tensor, g_A: Tensor, g_D: Tensor
    ) -> Gradients:
        """Bring gradients from the kernels' layout back to that of the operator's inputs."""
        channels, size = self.given_channels, self.given_size
        if self.size > size:
            kept = [
                *range(self.rank + size),
                *range(self.rank + size + 1, self.rank + 2 * size + 1),
            ]
            g_x = g_x[..., kept]
        return (
            g_u[..., :channels].contiguous(),
            g_x.flatten(3),
            g_weight[..., :channels].transpose(1, 2).contiguous(),
            g_bias[..., :channels].contiguous(),
            g_A[:, :size, :channels].transpose(1, 2).contiguous(),
            g_D[:channels].expand(4, -1).contiguous(),
        )
