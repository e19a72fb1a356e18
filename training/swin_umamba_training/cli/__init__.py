"""The program ``swin-umamba``: one file per command, each a thin layer over a Python function.

Nothing here imports torch until a command runs, so that ``--help`` is quick.
"""

from __future__ import annotations

from typing import Annotated

import typer

from swin_umamba_training.cli import (
    data,
    doctor,
    evaluate,
    job,
    models,
    recipes,
    segment,
    suggest,
    train,
    weights,
)
from swin_umamba_training.cli.shared import OneLineErrors, print_line

__all__ = ["app"]

EPILOG = """[bold]Examples[/bold]

Find nuclei with the model that comes with the program:
swin-umamba segment cell.png -o labels.tif --model nuclei

Train a model on images/ and masks/ in cells/, for five minutes:
swin-umamba train cells/ -o run1 --arch swin-umamba-d-tiny --minutes 5

See what is wrong with a data set:
swin-umamba data check cells/

Score labels:
swin-umamba evaluate labels/ truth/ --metric f1
"""

app = typer.Typer(
    name="swin-umamba",
    cls=OneLineErrors,
    help="Segment images with Swin-UMamba networks, and train your own from a few painted ones.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("segment", no_args_is_help=True, epilog=segment.EPILOG)(segment.segment)
app.command("train", no_args_is_help=True, epilog=train.EPILOG)(train.train)
app.command("evaluate", no_args_is_help=True, epilog=evaluate.EPILOG)(evaluate.evaluate)
app.command("suggest", no_args_is_help=True, epilog=suggest.EPILOG)(suggest.suggest)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(job.app, name="job")
app.add_typer(recipes.app, name="recipes")
app.add_typer(weights.app, name="weights")
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        from napari_swin_umamba import __version__

        print_line(f"swin-umamba {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Segment images with Swin-UMamba networks, and train your own from a few painted ones."""
