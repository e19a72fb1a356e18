"""``swin-umamba models history`` and ``use``: the models of an annotation project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from napari_swin_umamba.errors import InputError
from swin_umamba_training.cli.shared import JsonOption, print_json, print_line, user_errors

if TYPE_CHECKING:
    from napari_swin_umamba.project import ModelRecord, ProjectModels

__all__ = ["HISTORY_EPILOG", "USE_EPILOG", "history", "use"]

HISTORY_EPILOG = """[bold]Example[/bold]

swin-umamba models history liver-2026/
"""

USE_EPILOG = """[bold]Examples[/bold]

Go back to the third model:
swin-umamba models use liver-2026/ v3

Segment with it: the command prints its file:
swin-umamba segment scan.nii.gz -o labels.nii.gz --model "$(swin-umamba models use liver-2026/ v3)"
"""

ProjectArgument = Annotated[Path, typer.Argument(help="Folder of an annotation project.")]


@user_errors
def history(project: ProjectArgument, json: JsonOption = False) -> None:
    """List all models of an annotation project, and how each was judged."""
    models = _open(project)
    known = models.read()
    if json:
        rows = [
            {**item.model_dump(mode="json"), "file": str(models.path(item))}
            for item in known.models
        ]
        print_json({"current": known.current.number if known.current else None, "models": rows})
        return
    if not known.models:
        raise InputError(f"the project {project} has no model yet; train it (swin-umamba train)")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("", "model", "made", "from", "judged", "scores on held-out slices", "file"):
        table.add_column(heading)
    for item in known.models:
        mark = "*" if known.current == item else ""
        row = (item.name, item.created[:16].replace("T", " "), item.start)
        table.add_row(mark, *row, *_judged(item), models.path(item).name)
    Console(highlight=False).print(table)


def _judged(item: ModelRecord) -> tuple[str, str]:
    from napari_swin_umamba.project.comparison import outcome_words

    if item.comparison is None:
        return "no", ""
    scores = ", ".join(
        f"{score.name} {score.after:.3f}"
        for score in item.comparison.classes
        if score.after is not None
    )
    return outcome_words(item.comparison.outcome), scores


@user_errors
def use(
    project: ProjectArgument,
    model: Annotated[str, typer.Argument(help="v1, v2, ...")],
) -> None:
    """Make another model the current one of an annotation project; all are kept."""
    number = model.removeprefix("v")
    if not (number.isascii() and number.isdigit()):
        raise InputError(f"models of a project are called v1, v2, ..., not '{model}'")
    models = _open(project)
    current = models.choose(int(number)).current
    assert current is not None
    print_line(str(models.path(current)))


def _open(folder: Path) -> ProjectModels:
    from napari_swin_umamba.project import Project, ProjectModels

    return ProjectModels(Project.open(folder).folder)
