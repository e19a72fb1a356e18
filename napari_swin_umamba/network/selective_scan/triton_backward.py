"""Backward scan on GPUs; names as in :mod:`.triton_forward`, ``g_*`` is the gradient of ``*``.

The forward pass keeps the states before each chunk. A program runs a chunk again from there and
notes every fourth state in scratch memory of its own, small enough for the cache; then it walks
back, four steps at a time, whose states and decays it holds in registers. How the gradient of the
state enters a chunk is found as in the forward pass: by summaries, carried over the chunks.

Nothing is added up atomically, so results do not change between runs.

Tiles are ``(N / 4, D / 8, 4, 8)``: the 32 threads of a warp lie over 4 states and 8 channels.
``unit`` is 1, which Triton is not told: knowing that channels are neighbours, it would lay the
tiles out otherwise.
"""

import triton
import triton.language as tl

from napari_swin_umamba.network.selective_scan.triton_forward import advance, pixel_at, softplus

_LOG2E = tl.constexpr(1.4426950408889634)
_LN2 = tl.constexpr(0.6931471805599453)


@triton.jit
def sum_states(tile):
    """Sum a tile over its states: ``(1, D / 8, 1, 8)``."""
    return tl.sum(tl.sum(tile, axis=0, keep_dims=True), axis=2, keep_dims=True)


@triton.jit
def sum_channels(tile):
    """Sum a tile over its channels: ``(N / 4, 1, 4, 1)``."""
    return tl.sum(tl.sum(tile, axis=1, keep_dims=True), axis=3, keep_dims=True)


@triton.jit
def run_step(h, u, x, dt, place, k, valid, rate, n, d, channels, columns, rank, size):
    """Take one step; return the state, its decay, delta, dt, u and B. Not valid: stand still."""
    row = place * 4 + k
    mask_d = d < tl.where(valid, channels, 0)
    before = tl.load(dt + row * channels + d, mask=mask_d, other=0.0)
    delta = tl.where(mask_d, softplus(before), 0.0)
    value = tl.load(u + place * channels + d, mask=mask_d, other=0.0).to(tl.float32)
    b = tl.load(x + row * columns + rank + n, mask=n < tl.where(valid, size, 0), other=0.0).to(
        tl.float32
    )
    decay = tl.exp2(delta * rate)
    return decay * h + (delta * value) * b, decay, delta, before, value, b


@triton.jit
def walk_back(
    g_h,
    g_rate,
    g_skip,
    h_before,
    h,
    decay,
    delta,
    before,
    value,
    b,
    rate,
    through,
    g_y,
    x,
    g_u,
    g_dt,
    g_bc,
    place,
    k,
    valid,
    n,
    d,
    channels,
    columns,
    rank,
    size,
    add_u,
    add_bc,
):
    """Take one step back: write the gradients of u, dt, B and C at its pixel, return the others."""
    row = place * 4 + k
    in_d = tl.where(valid, channels, 0)
    in_n = tl.where(valid, size, 0)
    mask_d = d < in_d
    mask_n = n < in_n
    gy = tl.load(g_y + place * channels + d, mask=mask_d, other=0.0).to(tl.float32)
    c = tl.load(x + row * columns + rank + size + n, mask=mask_n, other=0.0).to(tl.float32)
    g_h = g_h + gy * c
    g_c = sum_channels(gy * h)
    g_b = sum_channels(g_h * (delta * value))
    g_drive = sum_states(g_h * b)
    g_h = g_h * decay
    g_exponent = g_h * h_before  # gradient of delta A
    g_delta = sum_states(g_exponent * rate) * _LN2 + g_drive * value
    z = tl.exp2(-tl.abs(before) * _LOG2E)
    sigmoid = tl.where(before >= 0.0, 1.0, z) / (1.0 + z)
    at = place * channels + d
    own = g_drive * delta + through * gy
    own += tl.load(g_u + at, mask=d < tl.where(add_u, in_d, 0), other=0.0)
    tl.store(g_u + at, own, mask=mask_d)
    tl.store(g_dt + row * channels + d, g_delta * sigmoid, mask=mask_d)
    at_b = row * 2 * size + n
    g_b += tl.load(g_bc + at_b, mask=n < tl.where(add_bc, in_n, 0), other=0.0)
    g_c += tl.load(g_bc + at_b + size, mask=n < tl.where(add_bc, in_n, 0), other=0.0)
    tl.store(g_bc + at_b, g_b, mask=mask_n)
    tl.store(g_bc + at_b + size, g_c, mask=mask_n)
    return g_h, g_rate + g_exponent * delta, g_skip + gy * value


