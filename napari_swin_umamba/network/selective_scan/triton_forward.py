"""Forward scan on GPUs, of chunks whose first states :mod:`.triton_borders` found; as it says."""

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


@triton.jit(do_not_specialize=["batch", "height", "width", "columns", "chunks", "length"])
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
    columns,
    chunks,
    length,
    PROJECT: tl.constexpr,
    FROM_ZERO: tl.constexpr,
    EVEN: tl.constexpr,
    WIDE: tl.constexpr,
    PAIRED: tl.constexpr,
    RANK: tl.constexpr,
    SIZE: tl.constexpr,
    STEPS: tl.constexpr,
    BLOCK_D: tl.constexpr,
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
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    mask_d = d < channels
    pixels = height * width
    first = chunk * length
    steps = tl.minimum(length, pixels - first)
    u_at = u + sample * pixels * channels + d
    y_at = y + (sample + pair * batch) * pixels * channels + d
    dt_at = dt + sample * pixels * 4 * channels + d
    x_at = x + sample * pixels * 4 * columns
    through = read(skip + d, mask_d, EVEN) * tl.where(pair == 0, 1.0, 0.0)

    for half in range(2):
        k = pair + 2 * half
        pixel = pixel_at(first + half * (steps - 1), k, height, width)
        if WIDE:
            pixel = pixel.to(tl.int64)
        stride = tl.where(pair == 1, width, 1) * (1 - 2 * half)
        weight_at = dt_weight + k * RANK * channels + d
        bias = tl.zeros((BLOCK_D,), tl.float32)
        if PROJECT:
            bias = read(dt_bias + k * channels + d, mask_d, EVEN)
        border = ((sample * 4 + k) * chunks + chunk) * SIZE * channels + d
        rate = ()
        h = ()
        for n in tl.static_range(SIZE):
            rate = rate + (read(rates + (k * SIZE + n) * channels + d, mask_d, EVEN),)
            start = tl.zeros((BLOCK_D,), tl.float32)
            if not FROM_ZERO:
                start = read(states + border + n * channels, mask_d, EVEN)
            h = h + (start,)

        for strip in range((steps + STEPS - 1) // STEPS):
            rows, values, places, pixel = strip_inputs(
                u_at,
                y_at,
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
                there = d < tl.where(strip * STEPS + j < steps, channels, 0)
                delta = softplus(befores[j])
                if not EVEN:
                    delta = tl.where(strip * STEPS + j < steps, delta, 0.0)
                drive = delta * values[j]
                b = row_values(x_at, (rows[j] + 1) * columns - 2 * SIZE, SIZE, PAIRED)
                c = row_values(x_at, (rows[j] + 1) * columns - SIZE, SIZE, PAIRED)
                # The second direction adds to what the first one left.
                out = through * values[j] * (1 - half)
                out += tl.load(places[j], mask=there & (half == 1), other=0.0)
                new_h = ()
                for n in tl.static_range(SIZE):
                    state = tl.exp2(delta * rate[n]) * h[n] + drive * b[n]
                    out += state * c[n]
                    new_h = new_h + (state,)
                h = new_h
                write(places[j], out, there, EVEN)
        tl.debug_barrier()  # what the first half stored, the second half reads
