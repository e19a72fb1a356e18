"""TIFF with the axes and pixel sizes that OME and ImageJ store."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.axes import channel_index
from napari_swin_umamba.images.image import Image
from napari_swin_umamba.images.limits import check_size
from napari_swin_umamba.images.tiff_spacing import read_spacing
from napari_swin_umamba.images.volume_axes import spatial_axes

__all__ = ["TIFF_MAGICS", "read_tiff"]

TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_UNNAMED = "QI"  # tifffile: an axis of unknown meaning, a sequence of pages


def read_tiff(
    path: Path,
    axes: str | None = None,
    indices: bool = False,
    channel_axis: int | str | None = None,
) -> Image:
    """Read the first image of a TIFF file, at full resolution.

    Values are as stored: like napari and ImageJ, a file that calls 0 white is not inverted.

    Parameters
    ----------
    path
        The file.
    axes
        Axes of the stored array (without those of length 1), in capitals, where the person
        knows better than the file; None to believe the file.
    indices
        Give the indices of a palette image, not its colours.
    channel_axis
        Axis of the stored array (without those of length 1) that holds channels, by letter or
        number, where the person knows better; the others are then T, Z, Y, X as far as they go.

    Raises
    ------
    InputError
        It holds no image, or axes that cannot be guessed.
    """
    with _no_missing_pages(path), tifffile.TiffFile(path) as tif:
        if not tif.series:
            raise InputError(f"{path} holds no image")
        series = tif.series[0]
        notes: tuple[str, ...] = ()
        if len(tif.series) > 1:
            notes = (f"the file holds {len(tif.series)} images; the first one is used",)
        check_size(path, series.shape, series.dtype.itemsize, None, deflated=False)
        array, stored = _squeeze(series.asarray(), series.axes)
        # Metadata of OME or ImageJ that do not fit the pages are a reason not to guess.
        described = tif.is_ome or tif.is_imagej or "<OME" in tif.pages.first.description
        if channel_axis is not None:
            letters = stored if described else _guessed(stored, array.shape)[0]
            array, axes = _channels_at(path, array, letters, channel_axis)
        if axes is None and not described:
            stored, guess = _guessed(stored, array.shape)
            notes += guess
        if axes is None and not described and stored.startswith("S") and len(stored) == 3:
            note = (
                f"{len(array)} planes are taken for colours, as the file says; if they are slices "
                "or channels, say --axes ZYX or CYX"
            )
            notes += (note,)
        array, stored = _name_axes(path, array, stored, axes)
        colormap = series.keyframe.colormap
        # ImageJ stores a grey image shown in colour as a palette image: its indices are the
        # intensities. Elsewhere a palette image is a picture with few colours.
        if colormap is not None and not indices and not tif.is_imagej and "C" not in stored:
            array, stored = _apply_colormap(array, colormap), stored + "C"
        spacing, unit = read_spacing(tif, spatial_axes(stored))
        if spacing is None and tif.is_ome and "PhysicalSize" in (tif.ome_metadata or ""):
            notes += (
                "the file's pixel sizes are not used: they are incomplete, or in no unit of length",
            )
    return Image(array, stored, spacing, unit, path, notes)


@contextmanager
def _no_missing_pages(path: Path) -> Iterator[None]:
    """Refuse a file whose list of pages leads beyond its end; tifffile only logs that.

    Its log is kept off the terminal: a reader's complaints about tags nobody needs are noise.
    """
    log, complaints = logging.getLogger("tifffile"), _Complaints()
    propagate, log.propagate = log.propagate, False
    log.addHandler(complaints)
    try:
        yield
    finally:
        log.removeHandler(complaints)
        log.propagate = propagate
    if any("invalid page offset" in text for text in complaints.texts):
        raise InputError(f"{path} is cut off: pages are missing; copy it anew")


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self.texts.append(record.getMessage())


def _squeeze(array: np.ndarray, axes: str) -> tuple[np.ndarray, str]:
    """Drop axes of length 1, but for rows and columns."""
    drop = [i for i, axis in enumerate(axes) if array.shape[i] == 1 and axis not in "YX"]
    kept = "".join(axis for i, axis in enumerate(axes) if i not in drop)
    return np.squeeze(array, axis=tuple(drop)), kept


def _channels_at(
    path: Path, array: np.ndarray, stored: str, channel_axis: int | str
) -> tuple[np.ndarray, str]:
    """Bring an axis of channels where :class:`Image` has it, and name all axes."""
    index = channel_index(path, stored, channel_axis)
    others = stored[:index] + stored[index + 1 :]
    if not 2 <= len(others) <= 4:
        raise InputError(
            f"{path} has axes {stored}: without channels, 2 to 4 can be read (--channel-axis)"
        )
    named = set(others) <= set("TZYX") and others.endswith("YX")
    names = others if named else "TZYX"[-len(others) :]
    last = index == len(stored) - 1
    if last and array.dtype == np.uint8 and array.shape[-1] in (3, 4):
        return array, names + "C"  # colours
    before = len(names) - len(names.lstrip("T"))
    return np.moveaxis(array, index, before), names[:before] + "C" + names[before:]


def _name_axes(
    path: Path, array: np.ndarray, stored: str, given: str | None
) -> tuple[np.ndarray, str]:
    """Bring the array to the order T, C, Z, Y, X, colours; see :class:`Image`."""
    if given is not None:
        if len(given) != array.ndim:
            raise InputError(
                f"axes '{given}' do not fit {path}: its shape is {array.shape} (--axes)"
            )
        stored = given
    shape, letters = array.shape, stored
    if (
        given is None and "S" in stored
    ):  # samples of one pixel: colours, stored before or after the pixels
        array = np.moveaxis(array, stored.index("S"), -1)
        stored = stored.replace("S", "") + "C"
    if len(set(stored)) == len(stored) and "YX" in stored and set(stored) <= set("TCZYX"):
        tail = stored.partition("YX")[2]
        if tail in ("", "C"):  # what comes before the rows may come in any order
            names = sorted(stored[: len(stored) - len(tail) - 2], key="TCZ".index)
            wanted = "".join(names) + "YX" + tail
            return array.transpose([stored.index(axis) for axis in wanted]), wanted
    if given is not None:
        raise InputError(
            f"axes '{given}' are not those of an image: use T, C, Z before YX, or C behind it for "
            "colours (--axes)"
        )
    raise InputError(
        f"{path} has axes {letters} and shape {shape}, which the file does not explain: save it as "
        "an OME or ImageJ TIFF that names its axes, or say them in this order (--axes), one letter "
        "each of T, C, Z, Y, X"
    )


def _guessed(stored: str, shape: tuple[int, ...]) -> tuple[str, tuple[str, ...]]:
    """Name an axis of pages of which the file says nothing, and say why."""
    if len(stored) < 3 or stored[0] not in _UNNAMED or stored[1:3] != "YX":
        return stored, ()
    note = (
        f"{shape[0]} pages are taken for planes of a volume (Z), as most stacks are, since the "
        "file does not name them; if they are channels or times, say --axes CYX or TYX"
    )
    return "Z" + stored[1:], (note,)


def _apply_colormap(array: np.ndarray, colormap: np.ndarray) -> np.ndarray:
    """Look up 16-bit colours ``(3, values)`` for indices ``(...)``; return uint8 ``(..., 3)``."""
    colors = (colormap >> 8).astype(np.uint8) if colormap.max() > 255 else colormap
    return np.moveaxis(colors[:, array], 0, -1)
