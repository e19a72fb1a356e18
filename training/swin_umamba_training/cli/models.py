"""``swin-umamba models``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from napari_swin_umamba.errors import InputError
from swin_umamba_training.cli import project_models
from swin_umamba_training.cli.shared import (
    CheckpointOption,
    FoldsOption,
    JsonOption,
    console,
    fold_names,
    output_path,
    print_json,
    print_line,
    user_errors,
)

if TYPE_CHECKING:
    from napari_swin_umamba.checkpoints import ModelInfo
    from napari_swin_umamba.plan import Plan

LIST_EPILOG = """[bold]Examples[/bold]

swin-umamba models list

swin-umamba models list --json > models.json

What is in a folder of nnU-Net's results, or of your own models:
swin-umamba models list nnUNet_results/
"""

APP_EPILOG = """[bold]Examples[/bold]

swin-umamba models list

swin-umamba models info nuclei

swin-umamba models import nnUNetTrainerSwinUMambaD__nnUNetPlans__2d -o mri.safetensors
"""

app = typer.Typer(
    help="List models, show what they are, and import official ones.",
    epilog=APP_EPILOG,
    no_args_is_help=True,
)

app.command("history", no_args_is_help=True, epilog=project_models.HISTORY_EPILOG)(
    project_models.history
)
app.command("use", no_args_is_help=True, epilog=project_models.USE_EPILOG)(project_models.use)

EPILOG = """[bold]Examples[/bold]

swin-umamba models info nuclei

swin-umamba models info runs/first/model.safetensors --json

swin-umamba models info nnUNetTrainerSwinUMambaD__nnUNetPlans__2d
"""

IMPORT_EPILOG = """[bold]Examples[/bold]

All folds of a model that the official Swin-UMamba code trained, as one file:
swin-umamba models import nnUNetTrainerSwinUMambaD__nnUNetPlans__2d -o mri.safetensors

One fold, after a given epoch:
swin-umamba models import MODEL_FOLDER -o mri.safetensors --folds 0 --checkpoint checkpoint_99

A single checkpoint:
swin-umamba models import checkpoint_final.pth -o mri.safetensors
"""


@app.command("list", epilog=LIST_EPILOG)
@user_errors
def list_models(
    places: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FOLDER]...",
            help="Folders to look into for .safetensors files and models of nnU-Net. Default: the "
            "models that come with the program.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the models that come with the program, or those in folders."""
    from napari_swin_umamba.checkpoints import bundled_models, read_model_header

    headers: list[tuple[str, Plan, ModelInfo]] = []
    problems: list[str] = []
    found = [path for place in places for path in _models_in(place)] if places else None
    sources: dict[str, Path] = (
        bundled_models() if found is None else {str(path): path for path in found}
    )
    for source, path in sources.items():
        try:
            plan, _, info = read_model_header(path)
        except InputError as error:
            problems.append(str(error))
        else:
            headers.append((source, plan, info))
    if json:
        print_json([_as_dict(name, plan, info) for name, plan, info in headers])
    elif headers:
        Console(highlight=False).print(_table(headers))
    else:
        print_line("no models found" if places else "no bundled models")
    for problem in problems:
        console().print(f"note: {problem}", markup=False)


def _models_in(place: Path) -> Iterator[Path]:
    """Models in a folder and two levels below, as nnU-Net lays them out; a file is itself."""
    if not place.is_dir():
        if not place.is_file():
            raise InputError(f"there is no file or folder {place}")
        yield place
        return
    for level in ("", "*/", "*/*/"):
        yield from sorted(path.parent for path in place.glob(f"{level}plans.json"))
        yield from sorted(place.glob(f"{level}*.safetensors"))


def _table(headers: list[tuple[str, Plan, ModelInfo]]) -> Table:
    table = Table()
    for column in ("model", "network", "classes", "licence", "what it is for"):
        table.add_column(column, overflow="fold")
    for name, plan, info in headers:
        classes = ", ".join(item.name for item in plan.classes[1:])
        table.add_row(name, plan.architecture, classes, info.licence, info.description)
    return table


