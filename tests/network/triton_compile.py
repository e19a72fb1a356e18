"""Compile the Triton kernels for a GPU that need not be there: python triton_compile.py cuda:90."""

from __future__ import annotations

import sys
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from napari_swin_umamba.network.gpu import norm_kernels
from napari_swin_umamba.network.selective_scan import (
    triton_backward,
    triton_borders,
    triton_forward,
)

STRIP = {"SIZE": 16, "STEPS": 4, "BLOCK_D": 64, "WIDE": False, "EVEN": True}
FORWARD = {**STRIP, "PAIRED": True}
ROWS = {"BLOCK_R": 32, "C": 128}
KERNELS = {
    "summary": (
        triton_borders.summary_kernel,
        {"PROJECT": True, "RANK": 6, "ADJOINT": False, **FORWARD},
    ),
    "adjoint": (
        triton_borders.summary_kernel,
        {"PROJECT": False, "RANK": 0, "ADJOINT": True, **FORWARD, "EVEN": False, "WIDE": True},
    ),
    "carry": (triton_borders.carry_kernel, {"ADJOINT": False, "BLOCK_D": 32, "BLOCK_N": 16}),
    "scan": (
        triton_forward.scan_kernel,
        {"PROJECT": True, "RANK": 6, "FROM_ZERO": False, **FORWARD},
    ),
    "uneven scan": (
        triton_forward.scan_kernel,
        {
            "PROJECT": True,
            "RANK": 3,
            "FROM_ZERO": True,
            **FORWARD,
            "EVEN": False,
            "PAIRED": False,
        },
    ),
    "walk": (triton_backward.backward_kernel, {"FROM_ZERO": False, **STRIP}),
    "uneven walk": (
        triton_backward.backward_kernel,
        {"FROM_ZERO": False, **STRIP, "EVEN": False, "WIDE": True},
    ),
    "norm": (norm_kernels.norm_kernel, ROWS),
    "gated norm": (norm_kernels.gated_norm_kernel, ROWS),
    "classify": (norm_kernels.classify_kernel, ROWS),
}
HALF = ("u", "x")
NUMBERS = (
    *("batch", "height", "width", "channels", "columns", "rank", "size", "chunks", "length"),
    *("blocks", "items", "rows", "classes"),
)


def compile_for(
    kernel: triton.JITFunction, constants: dict[str, Any], target: GPUTarget, ones: bool
) -> None:
    """Compile with maps in bfloat16, the rest in float32.

    With ``ones``, numbers are 1: Triton makes those constants, unless it is told not to.
    """
    signature, values = {}, {}
    for place, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name] = "constexpr"
            values[(place,)] = constants[name]
        elif ones and name in NUMBERS and name not in kernel.do_not_specialize:
            signature[name] = "constexpr"
            values[(place,)] = 1
        elif name in NUMBERS:
            signature[name] = "i32"
        elif name == "epsilon":
            signature[name] = "fp32"
        else:
            signature[name] = "*bf16" if name in HALF else "*fp32"
    source = ASTSource(kernel, signature, values)
    triton.compile(source, target=target, options={"num_warps": 1})


if __name__ == "__main__":
    backend, architecture = sys.argv[1].split(":")
    arch = int(architecture) if architecture.isdigit() else architecture
    gpu = GPUTarget(backend, arch, 32 if backend == "cuda" else 64)
    for name, (kernel, constants) in KERNELS.items():
        for ones in (False, True):
            compile_for(kernel, constants, gpu, ones)
        sys.stdout.write(f"{name}\n")
