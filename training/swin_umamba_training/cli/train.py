"""``swin-umamba train``."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_swin_umamba.errors import InputError
from swin_umamba_training.cli.data import print_problems
from swin_umamba_training.cli.shared import (
    EXIT_FAILED,
    EXIT_USAGE,
    AcceptHashOption,
    DeviceOption,
    JsonOption,
    console,
    output_path,
    print_json,
    print_line,
    report_error,
    user_errors,
)
from swin_umamba_training.cli.train_progress import TrainingProgress

if TYPE_CHECKING:
    from swin_umamba_training.events import OnEvent

EPILOG = """[bold]Examples[/bold]

A first try of five minutes:
swin-umamba train cells/ -o run1 --arch swin-umamba-d-tiny --minutes 5

Start from ImageNet weights, downloaded at first use (92 MB):
swin-umamba train cells/ -o run4 --init imagenet

Go on from a model:
swin-umamba train cells/ -o run2 --init run1/model.safetensors

Go on from the model that an annotation project has now:
swin-umamba train liver-2026/ -o run6 --init project

Change a field of the recipe (swin-umamba recipes show quick has them all):
swin-umamba train cells/ -o run5 --recipe quick --set optimizer.lr=1e-4

Go on with a run that was cut off:
swin-umamba train cells/ -o run4 --resume

Choose the validation images:
swin-umamba train cells/ -o run3 --val a3 --val b7

A job that an annotation project exported; RUN gets a result.zip to import there:
swin-umamba train job.zip -o RUN

One of five folds of a nnU-Net data set:
swin-umamba train nnUNet_raw/Dataset004_Hippocampus -o fold0 --fold 0

DATASET holds images/ and masks/ with files of the same names (PNG, JPEG, TIFF, NIfTI,
NRRD, MetaImage), or is a nnU-Net raw folder or an annotation project.
Masks hold classes (0 is background), or number objects (0 is background).
With few objects per image both are possible: then add --instances or --semantic.