@app.command("info", no_args_is_help=True, epilog=EPILOG)
@user_errors
def info(
    model: Annotated[
        str,
        typer.Argument(
            help="A bundled model's name, a .safetensors file, or a trained-model folder or .pth "
            "file of nnU-Net."
        ),
    ],
    checkpoint: CheckpointOption = None,
    folds: FoldsOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a model takes and yields, and where it comes from."""
    from napari_swin_umamba.checkpoints import read_model_header

    plan, name, details = read_model_header(model, checkpoint, fold_names(folds))
    if json:
        print_json(_as_dict(name, plan, details))
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for label, text in _rows(name, plan, details):
        if text:
            table.add_row(label, text)
    Console(highlight=False).print(table)


@app.command("import", no_args_is_help=True, epilog=IMPORT_EPILOG)
@user_errors
def import_model(
    source: Annotated[
        str,
        typer.Argument(help="A trained-model folder of nnU-Net, or one .pth file of it."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            *("--output", "-o"),
            metavar="FILE",
            parser=output_path,
            help="The .safetensors file to write.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the model in lists. Default: the data set's.", show_default=False
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
    folds: FoldsOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists.")
    ] = False,
) -> None:
    """Make one .safetensors file of an official model. It gives identical labels."""
    from napari_swin_umamba.checkpoints import load_model
    from napari_swin_umamba.files import check_output

    if output.suffix != ".safetensors":
        raise InputError(f"cannot save a model as {output}: the name must end in .safetensors (-o)")
    check_output(output, overwrite)
    model = load_model(source, checkpoint, fold_names(folds))
    model.name = name if name is not None else model.name
    print_line(str(model.save(output)))


def _as_dict(name: str, plan: Plan, info: ModelInfo) -> dict[str, Any]:
    return {
        "name": name,
        "plan": plan.model_dump(mode="json"),
        "info": info.model_dump(mode="json"),
    }


_SHOWN_OF_TRAINING = ("trainer", "configuration", "folds", "checkpoint", "epochs")


def _volumes(plan: Plan) -> str:
    """How volumes are prepared, for models that do so as a whole."""
    if plan.volume is None:
        return ""
    axis = "ZYX"[plan.volume.transpose[0]]
    return f"prepared as a whole, as nnU-Net does; slices along {axis} of the file"


def _rows(name: str, plan: Plan, info: ModelInfo) -> list[tuple[str, str]]:
    height, width = plan.patch
    channels = ", ".join(
        f"{channel.name} ({channel.normalization.scheme})" for channel in plan.channels
    )
    spacing = ""
    if plan.spacing:
        spacing = f"{plan.spacing[0]:g} x {plan.spacing[1]:g} {plan.unit or ''}".strip()
    yields = "numbered objects" if plan.numbers_objects else "classes"
    if plan.regions:
        yields = "classes, painted over each other as regions"
    origin = ", ".join(
        f"{key} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in info.training.items()
        if key in _SHOWN_OF_TRAINING
    )
    return [
        ("model", name),
        ("", info.description),
        ("network", plan.architecture),
        ("channels", channels + ("; grey images are repeated" if plan.rgb else "")),
        ("yields", yields),
        ("classes", ", ".join(f"{item.id} {item.name}" for item in plan.classes)),
        ("largest tile", f"{height} x {width} pixels; neighbours share {plan.overlap:g} of it"),
        ("pixel size", spacing),
        ("volumes", _volumes(plan)),
        ("folds", f"{plan.folds}, averaged" if plan.folds > 1 else ""),
        ("training", origin),
        ("scores", ", ".join(f"{key} {value:.3f}" for key, value in info.scores.items())),
        ("limits", info.limits),
        ("trained on", info.data),
        ("licence", info.licence),
        ("version", info.version),
        ("created", info.created),
    ]
