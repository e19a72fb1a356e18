"""Whether the images of a run are negatives of those that its start model knows.

Nuclei shine in fluorescence and are dark in stained tissue; one MR sequence shows bright what
another shows dark. A model of the one finds nothing in the other, and unlearns for long before it
learns. But images are centred on zero before a network sees them, so a network whose first filters
change their sign sees the negative of every image: what it knows of shapes is of use at once
(docs/decisions/0067).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from napari_swin_umamba.plan import Plan
from swin_umamba_training.transfer import input_weights

__all__ = ["match_polarity"]

_CENTRED = ("zscore", "percentile")
_CLEARLY = 0.8
"""The negatives' loss is below this share of the images' own."""


@torch.no_grad()
def match_polarity(
    network: torch.nn.Module,
    plan: Plan,
    patches: Iterable[tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    device: torch.device,
) -> tuple[str, ...]:
    """Let a network see negatives, if it knows more about them than about the images themselves.

    Parameters
    ----------
    network
        With a model's weights, all its outputs included; on `device`. Changed in place.
    plan
        Of the run.
    patches
        Some training patches: images ``(C, h, w)`` and targets ``(h, w)``.
    loss
        Of logits ``(1, K, h, w)`` and targets ``(1, h, w)``.
    device
        Where to compute.

    Returns
    -------
    tuple of str
        What was done, for people; empty if nothing was.
    """
    if any(channel.normalization.scheme not in _CENTRED for channel in plan.channels):
        return ()
    training = network.training
    network.eval()
    losses = {1: 0.0, -1: 0.0}
    for patch in patches:
        image, target = (part.to(device)[None] for part in patch)
        for sign in losses:
            output = network(sign * image)
            logits = output[0] if isinstance(output, list | tuple) else output
            losses[sign] += float(loss(logits.float(), target))
    network.train(training)
    if not all(map(math.isfinite, losses.values())) or losses[-1] >= _CLEARLY * losses[1]:
        return ()
    weights = network.state_dict()
    for name in input_weights(plan.architecture):
        weights[name].neg_()
    note = "the start model knows the negatives of these images: its first filters changed sign"
    return (note,)