@triton.jit(do_not_specialize=["unit"])
def backward_kernel(
    g_y,
    u,
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
    batch,
    height,
    width,
    channels,
    rank,
    size,
    chunks,
    length,
    unit,
    groups,
    blocks_per_group,
    items,
    FROM_ZERO: tl.constexpr,
    N_HIGH: tl.constexpr,
    N_LOW: tl.constexpr,
    D_HIGH: tl.constexpr,
    D_LOW: tl.constexpr,
):
    """Gradients of chunks, one after another: an item is a chunk of a pair and group of channels.

    Tensors:

    g_y, u, x
        ``(B, L, D)``, ``(B, L, D)`` and ``(B, L, 4, R + 2 N)``.
    dt
        Time steps before softplus, ``(B, L, 4, D)``, float32; replaced by their gradients.
    rates, skip
        ``A log2(e)``, ``(4, N, D)``, and the sum of D over the traversals, ``(D,)``.
    states
        States before each chunk, ``(B, 4, chunks, N, D)``; not read with FROM_ZERO.
    carries
        Gradients of the states after each chunk, of the same shape (with FROM_ZERO taken for
        zero); replaced by the chunk's share of the gradient of A.
    g_u
        ``(2, B, L, D)``, float32, written.
    g_bc
        ``(groups, B, L, 4, 2 N)``, written.
    g_skip
        ``(B, chunks, D)``, written.
    scratch
        ``(programs, ceil(length / 4), N, D of a tile)``.
    """
    n = tl.arange(0, N_HIGH)[:, None, None, None] * N_LOW + tl.arange(0, N_LOW)[None, None, :, None]
    own_d = (
        tl.arange(0, D_HIGH)[None, :, None, None] * D_LOW + tl.arange(0, D_LOW)[None, None, None, :]
    )
    TILE: tl.constexpr = N_HIGH * N_LOW * D_HIGH * D_LOW
    pixels = height * width
    columns = rank + 2 * size
    notes_per_chunk = (length + 3) // 4
    notes = scratch + tl.program_id(0).to(tl.int64) * notes_per_chunk * TILE
    notes = notes + n * (D_HIGH * D_LOW) + own_d * unit

    for item in range(tl.program_id(0), items, tl.num_programs(0)):
        group = item % groups
        chunk = (item // groups) % chunks
        pair = (item // (groups * chunks)) % 2
        sample = (item // (2 * groups * chunks)).to(tl.int64)
        first = chunk * length
        steps = tl.minimum(length, pixels - first)
        subs = (steps + 3) // 4
        g_u_pair = g_u + pair.to(tl.int64) * batch * pixels * channels
        g_bc_group = g_bc + group.to(tl.int64) * batch * pixels * 8 * size
        for block in range(blocks_per_group):
            d = (group * blocks_per_group + block) * (D_HIGH * D_LOW) + own_d
            mask_d = d < channels
            mask = (n < size) & mask_d
            skip_d = tl.load(skip + d, mask=d < tl.where(pair == 0, channels, 0), other=0.0)
            for half in range(2):
                k = pair + 2 * half
                through = skip_d * (1 - half)
                rate = tl.load(rates + (k * size + n) * channels + d * unit, mask=mask, other=0.0)
                at = (((sample * 4 + k) * chunks + chunk) * size + n) * channels + d * unit
                h = tl.zeros((N_HIGH, D_HIGH, N_LOW, D_LOW), tl.float32)
                g_h = tl.zeros((N_HIGH, D_HIGH, N_LOW, D_LOW), tl.float32)
                if not FROM_ZERO:
                    h = tl.load(states + at, mask=mask, other=0.0)
                    g_h = tl.load(carries + at, mask=mask, other=0.0)
                base = sample * pixels
                start = first + half * (steps - 1)
                sign = 1 - 2 * half
                stride = tl.where(pair == 1, width, 1) * sign
                pixel = pixel_at(start, k, height, width)
                for sub in range(subs):
                    tl.store(notes + sub * TILE, h)
                    for j in tl.static_range(4):
                        valid = sub * 4 + j < steps
                        h, _e, _d, _t, _u, _b = run_step(
                            h, u, x, dt, base + pixel, k, valid, rate, n, d,
                            channels, columns, rank, size,
                        )  # fmt: skip
                        pixel = advance(pixel, stride, pixels)
                tl.debug_barrier()

                g_rate = tl.zeros((N_HIGH, D_HIGH, N_LOW, D_LOW), tl.float32)
                g_through = tl.zeros((1, D_HIGH, 1, D_LOW), tl.float32)
                for back in range(subs):
                    sub = subs - 1 - back
                    h0 = tl.load(notes + sub * TILE)
                    p0 = pixel_at(start + sign * 4 * sub, k, height, width)
                    p1 = advance(p0, stride, pixels)
                    p2 = advance(p1, stride, pixels)
                    p3 = advance(p2, stride, pixels)
                    v1 = sub * 4 + 1 < steps
                    v2 = sub * 4 + 2 < steps
                    v3 = sub * 4 + 3 < steps
                    v0 = sub * 4 < steps
                    h1, e0, d0, t0, u0, b0 = run_step(
                        h0, u, x, dt, base + p0, k, v0, rate, n, d, channels, columns, rank, size
                    )
                    h2, e1, d1, t1, u1, b1 = run_step(
                        h1, u, x, dt, base + p1, k, v1, rate, n, d, channels, columns, rank, size
                    )
                    h3, e2, d2, t2, u2, b2 = run_step(
                        h2, u, x, dt, base + p2, k, v2, rate, n, d, channels, columns, rank, size
                    )
                    h4, e3, d3, t3, u3, b3 = run_step(
                        h3, u, x, dt, base + p3, k, v3, rate, n, d, channels, columns, rank, size
                    )
                    g_h, g_rate, g_through = walk_back(
                        g_h, g_rate, g_through, h3, h4, e3, d3, t3, u3, b3, rate, through,
                        g_y, x, g_u_pair, dt, g_bc_group, base + p3, k, v3, n, d,
                        channels, columns, rank, size, half == 1, block > 0,
                    )  # fmt: skip
                    g_h, g_rate, g_through = walk_back(
                        g_h, g_rate, g_through, h2, h3, e2, d2, t2, u2, b2, rate, through,
                        g_y, x, g_u_pair, dt, g_bc_group, base + p2, k, v2, n, d,
                        channels, columns, rank, size, half == 1, block > 0,
                    )  # fmt: skip
                    g_h, g_rate, g_through = walk_back(
                        g_h, g_rate, g_through, h1, h2, e1, d1, t1, u1, b1, rate, through,
                        g_y, x, g_u_pair, dt, g_bc_group, base + p1, k, v1, n, d,
                        channels, columns, rank, size, half == 1, block > 0,
                    )  # fmt: skip
                    g_h, g_rate, g_through = walk_back(
                        g_h, g_rate, g_through, h0, h1, e0, d0, t0, u0, b0, rate, through,
                        g_y, x, g_u_pair, dt, g_bc_group, base + p0, k, v0, n, d,
                        channels, columns, rank, size, half == 1, block > 0,
                    )  # fmt: skip
                tl.store(carries + at, g_rate, mask=mask)
                place = (sample * chunks + chunk) * channels + d
                in_first = tl.where(pair + half == 0, channels, 0)
                tl.store(g_skip + place, g_through, mask=d < in_first)
                tl.debug_barrier()  # the next half and block read what this one stored
