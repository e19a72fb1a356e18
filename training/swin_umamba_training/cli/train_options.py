"""The flags of ``swin-umamba train``: what each says of itself, and how its text is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from napari_swin_umamba.errors import InputError
from swin_umamba_training.cli.shared import output_path

__all__ = [
    "ArchOption",
    "BatchOption",
    "ClassNamesOption",
    "DatasetArgument",
    "DevicesOption",
    "FoldOption",
    "FoldCountOption",
    "IgnoreOption",
    "InitOption",
    "InstancesOption",
    "LearningRateOption",
    "MinutesOption",
    "NodesOption",
    "NormalizationOption",
    "OverwriteOption",
    "PatchOption",
    "PlaneOption",
    "RecipeOption",
    "ResumeOption",
    "RunOption",
    "SeedOption",
    "SetOption",
    "SpacingOption",
    "StepsOption",
    "ValidateEveryOption",
    "ValidationFractionOption",
    "ValidationOption",
    "WorkersOption",
    "parse_names",
    "parse_patch",
    "parse_spacing",
]

DatasetArgument = Annotated[
    Path,
    typer.Argument(
        help="images/ and masks/, a nnU-Net raw folder, an annotation project, or a job (.zip)."
    ),
]
RunOption = Annotated[
    Path,
    typer.Option(
        *("--output", "-o"),
        metavar="RUN",
        parser=output_path,
        help="Folder for the model and curves.",
    ),
]
ArchOption = Annotated[
    str | None,
    typer.Option(
        help="Network: swin-umamba, swin-umamba-d, or small ones, swin-umamba-tiny and "
        "swin-umamba-d-tiny; to compare with: "
        "dynunet, dynunet-tiny, segresnet. Default: that of --init, or swin-umamba-d."
    ),
]
InitOption = Annotated[
    str,
    typer.Option(
        metavar="imagenet|none|project|MODEL",
        help="Start weights: imagenet, none, project (its current model), a bundled model's "
        "name, or a .safetensors file.",
    ),
]
RecipeOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="How to train: paper, finetune, quick, or a YAML file. Default: quick, or "
        "finetune with --init.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the recipe."),
]
StepsOption = Annotated[
    int | None,
    typer.Option(help="Optimiser steps. Default: the recipe's, or from --minutes."),
]
MinutesOption = Annotated[
    float | None, typer.Option(help="Train for so long: as many steps as fit into it.")
]
PatchOption = Annotated[
    str | None,
    typer.Option(metavar="SIZE|HxW", help="Patch in pixels, multiples of 32. Default: up to 256."),
]
BatchOption = Annotated[
    int | None,
    typer.Option(
        help="Patches in a step, over all devices. Default: the recipe's, else "
        "2 to 16, by the patch."
    ),
]
SeedOption = Annotated[int, typer.Option(help="Same seed, same model (on one machine).")]
InstancesOption = Annotated[
    bool | None,
    typer.Option(
        "--instances/--semantic",
        help="Masks number objects, or hold classes. Default: seen from the masks.",
        show_default=False,
    ),
]
ClassNamesOption = Annotated[
    str | None,
    typer.Option(metavar="A,B,...", help="Names of the foreground classes, by value."),
]
NormalizationOption = Annotated[
    str,
    typer.Option(
        help="Of intensities: percentile, zscore, ct, rgb_to_01 or none; auto: ct for "
        "channels named CT, else percentile."
    ),
]
PlaneOption = Annotated[
    str | None,
    typer.Option(help="Axis volumes are cut along: Z, Y or X. Default: the coarsest."),
]
SpacingOption = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE|ROWxCOLUMN", help="Pixel size to resample to. Default: as they are."
    ),
]
IgnoreOption = Annotated[
    int | None, typer.Option(help="Masks in masks/: value of pixels that nobody labelled.")
]
ValidationOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME|LIST.txt",
        help="Validation image or CASE:FIRST-LAST slice (repeatable), or a text file of "
        "names. Default: drawn.",
    ),
]
ValidationFractionOption = Annotated[
    float, typer.Option(help="Share of images drawn for validation; 0 for none.")
]
FoldOption = Annotated[
    int | None, typer.Option(help="Cross-validation: the part held out, 0 to --folds minus 1.")
]
FoldCountOption = Annotated[int, typer.Option(help="Cross-validation: number of parts.")]
ValidateEveryOption = Annotated[
    int | None, typer.Option(help="Steps between validations. Default: a tenth of the run.")
]
LearningRateOption = Annotated[
    float | None,
    typer.Option(
        help="Peak of the schedule. Default: 5e-4, tiny networks 1e-3; with --init 1e-4 and 5e-4."
    ),
]
WorkersOption = Annotated[
    int, typer.Option(help="Processes that prepare patches; the result is the same.")
]
DevicesOption = Annotated[int, typer.Option(help="GPUs of this computer to train on.")]
NodesOption = Annotated[
    int, typer.Option(help="Computers; start the same command on each (SLURM, torchrun).")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in RUN, exactly as it was begun.")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace the run that RUN holds.")
]


def parse_spacing(text: str | None) -> tuple[float, float] | None:
    """Rows and columns of ``--spacing``.

    Raises
    ------
    InputError
        The text is no size.
    """
    if text is None:
        return None
    try:
        row, _, column = text.lower().partition("x")
        return float(row), float(column or row)
    except ValueError as error:
        raise InputError(f"--spacing: give one number or ROWxCOLUMN, not '{text}'") from error


def parse_patch(text: str | None) -> tuple[int, int] | None:
    """Height and width of ``--patch``.

    Raises
    ------
    InputError
        The text is no size.
    """
    if text is None:
        return None
    sizes = re.fullmatch(r"\s*([0-9]{1,9})\s*(?:[xX]\s*([0-9]{1,9})\s*)?", text)
    if sizes is None:
        raise InputError(f"--patch: give one number or HEIGHTxWIDTH, not '{text}'")
    height, width = sizes.groups()
    return int(height), int(width or height)


def parse_names(text: str | None) -> tuple[str, ...]:
    """Names of ``--class-names``."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
