"""Winograd's F(4 x 4, 3 x 3): 16 results of a 3x3 convolution from 36 products instead of 144.

Image and kernel are polynomials, a convolution is their product, and a product of polynomials is
known from its values at enough points (arXiv 1509.09308). The six points here are 0, infinity, and
plus and minus the roots of 1/2 and 2: of two inverse pairs no power grows large. The result's
rounding is twice that of a direct convolution; with the usual 1 and 2 it would be four times.
"""

from typing import Any

import numba

from napari_swin_umamba.network.cpu import LANES
from napari_swin_umamba.network.cpu.simd import (
    add,
    constant,
    fma,
    inline,
    load,
    load_if,
    maximum,
    minimum,
    mul,
    splat,
    store,
    sub,
)

TILE = 4
"""Side of the square of results that are computed together."""
POINTS = 36
"""Products for each of them, one at each pair of points."""
SCRATCH = POINTS * LANES
"""Float32 values that the transforms need to work in."""

SMALL, LARGE = 0.5**0.5, 2.0**0.5
"""The points besides 0 and infinity, and their negatives."""
_block = numba.njit(nogil=True, error_model="numpy")


@inline
def _values(d0: Any, d1: Any, d2: Any, d3: Any, d4: Any, d5: Any) -> Any:
    """Values of the image at the six points, along one side."""
    even_small = fma(constant(-2.0), d2, d4)
    odd_small = mul(constant(SMALL), fma(constant(-2.0), d1, d3))
    even_large = fma(constant(-0.5), d2, d4)
    odd_large = mul(constant(LARGE), fma(constant(-0.5), d1, d3))
    return (
        fma(constant(-2.5), d2, add(d0, d4)),
        add(even_small, odd_small),
        sub(even_small, odd_small),
        add(even_large, odd_large),
        sub(even_large, odd_large),
        fma(constant(-2.5), d3, add(d1, d5)),
    )


@inline
def _results(m0: Any, m1: Any, m2: Any, m3: Any, m4: Any, m5: Any) -> Any:
    """Four results from the products at the six points, along one side."""
    even_small = add(m1, m2)
    odd_small = mul(constant(SMALL), sub(m1, m2))
    even_large = add(m3, m4)
    odd_large = mul(constant(LARGE), sub(m3, m4))
    return (
        add(m0, add(even_small, even_large)),
        add(odd_small, odd_large),
        fma(constant(0.5), even_small, mul(constant(2.0), even_large)),
        fma(constant(0.5), odd_small, fma(constant(2.0), odd_large, m5)),
    )


@inline
def _activated(x: Any, mean: Any, inverse: Any, slope: Any) -> Any:
    """Instance norm and leaky ReLU."""
    x = mul(sub(x, mean), inverse)
    zero = constant(0.0)
    return fma(slope, minimum(x, zero), maximum(x, zero))


