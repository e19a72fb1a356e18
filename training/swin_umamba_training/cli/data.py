"""``swin-umamba data check``, ``import`` and ``export``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swin_umamba_training.cli.shared import (
    EXIT_USAGE,
    JsonOption,
    OneLineErrors,
    console,
    output_path,
    print_json,
    print_line,
    report_error,
    user_errors,
)

if TYPE_CHECKING:
    from swin_umamba_training.data.problems import Problem
    from swin_umamba_training.data.survey import Survey

__all__ = ["app", "print_problems"]

EPILOG = """[bold]Examples[/bold]

See what is wrong with a data set, and what it holds:
swin-umamba data check nnUNet_raw/Dataset004_Hippocampus

Make an annotation project of it, or of images/ and masks/:
swin-umamba data import cells/ -o project/

Give a project to nnU-Net:
swin-umamba data export project/ -o nnUNet_raw/Dataset042_Cells
"""

CHECK_EPILOG = """[bold]Examples[/bold]

swin-umamba data check cells/

swin-umamba data check project/ --json

Exit code 0: nothing is wrong. 2: something is; errors keep train from starting, with warnings
it goes on. --errors-only: 2 for errors alone. Nothing is written.
"""

IMPORT_EPILOG = """[bold]Examples[/bold]

swin-umamba data import cells/ -o project/ --class-names nucleus --copy

swin-umamba data import nnUNet_raw/Dataset004_Hippocampus -o hippocampus/
"""

EXPORT_EPILOG = """[bold]Examples[/bold]

swin-umamba data export project/ -o nnUNet_raw/Dataset042_Cells
"""

app = typer.Typer(
    cls=OneLineErrors,
    help="Check data sets; convert between annotation projects and nnU-Net.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
)

DatasetArgument = Annotated[
    Path,
    typer.Argument(help="images/ and masks/, a nnU-Net raw folder, or an annotation project."),
]
OutputOption = Annotated[
    Path,
    typer.Option(
        *("--output", "-o"), metavar="FOLDER", parser=output_path, help="A new or empty folder."
    ),
]
InstancesOption = Annotated[
    bool | None,
    typer.Option(
        "--instances/--semantic",
        help="Masks number objects, or hold classes. Default: as declared, or seen from them.",
        show_default=False,
    ),
]
PlaneOption = Annotated[
    str | None, typer.Option(help="Axis volumes are cut along: Z, Y or X. Default: the coarsest.")
]
IgnoreOption = Annotated[
    int | None, typer.Option(help="Masks in masks/: value of pixels that nobody labelled.")
]


@app.command("check", no_args_is_help=True, epilog=CHECK_EPILOG)
@user_errors
def check(
    dataset: DatasetArgument,
    instances: InstancesOption = None,
    plane: PlaneOption = None,
    ignore: IgnoreOption = None,
    errors_only: Annotated[
        bool, typer.Option("--errors-only", help="Exit code 2 for errors, not for warnings.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """List everything that is wrong with a data set, and say what it holds."""
    from swin_umamba_training.data.problems import errors_of

    looked = _look(dataset, instances, plane, ignore)
    if json:
        print_json(_as_json(looked))
    else:
        print_problems(looked.problems)
        for note in looked.notes:
            console().print(f"note: {note}", markup=False)
        if looked.reports and not errors_of(looked.problems):
            for line in _description(looked):
                print_line(line)
    if errors_of(looked.problems) or (looked.problems and not errors_only):
        raise typer.Exit(EXIT_USAGE)


@app.command("import", no_args_is_help=True, epilog=IMPORT_EPILOG)
@user_errors
def import_(
    dataset: DatasetArgument,
    output: OutputOption,
    instances: InstancesOption = None,
    plane: PlaneOption = None,
    ignore: IgnoreOption = None,
    class_names: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Names of the foreground classes, by value."),
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy images into the project, so that it can be moved.")
    ] = False,
) -> None:
    """Make an annotation project of a nnU-Net data set or of images/ and masks/."""
    from swin_umamba_training.data.importing import import_dataset

    names = tuple(name.strip() for name in (class_names or "").split(",") if name.strip())
    with _problems_listed():
        looked = _look(dataset, instances, plane, ignore)
        with _progress("importing") as on_case:
            project = import_dataset(looked, output, names, copy, on_case)
    print_line(str(project.folder))


@app.command("export", no_args_is_help=True, epilog=EXPORT_EPILOG)
@user_errors
def export(
    dataset: DatasetArgument,
    output: OutputOption,
    instances: InstancesOption = None,
    ignore: IgnoreOption = None,
) -> None:
    """Write an annotation project (or images/ and masks/) as a nnU-Net raw folder."""
    from swin_umamba_training.data.exporting import export_nnunet

    with _problems_listed():
        looked = _look(dataset, instances, None, ignore)
        with _progress("exporting") as on_case:
            folder = export_nnunet(looked, output, on_case)
    print_line(str(folder))


def _look(dataset: Path, instances: bool | None, plane: str | None, ignore: int | None) -> Survey:
    from napari_swin_umamba.segmentation.layout import check_plane
    from swin_umamba_training.dataset import look_through

    with _progress("reading") as on_case:
        return look_through(dataset, instances, check_plane(plane), ignore, on_case)


def print_problems(problems: tuple[Problem, ...]) -> None:
    """Print each problem on a line of its own to stderr, errors first.

    Parameters
    ----------
    problems
        In the order they are printed.
    """
    for problem in problems:
        if problem.severity == "error":
            report_error(problem.message)
        else:
            message = " ".join(problem.message.split())
            console().print(f"warning: {message}", style="yellow", markup=False)


@contextmanager
def _problems_listed() -> Iterator[None]:
    """Print all problems of a refused data set, not only the first."""
    from swin_umamba_training.data.problems import DatasetProblems

    try:
        yield
    except DatasetProblems as error:
        print_problems(error.problems)
        raise typer.Exit(EXIT_USAGE) from error


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.progress import Progress

    with Progress(console=console(), disable=not console().is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total, name: bar.update(
            task, completed=done, total=total, description=f"{what} {name}"
        )


def _description(looked: Survey) -> list[str]:
    from swin_umamba_training.data.fingerprint import default_batch, default_patch
    from swin_umamba_training.dataset import from_survey

    fingerprint = from_survey(looked).fingerprint
    assert fingerprint is not None
    patch = default_patch(fingerprint.shape)
    plan = f"plan: {default_batch(patch)} patches of {patch[0]} x {patch[1]} in a step"
    return [*fingerprint.lines(), plan]


def _as_json(looked: Survey) -> dict[str, object]:
    from swin_umamba_training.data.fingerprint import default_batch, default_patch
    from swin_umamba_training.data.problems import errors_of
    from swin_umamba_training.dataset import from_survey

    trainable = bool(looked.reports) and not errors_of(looked.problems)
    answer: dict[str, object] = {
        "dataset": str(looked.source.path),
        "kind": looked.source.kind,
        "cases": len(looked.source.cases),
        "trainable": trainable,
        "problems": [problem.as_dict() for problem in looked.problems],
        "notes": list(looked.notes),
    }
    if trainable:
        fingerprint = from_survey(looked).fingerprint
        assert fingerprint is not None
        patch = default_patch(fingerprint.shape)
        answer["fingerprint"] = fingerprint.model_dump(mode="json")
        answer["plan"] = {
            "plane": fingerprint.plane,
            "spacing": fingerprint.spacing,
            "patch": list(patch),
            "batch": default_batch(patch),
        }
    return answer
