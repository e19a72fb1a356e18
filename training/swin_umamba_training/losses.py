"""Dice + cross-entropy, on all resolutions of a network with deep supervision."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.losses.dice import DiceLoss
from torch import Tensor, nn
from torch.nn import functional

from swin_umamba_training.targets import IGNORE

__all__ = ["DeepSupervisionLoss", "DiceCrossEntropy"]

_WEIGHTS = (4.0, 2.0, 1.0, 0.0)
"""Of the outputs, finest first, before they are normalised to sum 1 (the paper's code)."""


class DiceCrossEntropy(nn.Module):
    """Sum of batch Dice loss (without background) and cross-entropy.

    Pixels whose target is :data:`~swin_umamba_training.targets.IGNORE` count in neither.
    """

    def __init__(self) -> None:
        super().__init__()
        # One Dice over all pixels of the batch: a class absent from one patch does no harm.
        self._dice = DiceLoss(include_background=False, batch=True, smooth_nr=1e-5, smooth_dr=1e-5)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of one resolution.

        Parameters
        ----------
        logits
            ``(B, classes, h, w)``.
        target
            ``(B, h, w)``, int64: classes, or IGNORE.
        """
        known = (target != IGNORE).unsqueeze(1)
        classes = target.clamp(min=0)
        truth = functional.one_hot(classes, logits.shape[1]).movedim(-1, 1)
        # The mask goes onto the probabilities: on the logits it would still let them count.
        dice = self._dice(logits.softmax(1) * known, truth * known)
        entropy = functional.cross_entropy(logits, target, ignore_index=IGNORE, reduction="sum")
        loss: Tensor = dice + entropy / known.sum().clamp(min=1)
        return loss


class DeepSupervisionLoss(nn.Module):
    """Weighted mean of :class:`DiceCrossEntropy` over resolutions, 4 : 2 : 1 : 0, finest first."""

    def __init__(self) -> None:
        super().__init__()
        self._loss = DiceCrossEntropy()

    def forward(self, outputs: Sequence[Tensor], target: Tensor) -> Tensor:
        """Loss of all resolutions.

        Parameters
        ----------
        outputs
            Logits ``(B, classes, h_i, w_i)``, finest first.
        target
            ``(B, H, W)``, int64; taken at the nearest pixels for the coarser outputs.
        """
        weights = _WEIGHTS[: len(outputs)]
        losses = [
            weight * self._loss(logits, _resize(target, logits.shape[2:]))
            for logits, weight in zip(outputs, weights, strict=False)
            if weight
        ]
        return torch.stack(losses).sum() / sum(weights)


def _resize(target: Tensor, size: torch.Size) -> Tensor:
    """Nearest-neighbour resize of ``(B, H, W)``."""
    if target.shape[1:] == size:
        return target
    # float32 holds class numbers exactly
    return functional.interpolate(target[:, None].float(), size, mode="nearest-exact")[:, 0].long()
