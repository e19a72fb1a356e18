"""In which number format the network computes: float32, or bfloat16 where a device has it."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from napari_swin_umamba.errors import InputError, shown

__all__ = ["Precision", "check_precision", "has_bf16"]

Precision = Literal["fp32", "bf16"]

# Instructions that multiply bfloat16 numbers, on x86 and on ARM. Without them a processor turns
# every number into float32 and back, which takes longer than float32 throughout.
_CPU_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")


def has_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 numbers by itself.

    Parameters
    ----------
    device
        One that is there.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    if not hasattr(torch.cpu, "get_capabilities"):  # torch before 2.11
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in _CPU_INSTRUCTIONS)


def check_precision(precision: str, device: torch.device) -> Precision:
    """Return a number format that a device computes in.

    Parameters
    ----------
    precision
        ``"fp32"`` or ``"bf16"``.
    device
        One that is there.

    Raises
    ------
    InputError
        There is no such format, or the device has none.
    """
    for known in get_args(Precision):
        if precision == known:
            if known == "bf16" and not has_bf16(device):
                name = "this processor" if device.type == "cpu" else f"the device '{device}'"
                raise InputError(
                    f"{name} cannot compute in bfloat16; choose fp32 (--precision, or switch off "
                    "'Compute in bfloat16')"
                )
            return known
    raise InputError(f"unknown precision {shown(precision)}: choose fp32 or bf16 (--precision)")
