"""Forward scan on GPUs: chunks of a row side by side, then their borders, then the result.

A row of L steps is cut into chunks. ``summary_kernel`` runs every chunk from a zero state,
``carry_kernel`` turns the last states into the states that the chunks really start from, and
``scan_kernel`` runs them again from there. Exponentials are taken twice, but a single image then
occupies a whole GPU.

Names as in :func:`.operator.selective_scan_2d`: D channels, N states, R rank of the time step. A
position counts pixels row by row (traversals 0 and 2) or column by column (1 and 3); a chunk is a
range of positions, the same for both traversals of such a pair. Tiles are ``(N, D)``: one thread
holds all states of a channel, so sums over states need no exchange.
"""

import triton
import triton.language as tl

_LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit
def softplus(x):
    """``log(1 + exp(x))`` to rounding, small results included: ``log1p(z) = 2 artanh(z/(z+2))``."""
    z = tl.exp2(-tl.abs(x) * _LOG2E)
    s = z / (z + 2.0)
    q = s * s
    series = 1.0 / 15.0
    series = series * q + 1.0 / 13.0
    series = series * q + 1.0 / 11.0
    series = series * q + 1.0 / 9.0
    series = series * q + 1.0 / 7.0
    series = series * q + 1.0 / 5.0
    series = series * q + 1.0 / 3.0
    series = series * q + 1.0
    return tl.maximum(x, 0.0) + 2.0 * s * series


@triton.jit
def pixel_at(position, k, height, width):
    """Pixel at a position of traversal ``k``."""
    column_wise = (position % height) * width + position // height
    return tl.where(k % 2 == 1, column_wise, position)


@triton.jit
def advance(pixel, stride, pixels):
    """Go to the next pixel; past the end of a column (``stride`` is the width) to the next one."""
    pixel = pixel + stride
    pixel = tl.where(pixel >= pixels, pixel - pixels + 1, pixel)
    return tl.where(pixel < 0, pixel + pixels - 1, pixel)


@triton.jit
def time_step_weights(dt_weight, dt_bias, k, d, channels, rank, unit, BLOCK_R: tl.constexpr):
    """Tile ``(R, D)`` of ``dt_weight (4, R, D)``, and the biases ``(1, D)``.

    ``unit`` is 1, which Triton is not told: knowing that channels are neighbours, it would lay the
    tile over the threads for this one load, and exchange sums between threads at every step.
    """
    r = tl.arange(0, BLOCK_R)[:, None]
    mask = (r < rank) & (d < channels)
    weight = tl.load(dt_weight + (k * rank + r) * channels + d * unit, mask=mask, other=0.0)
    return weight, tl.load(dt_bias + k * channels + d, mask=d < channels, other=0.0)


@triton.jit
def time_step(
    dt,
    row,
    x,
    columns,
    weight,
    bias,
    d,
    channels,
    rank,
    PROJECT: tl.constexpr,
    BLOCK_R: tl.constexpr,
):
    """Return delta ``(1, D)`` at a row: computed from ``x``, or read from ``dt (B, L, 4, D)``."""
    if PROJECT:
        r = tl.arange(0, BLOCK_R)[:, None]
        low = tl.load(x + row * columns + r, mask=r < rank, other=0.0).to(tl.float32)
        before = tl.sum(weight * low, axis=0, keep_dims=True) + bias
    else:
        before = tl.load(dt + row * channels + d, mask=d < channels, other=0.0)
    return softplus(before)