RUN gets model.safetensors (the best), report.html, scores.csv, curves.png, recipe.yaml,
config.json, events.jsonl and last.ckpt. A file named stop in it ends the run.
"""


@user_errors
def train(
    context: typer.Context,
    dataset: Annotated[
        Path,
        typer.Argument(
            help="images/ and masks/, a nnU-Net raw folder, an annotation project, or a job (.zip)."
        ),
    ],
    run: Annotated[
        Path,
        typer.Option(
            *("--output", "-o"),
            metavar="RUN",
            parser=output_path,
            help="Folder for the model and curves.",
        ),
    ],
    arch: Annotated[
        str | None,
        typer.Option(
            help="Network: swin-umamba, swin-umamba-d, or small ones, swin-umamba-tiny and "
            "swin-umamba-d-tiny; to compare with: "
            "dynunet, dynunet-tiny, segresnet. Default: that of --init, or swin-umamba-d."
        ),
    ] = None,
    init: Annotated[
        str,
        typer.Option(
            metavar="imagenet|none|project|MODEL",
            help="Start weights: imagenet, none, project (its current model), a bundled model's "
            "name, or a .safetensors file.",
        ),
    ] = "none",
    accept_hash: AcceptHashOption = False,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="How to train: paper, finetune, quick, or a YAML file. Default: quick, or "
            "finetune with --init.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the recipe."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Optimiser steps. Default: the recipe's, or from --minutes."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Train for so long: as many steps as fit into it.")
    ] = None,
    patch: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE|HxW", help="Patch in pixels, multiples of 32. Default: up to 256."
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            help="Patches in a step, over all devices. Default: the recipe's, else "
            "2 to 16, by the patch."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same model (on one machine).")] = 0,
    instances: Annotated[
        bool | None,
        typer.Option(
            "--instances/--semantic",
            help="Masks number objects, or hold classes. Default: seen from the masks.",
            show_default=False,
        ),
    ] = None,
    class_names: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Names of the foreground classes, by value."),
    ] = None,
    normalization: Annotated[
        str,
        typer.Option(
            help="Of intensities: percentile, zscore, ct, rgb_to_01 or none; auto: ct for "
            "channels named CT, else percentile."
        ),
    ] = "auto",
    plane: Annotated[
        str | None,
        typer.Option(help="Axis volumes are cut along: Z, Y or X. Default: the coarsest."),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE|ROWxCOLUMN", help="Pixel size to resample to. Default: as they are."
        ),
    ] = None,
    ignore: Annotated[
        int | None, typer.Option(help="Masks in masks/: value of pixels that nobody labelled.")
    ] = None,
    val: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|LIST.txt",
            help="Validation image or CASE:FIRST-LAST slice (repeatable), or a text file of "
            "names. Default: drawn.",
        ),
    ] = None,
    val_fraction: Annotated[
        float, typer.Option(help="Share of images drawn for validation; 0 for none.")
    ] = 0.2,
    fold: Annotated[
        int | None, typer.Option(help="Cross-validation: the part held out, 0 to --folds minus 1.")
    ] = None,
    folds: Annotated[int, typer.Option(help="Cross-validation: number of parts.")] = 5,
    val_every: Annotated[
        int | None, typer.Option(help="Steps between validations. Default: a tenth of the run.")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Peak of the schedule. Default: 1e-4 with --init, else 5e-4 or 1e-3."),
    ] = None,
    workers: Annotated[
        int, typer.Option(help="Processes that prepare patches; the result is the same.")
    ] = 0,
    device: DeviceOption = "auto",
    devices: Annotated[int, typer.Option(help="GPUs of this computer to train on.")] = 1,
    nodes: Annotated[
        int, typer.Option(help="Computers; start the same command on each (SLURM, torchrun).")
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in RUN, exactly as it was begun.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that RUN holds.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Train a model on annotated images or volumes."""
    from swin_umamba_training.config import make_config
    from swin_umamba_training.jobs import discard_unbegun, is_job, take_job
    from swin_umamba_training.ranks import is_main_process
    from swin_umamba_training.recipe_files import apply_overrides

    if resume:
        _refuse_changes(context)
    overrides = apply_overrides(changes or ())
    unpacked = ExitStack()
    if is_job(dataset):
        if val or fold is not None:
            raise InputError(
                f"what is held out is settled in the job {dataset}: leave out --val and --fold"
            )
        if is_main_process() and not resume:
            console().print(f"unpacking {dataset} into {run}", markup=False)
        job = take_job(dataset, run, resume, overwrite)
        unpacked.callback(discard_unbegun, run)
        dataset = job.project
        if not resume:
            recipe = recipe or str(job.recipe)
            if not _is_given(context, "init"):
                init, arch = job.init, arch or job.manifest.start.arch
            if steps is not None and minutes is None:
                overrides.setdefault("length.minutes", None)
    with unpacked:
        config = make_config(
            recipe=recipe,
            overrides=overrides,
            dataset=dataset,
            run=run,
            arch=arch,
            init=init,
            accept_hash=accept_hash,
            steps=steps,
            minutes=minutes,
            patch=_parse_patch(patch),
            batch=batch,
            seed=seed,
            instances=instances,
            class_names=tuple(
                name.strip() for name in (class_names or "").split(",") if name.strip()
            ),
            normalization=normalization,
            val=tuple(val or ()),
            val_fraction=val_fraction,
            plane=plane.upper() if plane else None,
            spacing=_parse_spacing(spacing),
            ignore=ignore,
            fold=fold,
            folds=folds,
            val_every=val_every,
            learning_rate=learning_rate,
            workers=workers,
            device=device,
            devices=devices,
            nodes=nodes,
            resume=resume,
            overwrite=overwrite,
        )
        with ExitStack() as stack:
            on_event: OnEvent | None = None
            if is_main_process():
                on_event = print_json if json else stack.enter_context(TrainingProgress()).on_event
            from swin_umamba_training.data.problems import DatasetProblems
            from swin_umamba_training.module import TrainingDiverged
            from swin_umamba_training.train import train as run_training

            try:
                result = run_training(config, on_event)
            except DatasetProblems as error:
                stack.close()
                print_problems(error.problems)
                raise typer.Exit(EXIT_USAGE) from error
            except TrainingDiverged as error:
                stack.close()
                report_error(str(error))
                raise typer.Exit(EXIT_FAILED) from error
    if result.archive is not None and not json:
        console().print(
            f"import {result.archive} into the project that the job is from", markup=False
        )
    if not json and is_main_process():
        print_line(str(result.model))


_FREE = {"dataset", "run", "device", "devices", "nodes", "workers", "resume", "json"}
"""Flags that may be given with --resume: what the run is, its own settings say."""


def _refuse_changes(context: typer.Context) -> None:
    for name in context.params:
        if name not in _FREE and _is_given(context, name):
            flag = "set" if name == "changes" else name.replace("_", "-")
            raise InputError(
                f"--resume goes on with the settings of the run: leave out --{flag}, or begin a "
                "new run (another -o)"
            )


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _parse_spacing(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        row, _, column = text.lower().partition("x")
        return float(row), float(column or row)
    except ValueError as error:
        raise InputError(f"--spacing: give one number or ROWxCOLUMN, not '{text}'") from error


def _parse_patch(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    sizes = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:[xX]\s*([0-9]{1,9})\s*)?", text)
    if sizes is None:
        raise InputError(f"--patch: give one number or HEIGHTxWIDTH, not '{text}'")
    height, width = sizes.groups()
    return int(height), int(width or height)
