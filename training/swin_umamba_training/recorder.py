"""What a run leaves behind while it goes on: events, scores, curves, the best model."""

from __future__ import annotations

import csv
import math
import time
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.files import atomic_path
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.curves import plot_curves
from swin_umamba_training.events import EventLog
from swin_umamba_training.module import SegmentationModule, TrainingDiverged
from swin_umamba_training.run_folder import RunFolder

__all__ = ["RunClock", "RunRecorder"]


class RunClock:
    """How far a run is, by steps or by minutes, whichever is further.

    Parameters
    ----------
    config
        Its length.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._steps = config.max_steps
        self._limit = config.minutes * 60 if config.minutes else math.inf
        self._begin = time.monotonic()
        self.step = 0
        """Optimiser steps made."""

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._begin

    @property
    def progress(self) -> float:
        """Share of the run that is over, in [0, 1]."""
        return min(1.0, max(self.step / self._steps, self.seconds / self._limit))

    @property
    def reason_to_end(self) -> str | None:
        """``steps`` or ``minutes`` if the run is over, else None."""
        if self.step >= self._steps:
            return "steps"
        return "minutes" if self.seconds >= self._limit else None


class RunRecorder(Callback):
    """Writes a run's files as it goes, and ends it.

    Parameters
    ----------
    folder, log, clock, config
        Of this run.
    model
        What is saved whenever it is the best; its network is the one in training.
    """

    def __init__(
        self,
        folder: RunFolder,
        log: EventLog,
        clock: RunClock,
        config: TrainConfig,
        model: Model,
    ) -> None:
        self._folder = folder
        self._log = log
        self._clock = clock
        self._config = config
        self._model = model
        self._rows: list[dict[str, float | int]] = []
        self._losses: list[float] = []
        self.best: float | None = None
        """Score of the saved model; None without validation images."""
        self.reason = ""
        """Why the run ended."""

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Record a step, and see whether it was the last."""
        assert isinstance(pl_module, SegmentationModule)
        loss = float(outputs["loss"])
        self._clock.step = trainer.global_step
        if not math.isfinite(loss):
            raise TrainingDiverged(f"the loss is {loss}", trainer.global_step)
        self._losses.append(loss)
        self._log.write(
            "step",
            step=trainer.global_step,
            loss=round(loss, 5),
            learning_rate=pl_module.learning_rate,
            progress=round(self._clock.progress, 4),
            seconds=round(self._clock.seconds, 1),
        )
        reason = "stopped" if self._folder.stop.exists() else self._clock.reason_to_end
        if reason:
            self.reason = reason
            trainer.should_stop = True  # Lightning validates once more before it ends
        has_validation = bool(trainer.val_dataloaders)
        if not has_validation and (
            reason or trainer.global_step % self._config.steps_between_validations == 0
        ):
            self._record(trainer, pl_module, validated=False)

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Record the scores, and keep the model if it is the best."""
        assert isinstance(pl_module, SegmentationModule)
        self._record(trainer, pl_module, validated=True)

    def state_dict(self) -> dict[str, Any]:
        """What the last checkpoint needs beside Lightning's own, to go on."""
        return {
            "best": self.best,
            "seconds": self._clock.seconds,
            "rows": self._rows,
            "config": self._config.model_dump(mode="json"),
            "plan": self._model.plan.model_dump(mode="json"),
        }

    def _record(
        self, trainer: lightning.Trainer, module: SegmentationModule, validated: bool
    ) -> None:
        row: dict[str, float | int] = {
            "step": trainer.global_step,
            "seconds": round(self._clock.seconds, 1),
            "learning_rate": module.learning_rate,
            "train_loss": sum(self._losses) / max(1, len(self._losses)),
        }
        event: dict[str, Any] = {"step": row["step"], "loss": row["train_loss"], "best": True}
        self._losses = []
        if validated:
            scores = module.validation
            row |= {"val_loss": scores.loss}
            row |= {f"dice_{name}": value for name, value in scores.dice.items()}
            event |= {"val_loss": scores.loss, "score": scores.score, "dice": scores.dice}
            if scores.f1 is not None:
                row["f1"] = event["f1"] = scores.f1
            # Of equals the later one, which was trained for longer.
            event["best"] = self.best is None or scores.score >= self.best
        if event["best"]:
            self._save_best(event)
        self._rows.append(row)
        self._write_tables(trainer)
        self._log.write("validation", **event)

    def _save_best(self, event: dict[str, Any]) -> None:
        self.best = event.get("score")
        scores = {f"dice {name}": value for name, value in event.get("dice", {}).items()}
        if "f1" in event:
            scores["f1@0.5"] = event["f1"]
        training = {**self._model.info.training, "step": event["step"]}
        self._model.info = self._model.info.model_copy(
            update={"scores": scores, "training": training}
        )
        self._model.save(self._folder.model)

    def _write_tables(self, trainer: lightning.Trainer) -> None:
        with (
            atomic_path(self._folder.scores, overwrite=True) as path,
            path.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.DictWriter(file, fieldnames=list(self._rows[0]))
            writer.writeheader()
            writer.writerows(self._rows)
        with atomic_path(self._folder.curves, overwrite=True) as path:
            plot_curves(self._rows, path)
        with atomic_path(self._folder.last, overwrite=True) as path:
            trainer.save_checkpoint(path)