@triton.jit(do_not_specialize=["unit"])
def summary_kernel(
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
    unit,
    PROJECT: tl.constexpr,
    ADJOINT: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_R: tl.constexpr,
):
    """Run one chunk from a zero state; write its last state and the sum of its time steps.

    With ADJOINT the same for the gradient of the state, walking back: ``u`` is then the gradient
    of y, and ``g <- exp(delta A) (g + C u)``.

    Tensors:

    u, x
        ``(B, L, D)`` and ``(B, L, 4, R + 2 N)``.
    dt_weight, dt_bias, dt
        ``(4, R, D)`` and ``(4, D)``, or ``(B, L, 4, D)`` with the bias, as PROJECT says.
    rates
        ``A log2(e)``, ``(4, N, D)``.
    states, totals
        ``(B, 4, chunks, N, D)`` and ``(B, 4, chunks, D)``, written.
    """
    item = tl.program_id(0)
    chunk = item % chunks
    k = (item // chunks) % 4
    sample = (item // (4 * chunks)).to(tl.int64)
    pixels = height * width
    columns = rank + 2 * size
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)[None, :]
    n = tl.arange(0, BLOCK_N)[:, None]
    mask_d = d < channels
    mask = (n < size) & mask_d
    rate = tl.load(rates + (k * size + n) * channels + d, mask=mask, other=0.0)
    weight = tl.zeros((BLOCK_R, BLOCK_D), tl.float32)
    bias = tl.zeros((1, BLOCK_D), tl.float32)
    if PROJECT:
        weight, bias = time_step_weights(dt_weight, dt_bias, k, d, channels, rank, unit, BLOCK_R)

    first = chunk * length
    steps = tl.minimum(length, pixels - first)
    backwards = k >= 2
    if ADJOINT:
        backwards = k < 2
    pixel = pixel_at(tl.where(backwards, first + steps - 1, first), k, height, width)
    stride = tl.where(k % 2 == 1, width, 1) * tl.where(backwards, -1, 1)
    h = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    total = tl.zeros((1, BLOCK_D), tl.float32)
    for _ in range(steps):
        place = sample * pixels + pixel
        row = place * 4 + k
        delta = time_step(dt, row, x, columns, weight, bias, d, channels, rank, PROJECT, BLOCK_R)
        value = tl.load(u + place * channels + d, mask=mask_d, other=0.0).to(tl.float32)
        decay = tl.exp2(delta * rate)
        if ADJOINT:
            c = tl.load(x + row * columns + rank + size + n, mask=n < size, other=0.0)
            h = decay * (h + value * c.to(tl.float32))
        else:
            b = tl.load(x + row * columns + rank + n, mask=n < size, other=0.0)
            h = decay * h + (delta * value) * b.to(tl.float32)
        total += delta
        pixel = advance(pixel, stride, pixels)
    place = (sample * 4 + k) * chunks + chunk
    tl.store(states + (place * size + n) * channels + d, h, mask=mask)
    tl.store(totals + place * channels + d, total, mask=mask_d)


@triton.jit
def carry_kernel(
    states,
    totals,
    rates,
    channels,
    size,
    chunks,
    ADJOINT: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_N: tl.constexpr,
):
    """Replace the chunks' last states by the states that they start from, in place.

    Four chunks are read ahead of the first one's sum, to wait for memory once in four.
    """
    sample = (tl.program_id(0) // 4).to(tl.int64)
    k = tl.program_id(0) % 4
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)[None, :]
    n = tl.arange(0, BLOCK_N)[:, None]
    mask_d = d < channels
    mask = (n < size) & mask_d
    rate = tl.load(rates + (k * size + n) * channels + d, mask=mask, other=0.0)
    backwards = k >= 2
    if ADJOINT:
        backwards = k < 2
    start = (sample * 4 + k) * chunks + tl.where(backwards, chunks - 1, 0)
    stride = tl.where(backwards, -1, 1)
    carry = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
    for i in range(0, chunks, 4):
        place = start + i * stride
        p0 = (place * size + n) * channels + d
        p1 = ((place + stride) * size + n) * channels + d
        p2 = ((place + 2 * stride) * size + n) * channels + d
        p3 = ((place + 3 * stride) * size + n) * channels + d
        in1 = tl.where(i + 1 < chunks, channels, 0)
        m1 = (n < size) & (d < in1)
        in2 = tl.where(i + 2 < chunks, channels, 0)
        m2 = (n < size) & (d < in2)
        in3 = tl.where(i + 3 < chunks, channels, 0)
        m3 = (n < size) & (d < in3)
        h0 = tl.load(states + p0, mask=mask, other=0.0)
        h1 = tl.load(states + p1, mask=m1, other=0.0)
        h2 = tl.load(states + p2, mask=m2, other=0.0)
        h3 = tl.load(states + p3, mask=m3, other=0.0)
        t = totals + place * channels + d
        t0 = tl.load(t, mask=mask_d, other=0.0)
        t1 = tl.load(t + stride * channels, mask=d < in1, other=0.0)
        t2 = tl.load(t + 2 * stride * channels, mask=d < in2, other=0.0)
        t3 = tl.load(t + 3 * stride * channels, mask=d < in3, other=0.0)
        tl.store(states + p0, carry, mask=mask)
        carry = tl.exp2(rate * t0) * carry + h0
        tl.store(states + p1, carry, mask=m1)
        carry = tl.exp2(rate * t1) * carry + h1
        tl.store(states + p2, carry, mask=m2)
        carry = tl.exp2(rate * t2) * carry + h2
        tl.store(states + p3, carry, mask=m3)
        carry = tl.exp2(rate * t3) * carry + h3


@triton.jit(do_not_specialize=["unit"])
def scan_kernel(
    u,
    x,
    dt_weight,
    dt_bias,
    dt,
    rates,
    skip,
    states,
    y,
    batch,
    height,
    width,
    channels,
    rank,
    size,
    chunks,
    length,
    unit,
    PROJECT: tl.constexpr,
    FROM_ZERO: tl.constexpr,
    BLOCK_D: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_R: tl.constexpr,
):
    """Scan one chunk in both directions of a pair of traversals, and add the two.

    Tensors, beside those of :func:`summary_kernel`:

    skip
        Sum of D over the traversals, ``(D,)``.
    states
        States before each chunk, ``(B, 4, chunks, N, D)``; not read with FROM_ZERO.
    y
        ``(2, B, L, D)``, float32, written: the sum over each pair of traversals.
    """
    item = tl.program_id(0)
    chunk = item % chunks
    pair = (item // chunks) % 2
    sample = (item // (2 * chunks)).to(tl.int64)
    pixels = height * width
    columns = rank + 2 * size
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)[None, :]
    n = tl.arange(0, BLOCK_N)[:, None]
    mask_d = d < channels
    mask = (n < size) & mask_d
    through = tl.load(skip + d, mask=d < tl.where(pair == 0, channels, 0), other=0.0)
    first = chunk * length
    steps = tl.minimum(length, pixels - first)
    y_pair = y + pair.to(tl.int64) * batch * pixels * channels

    for half in tl.static_range(2):
        k = pair + 2 * half
        rate = tl.load(rates + (k * size + n) * channels + d, mask=mask, other=0.0)
        weight = tl.zeros((BLOCK_R, BLOCK_D), tl.float32)
        bias = tl.zeros((1, BLOCK_D), tl.float32)
        if PROJECT:
            weight, bias = time_step_weights(
                dt_weight, dt_bias, k, d, channels, rank, unit, BLOCK_R
            )
        h = tl.zeros((BLOCK_N, BLOCK_D), tl.float32)
        if not FROM_ZERO:
            at = (((sample * 4 + k) * chunks + chunk) * size + n) * channels + d
            h = tl.load(states + at, mask=mask, other=0.0)
        pixel = pixel_at(first + half * (steps - 1), k, height, width)
        stride = tl.where(pair == 1, width, 1) * (1 - 2 * half)
        for _ in range(steps):
            place = sample * pixels + pixel
            row = place * 4 + k
            delta = time_step(
                dt, row, x, columns, weight, bias, d, channels, rank, PROJECT, BLOCK_R
            )
            value = tl.load(u + place * channels + d, mask=mask_d, other=0.0).to(tl.float32)
            b = tl.load(x + row * columns + rank + n, mask=n < size, other=0.0).to(tl.float32)
            c = tl.load(x + row * columns + rank + size + n, mask=n < size, other=0.0)
            h = tl.exp2(delta * rate) * h + (delta * value) * b
            out = tl.sum(h * c.to(tl.float32), axis=0, keep_dims=True)
            if half == 0:
                out += through * value
            else:
                out += tl.load(y_pair + place * channels + d, mask=mask_d, other=0.0)
            tl.store(y_pair + place * channels + d, out, mask=mask_d)
            pixel = advance(pixel, stride, pixels)
        tl.debug_barrier()  # what the first half stored, the second half reads
