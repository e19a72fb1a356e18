"""Instance norm, the sum of two maps and leaky ReLU in one pass, channels last, for inference.

torch takes four passes and three new tensors for the same; at full resolution those tensors, 50 MB
each, cost more than the arithmetic.
"""

import functools
from typing import Any

import numba
import numpy as np
from numba import types
from torch import Tensor

from napari_swin_umamba.network.cpu import LANES
from napari_swin_umamba.network.cpu.compilation import kernel
from napari_swin_umamba.network.cpu.simd import (
    add,
    fma,
    load,
    maximum,
    minimum,
    mul,
    splat,
    store,
    sub,
)
from napari_swin_umamba.network.cpu.threads import ranges, run_all

EPSILON = 1e-5
SLOPE = 0.01
_BLOCK = 256  # pixels summed in float32 before the sums are added up in float64

_ARRAY = types.float32[::1]
_SUMS = types.void(_ARRAY, _ARRAY, *[types.int64] * 4)
_APPLY = types.void(*[_ARRAY] * 4, types.float32, *[types.int64] * 4)


def sums_kernel(
    x: Any, sums: Any, pixels: int, channels: int, first: int, last: int
) -> None:  # pragma: no cover - compiled
    """Sum up blocks ``first`` to ``last`` of 256 pixels, as :func:`merged_moments` takes them."""
    for block in range(first, last):
        start = block * _BLOCK
        for c in range(0, channels, LANES):
            shift = load(x, start * channels + c)
            total = splat(numba.float32(0.0))
            squares = splat(numba.float32(0.0))
            for pixel in range(start, min(pixels, start + _BLOCK)):
                value = sub(load(x, pixel * channels + c), shift)
                total = add(total, value)
                squares = fma(value, value, squares)
            store(sums, 3 * block * channels + c, shift)
            store(sums, (3 * block + 1) * channels + c, total)
            store(sums, (3 * block + 2) * channels + c, squares)


def apply_kernel(
    x: Any,
    moments: Any,
    other: Any,
    other_moments: Any,
    slope: Any,
    pixels: int,
    channels: int,
    first: int,
    last: int,
) -> None:  # pragma: no cover - compiled
    """Normalise pixels ``first`` to ``last`` in place, add ``other``'s, apply leaky ReLU."""
    zero = splat(numba.float32(0.0))
    leak = splat(slope)
    for pixel in range(first, last):
        for c in range(0, channels, LANES):
            at = pixel * channels + c
            value = mul(sub(load(x, at), load(moments, c)), load(moments, channels + c))
            centred = sub(load(other, at), load(other_moments, c))
            value = fma(centred, load(other_moments, channels + c), value)
            store(x, at, fma(leak, minimum(value, zero), maximum(value, zero)))


def warm_up() -> None:
    """Compile the kernels, or load them from Numba's cache."""
    kernel(sums_kernel, _SUMS)
    kernel(apply_kernel, _APPLY)


def moments(x: Tensor) -> Any:
    """Mean and inverse standard deviation of each channel of a map.

    Parameters
    ----------
    x
        ``(H, W, C)``, float32, contiguous, C a multiple of 16.

    Returns
    -------
    array, ``(2 C,)``
        The means, then the inverse deviations.
    """
    height, width, channels = x.shape
    pixels = height * width
    flat = x.view(-1).numpy()
    blocks = -(-pixels // _BLOCK)
    sums = np.empty((blocks, 3, channels), np.float32)
    measure = kernel(sums_kernel, _SUMS)
    run_all(
        [
            functools.partial(measure, flat, sums.reshape(-1), pixels, channels, first, last)
            for first, last in ranges(blocks)
        ]
    )
    counts = np.full(blocks, _BLOCK)
    counts[-1] -= blocks * _BLOCK - pixels
    return merged_moments(sums, counts)


def merged_moments(sums: Any, counts: Any) -> Any:
    """Mean and inverse standard deviation of each channel, from sums over blocks of pixels.

    Parameters
    ----------
    sums
        ``(blocks, 3, C)``: a number near the mean, and the sums of what the pixels differ from it
        and of the squares of that. Without it the variance would drown in a large mean.
    counts
        ``(blocks,)``: the number of pixels.

    Returns
    -------
    array, ``(2 C,)``
        The means, then the inverse deviations.
    """
    counts = np.asarray(counts, np.float64)[:, None]
    shift, total, squares = sums.astype(np.float64).transpose(1, 0, 2)
    means = shift + total / counts
    mean = (counts * means).sum(0) / counts.sum()
    within = (squares - total**2 / counts).sum(0)
    between = (counts * (means - mean) ** 2).sum(0)
    inverse = 1.0 / np.sqrt(np.maximum(within + between, 0.0) / counts.sum() + EPSILON)
    return np.concatenate([mean, inverse]).astype(np.float32)


def add_and_activate_(x: Tensor, x_moments: Any, other: Tensor, other_moments: Any) -> None:
    """Write ``leaky_relu(instance_norm(x) + instance_norm(other))`` over ``x``.

    Parameters
    ----------
    x, other
        Maps of one shape, as :func:`moments` takes them.
    x_moments, other_moments
        What :func:`moments` returned for them.
    """
    height, width, channels = x.shape
    pixels = height * width
    run = kernel(apply_kernel, _APPLY)
    arrays = (x.view(-1).numpy(), x_moments, other.view(-1).numpy(), other_moments)
    shape = (SLOPE, pixels, channels)
    run_all([functools.partial(run, *arrays, *shape, *part) for part in ranges(pixels)])
