"""Forward scan on GPUs in strips of a few steps, as :mod:`.triton_strips` explains."""

import triton
import triton.language as tl

from napari_swin_umamba.network.selective_scan.triton_forward import advance, softplus
from napari_swin_umamba.network.selective_scan.triton_strips import (
    add_directions,
    chunk_ends,
    project,
    read,
    write,
)


@triton.jit
def strip_summary_kernel(
    u,
    x,
    dt_weight,
    dt_bias,
    dt,
    rates,
    states,
    totals,
    height,
    width,
    channels,
    rank,
    size,
    chunks,
    length,
    PROJECT: tl.constexpr,
    ADJOINT: tl.constexpr,
    EVEN: tl.constexpr,
    WIDE: tl.constexpr,
    SIZE: tl.constexpr,
    STEPS: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Do as :func:`.summary_kernel` for a chunk of both traversals of a pair."""
    item = tl.program_id(0)
    chunk = item % chunks
    pair = (item // chunks) % 2
    sample = (item // (2 * chunks)).to(tl.int64)
    half = tl.arange(0, 2)[:, None]
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)[None, :]
    mask_d = d < channels
    k = pair + 2 * half
    pixels = height * width
    columns = rank + 2 * SIZE
    steps, first_pixel, last_pixel, stride = chunk_ends(
        chunk, length, half, pair, height, width, WIDE
    )
    pixel = first_pixel
    if ADJOINT:
        pixel = last_pixel
        stride = -stride
    u_at = u + sample * pixels * channels + d
    dt_at = dt + sample * pixels * 4 * channels + d
    x_at = x + sample * pixels * 4 * columns + rank
    weight_at = dt_weight + k * rank * channels + d
    rate_at = rates + k * SIZE * channels + d
    place = (sample * 4 + k) * chunks + chunk
    state_at = states + place * SIZE * channels + d
    bias = tl.zeros((2, BLOCK_D), tl.float32)
    if PROJECT:
        bias = read(dt_bias + k * channels + d, mask_d, EVEN)
    total = tl.zeros((2, BLOCK_D), tl.float32)
    for n in range(size):
        write(state_at + n * channels, total, mask_d, EVEN)

    for strip in range((steps + STEPS - 1) // STEPS):
        befores = ()
        values = ()
        rows = ()
        for j in tl.static_range(STEPS):
            row = pixel * 4 + k
            before = bias
            if not PROJECT:
                before = read(dt_at + row * channels, mask_d, EVEN)
            befores = befores + (before,)
            values = values + (read(u_at + pixel * channels, mask_d, EVEN),)
            rows = rows + (x_at + row * columns,)
            after = advance(pixel, stride, pixels)
            pixel = after if EVEN else tl.where(strip * STEPS + j + 1 < steps, after, pixel)
        if PROJECT:
            befores = project(befores, rows, weight_at, rank, channels, mask_d, EVEN, STEPS)
        deltas = ()
        drives = ()
        for j in tl.static_range(STEPS):
            delta = softplus(befores[j])
            value = values[j]
            if not EVEN:  # a step that is missing: the state stands still
                there = strip * STEPS + j < steps
                delta = tl.where(there, delta, 0.0)
                value = tl.where(there, value, 0.0)
            total += delta
            deltas = deltas + (delta,)
            drives = drives + (value if ADJOINT else delta * value,)
        for n in range(size):
            h = read(state_at + n * channels, mask_d, EVEN)
            rate = read(rate_at + n * channels, mask_d, EVEN)
            for j in tl.static_range(STEPS):
                decay = tl.exp2(deltas[j] * rate)
                if ADJOINT:
                    c = tl.load(rows[j] + SIZE + n).to(tl.float32)
                    h = decay * (h + drives[j] * c)
                else:
                    b = tl.load(rows[j] + n).to(tl.float32)
                    h = decay * h + drives[j] * b
            write(state_at + n * channels, h, mask_d, EVEN)
        tl.debug_barrier()
    write(totals + place * channels + d, total, mask_d, EVEN)


@triton.jit
def strip_scan_kernel(
    u,
    x,
    dt_weight,
    dt_bias,
    dt,
    rates,
    skip,
    states,
    work,
    y,
    batch,
    height,
    width,
    channels,
    rank,
    size,
    chunks,
    length,
    PROJECT: tl.constexpr,
    FROM_ZERO: tl.constexpr,
    EVEN: tl.constexpr,
    WIDE: tl.constexpr,
    SIZE: tl.constexpr,
    STEPS: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Do as :func:`.scan_kernel`; ``work`` is like ``states``, or the same, and is written over."""
    item = tl.program_id(0)
    chunk = item % chunks
    pair = (item // chunks) % 2
    sample = (item // (2 * chunks)).to(tl.int64)
    half = tl.arange(0, 2)[:, None]
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)[None, :]
    mask_d = d < channels
    k = pair + 2 * half
    pixels = height * width
    columns = rank + 2 * SIZE
    steps, pixel, _last, stride = chunk_ends(chunk, length, half, pair, height, width, WIDE)
    u_at = u + sample * pixels * channels + d
    y_at = y + (sample + pair * batch) * pixels * channels + d
    dt_at = dt + sample * pixels * 4 * channels + d
    x_at = x + sample * pixels * 4 * columns + rank
    weight_at = dt_weight + k * rank * channels + d
    rate_at = rates + k * SIZE * channels + d
    state_at = ((sample * 4 + k) * chunks + chunk) * SIZE * channels + d
    through = read(skip + d, mask_d, EVEN) * tl.where(k == 0, 1.0, 0.0)
    bias = tl.zeros((2, BLOCK_D), tl.float32)
    if PROJECT:
        bias = read(dt_bias + k * channels + d, mask_d, EVEN)
    for n in range(size):
        h = tl.zeros((2, BLOCK_D), tl.float32)
        if not FROM_ZERO:
            h = read(states + state_at + n * channels, mask_d, EVEN)
        write(work + state_at + n * channels, h, mask_d, EVEN)

    for strip in range((steps + STEPS - 1) // STEPS):
        befores = ()
        values = ()
        rows = ()
        places = ()
        for j in tl.static_range(STEPS):
            row = pixel * 4 + k
            before = bias
            if not PROJECT:
                before = read(dt_at + row * channels, mask_d, EVEN)
            befores = befores + (before,)
            values = values + (read(u_at + pixel * channels, mask_d, EVEN),)
            rows = rows + (x_at + row * columns,)
            places = places + (pixel,)
            after = advance(pixel, stride, pixels)
            pixel = after if EVEN else tl.where(strip * STEPS + j + 1 < steps, after, pixel)
        if PROJECT:
            befores = project(befores, rows, weight_at, rank, channels, mask_d, EVEN, STEPS)
        deltas = ()
        drives = ()
        ys = ()
        for j in tl.static_range(STEPS):
            delta = softplus(befores[j])
            if not EVEN:
                delta = tl.where(strip * STEPS + j < steps, delta, 0.0)
            deltas = deltas + (delta,)
            drives = drives + (delta * values[j],)
            ys = ys + (through * values[j],)
        for n in range(size):
            h = read(work + state_at + n * channels, mask_d, EVEN)
            rate = read(rate_at + n * channels, mask_d, EVEN)
            new_ys = ()
            for j in tl.static_range(STEPS):
                b = tl.load(rows[j] + n).to(tl.float32)
                c = tl.load(rows[j] + SIZE + n).to(tl.float32)
                h = tl.exp2(deltas[j] * rate) * h + drives[j] * b
                new_ys = new_ys + (ys[j] + h * c,)
            ys = new_ys
            write(work + state_at + n * channels, h, mask_d, EVEN)
        for j in tl.static_range(STEPS):
            step = strip * STEPS + j
            other = steps - 1 - step  # when the other direction comes here
            inside = d < tl.where(step < steps, channels, 0)
            to_y = y_at + places[j] * channels
            add_directions(to_y, ys[j], inside, half, other < step, other == step, EVEN)
        tl.debug_barrier()  # the second direction at a pixel reads what the first one stored
