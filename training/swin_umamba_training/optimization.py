"""Optimiser, learning rate and frozen weights: pure functions of the step."""

from __future__ import annotations

import math

import torch
from torch import nn

from swin_umamba_training.recipe import FreezeConfig, OptimizerConfig, ScheduleConfig

__all__ = ["frozen_steps", "is_encoder", "make_optimizer", "relative_rate", "set_frozen"]

_ENCODERS = (
    "vssm_encoder.",
    "encoder.",  # of the U-Net to compare with
    *("net.convInit.", "net.down_layers."),  # MONAI's SegResNet
)


def is_encoder(name: str) -> bool:
    """Whether a parameter belongs to the encoder of its network.

    Parameters
    ----------
    name
        As in the network's state dict.
    """
    return name.startswith(_ENCODERS)


def make_optimizer(network: nn.Module, config: OptimizerConfig, peak: float) -> torch.optim.AdamW:
    """AdamW; its groups carry ``factor``, by which the encoder may learn more slowly.

    Parameters
    ----------
    network
        All its parameters, those that are frozen at first, too.
    config
        Moments, weight decay, the encoder's factor.
    peak
        Learning rate of the first step, until :meth:`SegmentationModule` sets another.
    """
    groups = [
        {
            "params": [p for n, p in network.named_parameters() if is_encoder(n) == encoder],
            "factor": config.encoder_lr if encoder else 1.0,
        }
        for encoder in (False, True)
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=peak,
        betas=config.betas,
        eps=config.eps,
        weight_decay=config.weight_decay,
    )


def relative_rate(step: int, steps: int, config: ScheduleConfig) -> float:
    """Learning rate of a step relative to its peak: a linear rise, then half a cosine.

    Parameters
    ----------
    step
        Counted from 0.
    steps
        Length of the run.
    config
        Shape of the schedule.
    """
    length = config.length or steps
    progress = (step // config.every) * config.every / length
    if progress < config.warmup:
        return max(progress / config.warmup, config.floor)
    done = (progress - config.warmup) / max(1.0 - config.warmup, 1e-9)
    half = 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
    return config.floor + (1.0 - config.floor) * half


def frozen_steps(steps: int, config: FreezeConfig) -> int:
    """Number of steps at the start in which the encoder is frozen.

    Parameters
    ----------
    steps
        Length of the run.
    config
        Steps, or share of the run.
    """
    return round(config.steps * steps) if config.steps < 1 else int(config.steps)


def set_frozen(network: nn.Module, frozen: bool, config: FreezeConfig) -> None:
    """Freeze the encoder, or train all weights.

    A frozen weight has no gradient, so neither momentum nor weight decay moves it.

    Parameters
    ----------
    network
        Changed in place.
    frozen
        Whether the encoder is.
    config
        Names of its parts that are trained nevertheless.
    """
    for name, parameter in network.named_parameters():
        excepted = any(part in name for part in config.except_for)
        parameter.requires_grad_(not (frozen and is_encoder(name) and not excepted))
