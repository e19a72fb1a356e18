"""The inner loop of a matrix product: a few rows by a few vectors, summed in registers."""

from typing import Any

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from napari_swin_umamba.network.cpu import LANES
from napari_swin_umamba.network.cpu.simd import VECTOR, address, llvm_function, splat_value

_MANY_REGISTERS = llvm.get_host_cpu_features().get("avx512f", False)
ROWS, _COLUMNS = (8, 3) if _MANY_REGISTERS else (6, 1)
"""Rows and vectors that fit the registers: 32 with all 16 lanes, or else 16 with half of them."""


def panel_width(columns: int) -> int:
    """Columns of a right matrix that are taken at once, of a number divisible by 16."""
    return LANES * _COLUMNS if columns % (LANES * _COLUMNS) == 0 else LANES


def pack(right: Tensor) -> Tensor:
    """Reorder matrices ``(..., depth, columns)``, panel by panel, into a flat tensor."""
    depth, columns = right.shape[-2:]
    panel = panel_width(columns)
    panels: Tensor = right.unflatten(-1, (columns // panel, panel)).transpose(-3, -2)
    return panels.flatten()


def _multiplication(columns: int) -> Any:
    @intrinsic
    def operation(
        typingctx: Any,
        left: Any,
        left_at: Any,
        left_step: Any,
        right: Any,
        right_at: Any,
        out: Any,
        out_at: Any,
        out_step: Any,
        depth: Any,
        accumulate: Any,
    ) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            a, a_at, a_step, b, b_at, c, c_at, c_step, count, keep = args

            def data(argument: int) -> Any:
                array = context.make_array(signature.args[argument])
                return array(context, builder, args[argument]).data

            def moved(start: Any, step: Any, times: int) -> Any:
                return builder.add(start, builder.mul(step, ir.Constant(start.type, times)))

            one_vector = ir.Constant(b_at.type, LANES)
            panel = ir.Constant(b_at.type, columns * LANES)
            right_data, out_data = data(3), data(5)
            lines = [builder.gep(data(0), [moved(a_at, a_step, row)]) for row in range(ROWS)]
            targets = [
                [
                    address(builder, out_data, moved(moved(c_at, c_step, row), one_vector, column))
                    for column in range(columns)
                ]
                for row in range(ROWS)
            ]
            zero = ir.Constant(VECTOR, [0.0] * LANES)
            sums = [[cgutils.alloca_once_value(builder, zero) for _ in row] for row in targets]
            with builder.if_then(builder.icmp_signed("!=", keep, ir.Constant(keep.type, 0))):
                for row, row_sums in zip(targets, sums, strict=True):
                    for target, total in zip(row, row_sums, strict=True):
                        builder.store(builder.load(target, align=4), total)
            fma = llvm_function(builder, "fmuladd", 3)
            with cgutils.for_range(builder, count) as loop:
                first = builder.add(b_at, builder.mul(loop.index, panel))
                vectors = [
                    builder.load(address(builder, right_data, moved(first, one_vector, i)), align=4)
                    for i in range(columns)
                ]
                for line, row_sums in zip(lines, sums, strict=True):
                    value = builder.load(builder.gep(line, [loop.index]), align=4)
                    value = splat_value(builder, value)
                    for vector, total in zip(vectors, row_sums, strict=True):
                        result = builder.call(fma, [value, vector, builder.load(total)])
                        builder.store(result, total)
            for row, row_sums in zip(targets, sums, strict=True):
                for target, total in zip(row, row_sums, strict=True):
                    builder.store(builder.load(total), target, align=4)
            return context.get_dummy_value()

        index = types.intp
        arguments = (left, index, index, right, index, out, index, index, index, index)
        return types.void(*arguments), codegen

    return operation


_multiply_wide = _multiplication(_COLUMNS)
_multiply_narrow = _multiplication(1)


@numba.njit(nogil=True, error_model="numpy")
def multiply(
    left: Any,
    left_at: int,
    left_step: int,
    right: Any,
    right_at: int,
    out: Any,
    out_at: int,
    out_step: int,
    depth: int,
    panel: int,
    accumulate: int,
) -> None:  # pragma: no cover - compiled
    """Multiply ``(ROWS, depth)`` by a panel, ``(depth, panel)``, into ``(ROWS, panel)``.

    All are parts of flat float32 arrays. ``_at`` is the index of the first element, ``_step`` the
    distance of rows; those of the panel follow one another. ``accumulate``: add to what is there.
    """
    left_rows = (left, left_at, left_step)
    out_rows = (out, out_at, out_step)
    if panel > LANES:
        _multiply_wide(*left_rows, right, right_at, *out_rows, depth, accumulate)
    else:
        _multiply_narrow(*left_rows, right, right_at, *out_rows, depth, accumulate)
