"""Models that the official Swin-UMamba trainers left in nnU-Net v2's folders.

The header (:func:`read_nnunet`) needs neither torch nor the weights; see ``safe_pickle``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from napari_swin_umamba.checkpoints.info import ModelInfo
from napari_swin_umamba.checkpoints.nnunet_files import NnunetFiles, find_nnunet_files
from napari_swin_umamba.checkpoints.nnunet_plan import plan_from_nnunet
from napari_swin_umamba.checkpoints.safe_pickle import Checkpoint, TensorRecord, read_checkpoint
from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.plan import Plan

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NnunetModel", "read_nnunet", "read_nnunet_weights"]

_NOT_IN_NAMES = re.compile(r"[^\w .+†-]+")
_ENTRIES = ("network_weights", "init_args", "trainer_name")
_SOURCES = ("reference", "release", "licence", "license")


@dataclass(frozen=True)
class NnunetModel:
    """What the checkpoints of a model say, weights aside."""

    files: NnunetFiles
    plan: Plan
    name: str
    info: ModelInfo
    checkpoints: tuple[Checkpoint, ...]
    """One for each fold."""


def read_nnunet(
    path: Path, checkpoint: str | None = None, folds: Sequence[str] | None = None
) -> NnunetModel:
    """Read what a trained-model folder or a single checkpoint says about its model.

    Parameters
    ----------
    path, checkpoint, folds
        As in :func:`~napari_swin_umamba.checkpoints.nnunet_files.find_nnunet_files`.

    Raises
    ------
    InputError
        It is not there, not readable, refused, of another trainer, or not two-dimensional.
    """
    files = find_nnunet_files(path, checkpoint, folds)
    checkpoints = tuple(read_checkpoint(file) for file in files.checkpoints)
    trees = [_checked(item) for item in checkpoints]
    first, arguments = trees[0], trees[0]["init_args"]
    for file, tree in zip(files.checkpoints, trees, strict=True):
        same = ("trainer_name", "configuration")
        own = (tree["trainer_name"], tree["init_args"].get("configuration"))
        if own != (first["trainer_name"], arguments.get("configuration")):
            raise InputError(
                f"{file} has {' and '.join(same)} {shown(own)}, unlike the first fold; choose "
                "folds of one training (--folds)"
            )
    plans = files.plans if files.plans is not None else arguments.get("plans")
    dataset = files.dataset if files.dataset is not None else arguments.get("dataset_json")
    if not isinstance(plans, dict) or not isinstance(dataset, dict):
        raise InputError(
            f"{path} carries no plans and dataset_json (init_args); give the trained-model folder"
        )
    try:
        plan = plan_from_nnunet(
            plans,
            dataset,
            str(arguments.get("configuration")),
            str(first["trainer_name"]),
            first.get("inference_allowed_mirroring_axes"),
            len(checkpoints),
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    info = _info(files, plans, dataset, first)
    return NnunetModel(files, plan, _name(path, plans, dataset), info, checkpoints)


def _checked(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the tree of a checkpoint that nnU-Net's trainers wrote."""
    tree = checkpoint.tree
    missing = [name for name in _ENTRIES if not isinstance(tree, dict) or name not in tree]
    if missing:
        raise InputError(
            f"{checkpoint.path} is no checkpoint of nnU-Net v2: it lacks {', '.join(missing)}; for "
            "ImageNet weights see 'swin-umamba train --init'"
        )
    weights = tree["network_weights"]
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(record, TensorRecord)
        for name, record in weights.items()
    ):
        raise InputError(f"{checkpoint.path}: network_weights holds more than tensors by name")
    if not isinstance(tree["init_args"], dict):
        raise InputError(f"{checkpoint.path}: init_args holds no settings by name")
    return tree


def _name(path: Path, plans: Mapping[str, Any], dataset: Mapping[str, Any]) -> str:
    given = plans.get("dataset_name") or dataset.get("name") or path.stem
    name = _NOT_IN_NAMES.sub(" ", str(given)).strip(" .+†-")[:80]
    return name or "nnU-Net model"


def _info(
    files: NnunetFiles, plans: Mapping[str, Any], dataset: Mapping[str, Any], tree: dict[str, Any]
) -> ModelInfo:
    trainer, epoch = str(tree["trainer_name"]), tree.get("current_epoch")
    configuration = str(tree["init_args"].get("configuration"))
    training: dict[str, JsonValue] = {
        "trainer": trainer,
        "configuration": configuration,
        "checkpoint": files.checkpoints[0].name,
        "folds": list(files.folds) or [str(tree["init_args"].get("fold"))],
        "plans": str(plans.get("plans_name", "")),
    }
    if isinstance(epoch, int):
        training["epochs"] = epoch
    texts = {name: str(dataset[name]) for name in _SOURCES if dataset.get(name)}
    licence = texts.pop("licence", None) or texts.pop("license", None) or ""
    about = [dataset.get("name"), dataset.get("description"), *texts.values()]
    return ModelInfo(
        description=f"Trained with nnU-Net ({trainer}, {configuration}).",
        licence=licence,
        data="; ".join(str(text) for text in about if text),
        training=training,
    )


def read_nnunet_weights(model: NnunetModel, networks: Sequence[nn.Module]) -> None:
    """Fill networks with the weights of a model's folds.

    Parameters
    ----------
    model
        Of :func:`read_nnunet`.
    networks
        One for each fold, built from ``model.plan``; changed in place.

    Raises
    ------
    InputError
        Tensors are missing, left over, of another shape or not finite.
    """
    import torch

    from napari_swin_umamba.checkpoints.upstream import load_upstream_state_dict

    for checkpoint, network in zip(model.checkpoints, networks, strict=True):
        tensors = checkpoint.tensors(checkpoint.tree["network_weights"])
        try:
            load_upstream_state_dict(network, tensors)
        except InputError as error:
            raise InputError(f"{checkpoint.path}: {error}") from error
        for name, tensor in network.state_dict().items():
            if not torch.isfinite(tensor).all():
                raise InputError(f"{checkpoint.path}: '{name}' has values that are not finite")
