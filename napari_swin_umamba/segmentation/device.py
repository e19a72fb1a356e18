"""Which device runs the network."""

from __future__ import annotations

import torch

from napari_swin_umamba.errors import InputError

__all__ = ["resolve_device"]

_CHOICES = "auto, cpu, cuda (cuda:1, ...) or mps"


def resolve_device(device: str | torch.device = "auto") -> tuple[torch.device, str | None]:
    """Turn the name of a device into a device that is there.

    ``auto`` takes a GPU only if the scan has a kernel that works there: without one, the compiled
    CPU kernels are the safer choice.

    Parameters
    ----------
    device
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` or a torch device.

    Returns
    -------
    device : torch.device
        Where to run.
    note : str or None
        Why a GPU that is there is not used.

    Raises
    ------
    InputError
        The name is unknown or this computer has no such device.
    """
    if device == "auto":
        return _choose()
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"unknown device '{device}': choose {_CHOICES} (--device)") from error
    if chosen.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"device '{device}' is not supported: choose {_CHOICES} (--device)")
    if not _available(chosen):
        raise InputError(f"torch finds no device '{device}' here; choose cpu (--device)")
    return chosen, None


def _available(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    return device.type != "mps" or torch.backends.mps.is_available()


def _choose() -> tuple[torch.device, str | None]:
    from napari_swin_umamba.network.selective_scan import active_backend

    for candidate in (torch.device("cuda"), torch.device("mps")):
        if not _available(candidate):
            continue
        try:
            backend = active_backend(candidate)
        except InputError as error:  # a backend that cannot run there was asked for
            return torch.device("cpu"), f"{candidate.type} is not used: {error}"
        if not backend.compiled:
            return torch.device("cpu"), f"{candidate.type} is not used: {backend.reason}"
        return candidate, None
    return torch.device("cpu"), None
