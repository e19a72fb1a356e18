"""Steps and validations that do not count: how long they take, and what compiles at first use."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence

import torch

from swin_umamba_training.data.slice_store import ImageStore
from swin_umamba_training.module import SegmentationModule
from swin_umamba_training.ranks import world_size
from swin_umamba_training.validation import size_groups

__all__ = ["time_steps", "time_validation"]

_MOST_STEPS = 8
"""Steps that are timed at most to turn minutes into steps."""
_SHARE = 0.03
"""Share of the time that they may take."""
_MOST_SECONDS = 2.0
"""That they may take, where there are two of them: whoever watches waits for a first prediction."""


def time_steps(
    module: SegmentationModule,
    batches: Iterable[Sequence[torch.Tensor]],
    device: torch.device,
    minutes: float,
) -> float:
    """Seconds of a step, its patches included.

    Parameters
    ----------
    module
        Computes a step and takes it back.
    batches
        As in training: images and targets.
    device
        Where to compute.
    minutes
        Length of the run: a small share of it is spent here.
    """
    durations: list[float] = []
    begin = time.perf_counter()
    for images, _ in batches:
        module.rehearse(images.to(device))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        durations.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        spent = sum(durations[1:])  # the first one compiles and reads
        allowed = min(_SHARE * minutes * 60, _MOST_SECONDS)
        if (len(durations) > 2 and spent > allowed) or len(durations) > _MOST_STEPS:
            break
    # A computer that was busy for a moment counts little; a run of one step has no other.
    return statistics.median(durations[1:] or durations)


def time_validation(validate: Callable[[ImageStore], object], images: ImageStore) -> float:
    """Seconds of a validation, by some of its images; each process has a share of them.

    Parameters
    ----------
    validate
        Scores the network on some images.
    images
        All validation images.
    """
    count = len(images)
    if not count:
        return 0.0
    group = next(size_groups(images, range(count // 2, count)))
    some = images.part([images.samples[index] for index in group])
    durations = []
    for store in (some.only(0), some, some):  # the first one reads and compiles
        begin = time.perf_counter()
        validate(store)
        durations.append(time.perf_counter() - begin)
    return min(durations[1:]) * -(-count // world_size()) / len(group)
