"""Layer norm of pixels with what follows it, sixteen pixels at a time, for inference.

A pixel's features stay in the cache from its sums to its results, which torch's operations, each
over the whole map, do not allow.
"""

import math
from typing import Any

import numba
import numpy as np

from napari_swin_umamba.network.cpu import LANES
from napari_swin_umamba.network.cpu.functions import silu
from napari_swin_umamba.network.cpu.simd import (
    add,
    constant,
    fma,
    inline,
    lane_sums,
    load,
    mul,
    splat,
    splat_from,
    store,
    sub,
)


@inline
def _moments(
    x: Any, row: Any, count: Any, channels: Any, epsilon: Any, tile: Any, means: Any, inverses: Any
) -> None:
    """Write means and inverse deviations of pixels ``row`` to ``row + count``, 16 at most."""
    for r in range(count):
        total = constant(0.0)
        for c in range(0, channels, LANES):
            total = add(total, load(x, (row + r) * channels + c))
        store(tile, r * LANES, total)
    store(means, 0, mul(lane_sums(tile, 0), splat(numba.float32(1.0 / channels))))
    for r in range(count):
        mean = splat_from(means, r)
        squares = constant(0.0)
        for c in range(0, channels, LANES):
            centred = sub(load(x, (row + r) * channels + c), mean)
            squares = fma(centred, centred, squares)
        store(tile, r * LANES, squares)
    store(inverses, 0, lane_sums(tile, 0))
    for r in range(LANES):
        inverses[r] = 1.0 / math.sqrt(inverses[r] / channels + epsilon)


def gated_norm_kernel(
    x: Any,
    gate: Any,
    weight: Any,
    bias: Any,
    epsilon: float,
    channels: int,
    first: int,
    last: int,
) -> None:  # pragma: no cover - compiled
    """Normalise pixels ``first`` to ``last`` in place and multiply them by ``silu(gate)``."""
    tile = np.zeros(LANES * LANES, np.float32)
    means = np.empty(LANES, np.float32)
    inverses = np.empty(LANES, np.float32)
    for row in range(first, last, LANES):
        count = min(LANES, last - row)
        _moments(x, row, count, channels, epsilon, tile, means, inverses)
        for r in range(count):
            mean = splat_from(means, r)
            inverse = splat_from(inverses, r)
            for c in range(0, channels, LANES):
                at = (row + r) * channels + c
                value = mul(sub(load(x, at), mean), inverse)
                value = fma(value, load(weight, c), load(bias, c))
                store(x, at, mul(value, silu(load(gate, at))))


def classify_kernel(
    x: Any,
    weight: Any,
    bias: Any,
    out: Any,
    epsilon: float,
    channels: int,
    classes: int,
    first: int,
    last: int,
) -> None:  # pragma: no cover - compiled
    """Logits of pixels ``first`` to ``last``: ``weight (classes, C)`` times what is normalised."""
    tile = np.zeros(LANES * LANES, np.float32)
    products = np.zeros(classes * LANES * LANES, np.float32)
    means = np.empty(LANES, np.float32)
    inverses = np.empty(LANES, np.float32)
    logits = np.empty(LANES, np.float32)
    for row in range(first, last, LANES):
        count = min(LANES, last - row)
        _moments(x, row, count, channels, epsilon, tile, means, inverses)
        for r in range(count):
            mean = splat_from(means, r)
            for k in range(classes):
                product = constant(0.0)
                for c in range(0, channels, LANES):
                    centred = sub(load(x, (row + r) * channels + c), mean)
                    product = fma(centred, load(weight, k * channels + c), product)
                store(products, (k * LANES + r) * LANES, product)
        for k in range(classes):
            store(logits, 0, lane_sums(products, k * LANES * LANES))
            for r in range(count):
                out[(row + r) * classes + k] = logits[r] * inverses[r] + bias[k]
