"""Exponential functions of sixteen float32 lanes, by polynomials."""

from typing import Any

import numba

from napari_swin_umamba.network.cpu.simd import (
    absolute,
    add,
    add_exponent,
    div,
    fma,
    inline,
    maximum,
    mul,
    splat,
    sub,
)

_ROUNDER = 12582912.0  # 1.5 * 2^23: adding it rounds to the nearest integer
_LOG2E = 1.4426950408889634


@inline
def exp2(x: Any) -> Any:
    """``2^x`` for x <= 0, relative error about 1e-7; below 2^-126 it returns 2^-126.

    The nearest integer is taken off, so the polynomial (minimax, ``1 + f q(f)``, degree 6) sees
    |f| <= 1/2. Its constant is exactly 1: decays close to 1 keep their distance from 1, which
    compounds over thousands of steps.
    """
    x = maximum(x, splat(numba.float32(-126.0)))
    shifted = add(x, splat(numba.float32(_ROUNDER)))
    f = sub(x, sub(shifted, splat(numba.float32(_ROUNDER))))
    q = splat(numba.float32(0.0001547587637403692))
    q = fma(q, f, splat(numba.float32(0.0013400249160600841)))
    q = fma(q, f, splat(numba.float32(0.009618005501707043)))
    q = fma(q, f, splat(numba.float32(0.055503278593952404)))
    q = fma(q, f, splat(numba.float32(0.24022651331509742)))
    q = fma(q, f, splat(numba.float32(0.6931472062001168)))
    return add_exponent(fma(q, f, splat(numba.float32(1.0))), shifted)


@inline
def softplus(x: Any) -> Any:
    """``log(1 + e^x)`` as ``max(x, 0) + log1p(e^-|x|)``; relative error 1e-6, 2e-5 at x = -80."""
    zero = splat(numba.float32(0.0))
    z = exp2(mul(absolute(x), splat(numba.float32(-_LOG2E))))  # in (0, 1]
    # log1p(z) / z, minimax on [0, 1], error 4e-9
    p = splat(numba.float32(-0.003338734285023126))
    p = fma(p, z, splat(numba.float32(0.020277790991639635)))
    p = fma(p, z, splat(numba.float32(-0.057759194331790636)))
    p = fma(p, z, splat(numba.float32(0.10684543583084403)))
    p = fma(p, z, splat(numba.float32(-0.15353282572979934)))
    p = fma(p, z, splat(numba.float32(0.19692456922240825)))
    p = fma(p, z, splat(numba.float32(-0.24957347668565535)))
    p = fma(p, z, splat(numba.float32(0.3333027574051032)))
    p = fma(p, z, splat(numba.float32(-0.4999991418571361)))
    p = fma(p, z, splat(numba.float32(0.9999999960147224)))
    return fma(p, z, maximum(x, zero))


@inline
def sigmoid(x: Any) -> Any:
    """``1 / (1 + e^-x)`` without overflow on either side."""
    one = splat(numba.float32(1.0))
    z = exp2(mul(absolute(x), splat(numba.float32(-_LOG2E))))  # e^-|x|
    # For x < 0 the numerator is z, for x >= 0 it is 1: e^min(x, 0).
    low = exp2(mul(sub(x, maximum(x, splat(numba.float32(0.0)))), splat(numba.float32(_LOG2E))))
    return div(low, add(one, z))


@inline
def silu(x: Any) -> Any:
    """``x / (1 + e^-x)`` as ``max(x, 0) - |x| z / (1 + z)`` with ``z = e^-|x|``."""
    size = absolute(x)
    z = exp2(mul(size, splat(numba.float32(-_LOG2E))))
    share = div(z, add(splat(numba.float32(1.0)), z))
    return sub(maximum(x, splat(numba.float32(0.0))), mul(size, share))
