"""Instance norm and leaky ReLU in one pass over a channels-last map, in place, for inference.

torch takes three passes and two new tensors for the same; at full resolution those tensors, 50 MB
each, cost more than the arithmetic.
"""

import functools
from typing import Any

import numba
import numpy as np
import torch
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
from napari_swin_umamba.network.cpu.threads import run_all

EPSILON = 1e-5
SLOPE = 0.01
_BLOCK = 256  # pixels summed in float32 before the sums are added up in float64

_ARRAY = types.float32[::1]
_SUMS = types.void(_ARRAY, _ARRAY, *[types.int64] * 4)
_APPLY = types.void(*[_ARRAY] * 4, types.float32, *[types.int64] * 5)


def sums_kernel(
    x: Any, sums: Any, pixels: int, channels: int, first: int, last: int
) -> None:  # pragma: no cover - compiled
    """Sum ``x - x[0]`` and its square over blocks ``first`` to ``last`` of 256 pixels.

    ``sums`` is ``(blocks, 2, channels)``. Taking off the first pixel keeps the variance from
    drowning in a large mean.
    """
    for block in range(first, last):
        stop = min(pixels, (block + 1) * _BLOCK)
        for c in range(0, channels, LANES):
            shift = load(x, c)
            total = splat(numba.float32(0.0))
            squares = splat(numba.float32(0.0))
            for pixel in range(block * _BLOCK, stop):
                value = sub(load(x, pixel * channels + c), shift)
                total = add(total, value)
                squares = fma(value, value, squares)
            store(sums, 2 * block * channels + c, total)
            store(sums, (2 * block + 1) * channels + c, squares)


def apply_kernel(
    x: Any,
    moments: Any,
    other: Any,
    other_moments: Any,
    slope: Any,
    activate: int,
    pixels: int,
    channels: int,
    first: int,
    last: int,
) -> None:  # pragma: no cover - compiled
    """Normalise pixels ``first`` to ``last`` in place, add ``other``'s, apply leaky ReLU.

    ``moments`` holds the mean, then the inverse deviation, of each channel. ``other`` may be empty.
    """
    zero = splat(numba.float32(0.0))
    leak = splat(slope)
    for pixel in range(first, last):
        for c in range(0, channels, LANES):
            at = pixel * channels + c
            value = mul(sub(load(x, at), load(moments, c)), load(moments, channels + c))
            if other.size > 0:
                centred = sub(load(other, at), load(other_moments, c))
                value = fma(centred, load(other_moments, channels + c), value)
            if activate:
                value = fma(leak, minimum(value, zero), maximum(value, zero))
            store(x, at, value)


def warm_up() -> None:
    """Compile the kernels, or load them from Numba's cache."""
    kernel(sums_kernel, _SUMS)
    kernel(apply_kernel, _APPLY)


def supports(x: Tensor) -> bool:
    """Tell whether :func:`normalize_` works on ``x``: whole vectors, channels last, no autograd."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.shape[1] % LANES == 0
        and x.is_contiguous(memory_format=torch.channels_last)
        and not torch.is_grad_enabled()
    )


def normalize_(x: Tensor, other: Tensor | None = None, activate: bool = True) -> Tensor:
    """``leaky_relu(instance_norm(x) + instance_norm(other))``, written over ``x``.

    Parameters
    ----------
    x, other
        ``(B, C, H, W)``, float32, channels last; see :func:`supports`.
    activate
        Apply leaky ReLU (slope 0.01) at the end.

    Returns
    -------
    Tensor
        ``x``.
    """
    for i in range(x.shape[0]):
        _normalize_sample(x[i], None if other is None else other[i], activate)
    return x


def _normalize_sample(x: Tensor, other: Tensor | None, activate: bool) -> None:
    channels, height, width = x.shape
    pixels = height * width
    flat = _flat(x)
    empty = np.empty(0, np.float32)
    moments = _moments(flat, pixels, channels)
    other_flat = empty if other is None else _flat(other)
    other_moments = empty if other is None else _moments(other_flat, pixels, channels)
    apply = kernel(apply_kernel, _APPLY)
    arrays = (flat, moments, other_flat, other_moments)
    run_all(
        [
            functools.partial(apply, *arrays, SLOPE, activate, pixels, channels, first, last)
            for first, last in _ranges(pixels)
        ]
    )


def _moments(x: Any, pixels: int, channels: int) -> Any:
    """Mean and inverse standard deviation of each channel."""
    blocks = -(-pixels // _BLOCK)
    sums = np.empty((blocks, 2, channels), np.float32)
    measure = kernel(sums_kernel, _SUMS)
    run_all(
        [
            functools.partial(measure, x, sums.reshape(-1), pixels, channels, first, last)
            for first, last in _ranges(blocks)
        ]
    )
    mean, square = sums.sum(0, dtype=np.float64) / pixels
    inverse = 1.0 / np.sqrt(np.maximum(square - mean**2, 0.0) + EPSILON)
    return np.concatenate([mean + x[:channels], inverse]).astype(np.float32)


def _flat(x: Tensor) -> Any:
    return x.permute(1, 2, 0).reshape(-1).numpy()


def _ranges(count: int) -> list[tuple[int, int]]:
    parts = min(count, 2 * torch.get_num_threads())
    cuts = [count * i // parts for i in range(parts + 1)]
    return list(zip(cuts[:-1], cuts[1:], strict=True))
