"""Weights of 3x3 convolutions as :mod:`winograd` multiplies by them."""

import functools
from typing import Any

from numba import types
from torch import Tensor

from napari_swin_umamba.network.cpu import LANES
from napari_swin_umamba.network.cpu.compilation import kernel
from napari_swin_umamba.network.cpu.products import pack
from napari_swin_umamba.network.cpu.simd import (
    add,
    constant,
    fma,
    inline,
    load,
    mul,
    store,
    sub,
)
from napari_swin_umamba.network.cpu.threads import ranges, run_all
from napari_swin_umamba.network.cpu.winograd import LARGE, POINTS, SMALL

_ARRAY = types.float32[::1]
_TRANSFORM = types.void(_ARRAY, _ARRAY, _ARRAY, *[types.int64] * 3)


@inline
def _values(g0: Any, g1: Any, g2: Any) -> Any:
    """Values of a kernel at the six points along one side, divided by what the image's lack."""
    even_small = mul(constant(-2 / 3), fma(constant(0.5), g2, g0))
    odd_small = mul(constant(-2 / 3 * SMALL), g1)
    even_large = mul(constant(1 / 6), fma(constant(2.0), g2, g0))
    odd_large = mul(constant(1 / 6 * LARGE), g1)
    return (
        g0,
        add(even_small, odd_small),
        sub(even_small, odd_small),
        add(even_large, odd_large),
        sub(even_large, odd_large),
        g2,
    )


def transform_kernel(
    taps: Any, values: Any, work: Any, size: int, first: int, last: int
) -> None:  # pragma: no cover - compiled
    """Transform ``(9, size)`` into ``(36, size)``, from vector ``first`` to ``last``."""
    for at in range(first * LANES, last * LANES, LANES):
        for column in range(3):
            tap = at + column * size
            v0, v1, v2, v3, v4, v5 = _values(
                load(taps, tap), load(taps, tap + 3 * size), load(taps, tap + 6 * size)
            )
            kept = column * LANES
            store(work, kept, v0)
            store(work, kept + 3 * LANES, v1)
            store(work, kept + 6 * LANES, v2)
            store(work, kept + 9 * LANES, v3)
            store(work, kept + 12 * LANES, v4)
            store(work, kept + 15 * LANES, v5)
        for row in range(6):
            kept = 3 * row * LANES
            v0, v1, v2, v3, v4, v5 = _values(
                load(work, kept), load(work, kept + LANES), load(work, kept + 2 * LANES)
            )
            to = at + 6 * row * size
            store(values, to, v0)
            store(values, to + size, v1)
            store(values, to + 2 * size, v2)
            store(values, to + 3 * size, v3)
            store(values, to + 4 * size, v4)
            store(values, to + 5 * size, v5)


def warm_up() -> None:
    """Compile the kernel, or load it from Numba's cache."""
    kernel(transform_kernel, _TRANSFORM)


def transform_weight(weight: Tensor) -> Any:
    """Take the values of kernels ``(E, C, 3, 3)`` at all points: ``(36, C, E)``, packed."""
    out, channels = weight.shape[:2]
    size = channels * out
    taps = pack(weight.permute(2, 3, 1, 0).reshape(9, channels, out)).numpy()
    values = weight.new_empty(POINTS * size).numpy()
    run = kernel(transform_kernel, _TRANSFORM)
    run_all(
        [
            functools.partial(run, taps, values, weight.new_empty(18 * LANES).numpy(), size, *part)
            for part in ranges(size // LANES)
        ]
    )
    return values
