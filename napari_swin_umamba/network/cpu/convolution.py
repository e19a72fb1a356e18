"""3x3 convolutions of one or two channels-last maps, normalised and activated as they are read.

For inference. What a convolution would read from a concatenated, a normalised or an activated map
it reads from the maps at hand, so that none of these is written: at full resolution memory costs
more than arithmetic.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numba import types
from torch import Tensor

from napari_swin_umamba.network.cpu.compilation import kernel
from napari_swin_umamba.network.cpu.instance_norm import merged_moments
from napari_swin_umamba.network.cpu.products import ROWS, multiply, panel_width
from napari_swin_umamba.network.cpu.threads import ranges, run_all
from napari_swin_umamba.network.cpu.winograd import (
    POINTS,
    SCRATCH,
    TILE,
    transform_image,
    transform_products,
)
from napari_swin_umamba.network.cpu.winograd_weight import transform_weight

_TILES = 24
"""Tiles of a block, at most: a multiple of all ROWS; their values stay in a core's cache."""
_WEIGHTS = 147456
"""Weights that are transformed at once, where there are more: 21 MB then."""
_PADDING = 16
"""Float32 values between the tiles of two points, lest they all compete for a few cache lines."""

_ARRAY = types.float32[::1]
_MAP = (_ARRAY, _ARRAY, types.float32, types.int64)
_CONVOLVE = types.void(*_MAP, *_MAP, *[_ARRAY] * 5, *[types.int64] * 9)


@dataclass(frozen=True)
class Source:
    """A map that a convolution reads.

    Parameters
    ----------
    values
        ``(H, W, C)``, float32, contiguous, C a multiple of 16.
    moments
        ``(2 C,)``: means and inverse standard deviations to normalise by; None: as it is.
    slope
        Of the leaky ReLU that follows; 1: none.
    """

    values: Tensor
    moments: Any = None
    slope: float = 1.0

    @property
    def channels(self) -> int:
        """C."""
        return self.values.shape[2]

    def arguments(self) -> tuple[Any, Any, float, int]:
        """What kernels take."""
        moments = identity(self.channels) if self.moments is None else self.moments
        return self.values.view(-1).numpy(), moments, self.slope, self.channels


_NO_MAP = (np.empty(0, np.float32), np.empty(0, np.float32), 1.0, 0)


def identity(channels: int) -> Any:
    """Moments that change nothing."""
    return np.repeat(np.array([0, 1], np.float32), channels)


def convolve_kernel(
    x0: Any,
    moments0: Any,
    slope0: Any,
    channels0: int,
    x1: Any,
    moments1: Any,
    slope1: Any,
    channels1: int,
    weight: Any,
    y: Any,
    sums: Any,
    counts: Any,
    work: Any,
    out_channels: int,
    panel: int,
    y_channels: int,
    y_first: int,
    height: int,
    width: int,
    block_tiles: int,
    first: int,
    last: int,
) -> None:  # pragma: no cover - compiled
    """Convolve the blocks ``first`` to ``last`` of tiles; ``work`` is to work in.

    The results are ``out_channels`` of all ``y_channels``, from ``y_first`` on. ``sums`` and
    ``counts`` are as :func:`merged_moments` takes them.
    """
    channels = channels0 + channels1
    plane = block_tiles * channels + _PADDING
    products = POINTS * plane
    product_plane = block_tiles * out_channels + _PADDING
    scratch = products + POINTS * product_plane
    tiles = -(-height // TILE) * -(-width // TILE)
    for block in range(first, last):
        start = block * block_tiles
        count = min(block_tiles, tiles - start)
        where = (height, width, start, count)
        place = (channels, plane, scratch)
        transform_image(x0, moments0, slope0, channels0, *where, work, 0, *place)
        if channels1 > 0:
            transform_image(x1, moments1, slope1, channels1, *where, work, channels0, *place)
        for point in range(POINTS):
            for column in range(0, out_channels, panel):
                right = (point * out_channels + column) * channels
                for row in range(0, count, ROWS):  # what lies beyond the last tile is not used
                    left = point * plane + row * channels
                    to = products + point * product_plane + row * out_channels + column
                    out = (work, to, out_channels)
                    multiply(work, left, channels, weight, right, *out, channels, panel, 0)
        from_products = (work, products, product_plane, scratch, out_channels)
        to_sums = (sums, 3 * block * y_channels + y_first)
        counts[block] = transform_products(*from_products, y, y_channels, y_first, *where, *to_sums)


def warm_up() -> None:
    """Compile the kernel, or load it from Numba's cache."""
    kernel(convolve_kernel, _CONVOLVE)


def convolve(sources: Sequence[Source], weight: Tensor) -> tuple[Tensor, Any]:
    """Convolve one or two maps, taken as one with the channels of both.

    Parameters
    ----------
    sources
        Maps of equal height and width.
    weight
        ``(E, C, 3, 3)``, E a multiple of 16.

    Returns
    -------
    y : Tensor, ``(H, W, E)``
    moments : array, ``(2 E,)``
        To normalise it by.
    """
    height, width, _ = sources[0].values.shape
    out_channels, channels = weight.shape[:2]
    both = [*(source.arguments() for source in sources), _NO_MAP][:2]
    maps = [argument for arguments in both for argument in arguments]
    y = weight.new_empty(height, width, out_channels)
    block_tiles, blocks = _blocks(-(-height // TILE) * -(-width // TILE))
    sums = np.empty((blocks, 3, out_channels), np.float32)
    counts = np.empty(blocks, np.float32)
    part = min(out_channels, max(1, _WEIGHTS // channels // 48) * 48)
    size = POINTS * (block_tiles * (channels + part) + 2 * _PADDING) + SCRATCH
    # A task takes what another has left in the cache.
    free = [weight.new_empty(size).numpy() for _ in range(torch.get_num_threads())]
    run = kernel(convolve_kernel, _CONVOLVE)

    def task(arguments: tuple[Any, ...], shape: tuple[int, ...], start: int, stop: int) -> None:
        work = free.pop()
        run(*maps, *arguments, work, *shape, start, stop)
        free.append(work)

    for first in range(0, out_channels, part):
        rows = weight[first : first + part]
        arguments = (transform_weight(rows), y.view(-1).numpy(), sums.reshape(-1), counts)
        columns = (rows.shape[0], panel_width(rows.shape[0]), out_channels, first)
        shape = (*columns, height, width, block_tiles)
        run_all([functools.partial(task, arguments, shape, *cut) for cut in ranges(blocks, 4)])
    return y, merged_moments(sums, counts)


def _blocks(tiles: int) -> tuple[int, int]:
    """Tiles of a block, a multiple of ROWS, and the number of blocks: two a thread where it can."""
    share = -(-tiles // (2 * torch.get_num_threads()))
    block = min(_TILES, -(-share // ROWS) * ROWS)
    return block, -(-tiles // block)
