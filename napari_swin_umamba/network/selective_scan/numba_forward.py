"""Forward scan on the CPU: one call works on a range of channels of one sample.

Glossary, as in :func:`.operator.selective_scan_2d`: D channels, N states, R rank of the time step,
L = H W pixels. Tensors come flat. Channels are taken sixteen at a time ("vector"); within a chunk
of 64 steps each state of a vector stays in a register.
"""

from typing import Any

import numpy as np

from napari_swin_umamba.network.cpu.functions import exp2, softplus
from napari_swin_umamba.network.cpu.simd import (
    fma,
    inline,
    load,
    mul,
    prefetch,
    splat_from,
    store,
)
from napari_swin_umamba.network.selective_scan.traversal import CHUNK


@inline
def find_chunk(
    k: int, start: int, steps: int, height: int, width: int, pixels: Any
) -> None:  # pragma: no cover - compiled
    """Write the pixels that traversal ``k`` visits from step ``start`` on; repeat the last one."""
    last = height * width - 1
    for t in range(pixels.size):
        step = start + min(t, steps - 1)
        if k >= 2:
            step = last - step
        if k % 2 == 1:
            step = (step % height) * width + step // height
        pixels[t] = step


@inline
def project_time_step(
    x: Any, rows: Any, dt_weight: Any, first: int, rank: int, stride: int, bias: Any, dt: Any
) -> None:  # pragma: no cover - compiled
    """``dt[t] = bias + sum_r dt_weight[r] x[rows[t] + r]`` for one vector, four steps at a time."""
    for t in range(0, rows.size, 4):
        dt0 = bias
        dt1 = bias
        dt2 = bias
        dt3 = bias
        for r in range(rank):
            weight = load(dt_weight, first + r * stride)
            dt0 = fma(weight, splat_from(x, rows[t] + r), dt0)
            dt1 = fma(weight, splat_from(x, rows[t + 1] + r), dt1)
            dt2 = fma(weight, splat_from(x, rows[t + 2] + r), dt2)
            dt3 = fma(weight, splat_from(x, rows[t + 3] + r), dt3)
        store(dt, 16 * t, dt0)
        store(dt, 16 * t + 16, dt1)
        store(dt, 16 * t + 32, dt2)
        store(dt, 16 * t + 48, dt3)


@inline
def scan_two_states(
    x: Any,
    rows: Any,
    steps: int,
    b0: int,
    c0: int,
    delta: Any,
    drive: Any,
    rate0: Any,
    rate1: Any,
    h: Any,
    at: int,
    y: Any,
) -> None:  # pragma: no cover - compiled
    """Run the recurrence of two neighbouring states through a chunk and add their share of y."""
    h0 = load(h, at)
    h1 = load(h, at + 16)
    for t in range(steps):
        d = load(delta, 16 * t)
        v = load(drive, 16 * t)
        row = rows[t]
        h0 = fma(exp2(mul(d, rate0)), h0, mul(v, splat_from(x, row + b0)))
        h1 = fma(exp2(mul(d, rate1)), h1, mul(v, splat_from(x, row + b0 + 1)))
        total = fma(h0, splat_from(x, row + c0), load(y, 16 * t))
        store(y, 16 * t, fma(h1, splat_from(x, row + c0 + 1), total))
    store(h, at, h0)
    store(h, at + 16, h1)


def forward_kernel(
    u: Any,
    x: Any,
    dt_weight: Any,
    dt_bias: Any,
    rates: Any,
    skip: Any,
    y: Any,
    states: Any,
    scratch: Any,
    batch_index: int,
    first: int,
    last: int,
    height: int,
    width: int,
    channels: int,
    rank: int,
    size: int,
) -> None:  # pragma: no cover - compiled
    """Scan channels ``first`` to ``last`` (multiples of 16) of one sample.

    Parameters
    ----------
    u, y
        ``(B, L, D)``; y is written.
    x
        ``(B, L, 4, R + 2 N)``; N is even.
    dt_weight, dt_bias, rates, skip
        ``(4, R, D)``, ``(4, D)``, ``(4, N, D)`` holding ``A log2(e)``, ``(D,)`` the sum of D.
    states
        ``(B, 4, ceil(L / 64), N, D)``, written; of size 0 where nobody needs them.
    scratch
        At least ``16 (3 CHUNK + N (last - first) / 16)`` elements.
    batch_index
        The sample.
    first, last
        The range of channels.
    height, width, channels, rank, size
        H, W, D, R and N.
    """
    pixels_count = height * width
    columns = rank + 2 * size
    chunks = (pixels_count + CHUNK - 1) // CHUNK
    delta = scratch[: 16 * CHUNK]
    drive = scratch[16 * CHUNK : 32 * CHUNK]
    y_chunk = scratch[32 * CHUNK : 48 * CHUNK]
    h = scratch[48 * CHUNK :]
    pixels = np.empty(CHUNK, np.int64)
    ahead = np.empty(CHUNK, np.int64)
    rows = np.empty(CHUNK, np.int64)

    for k in range(4):
        h[:] = 0.0
        for chunk in range(chunks):
            start = chunk * CHUNK
            steps = min(CHUNK, pixels_count - start)
            find_chunk(k, start, steps, height, width, pixels)
            following = min(start + CHUNK, pixels_count - 1)
            find_chunk(k, following, min(CHUNK, pixels_count - following), height, width, ahead)
            for t in range(CHUNK):
                pixel = batch_index * pixels_count + pixels[t]
                rows[t] = (pixel * 4 + k) * columns
                pixels[t] = pixel * channels
                pixel = batch_index * pixels_count + ahead[t]
                ahead[t] = pixel * channels
                row = (pixel * 4 + k) * columns
                for column in range(0, columns, 16):
                    prefetch(x, row + column)
            for d in range(first, last, 16):
                own = (d - first) * size
                if states.size > 0:
                    kept = (((batch_index * 4 + k) * chunks + chunk) * size) * channels + d
                    for n in range(size):
                        store(states, kept + n * channels, load(h, own + 16 * n))
                bias = load(dt_bias, k * channels + d)
                project_time_step(
                    x, rows, dt_weight, k * rank * channels + d, rank, channels, bias, delta
                )
                for t in range(steps):
                    prefetch(u, ahead[t] + d)
                    prefetch(y, ahead[t] + d)
                    dt = softplus(load(delta, 16 * t))
                    store(delta, 16 * t, dt)
                    value = load(u, pixels[t] + d)
                    store(drive, 16 * t, mul(dt, value))
                    if k == 0:
                        store(y_chunk, 16 * t, mul(value, load(skip, d)))
                    else:
                        store(y_chunk, 16 * t, load(y, pixels[t] + d))
                for n in range(0, size, 2):
                    rate = (k * size + n) * channels + d
                    scan_two_states(
                        x,
                        rows,
                        steps,
                        rank + n,
                        rank + size + n,
                        delta,
                        drive,
                        load(rates, rate),
                        load(rates, rate + channels),
                        h,
                        own + 16 * n,
                        y_chunk,
                    )
                for t in range(steps):
                    store(y, pixels[t] + d, load(y_chunk, 16 * t))
