"""What a trained model says about itself: its record, before the first step."""

from __future__ import annotations

from pydantic import JsonValue

from napari_swin_umamba.checkpoints import Model, ModelInfo
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.data.preparing import describe_data
from swin_umamba_training.data.splitting import Parts
from swin_umamba_training.dataset import Dataset
from swin_umamba_training.start import Start

__all__ = ["describe_model"]


def describe_model(config: TrainConfig, dataset: Dataset, start: Start, parts: Parts) -> Model:
    """The model as it will be saved: its network is the one in training.

    Parameters
    ----------
    config, dataset, start, parts
        As for :class:`swin_umamba_training.session.TrainingRun`.
    """
    training: dict[str, JsonValue] = {
        "images": len(parts[0]),
        **describe_data(dataset, parts, config, start.plan),
        "init": config.init,
        "recipe": config.recipe.name,
        "seed": config.seed,
        "batch": config.batch,
        "learning_rate": config.peak_learning_rate(start.plan.architecture),
        "steps": config.recipe.length.steps,
        "minutes": config.minutes,
    }
    if start.origin:
        training["init_weights"] = start.origin
    info = ModelInfo(data=dataset.path.resolve().name, training=training)
    return Model(start.network, start.plan, _model_name(config), info)


def _model_name(config: TrainConfig) -> str:
    """Name of the run's folder, without what a model name may not hold."""
    name = "".join(c if c.isalnum() or c in " .+-_" else "-" for c in config.run.resolve().name)
    return name.strip(" .+-")[:80] or "model"
