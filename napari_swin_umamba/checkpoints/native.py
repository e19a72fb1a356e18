"""Our model file: one ``.safetensors`` with the weights, and a JSON text in its header.

    +-----------+----------------------------------------------+------------------------+
    | 8 bytes n | n bytes of JSON                              | tensors, back to back  |
    +-----------+----------------------------------------------+------------------------+
                  name of tensor -> dtype, shape, data_offsets
                  __metadata__.napari_swin_umamba -> our text:
                      {"format_version": 1, "name": ..., "plan": {...}, "info": {...}}

The header is read and checked without torch and without the weights, so lists of models and
widgets are quick. Nothing in the file can run code. Format: https://github.com/huggingface/safetensors
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from napari_swin_umamba.checkpoints.info import ModelInfo
from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.files import atomic_path
from napari_swin_umamba.plan import Plan

if TYPE_CHECKING:
    import torch

__all__ = ["FORMAT_VERSION", "Header", "read_header", "read_weights", "write_model_file"]

FORMAT_VERSION = 1
"""Raised only when an older reader could not read the file rightly."""

_KEY = "napari_swin_umamba"
_NAME = re.compile(r"[\w][\w .+†-]{0,79}")
_ADDED_FIELDS = ("regions", "mirror_axes", "folds", "volume", "overlap")
_MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors library
_FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_INTEGER_BYTES = {"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True)
class Header:
    """What a model file says about itself, weights aside."""

    path: Path
    name: str
    plan: Plan
    info: ModelInfo
    tensors: Mapping[str, tuple[str, tuple[int, ...]]]
    """Name of each stored tensor -> safetensors' name of its dtype, shape."""


