"""Sixteen float32 lanes as a Numba value, so that kernels state their vector code themselves.

Left to itself LLVM keeps the scan's state in memory; with an explicit vector type it stays in
registers. LLVM splits the sixteen lanes to the width that the processor has (AVX-512, AVX2, NEON).
Nothing here allocates or raises.
"""

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from napari_swin_umamba.network.cpu import LANES

_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_INTEGERS = ir.VectorType(ir.IntType(32), LANES)


class _Float32x16(types.Type):
    def __init__(self) -> None:
        super().__init__(name="float32x16")


@register_model(_Float32x16)
class _Float32x16Model(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _VECTOR)


float32x16 = _Float32x16()


def _integer_splat(value: int) -> ir.Constant:
    return ir.Constant(_INTEGERS, [value] * LANES)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """Read 16 neighbouring elements of a flat float32 array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        return builder.load(pointer, align=4)

    return float32x16(array, types.intp), codegen


@intrinsic
def store(typingctx: Any, array: Any, index: Any, value: Any) -> Any:
    """Write 16 neighbouring elements of a flat float32 array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        builder.store(args[2], pointer, align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, float32x16), codegen


@intrinsic
def splat(typingctx: Any, value: Any) -> Any:
    """Copy one float32 into all lanes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _splat(builder, args[0])

    return float32x16(types.float32), codegen


@intrinsic
def splat_from(typingctx: Any, array: Any, index: Any) -> Any:
    """Copy one element of a flat float32 array into all lanes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return _splat(builder, builder.load(builder.gep(data, [args[1]]), align=4))

    return float32x16(array, types.intp), codegen


@intrinsic
def prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of an element of a flat float32 array, soon to be used."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.gep(data, [args[1]])
        integer = ir.IntType(32)
        function_type = ir.FunctionType(ir.VoidType(), [pointer.type] + [integer] * 3)
        function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0")
        # read, keep in all cache levels, data
        builder.call(function, [pointer, *(ir.Constant(integer, i) for i in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


def _splat(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, _integer_splat(0))


def _binary(instruction: str) -> Any:
    @intrinsic
    def operation(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, instruction)(*args)

        return float32x16(float32x16, float32x16), codegen

    return operation


add = _binary("fadd")
sub = _binary("fsub")
mul = _binary("fmul")
div = _binary("fdiv")


def _llvm_function(builder: Any, name: str, arity: int) -> Any:
    function_type = ir.FunctionType(_VECTOR, [_VECTOR] * arity)
    return cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.v16f32")


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``, in one rounding where the processor can."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.call(_llvm_function(builder, "fmuladd", 3), args)

    return float32x16(float32x16, float32x16, float32x16), codegen


def _choice(keep_first_where: str) -> Any:
    @intrinsic
    def operation(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            # Unordered: NaN in the first value is kept.
            keep = builder.fcmp_unordered(keep_first_where, *args)
            return builder.select(keep, *args)

        return float32x16(float32x16, float32x16), codegen

    return operation


maximum = _choice(">=")
minimum = _choice("<=")


@intrinsic
def absolute(typingctx: Any, a: Any) -> Any:
    """Magnitude of each lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.call(_llvm_function(builder, "fabs", 1), args)

    return float32x16(float32x16), codegen


@intrinsic
def _add_exponent(typingctx: Any, a: Any, shifted: Any) -> Any:
    """``a * 2^n``, n being the low bits of ``shifted``'s significand; see :func:`exp2`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        n = builder.shl(builder.bitcast(args[1], _INTEGERS), _integer_splat(23))
        return builder.bitcast(builder.add(builder.bitcast(args[0], _INTEGERS), n), _VECTOR)

    return float32x16(float32x16, float32x16), codegen


@intrinsic
def _pairwise(typingctx: Any, a: Any, b: Any) -> Any:
    """Sums of neighbouring lanes: eight of ``a``, then eight of ``b``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        even = ir.Constant(_INTEGERS, list(range(0, 2 * LANES, 2)))
        odd = ir.Constant(_INTEGERS, list(range(1, 2 * LANES, 2)))
        return builder.fadd(builder.shuffle_vector(*args, even), builder.shuffle_vector(*args, odd))

    return float32x16(float32x16, float32x16), codegen


inline = numba.njit(nogil=True, error_model="numpy", forceinline=True)
"""Decorator of functions on lanes that kernels take in whole."""

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
    return _add_exponent(fma(q, f, splat(numba.float32(1.0))), shifted)


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
def lane_sums(tile: Any, start: int) -> Any:
    """Sums of 16 vectors that lie one after another: lane i of the result belongs to vector i.

    Parameters
    ----------
    tile
        Flat float32 array.
    start
        Index of the first of 256 elements.
    """
    a0 = _pairwise(load(tile, start), load(tile, start + 16))
    a1 = _pairwise(load(tile, start + 32), load(tile, start + 48))
    a2 = _pairwise(load(tile, start + 64), load(tile, start + 80))
    a3 = _pairwise(load(tile, start + 96), load(tile, start + 112))
    a4 = _pairwise(load(tile, start + 128), load(tile, start + 144))
    a5 = _pairwise(load(tile, start + 160), load(tile, start + 176))
    a6 = _pairwise(load(tile, start + 192), load(tile, start + 208))
    a7 = _pairwise(load(tile, start + 224), load(tile, start + 240))
    low = _pairwise(_pairwise(a0, a1), _pairwise(a2, a3))
    high = _pairwise(_pairwise(a4, a5), _pairwise(a6, a7))
    return _pairwise(low, high)
