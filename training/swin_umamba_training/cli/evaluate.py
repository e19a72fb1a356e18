"""``swin-umamba evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from swin_umamba_training.cli.shared import JsonOption, console, print_json, user_errors

if TYPE_CHECKING:
    from swin_umamba_training.evaluate import Evaluation

EPILOG = """[bold]Examples[/bold]

Objects:
swin-umamba evaluate labels/ truth/ --metric f1

Two classes, surfaces within 2 mm:
swin-umamba evaluate labels/ truth/ --metric nsd --tolerance 2 --classes 2
"""


@user_errors
def evaluate(
    prediction: Annotated[Path, typer.Argument(metavar="PRED", help="Label file, or folder.")],
    truth: Annotated[Path, typer.Argument(metavar="GT", help="True labels: file, or folder.")],
    metric: Annotated[
        list[str] | None,
        typer.Option(help="dsc, nsd or f1 (of objects); repeatable. Default: dsc."),
    ] = None,
    tolerance: Annotated[
        float,
        typer.Option(metavar="MM", help="nsd: distance that still agrees, in mm (or pixels)."),
    ] = 2.0,
    classes: Annotated[
        int | None,
        typer.Option(metavar="N", help="Score classes 1…N. Default: those that occur."),
    ] = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Score everything but 0 as one class.")
    ] = False,
    iou: Annotated[float, typer.Option(help="f1: overlap from which an object is found.")] = 0.5,
    json: JsonOption = False,
) -> None:
    """Score labels against true labels."""
    from swin_umamba_training.evaluate import evaluate as run_evaluation

    result = run_evaluation(
        prediction,
        truth,
        metric or ["dsc"],  # type: ignore[arg-type]  # checked there, with the right message
        tolerance=tolerance,
        classes=classes,
        foreground=foreground,
        iou=iou,
    )
    if json:
        print_json({"images": result.images, "mean": result.mean, "notes": list(result.notes)})
        return
    _print_table(result)
    for note in result.notes:
        console().print(f"note: {note}", markup=False)


def _print_table(result: Evaluation) -> None:
    names = list(result.mean)
    table = Table(show_footer=True)
    table.add_column("image", footer="mean")
    for name in names:
        table.add_column(name, footer=_number(result.mean[name]), justify="right")
    for image, scores in result.images.items():
        table.add_row(image, *(_number(scores[name]) for name in names))
    Console(highlight=False).print(table)


def _number(value: float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
