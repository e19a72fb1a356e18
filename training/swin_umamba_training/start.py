"""Where a run begins: its plan, and a network with first weights drawn or taken from others."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from pydantic import JsonValue

from napari_swin_umamba.checkpoints import (
    LoadReport,
    LocalWeights,
    Model,
    fetch_weights,
    load_imagenet,
    load_model,
)
from napari_swin_umamba.checkpoints.download import OnProgress
from napari_swin_umamba.checkpoints.imagenet import check_takes_imagenet
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.network import build_network
from napari_swin_umamba.plan import Plan
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.dataset import Dataset
from swin_umamba_training.planning import make_plan
from swin_umamba_training.project_classes import align_with_project
from swin_umamba_training.transfer import take_weights

__all__ = ["Start", "prepare_start"]


@dataclass
class Start:
    """Where a run begins."""

    network: torch.nn.Module
    """With deep supervision."""
    plan: Plan
    notes: tuple[str, ...]
    """What was taken from the start weights and what not, for people."""
    origin: dict[str, JsonValue] = field(default_factory=dict)
    """The same about downloaded weights, for the model's record; empty without them."""
    whole: bool = False
    """Whether the network has all its weights from a model, so that its outputs mean something."""


def prepare_start(
    dataset: Dataset, config: TrainConfig, on_download: OnProgress | None = None
) -> Start:
    """Build the plan and a network with its first weights.

    Weights are drawn from torch's global random state, which the caller seeds.

    Parameters
    ----------
    dataset
        What is learned.
    config
        ``arch``, ``init``, ``patch`` and the like.
    on_download
        Called while start weights are downloaded, if they are.

    Raises
    ------
    InputError
        The start model is unknown, is another network, or takes other channels; ImageNet weights
        do not fit the network, or their file is not the published one.
    DownloadError
        ImageNet weights are not here and cannot be downloaded.
    """
    model = None if config.init in ("none", "imagenet") else _load_init(config.init)
    aligned = align_with_project(model.plan, model.info, dataset) if model else None
    plan = make_plan(dataset, config, aligned)
    local = None
    if config.init == "imagenet":
        check_takes_imagenet(plan.architecture)
        local = fetch_weights(accept_hash=config.accept_hash, on_progress=on_download)
    network = build_network(
        plan.architecture, plan.in_channels, plan.num_classes, deep_supervision=True
    )
    if local is not None:
        report = load_imagenet(network, local.path)
        return Start(network, plan, _imagenet_notes(local, report), _origin(local, report))
    if model is None or aligned is None:
        return Start(network, plan, ())
    whole, notes = take_weights(network, plan, model, aligned.plan)
    return Start(network, plan, notes, whole=whole)


def _imagenet_notes(local: LocalWeights, report: LoadReport) -> tuple[str, ...]:
    notes = [f"encoder starts from {local.published.title}: {report}"]
    notes += [f"{name} adapted: {how}" for name, how in report.adapted.items()]
    if not local.verified:
        notes.append(f"{local.path} is not the published file (--accept-hash): {local.sha256}")
    return tuple(notes)


def _origin(local: LocalWeights, report: LoadReport) -> dict[str, JsonValue]:
    return {
        "name": local.published.name,
        "title": local.published.title,
        "file": local.path.name,
        "sha256": local.sha256,
        "verified": local.verified,
        "source": local.published.published_url,
        "licence": local.published.licence,
        "loaded": len(report.loaded),
        "adapted": dict(report.adapted),
        "skipped": dict(report.skipped),
        "drawn": len(report.drawn),
    }


def _load_init(init: str) -> Model:
    try:
        model = load_model(init)
    except InputError as error:
        # The loader names the flag of the other commands.
        message = str(error).replace(" (--model)", "")
        raise InputError(f"--init: {message}") from error
    if model.plan.folds > 1:
        raise InputError(
            f"--init: {init} is {model.plan.folds} networks, one of each fold; make a model of one "
            "with 'swin-umamba models import --folds 0'"
        )
    return model
