"""nnU-Net's channel files: ``case_0000``, ``case_0001``, ... are the channels of one case.

Source: https://github.com/MIC-DKFZ/nnUNet, documentation/dataset_format.md: four digits at the end
of the name, one file for each channel, colour pictures (PNG) one file with all three.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import Image, read_image, stem_of, suffix_of
from napari_swin_umamba.plan import Plan

__all__ = ["Case", "gather_cases", "read_case"]

_NAME = re.compile(r"(.+)_(\d{4})")


@dataclass(frozen=True)
class Case:
    """One thing to segment."""

    name: str
    """What its labels are called."""
    files: tuple[Path, ...]
    """One for each channel, or one that holds all."""


def gather_cases(files: Sequence[Path], plan: Plan | None) -> list[Case]:
    """Put channel files together.

    Files count as channels if the model takes several (and no colours), their names say so, and
    the first of them holds no channels itself. Of a model with one channel, ``case_0000`` is the
    case ``case``, unless ``case_0001`` is there too: then the numbers are those of pictures.

    Parameters
    ----------
    files
        In any order.
    plan
        Of the model; None: every file is a case of its own name.

    Raises
    ------
    InputError
        A channel is missing, or there are too many.
    """
    groups: dict[tuple[Path, str, str], dict[int, Path]] = {}
    for file in files:
        match = _NAME.fullmatch(_stem(file))
        if match and plan is not None and not file.is_dir():
            key = (file.resolve().parent, match[1], suffix_of(file))
            groups.setdefault(key, {})[int(match[2])] = file
    channels = 1 if plan is None or plan.rgb else plan.in_channels
    if channels > 1 and groups and _holds_channels(next(iter(groups.values()))):
        groups = {}
    cases: dict[Path, Case] = {}
    for (_, name, _), found in groups.items():
        if channels == 1 and set(found) == {0}:
            cases[found[0]] = Case(name, (found[0],))
        elif channels > 1 and plan is not None:
            _check_complete(name, found, plan)
            whole = Case(name, tuple(found[number] for number in range(channels)))
            cases.update(dict.fromkeys(found.values(), whole))
    return list(dict.fromkeys(cases.get(file, Case(_stem(file), (file,))) for file in files))


def read_case(
    files: Sequence[Path],
    axes: str | None = None,
    channel_axis: str | None = None,
    series: str | None = None,
) -> Image:
    """Read an image; several files become its channels, in their order.

    Parameters
    ----------
    files
        Of a :class:`Case`.
    axes, channel_axis, series
        As in :func:`~napari_swin_umamba.images.read_image`, of each file.

    Raises
    ------
    InputError
        A file cannot be read, holds channels itself, or lies on another grid than the first.
    """
    images = [read_image(file, axes, channel_axis, series) for file in files]
    first = images[0]
    if len(images) == 1:
        return first
    for image in images:
        if "C" in image.axes:
            raise InputError(
                f"{image.path} holds channels itself (axes {image.axes}), so it cannot be one of "
                f"{len(images)} channel files"
            )
        _check_same_grid(first, image)
    at = int(first.axes.startswith("T"))
    array = np.stack([np.asarray(image.array) for image in images], axis=at)
    notes = tuple(dict.fromkeys(note for image in images for note in image.notes))
    return replace(first, array=array, axes=first.axes[:at] + "C" + first.axes[at:], notes=notes)


def _check_same_grid(first: Image, other: Image) -> None:
    reason = None
    if (first.axes, first.array.shape) != (other.axes, other.array.shape):
        reason = (
            f"{first.axes} {first.array.shape} and {other.axes} {other.array.shape} are their sizes"
        )
    elif first.spacing is not None and other.spacing is not None:
        smallest = min(first.spacing)
        if not np.allclose(first.spacing, other.spacing, rtol=1e-3):
            reason = f"their voxels are {first.spacing} and {other.spacing}"
        elif (
            first.affine is not None
            and other.affine is not None
            and not np.allclose(first.affine, other.affine, rtol=1e-3, atol=1e-2 * smallest)
        ):
            reason = "they lie at different places"
    if reason is not None:
        raise InputError(
            f"{first.path} and {other.path} are channels of one case, but not on one grid: "
            f"{reason}; resample one onto the other"
        )


def _check_complete(name: str, found: dict[int, Path], plan: Plan) -> None:
    some = next(iter(found.values()))
    names = ", ".join(channel.name for channel in plan.channels)
    count = plan.in_channels
    missing = [number for number in range(count) if number not in found]
    if missing:
        file = some.with_name(f"{name}_{missing[0]:04}{some.name[len(name) + 5 :]}")
        raise InputError(
            f"{file} is not among the images: the model takes {count} channels ({names}), each a "
            f"file beside {some.name}; give that file too"
        )
    if len(found) > count:
        raise InputError(
            f"{name} has {len(found)} channel files, up to {found[max(found)].name}, but the model "
            f"takes {count} channels ({names}); give it those alone"
        )


def _holds_channels(found: dict[int, Path]) -> bool:
    try:
        return "C" in read_image(found[min(found)]).axes
    except InputError:
        return False  # said again when it is its turn


def _stem(file: Path) -> str:
    """Name of labels: a folder of DICOM files may have points in its name, but no ending."""
    return file.name if file.is_dir() and suffix_of(file) != ".zarr" else stem_of(file)
