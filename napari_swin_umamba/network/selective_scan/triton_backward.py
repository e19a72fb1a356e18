"""Backward scan on GPUs; names as in :mod:`.triton_common`, ``g_*`` is the gradient of ``*``.

A program takes a chunk in both directions of a pair of traversals at once: tiles are ``(2, D)``,
the lower half of a warp walks one way, the upper half the other. All strips of a chunk are run from
the first to the last, and the states before each are noted in scratch memory. Then they are run
again and walked back, from the last to the first, one state after another: its states and decays
within a strip are in registers. The gradient of each state, on its way from strip to strip, waits
in scratch memory.

So a thread holds whole channels: sums over states need no exchange between threads, softplus is
computed once per channel and step, and only the sums over channels, for B and C, are exchanged.
Nothing is added up atomically, so results do not change between runs.

SIZE is ``size``, which is passed as a number too, to keep loops over states from being unrolled.
"""

import triton
import triton.language as tl

from napari_swin_umamba.network.selective_scan.triton_common import (
    add_directions,
    advance,
    chunk_ends,
    read,
    sigmoid,
    time_step_at,
    write,
)

_LN2 = tl.constexpr(0.6931471805599453)
_NUMBERS = ["batch", "height", "width", "rank", "size", "chunks", "length", "blocks", "items"]


