"""``swin-umamba suggest``: slices of an annotation project to paint next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from napari_swin_umamba.errors import InputError
from swin_umamba_training.cli.shared import (
    DeviceOption,
    JsonOption,
    console,
    print_json,
    user_errors,
)

if TYPE_CHECKING:
    from napari_swin_umamba.project import Project
    from swin_umamba_training.suggesting import Suggested

__all__ = ["EPILOG", "suggest"]

EPILOG = """[bold]Examples[/bold]

Five slices, those that the project's model is least sure of first:
swin-umamba suggest liver-2026/

Ten of one image, in JSON:
swin-umamba suggest liver-2026/ --image case01 --count 10 --json
"""


@user_errors
def suggest(
    project: Annotated[Path, typer.Argument(help="Folder of an annotation project.")],
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image", help="Name of an image; may be given more than once. Default: all."
        ),
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="Slices to suggest.")] = 5,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0, help="How long the model looks at slices.")
    ] = 30.0,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> None:
    """Suggest slices of an annotation project to paint next.

    Without a model, evenly spaced ones. Else the project's model predicts up to 64 slices, also
    mirrored or moved, and those beside them: first come those whose predictions disagree most.
    """
    from napari_swin_umamba.project import Project
    from swin_umamba_training.suggesting import suggest_slices

    opened = Project.open(project)
    found = suggest_slices(opened, count, _ids(opened, image), device, seconds)
    for problem in found.problems:
        console().print(f"warning: {problem}", style="yellow", markup=False)
    if json:
        print_json(_as_json(opened, found))
        return
    if not found.suggestions:
        raise InputError(
            f"nothing of {project} is left to suggest: all is painted, held out or skipped"
            if not found.candidates
            else f"no image of {project} could be read"
        )
    _print(opened, found)


def _ids(project: Project, names: list[str] | None) -> list[str] | None:
    """Ids of the images of some names; an id will do too."""
    if not names:
        return None
    ids = []
    for name in names:
        found = [image.id for image in project.images if name in (image.name, image.id)]
        if not found:
            known = ", ".join(image.name for image in project.images) or "none"
            raise InputError(f"the project has no image '{name}' (--image); there are: {known}")
        ids += found
    return list(dict.fromkeys(ids))


def _as_json(project: Project, found: Suggested) -> dict[str, object]:
    rows = [
        {
            "image": project.image(one.image_id).name,
            "image_id": one.image_id,
            "axes": project.image(one.image_id).fixed_axes,
            "position": one.position,
            "reason": one.reason,
            "score": None if one.score is None else one.score.score,
        }
        for one in found.suggestions
    ]
    summary = {"model": found.model, "looked_at": found.looked_at, "candidates": found.candidates}
    return {**summary, "suggestions": rows, "problems": found.problems}


def _print(project: Project, found: Suggested) -> None:
    from napari_swin_umamba.project.suggestion import REASONS

    if found.model is None:
        console().print("The project has no model yet, so these are evenly spaced.")
    else:
        looked = f"{found.looked_at:,} of {found.candidates:,}"
        console().print(f"{found.model} looked at {looked} slices; the least sure come first.")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("image", "slice", "disagreement", "why"):
        table.add_column(heading)
    for one in found.suggestions:
        image = project.image(one.image_id)
        pairs = zip(image.fixed_axes, one.position, strict=True)
        place = " ".join(f"{axis} {number}" for axis, number in pairs)
        score = "" if one.score is None else f"{one.score.score:.3f}"
        table.add_row(image.name, place, score, REASONS[one.reason])
    Console(highlight=False).print(table)
