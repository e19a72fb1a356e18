"""The Lightning module: loss and optimiser of a training step, scores of a validation image."""

from __future__ import annotations

import math
from collections.abc import Callable

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_swin_umamba.errors import InputError, is_out_of_memory
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.segmentation import instances_from_boundary, predict_logits
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.losses import DeepSupervisionLoss, DiceCrossEntropy
from swin_umamba_training.metrics import InstanceScore, instance_f1
from swin_umamba_training.targets import IGNORE, boundary_target

__all__ = ["SegmentationModule", "TrainingDiverged", "ValidationScores", "cosine_schedule"]

_FLOOR = 0.01
"""Learning rate at the end, relative to its peak (the paper's 1e-6 to 1e-4)."""


class TrainingDiverged(RuntimeError):
    """The network no longer yields numbers. The best model up to then is kept.

    Parameters
    ----------
    what
        What was seen.
    step
        After how many steps.
    """

    def __init__(self, what: str, step: int) -> None:
        super().__init__(
            f"training diverged: {what} after step {step}; "
            "use a lower learning rate (--learning-rate)"
        )


def cosine_schedule(progress: float, warmup: float) -> float:
    """Learning rate relative to its peak: a linear rise, then half a cosine.

    Parameters
    ----------
    progress
        Share of the run that is over, in [0, 1].
    warmup
        Share of the run in which it rises.
    """
    if progress < warmup:
        return max(progress / warmup, _FLOOR)
    done = (progress - warmup) / max(1.0 - warmup, 1e-9)
    return _FLOOR + (1.0 - _FLOOR) * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))


class SegmentationModule(lightning.LightningModule):
    """A network in training.

    Parameters
    ----------
    network
        With deep supervision: ``(B, C, H, W)`` to a list of logits, finest first.
    plan
        Classes, patch and kind of output.
    config
        Optimiser and seed.
    progress
        Tells which share of the run is over, in [0, 1].
    """

    def __init__(
        self,
        network: torch.nn.Module,
        plan: Plan,
        config: TrainConfig,
        progress: Callable[[], float],
    ) -> None:
        super().__init__()
        self.network = network
        self._plan = plan
        self._config = config
        self._progress = progress
        self._peak = config.peak_learning_rate(plan.architecture)
        self._loss = DeepSupervisionLoss()
        self._validation_loss = DiceCrossEntropy()
        self.validation = ValidationScores(plan)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW on all weights, as in the paper's code."""
        return torch.optim.AdamW(
            self.network.parameters(),
            lr=self._peak,
            betas=(0.9, 0.999),
            eps=1e-5,
            weight_decay=self._config.weight_decay,
        )

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step."""
        return self._peak * cosine_schedule(self._progress(), self._config.warmup)

    def on_train_batch_start(self, batch: object, batch_idx: int) -> None:
        """Set learning rate and random state: drop path depends on (seed, step) alone."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        for group in optimizer.param_groups:
            group["lr"] = self.learning_rate
        state = np.random.SeedSequence([self._config.seed, self.global_step, self.global_rank])
        torch.manual_seed(int(state.generate_state(1, np.uint64)[0]) >> 1)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Loss of a batch: images ``(B, C, h, w)`` and targets ``(B, h, w)``."""
        images, target = batch
        loss: Tensor = self._loss(self.network(images), target)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Forget the images of the last validation."""
        self.validation.reset()

    def validation_step(
        self, batch: tuple[NDArray[np.float32], NDArray[np.int32]], batch_idx: int
    ) -> None:
        """Score one whole image ``(C, Y, X)`` against its labels ``(Y, X)``."""
        image, labels = batch
        try:
            logits = predict_logits(self.network, image, self._plan.patch, device=self.device)
        except InputError as error:
            if error.__cause__ is not None and is_out_of_memory(error.__cause__):
                raise
            raise TrainingDiverged("the network yields no numbers", self.global_step) from error
        target = boundary_target(labels) if self._plan.output == "boundary" else labels
        classes = torch.from_numpy(np.asarray(target, np.int64))
        scores = torch.as_tensor(logits)
        loss = float(self._validation_loss(scores[None], classes[None]))
        self.validation.add(scores.softmax(0).numpy(), np.asarray(target), labels, loss)


class ValidationScores:
    """Sums over the images of one validation.

    Parameters
    ----------
    plan
        Classes, and whether objects are numbered.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.reset()

    def reset(self) -> None:
        """Forget the images seen."""
        self._losses: list[float] = []
        self._overlap = np.zeros(self._plan.num_classes)
        self._size = np.zeros(self._plan.num_classes)
        self._instances = InstanceScore(0, 0, 0)

    def add(
        self,
        probabilities: NDArray[np.float32],
        target: NDArray[np.integer],
        labels: NDArray[np.int32],
        loss: float,
    ) -> None:
        """Count one image.

        Parameters
        ----------
        probabilities
            ``(classes, Y, X)``.
        target, labels
            ``(Y, X)``: true classes; object numbers if the plan numbers objects.
        loss
            Of this image.
        """
        predicted = probabilities.argmax(0)
        for index in range(self._plan.num_classes):
            found, true = predicted == index, target == index
            found &= target != IGNORE
            self._overlap[index] += np.logical_and(found, true).sum()
            self._size[index] += found.sum() + true.sum()
        self._losses.append(loss)
        if self._plan.output == "boundary":
            objects = instances_from_boundary(probabilities, self._plan.min_object_pixels)
            self._instances += instance_f1(objects, labels)

    @property
    def loss(self) -> float:
        """Mean loss of the images."""
        return float(np.mean(self._losses))

    @property
    def dice(self) -> dict[str, float]:
        """Dice of each foreground class over the pixels of all images; 1 if it is nowhere."""
        return {
            item.name: float(2 * self._overlap[item.id] / self._size[item.id])
            if self._size[item.id]
            else 1.0
            for item in self._plan.classes[1:]
        }

    @property
    def f1(self) -> float | None:
        """F1 of the objects at IoU 0.5, over all images; None if the plan numbers none."""
        return self._instances.f1 if self._plan.output == "boundary" else None

    @property
    def score(self) -> float:
        """What the best model is chosen by: F1 of objects, or else mean Dice of the classes."""
        return float(np.mean(list(self.dice.values()))) if self.f1 is None else self.f1
