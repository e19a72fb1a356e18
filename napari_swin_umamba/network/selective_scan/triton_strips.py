"""What the kernels share that scan in strips of a few steps; candidates beside the present ones.

The arithmetic is that of :mod:`.triton_forward`, the order of the loops is another. A program takes
a chunk in both directions of a pair of traversals at once: tiles are ``(2, D)``, the lower half of
a warp walks one way, the upper half the other. A chunk is cut into strips of STEPS steps. What a
strip needs per channel is read once, all its loads together; then its states are taken one after
another, each run through the strip in registers. From strip to strip the states wait in memory,
small enough for the cache.

EVEN says that there are no parts of blocks, chunks or strips, and that strips are even in number;
WIDE that offsets within the map of one image take 64 bits; SIZE is ``size``, which is passed as a
number too, to keep loops over states from being unrolled.
"""

import triton
import triton.language as tl

from napari_swin_umamba.network.selective_scan.triton_forward import pixel_at


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
def add_directions(pointer, value, mask, half, second, middle, EVEN: tl.constexpr):
    """Store what both directions give a pixel: the one that is ``second`` adds to the first.

    In the ``middle`` of a chunk both come at once; then the upper half of the warp is second.
    Between strips a barrier is needed, which is the caller's.
    """
    if EVEN:
        if second:
            value += tl.load(pointer)
        tl.store(pointer, value)
    else:
        value += tl.load(pointer, mask=mask & second, other=0.0)
        tl.store(pointer, value, mask=mask & ((half == 0) | (middle == 0)))
        tl.debug_barrier()
        if middle:
            upper = mask & (half == 1)
            tl.store(pointer, value + tl.load(pointer, mask=upper, other=0.0), mask=upper)


@triton.jit
def project(
    befores, rows, weight_at, rank, channels, mask_d, EVEN: tl.constexpr, STEPS: tl.constexpr
):
    """Add the time step's product to each of ``befores``; ``rows`` point behind its R values."""
    for r in range(rank):
        weight = read(weight_at + r * channels, mask_d, EVEN)
        sums = ()
        for j in tl.static_range(STEPS):
            sums = sums + (befores[j] + weight * tl.load(rows[j] + (r - rank)).to(tl.float32),)
        befores = sums
    return befores
