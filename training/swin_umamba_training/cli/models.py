"""``swin-umamba models``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from swin_umamba_training.cli.shared import JsonOption, print_json, user_errors

if TYPE_CHECKING:
    from napari_swin_umamba.checkpoints import ModelInfo
    from napari_swin_umamba.plan import Plan

LIST_EPILOG = """[bold]Examples[/bold]

swin-umamba models list

swin-umamba models list --json > models.json
"""

APP_EPILOG = """[bold]Examples[/bold]

swin-umamba models list

swin-umamba models info nuclei
"""

app = typer.Typer(
    help="List models and show what they are.", epilog=APP_EPILOG, no_args_is_help=True
)

EPILOG = """[bold]Examples[/bold]

swin-umamba models info nuclei

swin-umamba models info runs/first/model.safetensors --json
"""


@app.command("list", epilog=LIST_EPILOG)
@user_errors
def list_models(json: JsonOption = False) -> None:
    """List the models that come with the program."""
    from napari_swin_umamba.checkpoints import bundled_models, read_model_header

    headers = {name: read_model_header(path) for name, path in bundled_models().items()}
    if json:
        print_json([_as_dict(name, plan, info) for name, (plan, _, info) in headers.items()])
        return
    table = Table()
    for column in ("model", "network", "classes", "licence", "what it is for"):
        table.add_column(column)
    for name, (plan, _, info) in headers.items():
        classes = ", ".join(item.name for item in plan.classes[1:])
        table.add_row(name, plan.architecture, classes, info.licence, info.description)
    Console(highlight=False).print(table if headers else "no bundled models")


@app.command("info", no_args_is_help=True, epilog=EPILOG)
@user_errors
def info(
    model: Annotated[str, typer.Argument(help="A bundled model's name, or a .safetensors file.")],
    json: JsonOption = False,
) -> None:
    """Show what a model takes and yields, and where it comes from."""
    from napari_swin_umamba.checkpoints import read_model_header

    plan, name, details = read_model_header(model)
    if json:
        print_json(_as_dict(name, plan, details))
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for label, text in _rows(name, plan, details):
        if text:
            table.add_row(label, text)
    Console(highlight=False).print(table)


def _as_dict(name: str, plan: Plan, info: ModelInfo) -> dict[str, Any]:
    return {
        "name": name,
        "plan": plan.model_dump(mode="json"),
        "info": info.model_dump(mode="json"),
    }


def _rows(name: str, plan: Plan, info: ModelInfo) -> list[tuple[str, str]]:
    height, width = plan.patch
    channels = ", ".join(
        f"{channel.name} ({channel.normalization.scheme})" for channel in plan.channels
    )
    spacing = ""
    if plan.spacing:
        spacing = f"{plan.spacing[0]:g} x {plan.spacing[1]:g} {plan.unit or ''}".strip()
    yields = "numbered objects" if plan.numbers_objects else "classes"
    return [
        ("model", name),
        ("", info.description),
        ("network", plan.architecture),
        ("channels", channels + ("; grey images are repeated" if plan.rgb else "")),
        ("yields", yields),
        ("classes", ", ".join(f"{item.id} {item.name}" for item in plan.classes)),
        ("largest tile", f"{height} x {width} pixels"),
        ("pixel size", spacing),
        ("scores", ", ".join(f"{key} {value:.3f}" for key, value in info.scores.items())),
        ("trained on", info.data),
        ("licence", info.licence),
        ("version", info.version),
        ("created", info.created),
    ]
