"""States at the borders of chunks: a row of L steps is cut, and its chunks run side by side.

``summary_kernel`` runs every chunk from a zero state, ``carry_kernel`` turns the last states into
the states that the chunks really start from; from there, forward and backward pass run them again.
Exponentials are taken twice, but a single image then occupies a whole GPU. With ADJOINT both do so
for the gradients of the states.

A thread holds all N states of each of its channels in registers, so nothing is exchanged between
threads and no state leaves them before its chunk ends. A chunk is run in strips of STEPS steps:
what a strip needs of each channel is read together. B and C, the same for all channels, come as
float32, two at a time. RANK is that of the time steps, 0 where they are not computed here; a row of
``x`` has ``columns``.
"""

import triton
import triton.language as tl

from napari_swin_umamba.network.selective_scan.triton_common import (
    pixel_at,
    read,
    row_values,
    softplus,
    strip_inputs,
    time_steps,
    write,
)


@triton.jit(do_not_specialize=["height", "width", "columns", "chunks", "length"])
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
    columns,
    chunks,
    length,
    PROJECT: tl.constexpr,
    ADJOINT: tl.constexpr,
    EVEN: tl.constexpr,
    WIDE: tl.constexpr,
    PAIRED: tl.constexpr,
    RANK: tl.constexpr,
    SIZE: tl.constexpr,
    STEPS: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Run one chunk from a zero state; write its last state and the sum of its time steps.

    With ADJOINT the same for the gradient of the state, walking back: ``u`` is then the gradient
    of y, and ``g <- exp(delta A) (g + C u)``.

    Tensors:

    u, x
        ``(B, L, D)`` and ``(B, L, 4, R + 2 N)``, the latter float32.
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
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    mask_d = d < channels
    pixels = height * width
    first = chunk * length
    steps = tl.minimum(length, pixels - first)
    backwards = k >= 2
    if ADJOINT:
        backwards = k < 2
    pixel = pixel_at(tl.where(backwards, first + steps - 1, first), k, height, width)
    if WIDE:
        pixel = pixel.to(tl.int64)
    stride = tl.where(k % 2 == 1, width, 1) * tl.where(backwards, -1, 1)
    u_at = u + sample * pixels * channels + d
    dt_at = dt + sample * pixels * 4 * channels + d
    x_at = x + sample * pixels * 4 * columns
    weight_at = dt_weight + k * RANK * channels + d
    bias = tl.zeros((BLOCK_D,), tl.float32)
    if PROJECT:
        bias = read(dt_bias + k * channels + d, mask_d, EVEN)
    rate = ()
    h = ()
    for n in tl.static_range(SIZE):
        rate = rate + (read(rates + (k * SIZE + n) * channels + d, mask_d, EVEN),)
        h = h + (tl.zeros((BLOCK_D,), tl.float32),)
    total = tl.zeros((BLOCK_D,), tl.float32)

    for strip in range((steps + STEPS - 1) // STEPS):
        rows, values, _places, pixel = strip_inputs(
            u_at,
            u_at,  # nothing is written: places are not used
            pixel,
            stride,
            pixels,
            k,
            channels,
            mask_d,
            strip * STEPS,
            steps,
            EVEN,
            STEPS,
        )
        befores = time_steps(
            x_at,
            rows,
            columns,
            dt_at,
            weight_at,
            bias,
            channels,
            mask_d,
            PROJECT,
            EVEN,
            PAIRED,
            RANK,
            STEPS,
        )
        for j in tl.static_range(STEPS):
            delta = softplus(befores[j])
            value = values[j]
            if not EVEN:  # a step that is missing: the state stands still
                there = strip * STEPS + j < steps
                delta = tl.where(there, delta, 0.0)
                value = tl.where(there, value, 0.0)
            total += delta
            new_h = ()
            if ADJOINT:
                c = row_values(x_at, (rows[j] + 1) * columns - SIZE, SIZE, PAIRED)
                for n in tl.static_range(SIZE):
                    new_h = new_h + (tl.exp2(delta * rate[n]) * (h[n] + value * c[n]),)
            else:
                b = row_values(x_at, (rows[j] + 1) * columns - 2 * SIZE, SIZE, PAIRED)
                drive = delta * value
                for n in tl.static_range(SIZE):
                    new_h = new_h + (tl.exp2(delta * rate[n]) * h[n] + drive * b[n],)
            h = new_h

    place = (sample * 4 + k) * chunks + chunk
    for n in tl.static_range(SIZE):
        write(states + (place * SIZE + n) * channels + d, h[n], mask_d, EVEN)
    write(totals + place * channels + d, total, mask_d, EVEN)


@triton.jit(do_not_specialize=["size", "chunks"])
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
