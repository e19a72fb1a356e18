"""What becomes of a run on an annotation project: the model is judged, and kept in the project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from napari_swin_umamba.checkpoints import load_model
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.project import (
    Comparison,
    ModelRecord,
    Project,
    ProjectModels,
)
from swin_umamba_training.comparison import Contestant, compare_models
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.data.slice_store import ImageStore
from swin_umamba_training.dataset import Dataset

__all__ = ["conclude", "is_judged", "resolve_init"]

PROJECT_INIT = "project"
"""Value of ``--init``: the project's current model."""

Tell = Callable[..., None]


def resolve_init(config: TrainConfig) -> TrainConfig:
    """Put the file of the project's current model in place of ``project``.

    Parameters
    ----------
    config
        Of the run.

    Raises
    ------
    InputError
        The data set is no project, or it has no model yet.
    """
    if config.init != PROJECT_INIT:
        return config
    if not Project.is_project(config.dataset):
        raise InputError(
            f"--init project goes on from the model of an annotation project, and "
            f"{config.dataset} is none; name a model, or use imagenet or none"
        )
    path = ProjectModels(config.dataset).current_path()
    if path is None:
        raise InputError(
            f"the project {config.dataset} has no model yet; use imagenet or none, or name a model "
            "(--init)"
        )
    return config.model_copy(update={"init": str(path)})


def is_judged(dataset: Dataset, config: TrainConfig) -> bool:
    """Whether the model of a run becomes one of its project's.

    Only where the project itself says what is held out: slices chosen otherwise may be ones that
    the model before was trained on.

    Parameters
    ----------
    dataset, config
        Of the run.
    """
    return dataset.kind == "project" and not config.val and config.fold is None


def conclude(
    dataset: Dataset,
    config: TrainConfig,
    held_out: ImageStore,
    model: Path,
    device: torch.device,
    tell: Tell,
) -> None:
    """Compare the model of a run with the one before, and keep it in the project.

    Parameters
    ----------
    dataset, config
        Of the run.
    held_out
        Held-out slices, as in the run.
    model
        The file of its best model.
    device
        Where to compute.
    tell
        Takes the events ``comparing`` and ``comparison``.
    """
    try:
        models = ProjectModels(Project.open(dataset.path).folder)
        before = _before(models, config)
        comparison = compare_models(
            dataset,
            held_out,
            before,
            load_model(model),
            device,
            on_slice=lambda done, total: tell("comparing", done=done, total=total),
        )
        record = models.add(model, _start_name(models, config), str(config.run), comparison)
    except InputError as error:  # the run itself is good
        tell("comparison", message=str(error))
        return
    tell("comparison", **_event(record, comparison))


def _event(record: ModelRecord, comparison: Comparison) -> dict[str, Any]:
    return {"name": record.name, "number": record.number, **comparison.model_dump(mode="json")}


def _before(models: ProjectModels, config: TrainConfig) -> Contestant | None:
    """What the new model would replace: the project's model, else the one that it started from."""
    current = models.read().current
    if current is not None:
        judged = current.comparison.slices if current.comparison else ()
        return Contestant(load_model(models.path(current)), current.name, judged)
    if config.init in ("none", "imagenet"):
        return None
    try:
        model = load_model(config.init)
    except InputError:  # a run that was resumed: its start model may be gone by now
        return None
    return Contestant(model, model.name)


def _start_name(models: ProjectModels, config: TrainConfig) -> str:
    start = Path(config.init)
    for item in models.read().models:
        if models.path(item).name == start.name and start.parent.name == models.folder.name:
            return item.name
    return start.stem if start.suffix == ".safetensors" else config.init