@triton.jit(do_not_specialize=_NUMBERS)
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
    blocks,
    items,
    FROM_ZERO: tl.constexpr,
    EVEN: tl.constexpr,
    WIDE: tl.constexpr,
    SIZE: tl.constexpr,
    STEPS: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Gradients of chunks, one after another: an item is a chunk of a pair and block of channels.

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
        ``(blocks, B, L, 4, 2 N)``, written.
    g_skip
        ``(B, chunks, D)``, written.
    scratch
        ``(programs, N, 2 + ceil(length / STEPS), 2, BLOCK_D)``: for each state its gradient, the
        gradient of ``A log2(e)``, and the states before each strip.
    """
    half = tl.arange(0, 2)[:, None]
    own_d = tl.arange(0, BLOCK_D)[None, :]
    TILE: tl.constexpr = 2 * BLOCK_D
    pixels = height * width
    columns = rank + 2 * SIZE
    slots = (length + STEPS - 1) // STEPS + 2
    own = scratch + tl.program_id(0).to(tl.int64) * slots * SIZE * TILE
    own = own + (half * BLOCK_D + own_d)

    for item in range(tl.program_id(0), items, tl.num_programs(0)):
        block = item % blocks
        chunk = (item // blocks) % chunks
        pair = (item // (blocks * chunks)) % 2
        sample = (item // (2 * blocks * chunks)).to(tl.int64)
        steps, first_pixel, last_pixel, stride = chunk_ends(
            chunk, length, half, pair, height, width, WIDE
        )
        strips = (steps + STEPS - 1) // STEPS
        k = pair + 2 * half
        d = block * BLOCK_D + own_d
        mask_d = d < channels
        u_at = u + sample * pixels * channels + d
        g_y_at = g_y + sample * pixels * channels + d
        g_u_at = g_u + (sample + pair * batch) * pixels * channels + d
        dt_at = dt + sample * pixels * 4 * channels + d
        x_at = x + sample * pixels * 4 * columns + rank
        g_bc_at = g_bc + (sample + block * batch) * pixels * 8 * SIZE
        through = read(skip + d, mask_d, EVEN) * tl.where(k == 0, 1.0, 0.0)
        rate_at = rates + k * SIZE * channels + d
        border = ((sample * 4 + k) * chunks + chunk) * SIZE * channels + d

        for n in range(size):
            spot = own + n * slots * TILE
            h = tl.zeros((2, BLOCK_D), tl.float32)
            g_h = tl.zeros((2, BLOCK_D), tl.float32)
            if not FROM_ZERO:
                h = read(states + border + n * channels, mask_d, EVEN)
                g_h = read(carries + border + n * channels, mask_d, EVEN)
            tl.store(spot, g_h)
            tl.store(spot + TILE, tl.zeros((2, BLOCK_D), tl.float32))
            tl.store(spot + 2 * TILE, h)
        tl.debug_barrier()

        # Run the chunk; note the states before each strip.
        pixel = first_pixel
        for strip in range(strips - 1):  # in these, no step is missing
            deltas = ()
            drives = ()
            rows = ()
            for _j in tl.static_range(STEPS):
                row = pixel * 4 + k
                delta = time_step_at(dt_at + row * channels, mask_d, EVEN)
                value = read(u_at + pixel * channels, mask_d, EVEN)
                deltas = deltas + (delta,)
                drives = drives + (delta * value,)
                rows = rows + (x_at + row * columns,)
                pixel = advance(pixel, stride, pixels)
            for n in range(size):
                spot = own + (n * slots + 2 + strip) * TILE
                h = tl.load(spot)
                rate = read(rate_at + n * channels, mask_d, EVEN)
                for j in tl.static_range(STEPS):
                    b = tl.load(rows[j] + n).to(tl.float32)
                    h = tl.exp2(deltas[j] * rate) * h + drives[j] * b
                tl.store(spot + TILE, h)
            tl.debug_barrier()

        # Walk back, strip by strip.
        g_through = tl.zeros((2, BLOCK_D), tl.float32)
        pixel = last_pixel
        for back in range(strips):
            strip = strips - 1 - back
            places = ()
            deltas = ()
            drives = ()
            g_ys = ()
            rows = ()
            g_rows = ()
            g_drives = ()
            g_deltas = ()
            for j in tl.static_range(STEPS - 1, -1, -1):
                there = strip * STEPS + j < steps
                present = d < tl.where(there, channels, 0)
                row = pixel * 4 + k
                delta = time_step_at(dt_at + row * channels, present, EVEN)
                value = read(u_at + pixel * channels, present, EVEN)
                g_out = read(g_y_at + pixel * channels, present, EVEN)
                g_through += g_out * value
                places = (pixel,) + places
                deltas = (delta,) + deltas
                drives = (delta * value,) + drives
                g_ys = (g_out,) + g_ys
                rows = (x_at + row * columns,) + rows
                g_rows = (g_bc_at + row * 2 * SIZE,) + g_rows
                g_drives = (tl.zeros((2, BLOCK_D), tl.float32),) + g_drives
                g_deltas = (tl.zeros((2, BLOCK_D), tl.float32),) + g_deltas
                before = advance(pixel, -stride, pixels)
                pixel = before if EVEN else tl.where(there, before, pixel)

            noted = tl.load(own + (2 + strip) * TILE)
            for n in range(size):
                spot = own + n * slots * TILE
                h = noted
                # Of the next state already: it comes from far away.
                ahead = tl.minimum(n + 1, size - 1)
                noted = tl.load(own + (ahead * slots + 2 + strip) * TILE)
                g_h = tl.load(spot)
                g_rate = tl.load(spot + TILE)
                rate = read(rate_at + n * channels, mask_d, EVEN)
                hs = (h,)
                decays = ()
                bs = ()
                cs = ()
                for j in tl.static_range(STEPS):
                    b = tl.load(rows[j] + n).to(tl.float32)
                    c = tl.load(rows[j] + SIZE + n).to(tl.float32)
                    decay = tl.exp2(deltas[j] * rate)
                    h = decay * h + drives[j] * b
                    hs = hs + (h,)
                    decays = decays + (decay,)
                    bs = bs + (b,)
                    cs = cs + (c,)
                new_g_drives = ()
                new_g_deltas = ()
                for j in tl.static_range(STEPS - 1, -1, -1):
                    g_h = g_h + g_ys[j] * cs[j]
                    g_c = tl.sum(g_ys[j] * hs[j + 1], axis=1, keep_dims=True)
                    g_b = tl.sum(g_h * drives[j], axis=1, keep_dims=True)
                    new_g_drives = (g_drives[j] + g_h * bs[j],) + new_g_drives
                    g_h = g_h * decays[j]
                    g_exponent = g_h * hs[j]
                    new_g_deltas = (g_deltas[j] + g_exponent * rate,) + new_g_deltas
                    g_rate += g_exponent * deltas[j]
                    both = half < tl.where(strip * STEPS + j < steps, 2, 0)
                    write(g_rows[j] + n, g_b, both, EVEN)
                    write(g_rows[j] + SIZE + n, g_c, both, EVEN)
                g_drives = new_g_drives
                g_deltas = new_g_deltas
                tl.store(spot, g_h)
                tl.store(spot + TILE, g_rate)

            for j in tl.static_range(STEPS - 1, -1, -1):
                step = strip * STEPS + j
                other = steps - 1 - step
                inside = d < tl.where(step < steps, channels, 0)
                to_dt = dt_at + (places[j] * 4 + k) * channels
                slope = sigmoid(read(to_dt, inside, EVEN))
                value = read(u_at + places[j] * channels, inside, EVEN)
                g_delta = g_deltas[j] * _LN2 + g_drives[j] * value
                g_own = g_drives[j] * deltas[j] + through * g_ys[j]
                write(to_dt, g_delta * slope, inside, EVEN)
                to_u = g_u_at + places[j] * channels
                add_directions(to_u, g_own, inside, half, step, other, EVEN)
            tl.debug_barrier()  # what waits in scratch memory may be read by another thread

        for n in range(size):
            g_rate = tl.load(own + (n * slots + 1) * TILE)
            write(carries + border + n * channels, g_rate, mask_d, EVEN)
        place = (sample * chunks + chunk) * channels + d + 0 * half
        tl.store(g_skip + place, g_through, mask=mask_d & (k == 0))
        tl.debug_barrier()  # the next item writes over the scratch memory
