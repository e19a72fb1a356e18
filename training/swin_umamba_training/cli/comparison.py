"""A comparison of two models, as the command line prints it."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["comparison_table", "print_comparison"]


def print_comparison(event: dict[str, Any], console: Console) -> None:
    """Print the event ``comparison``.

    Parameters
    ----------
    event
        As in ``events.jsonl``.
    console
        Where to.
    """
    from napari_swin_umamba.project import Comparison
    from napari_swin_umamba.project.comparison import verdict_sentence

    if "outcome" not in event:
        console.print(f"the model was not compared: {event['message']}", markup=False)
        return
    comparison = Comparison.model_validate(event)
    if comparison.classes:
        console.print(comparison_table(comparison, event["name"]))
    for note in comparison.notes:
        console.print(f"note: {note}", markup=False)
    console.print(verdict_sentence(comparison, event["name"]), markup=False)


def comparison_table(comparison: Any, name: str) -> Table:
    """Classes, scores before and after, and what follows.

    Parameters
    ----------
    comparison
        A :class:`napari_swin_umamba.project.Comparison`.
    name
        Of the new model.
    """
    from napari_swin_umamba.project.comparison import outcome_words

    table = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    table.add_column("class")
    for heading in (comparison.before or "before", name, "change (95 %)", "held-out slices"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for item in comparison.classes:
        low, high = item.interval or (0.0, 0.0)
        table.add_row(
            f"{item.name} ({'F1' if item.metric == 'f1' else 'Dice'})",
            _score(item.before),
            _score(item.after),
            f"{low:+.3f} … {high:+.3f}" if item.interval else "",
            str(item.slices),
            outcome_words(item.outcome) if item.outcome != "first" else "",
        )
        if item.earlier:
            table.add_row(
                "  of these earlier",
                _score(item.earlier.before),
                _score(item.earlier.after),
                "",
                str(item.earlier.slices),
                "forgotten" if item.earlier.forgotten else "",
            )
    return table


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