@_block
def transform_image(
    x: Any,
    moments: Any,
    slope: Any,
    channels: int,
    height: int,
    width: int,
    first_tile: int,
    tiles: int,
    work: Any,
    at: int,
    step: int,
    plane: int,
    scratch: int,
) -> None:  # pragma: no cover - compiled
    """Normalise and activate a map, and take the values of some tiles of it at all points.

    Point p of tile t begins at ``work[at + p plane + t step]``; ``work`` from ``scratch`` on is to
    work in. Outside of the map is what becomes zero.
    """
    across = -(-width // TILE)
    slopes = splat(slope)
    line = width * channels
    for t in range(tiles):
        top = (first_tile + t) // across * TILE - 1
        left = (first_tile + t) % across * TILE - 1
        for c in range(0, channels, LANES):
            mean = load(moments, c)
            inverse = load(moments, channels + c)
            for column in range(6):
                inside = left + column >= 0 and left + column < width
                pixel = (top * width + left + column) * channels + c
                d0 = load_if(inside and top >= 0, x, pixel, mean)
                d1 = load_if(inside, x, pixel + line, mean)
                d2 = load_if(inside and top + 2 < height, x, pixel + 2 * line, mean)
                d3 = load_if(inside and top + 3 < height, x, pixel + 3 * line, mean)
                d4 = load_if(inside and top + 4 < height, x, pixel + 4 * line, mean)
                d5 = load_if(inside and top + 5 < height, x, pixel + 5 * line, mean)
                v0, v1, v2, v3, v4, v5 = _values(
                    _activated(d0, mean, inverse, slopes),
                    _activated(d1, mean, inverse, slopes),
                    _activated(d2, mean, inverse, slopes),
                    _activated(d3, mean, inverse, slopes),
                    _activated(d4, mean, inverse, slopes),
                    _activated(d5, mean, inverse, slopes),
                )
                kept = scratch + column * LANES
                store(work, kept, v0)
                store(work, kept + 6 * LANES, v1)
                store(work, kept + 12 * LANES, v2)
                store(work, kept + 18 * LANES, v3)
                store(work, kept + 24 * LANES, v4)
                store(work, kept + 30 * LANES, v5)
            for row in range(6):
                kept = scratch + row * 6 * LANES
                v0, v1, v2, v3, v4, v5 = _values(
                    load(work, kept),
                    load(work, kept + LANES),
                    load(work, kept + 2 * LANES),
                    load(work, kept + 3 * LANES),
                    load(work, kept + 4 * LANES),
                    load(work, kept + 5 * LANES),
                )
                to = at + row * 6 * plane + t * step + c
                store(work, to, v0)
                store(work, to + plane, v1)
                store(work, to + 2 * plane, v2)
                store(work, to + 3 * plane, v3)
                store(work, to + 4 * plane, v4)
                store(work, to + 5 * plane, v5)


@_block
def transform_products(
    work: Any,
    at: int,
    plane: int,
    scratch: int,
    channels: int,
    y: Any,
    y_step: int,
    y_at: int,
    height: int,
    width: int,
    first_tile: int,
    tiles: int,
    sums: Any,
    sums_at: int,
) -> int:  # pragma: no cover - compiled
    """Write the results of some tiles, whose products at all points are in ``work``.

    Point p of tile t begins at ``work[at + p plane + t channels]``, pixel i of the results at
    ``y[y_at + i y_step]``. Also write, for each channel, the first result, and the sums of what the
    others differ from it and of the squares of that, ``y_step`` apart.

    Returns
    -------
    int
        How many pixels were written.
    """
    across = -(-width // TILE)
    line = width * y_step
    pixels = 0
    for c in range(0, channels, LANES):
        shift = constant(0.0)
        total = constant(0.0)
        squares = constant(0.0)
        pixels = 0
        for t in range(tiles):
            top = (first_tile + t) // across * TILE
            left = (first_tile + t) % across * TILE
            rows = min(TILE, height - top)
            for row in range(6):
                product = at + 6 * row * plane + t * channels + c
                r0, r1, r2, r3 = _results(
                    load(work, product),
                    load(work, product + plane),
                    load(work, product + 2 * plane),
                    load(work, product + 3 * plane),
                    load(work, product + 4 * plane),
                    load(work, product + 5 * plane),
                )
                kept = scratch + row * LANES
                store(work, kept, r0)
                store(work, kept + 6 * LANES, r1)
                store(work, kept + 12 * LANES, r2)
                store(work, kept + 18 * LANES, r3)
            for column in range(min(TILE, width - left)):
                kept = scratch + 6 * column * LANES
                r0, r1, r2, r3 = _results(
                    load(work, kept),
                    load(work, kept + LANES),
                    load(work, kept + 2 * LANES),
                    load(work, kept + 3 * LANES),
                    load(work, kept + 4 * LANES),
                    load(work, kept + 5 * LANES),
                )
                pixel = y_at + (top * width + left + column) * y_step + c
                if pixels == 0:
                    shift = r0
                for row in range(rows):
                    value = r0
                    if row == 1:
                        value = r1
                    elif row == 2:
                        value = r2
                    elif row == 3:
                        value = r3
                    store(y, pixel + row * line, value)
                    value = sub(value, shift)
                    total = add(total, value)
                    squares = fma(value, value, squares)
                pixels += rows
        store(sums, sums_at + c, shift)
        store(sums, sums_at + y_step + c, total)
        store(sums, sums_at + 2 * y_step + c, squares)
    return pixels
