"""Where a training stands, as its events tell. Plain values; no Qt, no files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from napari_swin_umamba.project import Comparison

__all__ = ["Phase", "TrainingState"]

Phase = Literal["starting", "preparing", "training", "comparing", "done", "failed"]


@dataclass
class TrainingState:
    """Changed by :meth:`take` alone."""

    phase: Phase = "starting"
    detail: str = ""
    """What is being prepared or compared: ``3 of 8``."""
    progress: float = 0.0
    """Of the training, between 0 and 1."""
    seconds: float = 0.0
    """That it took so far."""
    step: int = 0
    steps: int | None = None
    device: str = ""
    arch: str = ""
    classes: tuple[str, ...] = ()
    training_slices: int = 0
    held_out_slices: int = 0
    notes: tuple[str, ...] = ()
    losses: list[tuple[float, float]] = field(default_factory=list)
    """Step and loss."""
    dice: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """By class: step and Dice on held-out slices."""
    best_step: int | None = None
    troubles: list[str] = field(default_factory=list)
    comparison: Comparison | None = None
    model_name: str = ""
    """Of the new model in the project: ``v4``."""
    model_number: int | None = None
    not_compared: str = ""
    """Why the model could not be compared or kept."""
    reason: str = ""
    """Why the training ended."""
    message: str = ""
    """Why it failed."""
    failure: str = ""
    """Kind of the failure: ``input``, ``memory``, ``numbers``, ``interrupted``, ``error``."""
    live_step: int | None = None
    """Step of the newest weights on disk."""
    log: list[str] = field(default_factory=list)
    """A line for each event that a person may want to read."""

    @property
    def over(self) -> bool:
        """Whether the training said that it ended."""
        return self.phase in ("done", "failed")

    @property
    def seconds_left(self) -> float | None:
        """Estimate for the training; None before there is one."""
        if self.phase != "training" or self.progress <= 0.01:
            return None
        return self.seconds / self.progress * (1 - self.progress)

    def take(self, event: dict[str, Any]) -> None:
        """Take an event; one that is incomplete or unknown changes nothing."""
        action = getattr(self, f"_on_{event['event']}", None)
        if action is None:
            return
        try:
            action(event)
        except (KeyError, TypeError, ValueError):  # of another version
            return

    def _on_download(self, event: dict[str, Any]) -> None:
        self.detail = f"{event['done'] / 1e6:.0f} of {event['total'] / 1e6:.0f} MB"
        self.phase = "preparing"

    def _on_slices(self, event: dict[str, Any]) -> None:
        self.phase, self.detail = "preparing", f"{event['done'] + 1} of {event['total']}"

    def _on_start(self, event: dict[str, Any]) -> None:
        resumed = int(event.get("resumed") or 0)
        steps, classes = event["steps"], tuple(event["classes"])
        self.device, self.arch = event["device"], event["arch"]
        self.losses = [point for point in self.losses if point[0] <= resumed]
        self.dice = {
            name: [point for point in points if point[0] <= resumed]
            for name, points in self.dice.items()
        }
        self.phase, self.detail, self.message, self.reason = "training", "", "", ""
        self.failure = ""
        self.step, self.steps, self.classes = resumed, steps, classes
        self.progress = resumed / max(1, steps or 1)
        self.training_slices = event["training_images"]
        self.held_out_slices = event["validation_images"]
        self.notes = tuple(event["notes"])
        self.comparison, self.not_compared = None, ""
        went_on = f", goes on after step {resumed:,}" if resumed else ""
        self.log.append(
            f"{self.arch} on {self.device}: {self.training_slices} slices to learn from, "
            f"{self.held_out_slices} held out{went_on}"
        )
        self.log.extend(f"note: {note}" for note in self.notes)

    def _on_step(self, event: dict[str, Any]) -> None:
        self.losses.append((event["step"], event["loss"]))
        self.progress, self.seconds = event["progress"], event["seconds"]
        self.phase, self.step = "training", event["step"]

    def _on_live(self, event: dict[str, Any]) -> None:
        self.live_step = event["step"]

    def _on_trouble(self, event: dict[str, Any]) -> None:
        self.troubles.append(event["message"])
        self.log.append(f"step {event['step']:,}: {event['message']}")

    def _on_validation(self, event: dict[str, Any]) -> None:
        self.step = event["step"]  # events of steps are thinned out
        self.progress = max(self.progress, self.step / max(1, self.steps or 1))
        line = f"step {event['step']:,}: loss {event['loss']:.3f}"
        for name, value in event.get("dice", {}).items():
            self.dice.setdefault(name, []).append((event["step"], value))
            line += f", {name} {value:.3f}"
        if event["best"]:
            self.best_step = event["step"]
            line += " (best so far)"
        self.log.append(line)

    def _on_comparing(self, event: dict[str, Any]) -> None:
        self.detail = f"{event['done']} of {event['total']}"
        self.phase, self.progress = "comparing", 1.0

    def _on_comparison(self, event: dict[str, Any]) -> None:
        if "outcome" not in event:
            self.not_compared = event["message"]
            return
        self.comparison = Comparison.model_validate(event)
        self.model_name, self.model_number = event["name"], event["number"]

    def _on_done(self, event: dict[str, Any]) -> None:
        self.step, self.seconds = event["step"], event["seconds"]
        self.phase, self.reason, self.progress = "done", event["reason"], 1.0
        self.log.append(f"{event['step']:,} steps in {event['seconds']:.0f} s")

    def _on_failed(self, event: dict[str, Any]) -> None:
        self.phase, self.message = "failed", event["message"]
        self.failure = event.get("kind", "error")
        self.log.append(f"failed: {event['message']}")
