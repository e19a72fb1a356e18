"""The Lightning module: one training step, and what is done when its numbers are none."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor

from napari_swin_umamba.network.blocks import DropPath
from napari_swin_umamba.plan import Plan
from swin_umamba_training.checkpointing import snapshot
from swin_umamba_training.clock import RunClock
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.losses import DeepSupervisionLoss, make_loss
from swin_umamba_training.numerics import NumberGuard, Verdict
from swin_umamba_training.optimization import (
    frozen_steps,
    make_optimizer,
    relative_rate,
    set_frozen,
)
from swin_umamba_training.ranks import rank

__all__ = ["SegmentationModule", "TrainingDiverged"]

_DROP_PATH = 3  # keeps this random stream apart from those of sampling


class TrainingDiverged(RuntimeError):
    """The network yields no numbers, whatever was tried. The best model up to then is kept.

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


class SegmentationModule(lightning.LightningModule):
    """A network in training.

    Lightning's loop calls :meth:`training_step`, which also steps the optimiser ("manual
    optimization"): whether a step is made depends on its loss and gradient.

    Parameters
    ----------
    network
        With deep supervision: ``(B, C, H, W)`` to a list of logits, finest first.
    plan
        Classes, patch and kind of output.
    config
        Optimiser, schedule, loss and seed.
    clock
        Which step it is.
    device
        Where the network is trained.
    tell
        Called as ``tell(event, **fields)`` when something out of the way happens.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        plan: Plan,
        config: TrainConfig,
        clock: RunClock,
        device: torch.device,
        tell: Callable[..., None] = lambda event, **fields: None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = network
        self.guard = NumberGuard(config.recipe.precision, device)
        self.adamw = make_optimizer(
            network, config.recipe.optimizer, config.peak_learning_rate(plan.architecture)
        )
        self.good: dict[str, Any] = {}
        """Weights and optimiser that training goes back to; see :meth:`remember`."""
        self._config = config
        self._clock = clock
        self._tell = tell
        self._peak = config.peak_learning_rate(plan.architecture)
        loss = make_loss(config.recipe.loss, plan.output)
        self._loss = DeepSupervisionLoss(config.recipe.loss, loss)
        self._drop_paths = [m for m in network.modules() if isinstance(m, DropPath)]
        self._frozen: bool | None = None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW on all weights."""
        return self.adamw

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next step, the encoder's own factor aside."""
        relative = relative_rate(self._clock.step, self._clock.total, self._config.recipe.schedule)
        return self._peak * self.guard.rate * relative

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:
        """Make a step, or leave it out.

        Parameters
        ----------
        batch
            Images ``(B, C, h, w)`` and targets ``(B, h, w)`` of this process.
        batch_idx
            Lightning's count, which is not used: it begins anew when a run is resumed.

        Returns
        -------
        dict
            ``loss`` of the batch over all processes, ``verdict`` of the guard.

        Raises
        ------
        TrainingDiverged
            Nothing that can be changed by itself helps any more.
        """
        self._prepare(len(batch[0]))
        loss = self._backward(batch)
        parameters = [p for p in self.network.parameters() if p.grad is not None]
        if self.guard.scale != 1.0:
            for parameter in parameters:
                assert parameter.grad is not None
                parameter.grad.div_(self.guard.scale)
        clip = self._config.recipe.optimizer.clip
        norm = torch.nn.utils.clip_grad_norm_(parameters, clip or math.inf)
        before = self.guard.format
        verdict = self.guard.judge(loss, float(norm))
        if verdict == "good":
            self._step()
        else:
            self._react(verdict, f"loss {loss:.3g}, gradient {float(norm):.3g}", before)
        return {"loss": torch.tensor(loss), "verdict": verdict}

    def _backward(self, batch: tuple[Tensor, Tensor]) -> float:
        """Compute gradients, and return the loss of the batch."""
        images, target = batch
        self.adamw.zero_grad(set_to_none=True)
        with self.guard.autocast():
            outputs = self.network(images)
        loss = self._loss(outputs, target)
        self.manual_backward(loss * self.guard.scale)
        return float(loss.detach())

    def _step(self) -> None:
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        optimizer.step()

    def _prepare(self, samples: int) -> None:
        """Set what depends on the step: learning rates, frozen weights, drop path."""
        for group in self.adamw.param_groups:
            group["lr"] = self.learning_rate * group["factor"]
        freeze = self._config.recipe.freeze
        frozen = self._clock.step < frozen_steps(self._clock.total, freeze)
        if frozen is not self._frozen:
            set_frozen(self.network, frozen, freeze)
            self._frozen = frozen
        first = rank() * samples
        draws = np.stack(
            [
                np.random.default_rng(
                    [self._config.seed, _DROP_PATH, self._clock.step, first + sample]
                ).random(len(self._drop_paths), np.float32)
                for sample in range(samples)
            ]
        )
        for index, module in enumerate(self._drop_paths):
            module.draws = torch.from_numpy(draws[:, index].copy()).to(self.device)

    def remember(self) -> None:
        """Take the present weights for good."""
        self.good = snapshot(self.network, self.adamw)

    def spoilt(self, what: str) -> None:
        """React to weights that a validation found to yield no numbers.

        Parameters
        ----------
        what
            What was seen.

        Raises
        ------
        TrainingDiverged
            As :meth:`training_step`.
        """
        before = self.guard.format
        verdict = self.guard.react_to_nonsense()
        self._react(verdict, what, before)
        if verdict == "raise":  # the weights are spoilt, whatever the precision
            self._go_back()

    def _react(self, verdict: Verdict, what: str, before: str) -> None:
        step = self._clock.step
        if verdict == "diverged":
            raise TrainingDiverged(what, step)
        if verdict == "rollback":
            self._go_back()
        self._tell(
            "trouble",
            step=step + 1,
            message=f"{what}: {_ACTIONS[verdict].format(before, self.guard.format)}",
            action=verdict,
            precision=self.guard.format,
            rate_factor=self.guard.rate,
            skipped=self.guard.skipped,
        )

    def _go_back(self) -> None:
        self.network.load_state_dict(self.good["network"])
        self.adamw.load_state_dict(self.good["optimizer"])

    def rehearse(self, images: Tensor) -> None:
        """Compute a step without making it: kernels are compiled, and its time can be taken.

        Parameters
        ----------
        images
            ``(B, C, h, w)``, on the device.
        """
        with self.guard.autocast():
            outputs = self.network(images)
        loss = torch.stack([output.float().square().mean() for output in outputs]).sum()
        loss.backward()
        self.network.zero_grad(set_to_none=True)


_ACTIONS = {
    "skip": "the step is left out",
    "raise": "{0} is too coarse here, {1} from now on",
    "rollback": "back to the last good weights, with a tenth of the learning rate",
}
