"""Read one case: its channels as one array, and its labels on the same grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import (
    VOLUME_SUFFIXES,
    Image,
    read_geometry,
    read_image,
    read_labels,
    suffix_of,
)
from napari_swin_umamba.images.slices import SliceLayout
from napari_swin_umamba.segmentation.layout import resolve_layout
from swin_umamba_training.data.problems import Problem
from swin_umamba_training.data.source import Case

__all__ = ["case_layout", "plane_axis", "read_case_image", "read_case_labels"]

_SAME = 1e-3  # relative difference of spacings that is rounding
_SAME_DIRECTION = 1e-2


def read_case_image(case: Case, problems: list[Problem]) -> Image | None:
    """Read all channels of a case into one image.

    Parameters
    ----------
    case
        Which one.
    problems
        What is wrong is added here.

    Returns
    -------
    Image or None
        Several files become a first axis C. None if a file cannot be read or does not fit.
    """
    parts = []
    for file in case.images:
        try:
            parts.append(read_image(file))
        except InputError as error:
            problems.append(Problem("unreadable", str(error), (str(file),)))
    if len(parts) < len(case.images):
        return None
    first = parts[0]
    if len(parts) == 1:
        return first
    good = True
    for file, part in zip(case.images[1:], parts[1:], strict=True):
        files = (str(case.images[0]), str(file))
        if part.array.shape != first.array.shape or part.axes != first.axes:
            message = (
                f"{file} is {pixels(part.array.shape)}, {case.images[0].name} "
                f"{pixels(first.array.shape)}; channels of a case must be of one size"
            )
            problems.append(Problem("sizes-differ", message, files))
            good = False
        elif not _same_spacing(part, first):
            message = (
                f"{file} has spacing {_numbers(part.spacing)}, {case.images[0].name} "
                f"{_numbers(first.spacing)}; channels of a case must lie on one grid"
            )
            problems.append(Problem("spacing-differs", message, files))
            good = False
    if "C" in first.axes:
        message = f"{case.images[0]} holds several channels, and so does the case {case.name}"
        problems.append(Problem("channels-differ", message, tuple(map(str, case.images))))
        good = False
    if not good:
        return None
    return replace(first, array=np.stack([part.array for part in parts]), axes="C" + first.axes)


def read_case_labels(
    case: Case, image: Image, problems: list[Problem]
) -> NDArray[np.integer] | None:
    """Read the labels of a case as they are stored.

    Parameters
    ----------
    case
        Which one.
    image
        As :func:`read_case_image` returned it.
    problems
        What is wrong is added here.

    Returns
    -------
    np.ndarray or None
        ``([T,] [Z,] Y, X)``, int32, of the image's size; None if they cannot be read or do not
        fit. What a complete slice of a project leaves unpainted is background.
    """
    axes, shape = _label_grid(image)
    try:
        labels = (
            read_labels(case.labels)
            if isinstance(case.labels, Path)
            else _read_annotation(case, axes, shape)
        )
    except InputError as error:
        problems.append(Problem("bad-labels", str(error), (case.labels_name,)))
        return None
    if labels.shape != shape:
        message = (
            f"the mask {case.labels_name} is {pixels(labels.shape)} pixels, its image "
            f"{case.images[0].name} {pixels(shape)}; they must be of one size"
        )
        files = (str(case.images[0]), case.labels_name)
        problems.append(Problem("sizes-differ", message, files))
        return None
    if isinstance(case.labels, Path) and not _on_one_grid(case, case.labels, image, problems):
        return None
    return labels


def _label_grid(image: Image) -> tuple[str, tuple[int, ...]]:
    kept = [(a, n) for a, n in zip(image.axes, image.array.shape, strict=True) if a != "C"]
    return "".join(axis for axis, _ in kept), tuple(size for _, size in kept)


def _read_annotation(case: Case, axes: str, shape: tuple[int, ...]) -> NDArray[np.integer]:
    annotation = case.labels
    assert not isinstance(annotation, Path)
    image = annotation.image
    if (image.label_axes, image.label_shape) != (axes, shape):
        raise InputError(
            f"{case.images[0]} is {pixels(shape)} ({axes}), but '{case.name}' was annotated on "
            f"{pixels(image.label_shape)} ({image.label_axes}); put the former file back"
        )
    labels = np.zeros(shape, np.int32)
    for position in annotation.annotated():
        index: list[int | slice] = [slice(None)] * len(shape)
        for axis, place in zip(image.fixed_axes, position, strict=True):
            index[axes.index(axis)] = place
        labels[tuple(index)] = annotation.read_filled(position)
    return labels


def _on_one_grid(case: Case, file: Path, image: Image, problems: list[Problem]) -> bool:
    """Whether the label volume says that it lies where its image does."""
    if suffix_of(file) not in VOLUME_SUFFIXES or image.affine is None:
        return True
    labels = read_geometry(file)
    files = (str(case.images[0]), str(file))
    if not _same_spacing(labels, image):
        message = (
            f"the mask {file} has spacing {_numbers(labels.spacing)}, its image "
            f"{case.images[0].name} {_numbers(image.spacing)}; resample one of them"
        )
        problems.append(Problem("spacing-differs", message, files))
        return False
    if labels.affine is None or labels.affine.shape != image.affine.shape:
        return True
    size = len(image.affine) - 1
    steps = np.linalg.norm(image.affine[:size, :size], axis=0)
    turned = np.abs(labels.affine[:size, :size] - image.affine[:size, :size]) / steps
    if turned.max() > _SAME_DIRECTION:
        message = (
            f"the mask {file} is turned against its image {case.images[0].name}: their headers "
            "name other directions; write one on the grid of the other"
        )
        problems.append(Problem("place-differs", message, files))
        return False
    moved = np.abs(labels.affine[:size, size] - image.affine[:size, size]) / steps.max()
    if moved.max() > 0.5:
        message = (
            f"the mask {file} lies {moved.max():.3g} voxels beside its image "
            f"{case.images[0].name}; pixels are taken in the order of the files"
        )
        problems.append(Problem("place-differs", message, files, "warning"))
    return True


def _same_spacing(one: Image, other: Image) -> bool:
    if one.spacing is None or other.spacing is None or len(one.spacing) != len(other.spacing):
        return True
    return bool(np.allclose(one.spacing, other.spacing, rtol=_SAME, atol=0))


def case_layout(
    image: Image, slice_axis: str | None
) -> tuple[SliceLayout, tuple[float, float] | None]:
    """Return how the planes of an image lie in it, and their row and column spacing.

    Parameters
    ----------
    image
        As :func:`read_case_image` returned it.
    slice_axis
        Axis that volumes are cut along; None: the coarsest. 2D images have none.
    """
    spatial = sum(axis in "ZYX" for axis in image.axes)
    axis = slice_axis if spatial == 3 else None
    spacing = image.spacing if image.spacing and len(image.spacing) == spatial else None
    return resolve_layout(image.array.shape, image.axes, spacing, axis)


def plane_axis(image: Image, layout: SliceLayout) -> str | None:
    """Letter of the axis that a volume is cut along; None for a 2D image."""
    fixed = [image.axes[axis] for axis in layout.fixed_axes]
    return next((axis for axis in fixed if axis in "ZYX"), None)


def pixels(shape: tuple[int, ...]) -> str:
    """Return a shape for people: ``64 x 72``."""
    return " x ".join(str(size) for size in shape)


def _numbers(values: tuple[float, ...] | None) -> str:
    return " x ".join(f"{value:g}" for value in values or ())
