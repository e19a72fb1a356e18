"""``swin-umamba doctor``."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from swin_umamba_training.cli.shared import (
    EXIT_FAILED,
    DeviceOption,
    JsonOption,
    console,
    print_json,
    report_error,
    user_errors,
)

EPILOG = """[bold]Examples[/bold]

swin-umamba doctor

swin-umamba doctor --json > report.json
"""


@user_errors
def doctor(device: DeviceOption = "auto", json: JsonOption = False) -> None:
    """Show what this machine computes with, and check that it computes right.

    Names every scan backend that can run here, and what is missing for the others. Compiles the
    kernels in use (half a minute, once), so that nothing later has to; checks and times them.
    """
    from napari_swin_umamba.segmentation import resolve_device
    from swin_umamba_training.doctor import examine

    resolve_device(device)  # a mistyped name is said before anything else
    if not json:
        console().print("checking; the first time compiles the kernels (up to half a minute more)")
    report = examine(device)
    if json:
        print_json(report.to_dict())
    else:
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for label, text in report.rows():
            table.add_row(label, text)
        Console(highlight=False).print(table)
    if not report.healthy:
        report_error("the scan gives wrong results here; please report this with the lines above")
        raise typer.Exit(EXIT_FAILED)
