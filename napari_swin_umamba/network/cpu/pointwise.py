"""1x1 convolutions of one or two maps, and 2x2 transposed convolutions, channels last.

Both are a matrix product of every pixel. For inference.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numba import types
from torch import Tensor

from napari_swin_umamba.network.cpu.compilation import kernel
from napari_swin_umamba.network.cpu.products import ROWS, multiply, pack, panel_width
from napari_swin_umamba.network.cpu.threads import ranges, run_all

_BLOCK = 240
"""Pixels that stay in the cache for all columns: a multiple of all ROWS."""

_ARRAY = types.float32[::1]
_POINTWISE = types.void(*[_ARRAY] * 4, *[types.int64] * 6)
_UPSAMPLE = types.void(*[_ARRAY] * 3, *[types.int64] * 6)


@numba.njit(nogil=True, error_model="numpy")
def _multiply(
    x0: Any,
    channels0: int,
    x1: Any,
    channels1: int,
    first: int,
    pixels: int,
    weight: Any,
    weight_at: int,
    y: Any,
    to: int,
    columns: int,
    panel: int,
) -> None:  # pragma: no cover - compiled
    """Multiply neighbouring pixels, ROWS at least, by a matrix; the results begin at ``y[to]``."""
    for column in range(0, columns, panel):
        right0 = weight_at + column * (channels0 + channels1)
        right1 = right0 + panel * channels0
        for row in range(0, pixels, ROWS):
            # The last ones are computed twice rather than one by one.
            pixel = min(row, pixels - ROWS)
            out = (y, to + pixel * columns + column, columns)
            left = (first + pixel) * channels0
            multiply(x0, left, channels0, weight, right0, *out, channels0, panel, 0)
            if channels1 > 0:
                left = (first + pixel) * channels1
                multiply(x1, left, channels1, weight, right1, *out, channels1, panel, 1)


def pointwise_kernel(
    x0: Any,
    x1: Any,
    weight: Any,
    y: Any,
    channels0: int,
    channels1: int,
    out_channels: int,
    panel: int,
    first: int,
    last: int,
) -> None:  # pragma: no cover - compiled
    """Multiply the pixels ``first`` to ``last``, ROWS at least."""
    for block in range(first, last, _BLOCK):
        start = min(block, last - ROWS)
        count = min(_BLOCK, last - start)
        out = (y, start * out_channels, out_channels, panel)
        _multiply(x0, channels0, x1, channels1, start, count, weight, 0, *out)


def upsample_kernel(
    x: Any,
    weight: Any,
    y: Any,
    channels: int,
    out_channels: int,
    panel: int,
    width: int,
    first: int,
    last: int,
) -> None:  # pragma: no cover - compiled
    """Turn the coarse rows ``first`` to ``last`` into two fine ones each."""
    columns = 2 * out_channels  # two fine pixels that are neighbours
    for row in range(first, last):
        for below in range(2):
            out = (y, (2 * row + below) * width * columns, columns, panel)
            matrix = below * channels * columns
            _multiply(x, channels, x, 0, row * width, width, weight, matrix, *out)


def warm_up() -> None:
    """Compile the kernels, or load them from Numba's cache."""
    kernel(pointwise_kernel, _POINTWISE)
    kernel(upsample_kernel, _UPSAMPLE)


def convolve_into(y: Tensor, maps: Sequence[Tensor], weight: Tensor) -> None:
    """Convolve one or two maps, taken as one with the channels of both.

    Parameters
    ----------
    y
        ``(H, W, E)``: where the result goes.
    maps
        Each ``(H, W, C_i)``, float32, contiguous, ROWS pixels at least.
    weight
        ``(E, C, 1, 1)``, E a multiple of 16.
    """
    height, width, out_channels = y.shape
    first, second = [*(_flat(x) for x in maps), np.empty(0, np.float32)][:2]
    arrays = (first, second, pack(weight.flatten(1).t()).numpy(), _flat(y))
    channels = (maps[0].shape[2], weight.shape[1] - maps[0].shape[2])
    shape = (*channels, out_channels, panel_width(out_channels))
    run = kernel(pointwise_kernel, _POINTWISE)
    blocks = [(first * ROWS, last * ROWS) for first, last in ranges(height * width // ROWS)]
    blocks[-1] = (blocks[-1][0], height * width)
    run_all([functools.partial(run, *arrays, *shape, *block) for block in blocks])


def can_upsample(width: int) -> bool:
    """Tell whether rows of so many pixels are long enough for :func:`upsample`."""
    return width >= ROWS


def upsample(x: Tensor, weight: Tensor) -> Tensor:
    """Double the resolution by a transposed convolution with stride two.

    Parameters
    ----------
    x
        ``(H, W, C)``, float32, contiguous; W is long enough.
    weight
        ``(C, E, 2, 2)``, E a multiple of 16.

    Returns
    -------
    Tensor, ``(2 H, 2 W, E)``
    """
    height, width, channels = x.shape
    out_channels = weight.shape[1]
    y = weight.new_empty(2 * height, 2 * width, out_channels)
    # One matrix for each fine row: the features of its two pixels, side by side.
    matrices = weight.permute(2, 0, 3, 1).reshape(2, channels, 2 * out_channels)
    shape = (channels, out_channels, panel_width(2 * out_channels), width)
    arrays = (_flat(x), pack(matrices).numpy(), _flat(y))
    run = kernel(upsample_kernel, _UPSAMPLE)
    run_all([functools.partial(run, *arrays, *shape, *rows) for rows in ranges(height)])
    return y


def _flat(x: Tensor) -> Any:
    return x.view(-1).numpy()
