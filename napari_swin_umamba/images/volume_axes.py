"""Axes of volumes: from the order of a file to T, C, Z, Y, X and back, by transposing alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_swin_umamba.errors import InputError

__all__ = [
    "file_order",
    "ordered_axes",
    "placeholder",
    "renamed_axes",
    "spatial_axes",
    "without_channels",
]


def spatial_axes(axes: str) -> str:
    """Return the spatial axes among axes: ``ZYX`` of ``TCZYX``."""
    return "".join(axis for axis in axes if axis in "ZYX")


def without_channels(axes: str) -> str:
    """Return the axes that labels have: ``TZYX`` of ``TCZYX``."""
    return axes.replace("C", "")


def placeholder(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Zeros that take no memory, for a file of which only the header is read."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def ordered_axes(
    path: Path, array: np.ndarray, order: tuple[int, ...], colours: bool, first: str
) -> tuple[np.ndarray, str]:
    """Bring an array in a file's order to T, C, Z, Y, X[, colours].

    T and C of length 1 are dropped; a single plane stays. Three or four channels of uint8 are
    colours: nobody stores three measurements so, and ITK writes RGB so.

    Parameters
    ----------
    path
        For messages.
    array : (axes `first`, the file's spatial axes from the slowest to the fastest[, colours])
        Any dtype.
    order
        For each spatial axis of the result, the axis of the file (0 the fastest).
    colours
        Whether a last axis holds colours.
    first
        Axes before the spatial ones, out of T and C.
    """
    rank, before = len(order), len(first)
    spatial = [before + rank - 1 - axis for axis in order]
    tail = [before + rank] if colours else []
    array = array.transpose([*range(before), *spatial, *tail])
    axes = first + "ZYX"[-rank:] + ("c" if colours else "")  # c: colours, for now
    if "C" in first and not colours:
        channel = axes.index("C")
        if array.dtype == np.uint8 and array.shape[channel] in (3, 4):
            array, axes = np.moveaxis(array, channel, -1), axes.replace("C", "") + "c"
    drop = tuple(i for i, axis in enumerate(axes) if axis in "TC" and array.shape[i] == 1)
    array = np.squeeze(array, axis=drop)
    axes = "".join(axis for i, axis in enumerate(axes) if i not in drop)
    if "C" in axes and "c" in axes:
        raise InputError(f"{path} holds channels of colours; save one channel as a file")
    if axes.startswith("CT"):
        array, axes = np.swapaxes(array, 0, 1), "TC" + axes[2:]
    return array, axes.upper()


def renamed_axes(path: Path, stored: str, given: str | None) -> str:
    """Return the axes that a person gave for a volume file: T may be C, and C be T.

    Raises
    ------
    InputError
        They contradict what the file knows about space.
    """
    if given is None or given == stored:
        return stored
    same = len(given) == len(stored) and all(
        ours == theirs or {ours, theirs} <= set("TC")
        for ours, theirs in zip(stored, given, strict=True)
    )
    if not same or len(set(given)) != len(given) or (given[-1] == "C") != (stored[-1] == "C"):
        raise InputError(
            f"axes '{given}' do not fit {path}: it has {stored}, and only T and C can be "
            "exchanged (--axes)"
        )
    return given


def file_order(labels: np.ndarray, axes: str, order: tuple[int, ...]) -> np.ndarray:
    """Return a view of labels with the file's slowest axis first: undoes :func:`ordered_axes`.

    Parameters
    ----------
    labels : ([T,] [Z,] Y, X)
        Axes as `axes` says.
    axes
        ``"YX"``, ``"ZYX"`` or ``"TZYX"``.
    order
        For each spatial axis of the labels, the axis of the file.
    """
    before = len(axes) - len(order)
    inverse = [before + order.index(axis) for axis in reversed(range(len(order)))]
    return labels.transpose([*range(before), *inverse])
