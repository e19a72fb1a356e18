"""Where a training stands, in words. Without Qt."""

from __future__ import annotations

from napari_swin_umamba.plugin.annotate.training_state import TrainingState
from napari_swin_umamba.plugin.words import duration

__all__ = ["progress_words"]


def progress_words(state: TrainingState, stopping: bool = False) -> str:
    """A line below the bar.

    Parameters
    ----------
    state
        Of the training.
    stopping
        It was asked to end.
    """
    if state.phase == "comparing":
        return f"Comparing with the model before, {state.detail}…"
    if stopping:
        return "Stopping: the model is looked at a last time…"
    if state.phase == "starting":
        return "Starting…"
    if state.phase == "preparing":
        return f"Preparing, {state.detail}…"
    if state.phase in ("done", "failed"):
        return "Ending…"
    parts = []
    if (left := state.seconds_left) is not None:
        parts.append(f"{duration(left)} left")
    if state.steps:
        parts.append(f"step {state.step:,} of {state.steps:,}")
    if state.device:
        parts.append({"cpu": "CPU", "cuda": "GPU", "mps": "GPU"}.get(state.device, state.device))
    return " · ".join(parts)
