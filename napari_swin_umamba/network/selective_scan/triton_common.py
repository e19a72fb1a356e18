"""What the kernels of forward and backward pass share: traversals, softplus, masks.

Names as in :func:`.operator.selective_scan_2d`: D channels, N states, R rank of the time step. A
position counts pixels row by row (traversals 0 and 2) or column by column (1 and 3); a chunk is a
range of positions, the same for both traversals of such a pair.

EVEN says that there are no parts of blocks, chunks or strips; WIDE that offsets within the map of
one image take 64 bits; PAIRED that ranks and states are even in number, so that pairs of float32
are aligned. Kernels are not made for particular sizes of maps: compiling them would take longer
than they save.
"""

import triton
import triton.language as tl

_LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit
def softplus(x):
    """``max(x, 0) + log1p(exp(-|x|))`` to rounding, small results included.

    ``log1p(z) / z`` is the polynomial of the CPU's kernels (``cpu/functions.py``).
    """
    z = tl.exp2(-tl.abs(x) * _LOG2E)
    p = -0.003338734285023126
    p = p * z + 0.020277790991639635
    p = p * z - 0.057759194331790636
    p = p * z + 0.10684543583084403
    p = p * z - 0.15353282572979934
    p = p * z + 0.19692456922240825
    p = p * z - 0.24957347668565535
    p = p * z + 0.3333027574051032
    p = p * z - 0.4999991418571361
    p = p * z + 0.9999999960147224
    return p * z + tl.maximum(x, 0.0)


@triton.jit
def sigmoid(x):
    """Derivative of softplus, for any x."""
    z = tl.exp2(-tl.abs(x) * _LOG2E)
    return tl.where(x >= 0.0, 1.0, z) / (1.0 + z)


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
def read(pointer, mask, EVEN: tl.constexpr):
    """Load as float32, zero where masked; with EVEN nothing is masked."""
    value = tl.load(pointer) if EVEN else tl.load(pointer, mask=mask, other=0.0)
    return value.to(tl.float32)


@triton.jit
def write(pointer, value, mask, EVEN: tl.constexpr):
    """Store where the mask says; with EVEN everywhere."""
    if EVEN:
        tl.store(pointer, value)
    else:
        tl.store(pointer, value, mask=mask)


@triton.jit
def time_step_at(pointer, mask, EVEN: tl.constexpr):
    """Delta; zero where masked, so that the state stands still."""
    delta = softplus(read(pointer, mask, EVEN))
    return delta if EVEN else tl.where(mask, delta, 0.0)


@triton.jit
def strip_inputs(
    u_at,
    y_at,
    pixel,
    stride,
    pixels,
    k,
    channels,
    mask_d,
    first,
    steps,
    EVEN: tl.constexpr,
    STEPS: tl.constexpr,
):
    """Walk a strip from step ``first`` on: its rows, u, places in y, and the pixel behind it."""
    rows = ()
    values = ()
    places = ()
    for j in tl.static_range(STEPS):
        rows = rows + (pixel * 4 + k,)
        values = values + (read(u_at + pixel * channels, mask_d, EVEN),)
        places = places + (y_at + pixel * channels,)
        after = advance(pixel, stride, pixels)
        pixel = after if EVEN else tl.where(first + j + 1 < steps, after, pixel)
    return rows, values, places, pixel


@triton.jit
def row_values(pointer, place, COUNT: tl.constexpr, PAIRED: tl.constexpr):
    """Read COUNT float32 numbers at an offset; with PAIRED two in one load."""
    values = ()
    if PAIRED:
        pairs = (pointer + place).to(tl.pointer_type(tl.int64))
        for i in tl.static_range(COUNT // 2):
            pair = tl.load(pairs + i)
            low = pair.to(tl.int32).to(tl.float32, bitcast=True)
            high = (pair >> 32).to(tl.int32).to(tl.float32, bitcast=True)
            values = values + (low, high)
    else:
        for i in tl.static_range(COUNT):
            values = values + (tl.load(pointer + place + i),)
    return values


@triton.jit
def time_steps(
    x,
    rows,
    columns,
    dt,
    weight_at,
    bias,
    channels,
    mask_d,
    PROJECT: tl.constexpr,
    EVEN: tl.constexpr,
    PAIRED: tl.constexpr,
    RANK: tl.constexpr,
    STEPS: tl.constexpr,
):
    """Time steps of a strip before softplus: from ``x``, or from ``dt`` as it is."""
    befores = ()
    if PROJECT:
        weights = ()
        for r in tl.static_range(RANK):
            weights = weights + (read(weight_at + r * channels, mask_d, EVEN),)
        for j in tl.static_range(STEPS):
            low = row_values(x, rows[j] * columns, RANK, PAIRED)
            before = bias
            for r in tl.static_range(RANK):
                before = before + weights[r] * low[r]
            befores = befores + (before,)
    else:
        for j in tl.static_range(STEPS):
            befores = befores + (read(dt + rows[j] * channels, mask_d, EVEN),)
    return befores


@triton.jit
def chunk_ends(chunk, length, half, pair, height, width, WIDE: tl.constexpr):
    """Steps of a chunk, and for both directions its first pixel, its last, and the way between."""
    first = chunk * length
    steps = tl.minimum(length, height * width - first)
    first_pixel = pixel_at(first + half * (steps - 1), pair, height, width)
    last_pixel = pixel_at(first + (1 - half) * (steps - 1), pair, height, width)
    if WIDE:
        first_pixel = first_pixel.to(tl.int64)
        last_pixel = last_pixel.to(tl.int64)
    return steps, first_pixel, last_pixel, tl.where(pair == 1, width, 1) * (1 - 2 * half)


@triton.jit
def add_directions(pointer, value, mask, half, step, other, EVEN: tl.constexpr):
    """Store what both directions give a pixel, walking back: the one that comes later adds to it.

    One comes to the pixel at ``step``, the other direction at ``other``. In the middle of a chunk
    both come at once; then the upper half of the warp adds to the lower. Between strips a barrier
    is needed, which is the caller's.
    """
    if EVEN:
        if other > step:
            value += tl.load(pointer)
        tl.store(pointer, value)
    else:
        later = mask & (half < tl.where(other > step, 2, 0))
        value += tl.load(pointer, mask=later, other=0.0)
        tl.store(pointer, value, mask=mask & (half < tl.where(other == step, 1, 2)))
        tl.debug_barrier()
        if other == step:
            upper = mask & (half == 1)
            tl.store(pointer, value + tl.load(pointer, mask=upper, other=0.0), mask=upper)
