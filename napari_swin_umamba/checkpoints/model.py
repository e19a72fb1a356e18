"""A model: a network, the plan it was trained with, and where it comes from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_swin_umamba.checkpoints.info import ModelInfo
from napari_swin_umamba.checkpoints.native import (
    read_header,
    read_weights,
    write_model_file,
)
from napari_swin_umamba.checkpoints.nnunet import read_nnunet, read_nnunet_weights
from napari_swin_umamba.checkpoints.nnunet_files import find_nnunet_files, is_nnunet
from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.files import as_path
from napari_swin_umamba.plan import Plan

if TYPE_CHECKING:
    import torch

__all__ = [
    "Model",
    "bundled_models",
    "load_model",
    "load_model_into",
    "model_files",
    "read_model_header",
]

_BUNDLED = Path(__file__).parents[1] / "models"
_FIRST = "nuclei"
"""What a list of models begins with, and a dock that was never used before chooses."""


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
    """The file or folder it was loaded from."""

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
    """Return the models that come with the package, by name: ``nuclei`` first, then the others."""
    files = sorted(_BUNDLED.glob("*.safetensors"), key=lambda path: (path.stem != _FIRST, path))
    return {path.stem: path for path in files}


def read_model_header(
    source: str | os.PathLike[str],
    checkpoint: str | None = None,
    folds: Sequence[str] | None = None,
) -> tuple[Plan, str, ModelInfo]:
    """Read plan, name and provenance of a model without its weights and without torch.

    Parameters
    ----------
    source, checkpoint, folds
        As in :func:`load_model`.

    Raises
    ------
    InputError
        There is no such model, or its file is damaged.
    """
    path = _locate(source)
    if is_nnunet(path):
        found = read_nnunet(path, checkpoint, folds)
        return found.plan, found.name, found.info
    _refuse_choice(path, checkpoint, folds)
    header = read_header(path)
    return header.plan, header.name, header.info


def load_model(
    source: str | os.PathLike[str],
    checkpoint: str | None = None,
    folds: Sequence[str] | None = None,
) -> Model:
    """Load a model onto the CPU, ready to predict.

    Parameters
    ----------
    source
        Name of a bundled model (``"nuclei"``; see :func:`bundled_models`); path of a
        ``.safetensors`` file saved by this program; or what the official Swin-UMamba trainers
        left: a trained-model folder of nnU-Net v2, or one ``.pth`` file of it. Those are pickles,
        of which nothing is executed; what is not on the allow-list is refused.
    checkpoint
        Of a trained-model folder: name of the file in each fold; None: ``checkpoint_final``,
        else ``checkpoint_best``, else the highest number.
    folds
        Of a trained-model folder: ``"0"``, ``"1"``, ..., ``"all"``; None: all numbered ones, or
        ``all`` where there are none. Their logits are averaged.

    Returns
    -------
    Model
        With its network in eval mode and float32, whatever the file stores.

    Raises
    ------
    InputError
        There is no such model, or its file is damaged, foreign, or made by a newer version.
    """
    path = _locate(source)
    if is_nnunet(path):
        found = read_nnunet(path, checkpoint, folds)
        networks = _build(path, found.plan)
        read_nnunet_weights(found, networks)
        return Model(_joined(networks).eval(), found.plan, found.name, found.info, path)
    _refuse_choice(path, checkpoint, folds)
    header = read_header(path)
    network = _joined(_build(path, header.plan))
    read_weights(header, network)
    return Model(network.eval(), header.plan, header.name, header.info, path)


def load_model_into(former: Model, path: Path) -> Model:
    """Load a model into the network of a former one, if that is built alike; else a new one.

    Building a network takes longer than reading a small one's weights, and leaves Python's garbage
    collector thousands of objects to look at.

    Parameters
    ----------
    former
        Nobody uses it any more: its network is changed in place, also where this fails.
    path
        As in :func:`load_model`.

    Raises
    ------
    InputError
        As in :func:`load_model`.
    """
    if is_nnunet(path) or is_nnunet(former.source or path):
        return load_model(path)
    header = read_header(path)
    if header.plan != former.plan:
        return load_model(path)
    read_weights(header, former.network)
    return Model(former.network.eval(), header.plan, header.name, header.info, path)


def model_files(path: Path) -> tuple[Path, ...]:
    """Return the files that a model is read from: those of a trained-model folder, or the file.

    Raises
    ------
    InputError
        It is a folder, and not one of nnU-Net.
    """
    if not path.is_dir():
        return (path,)
    return (path / "plans.json", path / "dataset.json", *find_nnunet_files(path).checkpoints)


def _refuse_choice(path: Path, checkpoint: str | None, folds: Sequence[str] | None) -> None:
    if checkpoint is not None or folds is not None:
        flag = "--folds" if checkpoint is None else "--checkpoint"
        raise InputError(
            f"{path.name} is one model; a checkpoint or folds can be chosen of a trained-model "
            f"folder of nnU-Net only: leave {flag} out"
        )


def _build(path: Path, plan: Plan) -> list[torch.nn.Module]:
    """Networks for the weights of a model, one for each fold."""
    from napari_swin_umamba.network import ARCHITECTURES, BASELINES, build_network

    if plan.architecture not in (*ARCHITECTURES, *BASELINES):
        raise InputError(
            f"{path} needs the network '{plan.architecture}', which this version does not "
            f"know ({', '.join(ARCHITECTURES)}); run 'pip install -U napari-swin-umamba'"
        )
    return [
        build_network(plan.architecture, plan.in_channels, plan.outputs) for _ in range(plan.folds)
    ]


def _joined(networks: Sequence[torch.nn.Module]) -> torch.nn.Module:
    from napari_swin_umamba.network.ensemble import Ensemble

    return networks[0] if len(networks) == 1 else Ensemble(networks)


def _locate(source: str | os.PathLike[str]) -> Path:
    """Return the file of a bundled name or a path."""
    bundled = bundled_models()
    if isinstance(source, str) and source in bundled:
        return bundled[source]
    names = ", ".join(bundled) or "none"
    choices = (
        f"give a bundled model ({names}), a .safetensors file, or a folder or .pth file of nnU-Net "
        "(--model)"
    )
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
    if is_folder or is_file:
        return path
    raise InputError(
        f"unknown model {shown(os.fspath(source), 250)}: neither a file or folder nor a bundled "
        f"model ({names}) (--model)"
    )
