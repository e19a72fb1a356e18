"""Dice + cross-entropy, on all resolutions of a network with deep supervision.

With several processes, the sums that Dice and cross-entropy are made of are added up over all of
them, so a batch has one loss however it is shared out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from swin_umamba_training.recipe import LossConfig
from swin_umamba_training.targets import IGNORE, MAX_DISTANCE

__all__ = ["DeepSupervisionLoss", "DiceCrossEntropy", "make_loss", "sum_over_ranks"]


class _SumOverRanks(torch.autograd.Function):
    """Sum over processes. Its gradient is as DDP needs it, which averages over them afterwards."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * distributed.get_world_size()


def sum_over_ranks(value: Tensor) -> Tensor:
    """Add a tensor up over all processes that train together; itself if there is one.

    Parameters
    ----------
    value
        Of any shape, the same in all processes. May need a gradient.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    if distributed.get_world_size() == 1:
        return value
    total: Tensor = _SumOverRanks.apply(value)
    return total


class DiceCrossEntropy(nn.Module):
    """Weighted sum of batch Dice loss (without background) and cross-entropy.

    Pixels whose target is :data:`~swin_umamba_training.targets.IGNORE` count in neither. Dice is
    ``1 - (2 TP + s) / (2 TP + FP + FN + s)`` of the soft counts of a class over all pixels of the
    batch, averaged over classes: a class absent from one patch does no harm, and one absent from
    all patches is pushed down only where it is predicted.

    Parameters
    ----------
    config
        Weights and smoothing.
    total
        Adds sums up over processes.
    """

    def __init__(
        self, config: LossConfig | None = None, total: Callable[[Tensor], Tensor] = sum_over_ranks
    ) -> None:
        super().__init__()
        self._config = config or LossConfig()
        self._total = total

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of one resolution.

        Parameters
        ----------
        logits
            ``(B, classes, h, w)``.
        target
            ``(B, h, w)``, int64: classes, or IGNORE.
        """
        config, classes = self._config, logits.shape[1]
        logits = logits.float()
        known = (target != IGNORE).unsqueeze(1)
        truth = functional.one_hot(target.clamp(min=0), classes).movedim(-1, 1) * known
        # The mask goes onto the probabilities: on the logits it would still let them count.
        probabilities = logits.softmax(1) * known
        entropy = functional.cross_entropy(logits, target, ignore_index=IGNORE, reduction="sum")
        sums = torch.cat(
            [
                (probabilities * truth).sum((0, 2, 3)),
                probabilities.sum((0, 2, 3)),
                truth.sum((0, 2, 3)).to(logits.dtype),
                torch.stack([entropy, known.sum().to(logits.dtype)]),
            ]
        )
        sums = self._total(sums)
        overlap, predicted, true = (part[1:] for part in sums[:-2].split(classes))
        dice = (2 * overlap + config.smooth) / (predicted + true + config.smooth)
        loss: Tensor = config.dice * (1 - dice.mean())
        return loss + config.cross_entropy * sums[-2] / sums[-1].clamp(min=1)


class DistanceLoss(nn.Module):
    """:class:`DiceCrossEntropy` of object and background, and the error of distances.

    Parameters
    ----------
    config
        Weights and smoothing.
    total
        Adds sums up over processes.
    """

    def __init__(
        self, config: LossConfig, total: Callable[[Tensor], Tensor] = sum_over_ranks
    ) -> None:
        super().__init__()
        self._config = config
        self._total = total
        self._classes = DiceCrossEntropy(config, total)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of one resolution.

        Parameters
        ----------
        logits
            ``(B, 3, h, w)``: background, object, distance (a sigmoid makes it 0 to 1).
        target
            ``(B, h, w)``, int64, as :func:`~swin_umamba_training.targets.distance_target` codes it.
        """
        known = target != IGNORE
        classes = torch.where(known, (target > 0).long(), IGNORE)
        error = functional.smooth_l1_loss(
            logits[:, 2].float().sigmoid() * known,
            target.clamp(min=0).float() / MAX_DISTANCE,
            reduction="sum",
            beta=0.1,
        )
        sums = self._total(torch.stack([error, known.sum().to(error.dtype)]))
        loss: Tensor = self._classes(logits[:, :2], classes)
        return loss + self._config.distance * sums[0] / sums[1].clamp(min=1)


class DeepSupervisionLoss(nn.Module):
    """Weighted mean of a loss over resolutions, finest first.

    Parameters
    ----------
    config
        Weights of the resolutions.
    loss
        Of one resolution; by default :class:`DiceCrossEntropy`.
    """

    def __init__(self, config: LossConfig | None = None, loss: nn.Module | None = None) -> None:
        super().__init__()
        config = config or LossConfig()
        self._weights = config.deep_supervision
        self._loss = loss or DiceCrossEntropy(config)

    def forward(self, outputs: Sequence[Tensor], target: Tensor) -> Tensor:
        """Loss of all resolutions.

        Parameters
        ----------
        outputs
            Logits ``(B, classes, h_i, w_i)``, finest first.
        target
            ``(B, H, W)``, int64; taken at the nearest pixels for the coarser outputs.
        """
        weights = self._weights[: len(outputs)]
        losses = [
            weight * self._loss(logits, _resize(target, logits.shape[2:]))
            for logits, weight in zip(outputs, weights, strict=False)
            if weight
        ]
        return torch.stack(losses).sum() / sum(weights)


def make_loss(config: LossConfig, output: str, alone: bool = False) -> nn.Module:
    """The loss of one resolution.

    Parameters
    ----------
    config
        Weights and smoothing.
    output
        Of the plan: what the network learns.
    alone
        Of the batch of this process only, though others train along.
    """
    kind = DistanceLoss if output == "distance" else DiceCrossEntropy
    return kind(config, _itself if alone else sum_over_ranks)


def _itself(value: Tensor) -> Tensor:
    return value


def _resize(target: Tensor, size: torch.Size) -> Tensor:
    """Nearest-neighbour resize of ``(B, H, W)``."""
    if target.shape[1:] == size:
        return target
    # float32 holds class numbers exactly
    return functional.interpolate(target[:, None].float(), size, mode="nearest-exact")[:, 0].long()
