"""Names of the axes of 2D images: Y rows, X columns, C channels. Volumes: ``volume_axes``.

``YXC`` is a colour image: red, green, blue and perhaps alpha. ``CYX`` is a stack of channels
that have nothing to do with colours, as a fluorescence microscope gives them. The difference
matters when the model wants another number of channels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_swin_umamba.errors import InputError, shown

__all__ = [
    "IMAGE_AXES",
    "channel_index",
    "channels_first",
    "check_axes",
    "guess_axes",
    "resolve_axes",
]

IMAGE_AXES = ("YX", "YXC", "CYX")
"""Axes of the images that can be segmented."""

_COLOR_CHANNELS = (3, 4)


def check_axes(axes: object) -> str | None:
    """Return the axes that a person gave, in capitals, or None if they gave none.

    Raises
    ------
    InputError
        They are not text. Whether they are those of an image is for :func:`resolve_axes`.
    """
    if axes is None:
        return None
    if not isinstance(axes, str):
        raise InputError(f"axes {shown(axes)} are not text: give one of {', '.join(IMAGE_AXES)}")
    return axes.upper()


def channel_index(path: Path, axes: str, channel_axis: int | str) -> int:
    """Return the index of the axis that a person says holds channels.

    Parameters
    ----------
    path
        For messages.
    axes
        Letters of the axes as they are read.
    channel_axis
        One of the letters, or a number from 0 (from -1 backwards), also as text.

    Raises
    ------
    InputError
        There is no such axis.
    """
    text = str(channel_axis).strip().upper()
    if text in axes and len(text) == 1:
        return axes.index(text)
    try:
        number = int(text)
    except ValueError:
        number = len(axes)
    if not -len(axes) <= number < len(axes):
        raise InputError(
            f"{path} has no axis {shown(channel_axis)}: give one of {', '.join(axes)}, or a number "
            f"from 0 to {len(axes) - 1} (--channel-axis)"
        )
    return number % len(axes)


def guess_axes(shape: tuple[int, ...], channels: int) -> str | None:
    """Guess the axes of an array from its shape, or return None where that would be a gamble.

    Parameters
    ----------
    shape
        Shape of the array.
    channels
        Number of channels the model wants: decides between ``YXC`` and ``CYX``.
    """
    if len(shape) == 2:
        return "YX"
    if len(shape) != 3:
        return None
    first, last = shape[0], shape[2]
    if last in _COLOR_CHANNELS and not (first == channels != last):
        return "YXC"
    if first in (1, channels):
        return "CYX"
    return "YXC" if last in (1, channels) else None


def resolve_axes(shape: tuple[int, ...], axes: str | None, channels: int) -> tuple[str, bool]:
    """Return the axes of an array, and whether they were guessed among several possible ones.

    Parameters
    ----------
    shape
        Shape of the array.
    axes
        What the person said; None to guess.
    channels
        Number of channels the model wants.

    Raises
    ------
    InputError
        The axes are not those of a 2D image, do not fit the shape, or cannot be guessed.
    """
    axes = check_axes(axes)
    if axes is None:
        guess = guess_axes(shape, channels)
        if guess is None:
            raise InputError(
                f"an array of shape {shape} could mean several things; say which axes it has, "
                f"one of {', '.join(IMAGE_AXES)} (--axes)"
            )
        return guess, len(shape) > 2
    if axes not in IMAGE_AXES:
        raise InputError(f"axes '{axes}' are not those of a 2D image: {', '.join(IMAGE_AXES)}")
    if len(axes) != len(shape):
        raise InputError(
            f"axes '{axes}' do not fit an array of shape {shape}: one letter per axis (--axes)"
        )
    return axes, False


def channels_first(array: np.ndarray, axes: str) -> np.ndarray:
    """Return a view ``(C, Y, X)`` of an image with axes ``YX``, ``YXC`` or ``CYX``."""
    if axes == "YX":
        return array[np.newaxis]
    return np.moveaxis(array, axes.index("C"), 0)
