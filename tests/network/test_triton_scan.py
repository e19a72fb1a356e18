"""The Triton kernels: interpreted on the CPU, compiled for GPUs that are not there, and on one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
CASES = [Path(__file__).with_name(name) for name in ("triton_cases.py", "triton_norm_cases.py")]

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("triton") is None,
        reason="Triton is not installed here; pip install triton (no GPU needed)",
    ),
    pytest.mark.timeout(900),
]


def run(command: list[str], interpret: bool) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(ROOT), str(ROOT / "training"), os.environ.get("PYTHONPATH", "")]
    )
    if interpret:
        environment["TRITON_INTERPRET"] = "1"
    result = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    return result.stdout


def run_cases(cases: Path, interpret: bool) -> str:
    # Numpy, which interprets the kernels, warns of the overflows that masks hide.
    options = ["-W", "ignore::RuntimeWarning", "-W", "ignore::UserWarning"]
    return run(["-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(cases)], interpret)


@pytest.mark.slow
@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_interpreted_kernels_are_right(cases: Path) -> None:
    assert " passed" in run_cases(cases, interpret=True)


def test_interpreted_kernels_are_right_at_one_size() -> None:
    code = (
        "import torch\n"
        "from napari_swin_umamba.network.selective_scan.self_check import check_backend\n"
        "check = check_backend('triton', torch.device('cpu'), small=True)\n"
        "print(check.passed, check)"
    )

    assert run(["-W", "ignore", "-c", code], interpret=True).startswith("True")


@pytest.mark.parametrize("target", ["cuda:90", "cuda:80", "hip:gfx942"])
def test_kernels_compile_for_gpus_that_are_not_there(target: str) -> None:
    out = run(["-W", "ignore", str(Path(__file__).with_name("triton_compile.py")), target], False)

    scan = ["summary", "adjoint", "carry", "scan", "uneven scan", "walk", "uneven walk"]
    assert out.splitlines() == [*scan, "norm", "gated norm", "classify"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_kernels_are_right_on_the_gpu(cases: Path) -> None:
    assert " passed" in run_cases(cases, interpret=False)
