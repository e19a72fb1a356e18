"""``swin-umamba job``: an annotation project trained on another computer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_swin_umamba.errors import InputError
from swin_umamba_training.cli.shared import (
    JsonOption,
    console,
    output_path,
    print_json,
    print_line,
    user_errors,
)

__all__ = ["app"]

EXPORT_EPILOG = """[bold]Examples[/bold]

All that a training elsewhere needs, in one file:
swin-umamba job export liver-2026/ -o liver-job.zip --init project --minutes 60

On the other computer; at the end RUN holds result.zip:
swin-umamba train liver-job.zip -o RUN

Here again:
swin-umamba job import liver-2026/ result.zip
"""

IMPORT_EPILOG = """[bold]Example[/bold]

swin-umamba job import liver-2026/ result.zip
"""

app = typer.Typer(
    help="Train an annotation project on another computer.",
    epilog=EXPORT_EPILOG,
    no_args_is_help=True,
)

ProjectArgument = Annotated[Path, typer.Argument(help="Folder of an annotation project.")]


@app.command("export", no_args_is_help=True, epilog=EXPORT_EPILOG)
@user_errors
def export_job(
    project: ProjectArgument,
    output: Annotated[
        Path,
        typer.Option(
            *("--output", "-o"),
            metavar="JOB.zip",
            parser=output_path,
            help="The archive to write.",
        ),
    ],
    init: Annotated[
        str,
        typer.Option(
            metavar="imagenet|none|project|MODEL",
            help="Start weights, as for train.",
        ),
    ] = "none",
    arch: Annotated[str | None, typer.Option(help="Network, as for train.")] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="How to train, as for train.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the recipe."),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Train for so long.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists.")
    ] = False,
) -> None:
    """Write all that a training on another computer needs into one file, images included.

    What is held out is settled by this, as when a training begins.
    """
    from napari_swin_umamba.files import check_output
    from napari_swin_umamba.project import Project, plan_job, settle_roles, write_job
    from swin_umamba_training.config import make_config
    from swin_umamba_training.recipe_files import apply_overrides, recipe_to_yaml

    if output.suffix.lower() != ".zip":
        raise InputError(f"cannot write a job as {output}: the name must end in .zip (-o)")
    check_output(output, overwrite)
    config = make_config(
        recipe,
        apply_overrides(changes or ()),
        dataset=project,
        run=output,
        init=init,
        minutes=minutes,
    )
    plan = plan_job(Project.open(project), init, recipe_to_yaml(config.recipe), arch)
    number = len(plan.images)
    images = f"{number} annotated image{'s' if number > 1 else ''}"
    console().print(f"the job holds {images}: {plan.total:,} bytes")
    settle_roles(plan)
    write_job(plan, output, overwrite)
    print_line(str(output))


@app.command("import", no_args_is_help=True, epilog=IMPORT_EPILOG)
@user_errors
def import_job(
    project: ProjectArgument,
    result: Annotated[Path, typer.Argument(metavar="RESULT.zip", help="result.zip of the run.")],
    json: JsonOption = False,
) -> None:
    """Bring the model of a job back; a better one becomes the project's."""
    from napari_swin_umamba.checkpoints import read_model_header
    from napari_swin_umamba.project import Project, ProjectModels, import_result
    from napari_swin_umamba.project.comparison import verdict_sentence
    from swin_umamba_training.cli.comparison import comparison_table

    opened = Project.open(project)
    imported = import_result(opened, result, lambda path: read_model_header(path)[2].training)
    record = imported.record
    file = ProjectModels(opened.folder).path(record)
    if json:
        print_json(
            {
                **record.model_dump(mode="json"),
                "file": str(file),
                "new": imported.is_new,
                "current": imported.adopted,
                "notes": list(imported.notes),
            }
        )
        return
    out = console()
    if not imported.is_new:
        out.print(f"the project has this model already, as {record.name}", markup=False)
    for note in imported.notes:
        out.print(f"note: {note}", markup=False)
    if record.comparison is not None:
        if record.comparison.classes:
            out.print(comparison_table(record.comparison, record.name))
        said = verdict_sentence(record.comparison, record.name, record.overtaken)
        out.print(said, markup=False)
    print_line(str(file))
