"""From a stored image to network input: channels, then intensities.

Training and prediction both go through :func:`preprocess`, so a network never sees intensities
on another scale than it was trained with.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.axes import channels_first, resolve_axes
from napari_swin_umamba.plan import Normalization, Plan

__all__ = ["is_blank", "normalize", "preprocess", "select_channels"]

_LUMINANCE = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709
_STD_FLOOR = 1e-8  # as nnU-Net; a constant image becomes zeros, not NaN
_RELATIVE = ("zscore", "percentile", "rescale_to_01")
"""Schemes that make zeros of any channel without contrast."""
_BLOCK = 1 << 22  # values reduced at a time in float64: 32 MB


def preprocess(array: np.ndarray, axes: str | None, plan: Plan) -> np.ndarray:
    """Turn an image into network input.

    Parameters
    ----------
    array
        The image, any real dtype and byte order; shape as `axes` says.
    axes
        ``"YX"``, ``"YXC"`` (colour) or ``"CYX"`` (channels); None to guess.
    plan
        Channels and their normalization.

    Returns
    -------
    np.ndarray
        ``(C, Y, X)``, float32, C-contiguous, finite; no memory shared with `array`.

    Raises
    ------
    InputError
        Empty, not numeric, NaN or infinite, or not the channels the model was trained on.
    """
    channels, _ = select_channels(array, axes, plan)
    return normalize(channels, plan)


def select_channels(
    array: np.ndarray, axes: str | None, plan: Plan
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Bring an image to the channels of a plan, intensities unchanged.

    Only what cannot be wrong is done by itself: alpha is dropped and a colour image becomes
    luminance for a one-channel model; a grey image is repeated for an RGB model. Channels that
    are not colours are never mixed or repeated.

    Returns
    -------
    channels : np.ndarray
        ``(C, Y, X)``, float32, a new array.
    notes : tuple of str
        What was assumed, for people.

    Raises
    ------
    InputError
        As :func:`preprocess`.
    """
    if array.dtype.kind not in "buif":
        raise InputError(f"an image needs real numbers, not dtype {array.dtype}")
    axes, guessed = resolve_axes(array.shape, axes, plan.in_channels)
    notes = [f"axes of shape {array.shape} taken as {axes}"] if guessed else []
    if array.size == 0:
        raise InputError(f"the image is empty: its shape is {array.shape}")
    stored = channels_first(array, axes)
    if axes == "YXC" and len(stored) == 4 and plan.in_channels != 4:
        stored = stored[:3]
        notes.append("transparency (alpha channel) ignored")
    if len(stored) == plan.in_channels:
        return _to_float32(stored), tuple(notes)
    if plan.in_channels == 1 and axes == "YXC" and len(stored) == 3:
        notes.append("colours turned to grey (luminance)")
        return _luminance(stored), tuple(notes)
    if plan.rgb and len(stored) == 1:
        notes.append("grey image repeated into red, green and blue")
        return np.repeat(_to_float32(stored), 3, axis=0), tuple(notes)
    raise _wrong_channels(len(stored), axes, array.shape, plan)


def _wrong_channels(count: int, axes: str, shape: tuple[int, ...], plan: Plan) -> InputError:
    names = ", ".join(channel.name for channel in plan.channels)
    received = f"the image has {count} channel{'s' * (count != 1)} (axes {axes}, shape {shape})"
    hint = "choose the channels to segment"
    if axes == "CYX" and count in (3, 4):
        hint = "choose one, or say that they are colours with axes YXC (--axes)"
    return InputError(f"{received}, but the model takes {plan.in_channels} ({names}); {hint}")


def _to_float32(stored: np.ndarray) -> np.ndarray:
    """Copy to float32 and refuse what is not finite there."""
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.array(stored, dtype=np.float32, order="C", copy=True)
        # A sum is NaN or infinite if any value is, and needs no array of booleans.
        total = array.sum(dtype=np.float64)
    if np.isfinite(total):
        return array
    bad = int(array.size - np.isfinite(array).sum())
    if np.isfinite(stored).all():
        raise InputError(f"{bad} values of the image are beyond the range of float32; rescale it")
    raise InputError(f"{bad} of {array.size} values of the image are NaN or infinite; replace them")


def _luminance(stored: np.ndarray) -> np.ndarray:
    """Weigh red, green and blue ``(3, Y, X)`` into one channel ``(1, Y, X)``."""
    grey = np.zeros((1, *stored.shape[1:]), np.float32)
    for weight, color in zip(_LUMINANCE, stored, strict=True):
        grey += _to_float32(color[np.newaxis]) * np.float32(weight)
    return grey


def normalize(channels: np.ndarray, plan: Plan) -> np.ndarray:
    """Put intensities on the network's scale, in place.

    Parameters
    ----------
    channels
        ``(C, ...)``, float32; changed.
    plan
        With C channels.

    Returns
    -------
    np.ndarray
        `channels`.
    """
    for channel, spec in zip(channels, plan.channels, strict=True):
        _SCHEMES[spec.normalization.scheme](channel, spec.normalization)
    return channels


def is_blank(normalized: np.ndarray, plan: Plan) -> bool:
    """Whether nothing is to be seen in a plane, such as around a registered volume.

    What a network answers then is the average of its training masks.

    Parameters
    ----------
    normalized
        ``(C, Y, X)``, from :func:`normalize`.
    plan
        With C channels. Where one keeps its scale, as CT does, grey may mean something.
    """
    relative = all(channel.normalization.scheme in _RELATIVE for channel in plan.channels)
    return relative and not normalized.any()


def _zscore(channel: np.ndarray, _: Normalization) -> None:
    mean, std = _mean_and_std(channel)
    channel -= np.float32(mean)
    channel /= np.float32(max(std, _STD_FLOOR))


def _percentile(channel: np.ndarray, norm: Normalization) -> None:
    low, high = np.percentile(channel, (norm.lower or 0.0, norm.upper or 100.0))
    # Few bright spots on a black field: both percentiles are the background's value, and
    # clipping to them would erase the image. Leave such a channel unclipped.
    if low < high:
        np.clip(channel, np.float32(low), np.float32(high), out=channel)
    _zscore(channel, norm)


def _ct(channel: np.ndarray, norm: Normalization) -> None:
    np.clip(channel, norm.lower, norm.upper, out=channel)
    channel -= np.float32(norm.mean)
    channel /= np.float32(max(norm.std or 0.0, _STD_FLOOR))


def _rescale_to_01(channel: np.ndarray, _: Normalization) -> None:
    channel -= channel.min()
    channel /= max(channel.max(), np.float32(_STD_FLOOR))


def _rgb_to_01(channel: np.ndarray, _: Normalization) -> None:
    channel /= np.float32(255)


def _none(channel: np.ndarray, _: Normalization) -> None:
    """Leave the channel as it is."""


_SCHEMES: dict[str, Callable[[np.ndarray, Normalization], None]] = {
    "zscore": _zscore,
    "percentile": _percentile,
    "ct": _ct,
    "rescale_to_01": _rescale_to_01,
    "rgb_to_01": _rgb_to_01,
    "none": _none,
}


def _mean_and_std(channel: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation, summed in float64 block by block.

    float32 sums lose digits on large images, and ``dtype=float64`` would copy the image.
    """
    values = channel.reshape(-1)
    blocks = [values[i : i + _BLOCK] for i in range(0, values.size, _BLOCK)]
    mean = sum(float(block.sum(dtype=np.float64)) for block in blocks) / values.size
    square = sum(float(((block.astype(np.float64) - mean) ** 2).sum()) for block in blocks)
    return mean, (square / values.size) ** 0.5
