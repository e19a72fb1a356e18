"""Backward scan on the CPU: one call works on a range of channels of one sample.

The states are not kept by the forward pass except at chunk borders; each chunk runs its recurrence
again from there, then walks back. Names as in :mod:`.numba_forward`; ``g_*`` is the gradient of the
loss with respect to ``*``.
"""

from typing import Any

import numba
import numpy as np

from napari_swin_umamba.network.cpu.functions import exp2, sigmoid, softplus
from napari_swin_umamba.network.cpu.simd import (
    add,
    fma,
    inline,
    lane_sums,
    load,
    mul,
    splat,
    splat_from,
    store,
)
from napari_swin_umamba.network.selective_scan.numba_forward import (
    find_chunk,
    project_time_step,
)
from napari_swin_umamba.network.selective_scan.traversal import CHUNK

_LN2 = 0.6931471805599453
SCRATCH_VECTORS = 11 * CHUNK + 1
"""Vectors of 16 elements that :func:`backward_kernel` works in, beside the carried gradients."""


@inline
def state_back(
    x: Any,
    rows: Any,
    steps: int,
    b: int,
    c: int,
    delta: Any,
    drive: Any,
    rate: Any,
    h: Any,
    g_y: Any,
    g_h: Any,
    at: int,
    g_drive: Any,
    g_log: Any,
    decay: Any,
    path: Any,
    g_b: Any,
    g_c: Any,
) -> Any:  # pragma: no cover - compiled
    """Run one state through a chunk and back; return the gradient of its rate, times ln 2.

    ``path`` receives h before each step and after the last; ``g_b`` and ``g_c`` one vector for
    each step, to be summed over its lanes.
    """
    for t in range(steps):
        store(path, 16 * t, h)
        e = exp2(mul(load(delta, 16 * t), rate))
        store(decay, 16 * t, e)
        h = fma(e, h, mul(load(drive, 16 * t), splat_from(x, rows[t] + b)))
    gh = load(g_h, at)
    g_rate = splat(numba.float32(0.0))
    for back in range(steps):
        t = steps - 1 - back
        gy = load(g_y, 16 * t)
        gh = fma(gy, splat_from(x, rows[t] + c), gh)
        store(g_c, 16 * t, mul(gy, h))
        store(g_b, 16 * t, mul(gh, load(drive, 16 * t)))
        store(g_drive, 16 * t, fma(gh, splat_from(x, rows[t] + b), load(g_drive, 16 * t)))
        gh = mul(gh, load(decay, 16 * t))
        h = load(path, 16 * t)
        g_exponent = mul(gh, h)  # gradient of delta * A
        g_rate = fma(g_exponent, load(delta, 16 * t), g_rate)
        store(g_log, 16 * t, fma(g_exponent, rate, load(g_log, 16 * t)))
    store(g_h, at, gh)
    return g_rate


@inline
def add_lane_sums(products: Any, total: Any, row: int) -> None:  # pragma: no cover - compiled
    """Add the lane sums of a chunk of vectors to row ``row`` of ``total``, ``(rows, CHUNK)``."""
    for t in range(0, CHUNK, 16):
        at = row * CHUNK + t
        store(total, at, add(load(total, at), lane_sums(products, 16 * t)))


