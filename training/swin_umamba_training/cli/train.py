"""``swin-umamba train``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

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
    print_json,
    print_line,
    report_error,
    user_errors,
)
from swin_umamba_training.cli.train_options import (
    ArchOption,
    BatchOption,
    ClassNamesOption,
    DatasetArgument,
    DevicesOption,
    FoldCountOption,
    FoldOption,
    IgnoreOption,
    InitOption,
    InstancesOption,
    LearningRateOption,
    MinutesOption,
    NodesOption,
    NormalizationOption,
    OverwriteOption,
    PatchOption,
    PlaneOption,
    RecipeOption,
    ResumeOption,
    RunOption,
    SeedOption,
    SetOption,
    SpacingOption,
    StepsOption,
    ValidateEveryOption,
    ValidationFractionOption,
    ValidationOption,
    WorkersOption,
    parse_names,
    parse_patch,
    parse_spacing,
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
    dataset: DatasetArgument,
    run: RunOption,
    arch: ArchOption = None,
    init: InitOption = "none",
    accept_hash: AcceptHashOption = False,
    recipe: RecipeOption = None,
    changes: SetOption = None,
    steps: StepsOption = None,
    minutes: MinutesOption = None,
    patch: PatchOption = None,
    batch: BatchOption = None,
    seed: SeedOption = 0,
    instances: InstancesOption = None,
    class_names: ClassNamesOption = None,
    normalization: NormalizationOption = "auto",
    plane: PlaneOption = None,
    spacing: SpacingOption = None,
    ignore: IgnoreOption = None,
    val: ValidationOption = None,
    val_fraction: ValidationFractionOption = 0.2,
    fold: FoldOption = None,
    folds: FoldCountOption = 5,
    val_every: ValidateEveryOption = None,
    learning_rate: LearningRateOption = None,
    workers: WorkersOption = 0,
    device: DeviceOption = "auto",
    devices: DevicesOption = 1,
    nodes: NodesOption = 1,
    resume: ResumeOption = False,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Train a model on annotated images or volumes."""
    from swin_umamba_training.config import make_config
    from swin_umamba_training.jobs import discard_unbegun, is_job, take_job
    from swin_umamba_training.locking import project_lock
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
            patch=parse_patch(patch),
            batch=batch,
            seed=seed,
            instances=instances,
            class_names=parse_names(class_names),
            normalization=normalization,
            val=tuple(val or ()),
            val_fraction=val_fraction,
            plane=plane.upper() if plane else None,
            spacing=parse_spacing(spacing),
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
                stack.enter_context(project_lock(config))
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
