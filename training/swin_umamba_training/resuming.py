"""Going on with a run: its settings and its start, from what its folder holds."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.network import build_network
from napari_swin_umamba.plan import Plan
from swin_umamba_training.config import EXECUTION_FIELDS, TrainConfig, make_config
from swin_umamba_training.data.splitting import Parts
from swin_umamba_training.dataset import Dataset
from swin_umamba_training.planning import make_plan
from swin_umamba_training.project_classes import Aligned
from swin_umamba_training.run_folder import RunFolder
from swin_umamba_training.start import Start

__all__ = ["resumed_config", "resumed_start"]


def resumed_config(config: TrainConfig) -> TrainConfig:
    """Settings of the run that a folder holds, with the place to compute taken from `config`.

    Parameters
    ----------
    config
        Whose `run` is to be resumed, on its `dataset`, which may have been moved.

    Raises
    ------
    InputError
        The folder holds no run, or settings that this version cannot read.
    """
    folder = RunFolder(config.run)
    folder.check_resumable()
    try:
        stored = json.loads(folder.config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {folder.config}: {error} (--resume)") from error
    if not isinstance(stored, dict):
        raise InputError(f"{folder.config} holds no settings (--resume)")
    here = {name: getattr(config, name) for name in EXECUTION_FIELDS}
    try:
        return make_config(**{**stored, **here, "resume": True})
    except (InputError, TypeError) as error:
        raise InputError(f"{folder.config} cannot be used: {error} (--resume)") from error


def resumed_start(
    dataset: Dataset, parts: Parts, config: TrainConfig, state: dict[str, Any]
) -> Start:
    """Where a run was when its state was saved, its weights aside.

    The model that it began from is not needed for it, and may be gone by now.

    Parameters
    ----------
    dataset, parts, config
        As they are now.
    state
        As read from ``last.ckpt``.

    Raises
    ------
    InputError
        Data or held-out images are others than when the run began, or were prepared otherwise.
    """
    assert dataset.fingerprint is not None
    if state["data"] != dataset.fingerprint.sha256:
        raise InputError(
            f"the data set {config.dataset} is not what it was when the run {config.run} began; "
            "restore it, or start a new run from the model (--init)"
        )
    if state["validation"] != [sample.name for sample in parts[1]]:
        raise InputError(
            f"other images are held out than when the run {config.run} began (--val, or "
            "the project's roles); restore that, or start a new run from the model (--init)"
        )
    try:
        plan = make_plan(dataset, config, Aligned(Plan.model_validate_json(state["plan"])))
    except ValidationError:
        plan = None
    if plan is None or plan.model_dump_json() != state["plan"]:
        raise InputError(
            f"{RunFolder(config.run).last} was made by a version that prepares data in another "
            "way; start a new run from its model (--init)"
        )
    network = build_network(
        plan.architecture, plan.in_channels, plan.num_classes, deep_supervision=True
    )
    return Start(network, plan, tuple(state["start"]["notes"]), state["start"]["origin"])
