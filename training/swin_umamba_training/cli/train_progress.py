"""What ``swin-umamba train`` shows while it runs."""

from __future__ import annotations

from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from swin_umamba_training.cli.comparison import print_comparison
from swin_umamba_training.cli.shared import console

__all__ = ["TrainingProgress"]


class TrainingProgress:
    """Shows the events of a run as a progress bar and a line for each validation."""

    def __init__(self) -> None:
        self._console = console()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[status]}"),
            console=self._console,
            disable=not self._console.is_terminal,  # a log file gets lines, no bars
        )
        self._task = TaskID(0)

    def __enter__(self) -> TrainingProgress:
        self._progress.start()
        self._task = self._progress.add_task("reading the data set", total=None, status="")
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def on_event(self, event: dict[str, Any]) -> None:
        """Show an event; see :mod:`swin_umamba_training.events`."""
        kind = event["event"]
        if kind == "start":
            self._print_start(event)
        elif kind == "slices":
            status = f"{event['case']} ({event['done']} of {event['total']})"
            self._progress.update(self._task, description="preparing slices", status=status)
        elif kind == "download":
            self._show_download(event)
        elif kind == "step":
            status = f"step {event['step']:,}  loss {event['loss']:.3f}"
            self._progress.update(self._task, completed=event["progress"], status=status)
        elif kind == "trouble":
            self._console.print(f"step {event['step']:,}: {event['message']}", markup=False)
        elif kind == "validation":
            self._console.print(_validation_line(event), markup=False)
        elif kind == "comparing":
            status = f"{event['done']} of {event['total']} slices"
            self._progress.update(self._task, description="comparing models", status=status)
        elif kind == "comparison":
            print_comparison(event, self._console)
        elif kind == "done":
            self._progress.update(self._task, completed=1.0)
            ending = _ENDINGS.get(event["reason"], "")
            self._console.print(f"{event['step']:,} steps in {event['seconds']:.0f} s{ending}")

    def _show_download(self, event: dict[str, Any]) -> None:
        if event["note"]:
            self._console.print(event["note"], markup=False)
        done, total = event["done"], event["total"]
        status = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
        name = "downloading weights"
        self._progress.update(
            self._task, total=total, completed=done, description=name, status=status
        )

    def _print_start(self, event: dict[str, Any]) -> None:
        height, width = event["patch"]
        self._console.print(
            f"{event['arch']} on {event['device']}: {event['training_images']} training and "
            f"{event['validation_images']} validation images; classes "
            f"{', '.join(event['classes'])}; recipe {event['recipe']}: {event['steps']:,} steps of "
            f"{event['batch']} patches of {height} x {width}, {event['precision']}",
            markup=False,
        )
        if event["resumed"]:
            self._console.print(f"goes on after step {event['resumed']:,}")
        for note in event["notes"]:
            self._console.print(f"note: {note}", markup=False)
        self._progress.update(
            self._task, total=1.0, completed=0.0, description="training", status=""
        )


_ENDINGS = {"stopped": ", stopped as asked", "early": ", stopped: it got no better any more"}


def _validation_line(event: dict[str, Any]) -> str:
    line = f"step {event['step']:>6,}  loss {event['loss']:.3f}"
    if "score" in event:
        scores = "  ".join(f"{name} {value:.3f}" for name, value in event["dice"].items())
        line += f"  validation {event['val_loss']:.3f}  Dice: {scores}"
    if "f1" in event:
        line += f"  F1 {event['f1']:.3f}"
    return line + ("  (best so far)" if event["best"] else "")
