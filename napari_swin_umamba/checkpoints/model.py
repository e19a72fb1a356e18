"""A model: a network, the plan it was trained with, and where it comes from."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_swin_umamba.checkpoints.info import ModelInfo
from napari_swin_umamba.checkpoints.native import (
    Header,
    read_header,
    read_weights,
    write_model_file,
)
from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.files import as_path
from napari_swin_umamba.plan import Plan

if TYPE_CHECKING:
    import torch

__all__ = ["Model", "bundled_models", "load_model", "read_model_header"]

_BUNDLED = Path(__file__).parents[1] / "models"
_PICKLES = {".pth", ".pt", ".ckpt", ".bin", ".pkl"}


@dataclass(eq=False)
class Model:
    """A network with everything that is needed to use it."""

    network: torch.nn.Module
    """``(B, C, H, W)`` -> logits ``(B, classes, H, W)``; H, W multiples of 32; in eval mode when
    it comes from :func:`load_model`."""
    plan: Plan
    """How an image becomes its input, and its output becomes labels."""
    name: str
    """Short name for lists and layer names."""
    info: ModelInfo = field(default_factory=ModelInfo)
    """Licence, data, training, scores."""
    source: Path | None = None
    """The file it was loaded from."""

    def save(self, path: str | os.PathLike[str], dtype: torch.dtype | None = None) -> Path:
        """Write the model to one file, whole or not at all, replacing an existing one.

        Parameters
        ----------
        path
            Must end in ``.safetensors``.
        dtype
            Store the weights so: ``torch.float16`` halves the file, and is read back as
            float32; None keeps them bit by bit.

        Returns
        -------
        Path
            The file. ``info.created`` and ``info.software`` in it are filled in if empty.

        Raises
        ------
        InputError
            The path cannot be written, the weights are not finite, or `dtype` is not one of floats.
        """
        path = as_path(path)
        state = self.network.state_dict()
        info = self.info.stamped()
        return write_model_file(path, state, name=self.name, plan=self.plan, info=info, dtype=dtype)


def bundled_models() -> dict[str, Path]:
    """Return the models that come with the package, by name, in alphabetical order."""
    return {path.stem: path for path in sorted(_BUNDLED.glob("*.safetensors"))}


def read_model_header(source: str | os.PathLike[str]) -> tuple[Plan, str, ModelInfo]:
    """Read plan, name and provenance of a model without its weights and without torch.

    Parameters
    ----------
    source
        As in :func:`load_model`.

    Raises
    ------
    InputError
        There is no such model, or its file is damaged.
    """
    header = read_header(_locate(source))
    return header.plan, header.name, header.info


def load_model(source: str | os.PathLike[str]) -> Model:
    """Load a model onto the CPU, ready to predict.

    Parameters
    ----------
    source
        Name of a bundled model (``"nuclei"``; see :func:`bundled_models`), or path of a
        ``.safetensors`` file saved by this program.

    Returns
    -------
    Model
        With its network in eval mode and float32, whatever the file stores.

    Raises
    ------
    InputError
        There is no such model, or its file is damaged, foreign, or made by a newer version.
    """
    header = read_header(_locate(source))
    network = _build(header)
    read_weights(header, network)
    return Model(network.eval(), header.plan, header.name, header.info, header.path)


def _build(header: Header) -> torch.nn.Module:
    from napari_swin_umamba.network import ARCHITECTURES, BASELINES, build_network

    plan = header.plan
    if plan.architecture not in (*ARCHITECTURES, *BASELINES):
        raise InputError(
            f"{header.path} needs the network '{plan.architecture}', which this version does not "
            f"know ({', '.join(ARCHITECTURES)}); run 'pip install -U napari-swin-umamba'"
        )
    return build_network(plan.architecture, plan.in_channels, plan.num_classes)


def _locate(source: str | os.PathLike[str]) -> Path:
    """Return the file of a bundled name or a path."""
    bundled = bundled_models()
    if isinstance(source, str) and source in bundled:
        return bundled[source]
    names = ", ".join(bundled) or "none"
    choices = f"give a bundled model ({names}) or the path of a .safetensors file (--model)"
    if not isinstance(source, str | os.PathLike):
        raise InputError(f"{shown(source)} is not a model; {choices}")
    if not os.fspath(source):
        raise InputError(f"the name of the model is empty; {choices}")
    path = as_path(source)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except OSError as error:  # a name that is too long, a folder that may not be entered
        reason = error.strerror or error
        raise InputError(
            f"cannot read the model {shown(str(path), 250)}: {reason} (--model)"
        ) from error
    if is_folder:
        raise InputError(f"{path} is a folder; give a .safetensors model file (--model)")
    if is_file:
        if path.suffix.lower() in _PICKLES:
            raise InputError(
                f"{path.name} is a pickle, which can run code when read; give a .safetensors "
                "model saved by this program (--model)"
            )
        return path
    raise InputError(
        f"unknown model {shown(os.fspath(source), 250)}: neither a file nor a bundled model "
        f"({names}) (--model)"
    )
