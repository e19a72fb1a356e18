"""mamba-ssm's CUDA extension, built from its source distribution for the GPU at hand only.

    pip download --no-deps --no-build-isolation --no-binary mamba-ssm mamba-ssm   # once, anywhere
    python benchmarks/mamba_extension.py mamba_ssm-2.3.2.post1.tar.gz build/gpu --limit 540

Only ``selective_scan_cuda`` is built, and of its kernels those for float32, in which the official
networks scan: two files that take two minutes. What was compiled stays in the folder, so a build
that ran out of time goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

NAME = "selective_scan_cuda"
SOURCES = ("selective_scan.cpp", "selective_scan_fwd_fp32.cu", "selective_scan_bwd_fp32_real.cu")
# As the package's setup.py has them, without its list of architectures.
NVCC_FLAGS = [
    "-O3",
    "-std=c++17",
    "-U__CUDA_NO_HALF_OPERATORS__",
    "-U__CUDA_NO_HALF_CONVERSIONS__",
    "-U__CUDA_NO_BFLOAT16_OPERATORS__",
    "-U__CUDA_NO_BFLOAT16_CONVERSIONS__",
    "-U__CUDA_NO_BFLOAT162_OPERATORS__",
    "-U__CUDA_NO_BFLOAT162_CONVERSIONS__",
    "--expt-relaxed-constexpr",
    "--expt-extended-lambda",
    "--use_fast_math",
]


def load(folder: Path) -> Any:
    """Import what :func:`build` built.

    Raises
    ------
    ImportError
        Nothing was built there.
    """
    flags = sys.getdlopenflags()
    sys.path.insert(0, str(folder / "lib"))
    sys.setdlopenflags(os.RTLD_LAZY)  # the kernels for other formats are not there
    try:
        return __import__(NAME)
    finally:
        sys.setdlopenflags(flags)
        sys.path.remove(str(folder / "lib"))


def build(archive: Path, folder: Path) -> None:
    """Compile the extension of a source distribution into ``folder``; takes minutes."""
    from torch.utils import cpp_extension

    sources = folder / "source"
    if not sources.exists():
        with tarfile.open(archive) as tar:
            tar.extractall(sources, filter="data")
    kernels = next(sources.glob("*/csrc/selective_scan"))
    major, minor = torch.cuda.get_device_capability()
    os.environ["TORCH_CUDA_ARCH_LIST"] = f"{major}.{minor}"
    os.environ.setdefault("MAX_JOBS", str(os.cpu_count() or 4))
    (folder / "lib").mkdir(parents=True, exist_ok=True)
    cpp_extension.load(
        name=NAME,
        sources=[str(kernels / name) for name in SOURCES],
        extra_include_paths=[str(kernels)],
        extra_cflags=["-O3", "-std=c++17"],
        extra_cuda_cflags=NVCC_FLAGS,
        build_directory=str(folder / "lib"),
        verbose=True,
    )


class _Scan(torch.autograd.Function):
    """The extension's forward and backward call, as mamba-ssm 2.3 makes them."""

    @staticmethod
    def forward(ctx, extension, u, delta, A, B, C, D, bias):  # type: ignore[no-untyped-def] # noqa: D102
        out, states, *_ = extension.fwd(u, delta, A, B, C, D, None, bias, True)
        ctx.extension = extension
        ctx.save_for_backward(u, delta, A, B, C, D, bias, states)
        return out

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def] # noqa: D102
        u, delta, A, B, C, D, bias, states = ctx.saved_tensors
        g_u, g_delta, g_A, g_B, g_C, g_D, g_bias, *_ = ctx.extension.bwd(
            *(u, delta, A, B, C, D, None, bias, grad.contiguous(), states, None, None, True, False)
        )
        return None, g_u, g_delta, g_A, g_B, g_C, g_D, g_bias


def scan(
    extension: Any,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    bias: Tensor,
) -> Tensor:
    """Scan ``u, delta (B, E, L)`` with ``A (E, N)``, ``B, C (B, G, N, L)``, ``D, bias (E,)``."""
    return _Scan.apply(extension, u, delta, A, B, C, D, bias)


def main() -> None:
    """Build within a limit; exit with 1 and a reason where that fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=float, default=540, help="seconds")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        build(options.archive, options.folder.resolve())
        return
    if not torch.cuda.is_available():
        sys.exit("no CUDA device: nothing to build for")
    # In a group of its own: past the limit the compilers must end with it.
    process = subprocess.Popen(
        [sys.executable, __file__, *sys.argv[1:], "--inside"], start_new_session=True
    )
    try:
        code = process.wait(options.limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        sys.exit(f"not built within {options.limit:.0f} s; the next call goes on from here")
    if code:
        sys.exit(f"the build failed with {code}")


if __name__ == "__main__":
    main()