def read_header(path: Path) -> Header:
    """Read and check the header of a model file; neither torch nor the weights are loaded.

    Parameters
    ----------
    path
        A ``.safetensors`` file written by :func:`write_model_file`.

    Raises
    ------
    InputError
        The file is missing, empty, truncated, no safetensors file, from another program, from
        a newer version of this one, or its plan is not valid.
    """
    raw, data_bytes = _read_json(path)
    metadata = raw.pop("__metadata__", None)
    tensors = _check_tensors(path, raw, data_bytes)
    text = metadata.get(_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise InputError(
            f"{path} holds weights but no plan: it was not saved by this program; "
            "give a model saved with 'swin-umamba train' or Model.save (--model)"
        )
    name, plan, info = _parse_metadata(path, text)
    return Header(path, name, plan, info, tensors)


def _read_json(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header as parsed JSON, and how many bytes follow it."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            prefix = file.read(8)
            length = int.from_bytes(prefix, "little")
            plausible = len(prefix) == 8 and 2 <= length <= _MAX_HEADER_BYTES
            text = file.read(length) if plausible else b""
    except FileNotFoundError as error:
        raise InputError(f"no such model file: {path} (--model)") from error
    except OSError as error:
        raise InputError(f"cannot read the model {path}: {error.strerror or error}") from error
    if size == 0:
        raise InputError(f"the model file {path} is empty (0 bytes); copy or save it again")
    if not plausible or text[:1] != b"{":
        raise InputError(f"{path} is not a .safetensors model file; choose another one (--model)")
    if len(text) < length:
        raise _truncated(path, size, 8 + length)
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the header of {path} is damaged ({error}); copy it again") from error
    if not isinstance(parsed, dict):
        raise InputError(f"{path} is not a .safetensors model file; choose another one (--model)")
    return parsed, size - 8 - length


def _truncated(path: Path, size: int, expected: int) -> InputError:
    return InputError(
        f"the model file {path} is truncated: {size:,} bytes instead of {expected:,}; "
        "copy or download it again"
    )


def _check_tensors(
    path: Path, raw: Mapping[str, Any], data_bytes: int
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Check that the tensors fill the data of the file exactly; return dtypes and shapes."""
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {}
    spans = []
    sizes = _FLOAT_BYTES | _INTEGER_BYTES
    for name, entry in raw.items():
        try:
            dtype, shape = entry["dtype"], tuple(int(size) for size in entry["shape"])
            start, stop = (int(offset) for offset in entry["data_offsets"])
            consistent = min(shape, default=1) >= 0 and stop - start == prod(shape) * sizes[dtype]
        except (KeyError, TypeError, ValueError, OverflowError):
            consistent = False
        if not consistent:
            raise InputError(f"the header of {path} is damaged at '{name}'; copy the file again")
        tensors[name] = (dtype, shape)
        spans.append((start, stop))
    expected = 0
    for start, stop in sorted(spans):
        if start != expected:
            raise InputError(f"the header of {path} is damaged (offsets); copy the file again")
        expected = stop
    if data_bytes < expected:
        raise _truncated(path, data_bytes, expected)
    if data_bytes > expected:
        raise InputError(f"{path} has {data_bytes - expected:,} bytes too many; copy it again")
    return tensors


def _parse_metadata(path: Path, text: str) -> tuple[str, Plan, ModelInfo]:
    try:
        metadata = json.loads(text)
        version = metadata["format_version"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"the metadata of {path} is damaged; save the model again") from error
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"the metadata of {path} is damaged: format version {version!r}")
    if version > FORMAT_VERSION:
        raise InputError(
            f"{path} was saved by a newer version (model format {version}, this one reads up to "
            f"{FORMAT_VERSION}); run 'pip install -U napari-swin-umamba'"
        )
    try:
        name = _check_name(metadata["name"])
        plan = Plan.model_validate(metadata["plan"])
        info = ModelInfo.model_validate(metadata["info"])
    except ValidationError as error:
        raise InputError(f"the plan in {path} is not valid: {_first_problem(error)}") from error
    except (KeyError, InputError) as error:
        raise InputError(f"the metadata of {path} is damaged ({error})") from error
    return name, plan, info


def _check_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be a model's name: use up to 80 letters, digits, spaces and .+-_"
        )
    return name


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    return f"{where}: {problem['msg']}" if where else problem["msg"]


def write_model_file(
    path: Path,
    state: Mapping[str, torch.Tensor],
    *,
    name: str,
    plan: Plan,
    info: ModelInfo,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write a model file whole or not at all; an existing one is replaced in one step.

    Parameters
    ----------
    path
        Must end in ``.safetensors``.
    state
        The network's state dict.
    name, plan, info
        Stored in the header.
    dtype
        Store floating-point tensors so (``torch.float16`` halves the file); None: as they are.

    Raises
    ------
    InputError
        Wrong suffix or name, a `dtype` that is not one of floats, weights that are not finite (a
        training that diverged, or values beyond the range of `dtype`), or the path cannot be
        written.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import save

    if path.suffix != ".safetensors":
        raise InputError(f"cannot save a model as {path.name}: the name must end in .safetensors")
    choices = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    if dtype is not None and dtype not in choices:
        names = ", ".join(map(str, choices))
        raise InputError(f"weights cannot be stored as {shown(dtype)}; choose one of {names}")
    metadata = {
        "format_version": FORMAT_VERSION,
        "name": _check_name(name),
        "plan": _dumped(plan),
        "info": info.model_dump(mode="json"),
    }
    tensors = {}
    for key, tensor in state.items():
        cast = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
        # safetensors refuses views that share memory.
        tensors[key] = tensor.detach().to("cpu", cast).contiguous().clone()
        if not torch.isfinite(tensors[key]).all():
            raise InputError(f"the model is not saved: '{key}' has values that are not finite")
    with atomic_path(path, overwrite=True) as temporary:
        # One key only: safetensors writes several in an order that changes from run to run.
        text = {_KEY: json.dumps(metadata, ensure_ascii=False)}
        try:
            data = save(tensors, text)
        except SafetensorError as error:
            raise InputError(f"cannot save the model {path}: {error}") from error
        # Not save_file: its files can be read by their owner only, and its error for a full disk
        # is no OSError.
        temporary.write_bytes(data)
    return path


def _dumped(plan: Plan) -> dict[str, Any]:
    """Plan as JSON values. What format 1 did not have at first is left out where it says nothing.

    Readers refuse fields that they do not know: files that do without stay readable everywhere.
    """
    values = plan.model_dump(mode="json")
    for name in _ADDED_FIELDS:
        if getattr(plan, name) == Plan.model_fields[name].default:
            del values[name]
    return values


def read_weights(header: Header, network: torch.nn.Module) -> None:
    """Fill `network` with the weights of a model file, in the network's own dtype.

    Parameters
    ----------
    header
        From :func:`read_header`.
    network
        Built from ``header.plan``; changed in place.

    Raises
    ------
    InputError
        Names or shapes differ from the network's, or the values are unreadable or not finite.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    target = network.state_dict()
    _match(header, {key: tuple(tensor.shape) for key, tensor in target.items()})
    try:
        with safe_open(header.path, framework="pt") as file, torch.no_grad():
            for key, tensor in target.items():
                stored = file.get_tensor(key)
                if not torch.isfinite(stored).all():
                    raise InputError(f"{header.path}: '{key}' has values that are not finite")
                tensor.copy_(stored)
    except (SafetensorError, OSError) as error:
        raise InputError(f"cannot read the model {header.path}: {error}") from error


def _match(header: Header, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Compare names and shapes before any weight is read."""
    plan = header.plan
    network = f"a {plan.architecture} with {plan.in_channels} channels, {plan.outputs} classes"
    if plan.folds > 1:
        network = f"{plan.folds} times {network}"
    problems = {
        "missing": sorted(expected.keys() - header.tensors.keys()),
        "unexpected": sorted(header.tensors.keys() - expected.keys()),
        "wrong shape": [
            f"{key} {header.tensors[key][1]} instead of {shape}"
            for key, shape in expected.items()
            if key in header.tensors and header.tensors[key][1] != shape
        ],
    }
    found = [f"{kind}: {_some(names)}" for kind, names in problems.items() if names]
    if found:
        raise InputError(f"{header.path} does not hold {network}; {'; '.join(found)}")


def _some(names: Iterable[str], limit: int = 3) -> str:
    names = list(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
