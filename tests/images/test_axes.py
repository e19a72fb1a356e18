"""Axes are guessed only where the guess is safe."""

from __future__ import annotations

import numpy as np
import pytest

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import channels_first, guess_axes, resolve_axes


@pytest.mark.parametrize(
    ("shape", "channels", "axes"),
    [
        ((40, 50), 1, "YX"),
        ((40, 50, 3), 1, "YXC"),
        ((40, 50, 4), 3, "YXC"),
        ((40, 50, 3), 3, "YXC"),
        ((3, 40, 50), 3, "CYX"),
        ((5, 40, 50), 5, "CYX"),
        ((40, 50, 5), 5, "YXC"),
        ((1, 40, 50), 1, "CYX"),
        ((40, 50, 1), 1, "YXC"),
        ((2, 40, 4), 2, "CYX"),
        ((3, 40, 3), 3, "YXC"),
        ((5, 40, 50), 1, None),
        ((40, 50, 5), 1, None),
        ((40,), 1, None),
        ((2, 3, 40, 50), 3, None),
    ],
)
def test_guess(shape: tuple[int, ...], channels: int, axes: str | None) -> None:
    assert guess_axes(shape, channels) == axes


def test_resolve() -> None:
    assert resolve_axes((40, 50), None, 1) == ("YX", False)
    assert resolve_axes((40, 50, 3), None, 1) == ("YXC", True)
    assert resolve_axes((40, 50, 3), "cyx", 40) == ("CYX", False)


@pytest.mark.parametrize(
    ("shape", "axes", "words"),
    [
        ((5, 40, 50), None, "say which axes.*--axes"),
        ((5, 40, 50), "ZYX", "'ZYX' are not those of a 2D image"),
        ((40, 50), "YXC", "do not fit an array of shape"),
    ],
)
def test_refused(shape: tuple[int, ...], axes: str | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        resolve_axes(shape, axes, 1)


def test_channels_first_is_a_view() -> None:
    array = np.arange(24).reshape(2, 4, 3)
    assert np.array_equal(channels_first(array, "YXC")[1], array[..., 1])
    assert channels_first(array, "CYX").shape == (2, 4, 3)
    assert channels_first(array[0], "YX").shape == (1, 4, 3)
    assert np.shares_memory(channels_first(array, "YXC"), array)
