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
CASES = Path(__file__).with_name("triton_cases.py")

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("triton") is None,
        reason="Triton is not installed here; pip install triton (no GPU needed)",
    ),
    pytest.mark.timeout(900),
]


def run(command: list[str], interpret: bool) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "training")])
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


def run_cases(interpret: bool, which: str = "") -> str:
    # Numpy, which interprets the kernels, warns of the overflows that masks hide.
    options = ["-W", "ignore::RuntimeWarning", "-W", "ignore::UserWarning", "-k", which]
    return run(["-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(CASES)], interpret)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["not strips", "strips"])
def test_interpreted_kernels_are_right(which: str) -> None:
    assert " passed" in run_cases(interpret=True, which=which)


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

    present = ["summary", "adjoint", "carry", "scan", "backward"]
    strips = ["strip_summary", "strip_adjoint", "strip_scan", "strip_walk", "uneven_strip_walk"]
    assert out.split() == present + strips


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_kernels_are_right_on_the_gpu() -> None:
    assert " passed" in run_cases(interpret=False)
