"""What a run leaves behind while it goes on: events, scores, report, the best model."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback

from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import atomic_path
from swin_umamba_training.checkpointing import save_state
from swin_umamba_training.clock import Interruption, RunClock
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.curves import plot_curves
from swin_umamba_training.events import EventLog
from swin_umamba_training.live import LiveWeights
from swin_umamba_training.module import SegmentationModule
from swin_umamba_training.ranks import broadcast, is_main_process
from swin_umamba_training.report import Provenance, write_report
from swin_umamba_training.run_folder import RunFolder
from swin_umamba_training.validation import ValidationScores, Worst, is_about_numbers

__all__ = ["RunRecorder", "Validate"]

Validate = Callable[[], ValidationScores]


class RunRecorder(Callback):
    """Counts steps, has the model scored, writes a run's files, and ends the run.

    With several processes, the first one writes and decides; the others do what it says.

    Parameters
    ----------
    folder, clock, config
        Of this run.
    model
        What is saved whenever it is the best; its network is the one in training.
    validate
        Scores the network; None without validation images.
    provenance
        For the report.
    start
        ``notes`` and ``origin`` of the start weights, to be known when the run is resumed.
    on_start
        Called when all processes are joined, before the first step.
    """

    def __init__(
        self,
        folder: RunFolder,
        clock: RunClock,
        config: TrainConfig,
        model: Model,
        validate: Validate | None,
        provenance: Provenance,
        start: dict[str, Any],
        on_start: Callable[[], None],
    ) -> None:
        self._folder = folder
        self.event_log: EventLog | None = None
        """Where events go; None in processes other than the first."""
        self._on_start = on_start
        self._clock = clock
        self._config = config
        self._model = model
        self._validate = validate
        self._provenance = provenance
        self._start = start
        self._interruption = Interruption()
        self._live = LiveWeights(folder)
        self._rows: list[dict[str, float | int]] = []
        self._losses: list[float] = []
        self._worst: list[dict[str, Any]] = []
        self._intervals: dict[str, list[float]] = {}
        self._without_gain = 0
        self._curves = b""
        self.best: float | None = None
        """Score of the saved model; None without validation images."""
        self.reason = ""
        """Why the run ended."""

    @property
    def interruption(self) -> Interruption:
        """Listens to signals."""
        return self._interruption

    def tell(self, event: str, **fields: Any) -> None:
        """Write an event, in the first process.

        Parameters
        ----------
        event, **fields
            As for :meth:`EventLog.write`.
        """
        if self.event_log is not None:
            self.event_log.write(event, **fields)

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Begin."""
        self._interruption.take_over()
        self._on_start()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Record a step, validate if it is due, and see whether it was the last."""
        assert isinstance(pl_module, SegmentationModule)
        learning_rate = pl_module.learning_rate
        self._clock.step += 1
        loss = float(outputs["loss"])
        if outputs["verdict"] == "good":
            self._losses.append(loss)
            self.tell(
                "step",
                step=self._clock.step,
                loss=round(loss, 5),
                learning_rate=learning_rate,
                progress=round(self._clock.progress, 4),
                seconds=round(self._clock.seconds, 1),
            )
        if is_main_process() and self._live.step_done(self._model):
            self.tell("live", step=self._clock.step)
        reason = broadcast(self._reason_to_end())
        if reason == "interrupted":
            self._leave(pl_module)
        elif reason or self._clock.validation_is_due:
            self._record(pl_module)
            reason = reason or self._reason_to_give_up
        if reason:
            self.reason = reason
            trainer.should_stop = True

    def _reason_to_end(self) -> str | None:
        if self._interruption.signal is not None:
            return "interrupted"
        return "stopped" if self._folder.stop.exists() else self._clock.reason_to_end

    @property
    def _reason_to_give_up(self) -> str | None:
        patience = self._config.recipe.length.early_stop
        return "early" if patience and self._without_gain >= patience else None

    @property
    def over(self) -> str | None:
        """Why there is nothing left to do in a run that is to go on; None if there is."""
        if self._clock.steps is None:  # it has not begun
            return None
        return self._clock.reason_to_end or self._reason_to_give_up

    def _leave(self, module: SegmentationModule) -> None:
        """Save what there is, quickly: whoever sends SIGTERM may not wait for a validation."""
        module.remember()
        if not self._rows:
            self._save_best(None)
        self._save(module)

    def _record(self, module: SegmentationModule) -> None:
        scores = None
        if self._validate is not None:
            try:
                scores = self._validate()
            except InputError as error:
                if not is_about_numbers(error):
                    raise
                module.spoilt("the network yields no numbers")
                return
        row: dict[str, float | int] = {
            "step": self._clock.step,
            "seconds": round(self._clock.seconds, 1),
            "learning_rate": module.learning_rate,
            "train_loss": sum(self._losses) / max(1, len(self._losses)),
        }
        event: dict[str, Any] = {"step": row["step"], "loss": row["train_loss"], "best": True}
        self._losses = []
        if scores is not None:
            row |= {"val_loss": scores.loss}
            row |= {f"dice_{name}": value for name, value in scores.dice.items()}
            event |= {"val_loss": scores.loss, "score": scores.score, "dice": scores.dice}
            if scores.f1 is not None:
                row["f1"] = event["f1"] = scores.f1
            # Of equals the later one, which was trained for longer.
            event["best"] = self.best is None or scores.score >= self.best
            better = self.best is None or scores.score > self.best
            if better:
                self._without_gain = 0
            elif self._clock.validation_is_due:  # not one that a stop brought about
                self._without_gain += 1
            event["intervals"] = {k: list(v) for k, v in scores.intervals().items()}
        self._rows.append(row)
        module.remember()
        if event["best"]:
            self.best = event.get("score")
            self._intervals = event.get("intervals", {})
            self._worst = [vars(item) for item in scores.worst] if scores else []
            self._save_best(event)
        self._save(module)
        self.write_tables()
        self.tell("validation", **event)

    def _save_best(self, event: dict[str, Any] | None) -> None:
        event = event or {"step": self._clock.step}
        scores = {f"dice {name}": value for name, value in event.get("dice", {}).items()}
        if "f1" in event:
            scores["f1@0.5"] = event["f1"]
        training = {**self._model.info.training, "step": event["step"], "steps": self._clock.steps}
        self._model.info = self._model.info.model_copy(
            update={"scores": scores, "training": training}
        )
        if is_main_process():
            self._model.save(self._folder.model)

    def _save(self, module: SegmentationModule) -> None:
        if is_main_process():
            state = {**module.good, "guard": module.guard.state_dict(), **self.state()}
            save_state(self._folder.last, state)

    def write_tables(self) -> None:
        """Write scores, curves and report of what is known so far."""
        if not (self._rows and is_main_process()):
            return
        with (
            atomic_path(self._folder.scores, overwrite=True) as path,
            path.open("w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.DictWriter(file, fieldnames=list(self._rows[0]))
            writer.writeheader()
            writer.writerows(self._rows)
        self._curves = plot_curves(self._rows)
        with atomic_path(self._folder.curves, overwrite=True) as path:
            path.write_bytes(self._curves)
        self.write_report()

    def write_report(self) -> None:
        """Write ``report.html`` of what is known so far."""
        if not (self._rows and is_main_process()):
            return
        worst = [Worst(**item) for item in self._worst]
        with atomic_path(self._folder.report, overwrite=True) as path:
            write_report(
                path,
                last=self._rows[-1],
                curves=self._curves or plot_curves(self._rows),
                scores=self._model.info.scores,
                intervals=self._intervals,
                worst=worst,
                config=self._config,
                plan=self._model.plan,
                provenance=self._provenance,
                reason=self.reason,
            )

    def state(self) -> dict[str, Any]:
        """What a resumed run goes on with, weights and optimiser aside."""
        return {
            "clock": self._clock.state_dict(),
            "best": self.best,
            "best_scores": dict(self._model.info.scores),
            "best_step": self._model.info.training.get("step"),
            "rows": self._rows,
            "losses": self._losses,
            "worst": self._worst,
            "intervals": self._intervals,
            "without_gain": self._without_gain,
            "data": self._provenance.data_hash,
            "validation": [sample.name for sample in self._provenance.parts[1]],
            "start": self._start,
            "plan": self._model.plan.model_dump_json(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`.

        Parameters
        ----------
        state
            As read from ``last.ckpt``.
        """
        self._clock.load_state_dict(state["clock"])
        self.best = state["best"]
        self._rows, self._losses = state["rows"], state["losses"]
        self._worst, self._intervals = state["worst"], state["intervals"]
        self._without_gain = state["without_gain"]
        training = self._model.info.training
        if state["best_step"] is not None:
            training = {**training, "step": state["best_step"], "steps": self._clock.steps}
        self._model.info = self._model.info.model_copy(
            update={"scores": state["best_scores"], "training": training}
        )