def backward_kernel(
    g_y: Any,
    u: Any,
    x: Any,
    dt_weight: Any,
    dt_bias: Any,
    rates: Any,
    skip: Any,
    states: Any,
    g_u: Any,
    g_x: Any,
    g_dt_weight: Any,
    g_dt_bias: Any,
    g_rates: Any,
    g_skip: Any,
    scratch: Any,
    batch_index: int,
    part: int,
    parts: int,
    first: int,
    last: int,
    height: int,
    width: int,
    channels: int,
    rank: int,
    size: int,
) -> None:  # pragma: no cover - compiled
    """Gradients from channels ``first`` to ``last`` (multiples of 16) of one sample.

    Parameters
    ----------
    g_y
        ``(B, L, D)``.
    u, x, dt_weight, dt_bias, rates, skip, states, batch_index, first, last
        As in :func:`.numba_forward.forward_kernel`.
    height, width, channels, rank, size
        H, W, D, R and N.
    g_u
        ``(B, L, D)``, written.
    g_x
        ``(B, parts, L, 4, R + 2 N)``: this call writes part ``part``; the caller sums the parts.
    part, parts
        Number of this range of channels, and how many there are.
    g_dt_weight, g_dt_bias, g_rates, g_skip
        One for each sample, ``(B, ...)``, zero before the call. ``g_rates`` is the gradient of A.
    scratch
        At least ``16 (SCRATCH_VECTORS + N (last - first) / 16) + CHUNK (R + 2 N)`` elements.
    """
    pixels_count = height * width
    columns = rank + 2 * size
    chunks = (pixels_count + CHUNK - 1) // CHUNK
    block = 16 * CHUNK
    pre = scratch[:block]
    delta = scratch[block : 2 * block]
    drive = scratch[2 * block : 3 * block]
    gy_chunk = scratch[3 * block : 4 * block]
    g_drive = scratch[4 * block : 5 * block]
    g_log = scratch[5 * block : 6 * block]
    decay = scratch[6 * block : 7 * block]
    path = scratch[7 * block : 8 * block + 16]
    g_b = scratch[8 * block + 16 : 9 * block + 16]
    g_c = scratch[9 * block + 16 : 10 * block + 16]
    used = 16 * SCRATCH_VECTORS
    g_rows = scratch[used : used + CHUNK * columns]
    g_h = scratch[used + CHUNK * columns :]
    pixels = np.empty(CHUNK, np.int64)
    rows = np.empty(CHUNK, np.int64)
    order = np.empty(CHUNK, np.int64)
    ln2 = splat(numba.float32(_LN2))

    for pixel in range(pixels_count):
        for d in range(first, last, 16):
            at = (batch_index * pixels_count + pixel) * channels + d
            gy = load(g_y, at)
            store(g_u, at, mul(gy, load(skip, d)))
            total = batch_index * channels + d
            store(g_skip, total, fma(gy, load(u, at), load(g_skip, total)))

    for k in range(4):
        g_h[:] = 0.0
        for chunk_back in range(chunks):
            chunk = chunks - 1 - chunk_back
            start = chunk * CHUNK
            steps = min(CHUNK, pixels_count - start)
            find_chunk(k, start, steps, height, width, order)
            for t in range(CHUNK):
                pixel = batch_index * pixels_count + order[t]
                rows[t] = (pixel * 4 + k) * columns
                pixels[t] = pixel * channels
            g_rows[:] = 0.0
            g_b[:] = 0.0
            g_c[:] = 0.0
            for d in range(first, last, 16):
                weight = k * rank * channels + d
                bias = load(dt_bias, k * channels + d)
                project_time_step(x, rows, dt_weight, weight, rank, channels, bias, pre)
                zero = splat(numba.float32(0.0))
                for t in range(steps):
                    dt = softplus(load(pre, 16 * t))
                    store(delta, 16 * t, dt)
                    store(drive, 16 * t, mul(dt, load(u, pixels[t] + d)))
                    store(gy_chunk, 16 * t, load(g_y, pixels[t] + d))
                    store(g_drive, 16 * t, zero)
                    store(g_log, 16 * t, zero)
                kept = (((batch_index * 4 + k) * chunks + chunk) * size) * channels + d
                for n in range(size):
                    rate = (k * size + n) * channels + d
                    g_rate = state_back(
                        x,
                        rows,
                        steps,
                        rank + n,
                        rank + size + n,
                        delta,
                        drive,
                        load(rates, rate),
                        load(states, kept + n * channels),
                        gy_chunk,
                        g_h,
                        (d - first) * size + 16 * n,
                        g_drive,
                        g_log,
                        decay,
                        path,
                        g_b,
                        g_c,
                    )
                    total = batch_index * 4 * size * channels + rate
                    store(g_rates, total, add(load(g_rates, total), g_rate))
                    add_lane_sums(g_b, g_rows, rank + n)
                    add_lane_sums(g_c, g_rows, rank + size + n)
                total = (batch_index * 4 + k) * channels + d
                g_bias = load(g_dt_bias, total)
                for t in range(steps):
                    at = pixels[t] + d
                    gd = load(g_drive, 16 * t)
                    store(g_u, at, fma(gd, load(delta, 16 * t), load(g_u, at)))
                    g_delta = fma(gd, load(u, at), mul(load(g_log, 16 * t), ln2))
                    g_pre = mul(g_delta, sigmoid(load(pre, 16 * t)))
                    store(pre, 16 * t, g_pre)
                    g_bias = add(g_bias, g_pre)
                store(g_dt_bias, total, g_bias)
                for r in range(rank):
                    w = load(dt_weight, weight + r * channels)
                    total = batch_index * 4 * rank * channels + weight + r * channels
                    g_w = load(g_dt_weight, total)
                    for t in range(steps):
                        g_pre = load(pre, 16 * t)
                        g_w = fma(g_pre, splat_from(x, rows[t] + r), g_w)
                        store(g_b, 16 * t, mul(g_pre, w))
                    store(g_dt_weight, total, g_w)
                    add_lane_sums(g_b, g_rows, r)
            for t in range(steps):
                pixel = (batch_index * parts + part) * pixels_count + order[t]
                row = (pixel * 4 + k) * columns
                for column in range(columns):
                    g_x[row + column] = g_rows[column * CHUNK + t]
