"""Why a backend cannot run on a device, and what to install: told without importing it first."""

import importlib.util
import os
import sys
import threading

import torch

from napari_swin_umamba.network.selective_scan.self_check import check_backend

_MAMBA_KERNEL = "MAMBA_KEEP_CUDA_BUILD=TRUE pip install --no-build-isolation mamba-ssm"

_tested: dict[tuple[str, str], str | None] = {}
_lock = threading.RLock()


def find_obstacle(name: str, device: torch.device) -> str | None:
    """Say why backend ``name`` cannot run on ``device``, or None where it can.

    GPU kernels are trusted only after a small scan of theirs, forward and backward, agreed with
    the reference on this very device. That takes seconds, once per process.
    """
    if name == "numba":
        return _numba_obstacle(device)
    if name == "triton":
        return _triton_obstacle(device)
    if name == "mamba_ssm":
        return _mamba_obstacle(device)
    return None


def interprets_triton() -> bool:
    """Whether Triton's kernels are interpreted on the CPU: slow, for tests without a GPU."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _numba_obstacle(device: torch.device) -> str | None:
    if device.type != "cpu":
        return (
            f"it runs on the CPU, not on {device.type}: unset it, or choose the CPU (--device cpu)"
        )
    return None if _installed("numba") else "Numba is not installed: pip install numba"


def _triton_obstacle(device: torch.device) -> str | None:
    if device.type != "cuda" and not (device.type == "cpu" and interprets_triton()):
        return f"it runs on NVIDIA and AMD GPUs, not on {device.type}"
    if not _installed("triton"):
        wheel = "triton-windows" if sys.platform == "win32" else "triton"
        return f"Triton is not installed: pip install {wheel}"
    return None if device.type == "cpu" else _self_test("triton", device)


def _mamba_obstacle(device: torch.device) -> str | None:
    if device.type != "cuda":
        return f"it runs on NVIDIA GPUs, not on {device.type}"
    if not _installed("mamba_ssm"):
        return f"mamba-ssm is not installed: {_MAMBA_KERNEL}"
    failure = _self_test("mamba_ssm", device)
    if failure is None:
        return None
    # Since 2026 the package builds and imports without the kernel that is called here.
    return f"{failure}; to build its kernel: {_MAMBA_KERNEL}"


def _installed(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None  # None stands there where its import is barred
    return importlib.util.find_spec(module) is not None


def _self_test(name: str, device: torch.device) -> str | None:
    """Scan a little and compare; the answer holds for this process unless memory was short."""
    key = (name, str(device))
    with _lock:
        if key in _tested:
            return _tested[key]
        try:
            check = check_backend(name, device, small=True)
        except torch.OutOfMemoryError:
            return "there is too little free memory on the device to test it"
        except Exception as error:  # noqa: BLE001 - whatever goes wrong there, others can scan
            words = str(error).strip().splitlines() or ["no message"]
            _tested[key] = f"its self-test failed: {type(error).__name__}: {words[0]}"
        else:
            wrong = (
                f"its self-test gave wrong results (error {check.forward_error:.0e} forward, "
                f"{check.gradient_error:.0e} of gradients)"
            )
            _tested[key] = None if check.passed else wrong
        return _tested[key]
