"""Compile the Triton kernels for a GPU that need not be there: python triton_compile.py cuda:90."""

from __future__ import annotations

import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from napari_swin_umamba.network.selective_scan import (
    triton_backward,
    triton_forward,
    triton_strips_backward,
    triton_strips_forward,
)

FORWARD_TILE = {"BLOCK_D": 32, "BLOCK_N": 16}
BACKWARD_TILE = {"N_HIGH": 4, "N_LOW": 4, "D_HIGH": 2, "D_LOW": 8}
STRIP = {"SIZE": 16, "STEPS": 4, "BLOCK_D": 64, "WIDE": False}
KERNELS = {
    "summary": (
        triton_forward.summary_kernel,
        {"PROJECT": True, "ADJOINT": False, "BLOCK_R": 8, **FORWARD_TILE},
    ),
    "adjoint": (
        triton_forward.summary_kernel,
        {"PROJECT": False, "ADJOINT": True, "BLOCK_R": 8, **FORWARD_TILE},
    ),
    "carry": (triton_forward.carry_kernel, {"ADJOINT": False, **FORWARD_TILE}),
    "scan": (
        triton_forward.scan_kernel,
        {"PROJECT": True, "FROM_ZERO": False, "BLOCK_R": 8, **FORWARD_TILE},
    ),
    "backward": (triton_backward.backward_kernel, {"FROM_ZERO": False, **BACKWARD_TILE}),
    "strip_summary": (
        triton_strips_forward.strip_summary_kernel,
        {"PROJECT": True, "ADJOINT": False, "EVEN": True, **STRIP},
    ),
    "strip_adjoint": (
        triton_strips_forward.strip_summary_kernel,
        {"PROJECT": False, "ADJOINT": True, "EVEN": False, **STRIP},
    ),
    "strip_scan": (
        triton_strips_forward.strip_scan_kernel,
        {"PROJECT": True, "FROM_ZERO": False, "EVEN": True, **STRIP},
    ),
    "strip_walk": (
        triton_strips_backward.strip_kernel,
        {"FROM_ZERO": False, "EVEN": True, **STRIP},
    ),
    "uneven_strip_walk": (
        triton_strips_backward.strip_kernel,
        {"FROM_ZERO": False, "EVEN": False, **STRIP, "WIDE": True},
    ),
}
HALF = ("u", "x")
NUMBERS = (
    *("batch", "height", "width", "channels", "rank", "size", "chunks", "length", "unit"),
    *("groups", "blocks_per_group", "blocks", "items"),
)


ALWAYS_LARGER = ("length",)
"""Numbers that are never 1. Triton makes any other that is 1 a constant of the kernel."""


def compile_for(kernel, constants: dict, target: GPUTarget, ones: bool) -> None:
    """Compile with maps in bfloat16, the rest in float32; with ``ones`` all numbers are 1."""
    signature, values = {}, {}
    for place, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name] = "constexpr"
            values[(place,)] = constants[name]
        elif ones and name in NUMBERS and name not in (*ALWAYS_LARGER, "unit"):
            signature[name] = "constexpr"
            values[(place,)] = 1
        elif name in NUMBERS:
            signature[name] = "i32"
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
