"""The state of a run from which it goes on exactly: ``RUN/last.ckpt``.

A dictionary of tensors, numbers and texts, so that ``torch.load(weights_only=True)`` reads it.
Random state is not in it: nothing in a run depends on any (docs/decisions/0020).
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import atomic_path

__all__ = ["load_state", "save_state", "snapshot"]

FORMAT = 3


def snapshot(network: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Copy weights and optimiser state to the CPU.

    Parameters
    ----------
    network, optimizer
        In training; left as they are.
    """
    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
    copied: dict[str, Any] = _copy(state)
    return copied


def _copy(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state whole or not at all; the former one stays until the new one is on disk.

    Parameters
    ----------
    path
        ``last.ckpt``.
    state
        Tensors, numbers, texts, lists and dictionaries of these.

    Raises
    ------
    InputError
        The disk is full or gone; the former file is as it was.
    """
    # Not straight into the file: on a full disk torch raises an error that names no cause.
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def load_state(path: Path) -> dict[str, Any]:
    """Read a state.

    Parameters
    ----------
    path
        ``last.ckpt``.

    Raises
    ------
    InputError
        It cannot be read, or is of another version of this program.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"cannot resume from {path}: {reason}; begin anew with --overwrite"
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(
            f"cannot resume from {path}: another version of this program wrote it; start a new "
            "run from its model (--init)"
        )
    return state
