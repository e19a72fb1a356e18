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

VECTOR = ir.VectorType(ir.FloatType(), LANES)
_INTEGERS = ir.VectorType(ir.IntType(32), LANES)


class _Float32x16(types.Type):
    def __init__(self) -> None:
        super().__init__(name="float32x16")


@register_model(_Float32x16)
class _Float32x16Model(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, VECTOR)


float32x16 = _Float32x16()


def _integer_splat(value: int) -> ir.Constant:
    return ir.Constant(_INTEGERS, [value] * LANES)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return address(builder, context.make_array(array_type)(context, builder, array).data, index)


def address(builder: Any, data: Any, index: Any) -> Any:
    """Code for a pointer to 16 lanes that begin at an element."""
    return builder.bitcast(builder.gep(data, [index]), VECTOR.as_pointer())


@intrinsic
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """Read 16 neighbouring elements of a flat float32 array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature.args[0], args[0], args[1])
        return builder.load(pointer, align=4)

    return float32x16(array, types.intp), codegen


@intrinsic
def load_if(typingctx: Any, inside: Any, array: Any, index: Any, otherwise: Any) -> Any:
    """Read 16 neighbouring elements of a flat float32 array, or take ``otherwise``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = cgutils.alloca_once_value(builder, args[3])
        condition = context.cast(builder, args[0], signature.args[0], types.boolean)
        with builder.if_then(cgutils.as_bool_bit(builder, condition)):
            pointer = _pointer(context, builder, signature.args[1], args[1], args[2])
            builder.store(builder.load(pointer, align=4), value)
        return builder.load(value)

    return float32x16(types.boolean, array, types.intp, float32x16), codegen


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
        return splat_value(builder, args[0])

    return float32x16(types.float32), codegen


@intrinsic
def splat_from(typingctx: Any, array: Any, index: Any) -> Any:
    """Copy one element of a flat float32 array into all lanes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return splat_value(builder, builder.load(builder.gep(data, [args[1]]), align=4))

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


def splat_value(builder: Any, value: Any) -> Any:
    """Code for one value in all lanes."""
    undefined = ir.Constant(VECTOR, ir.Undefined)
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


def llvm_function(builder: Any, name: str, arity: int) -> Any:
    """Code for one of LLVM's functions of vectors."""
    function_type = ir.FunctionType(VECTOR, [VECTOR] * arity)
    return cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.v16f32")


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``, in one rounding where the processor can."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.call(llvm_function(builder, "fmuladd", 3), args)

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
        return builder.call(llvm_function(builder, "fabs", 1), args)

    return float32x16(float32x16), codegen


@intrinsic
def add_exponent(typingctx: Any, a: Any, shifted: Any) -> Any:
    """``a * 2^n``, n being the low bits of ``shifted``'s significand; see ``functions.exp2``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        n = builder.shl(builder.bitcast(args[1], _INTEGERS), _integer_splat(23))
        return builder.bitcast(builder.add(builder.bitcast(args[0], _INTEGERS), n), VECTOR)

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


@inline
def constant(value: float) -> Any:
    """Copy a number that is known beforehand into all lanes."""
    return splat(numba.float32(value))


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
