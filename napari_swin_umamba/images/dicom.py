"""Read DICOM: a folder that holds a series, or one file, with SimpleITK (GDCM)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.dicom_series import (
    DicomFile,
    DicomSeries,
    choose_series,
    dicom_reader,
    read_dicom_header,
)
from napari_swin_umamba.images.geometry import (
    best_order,
    checked_affine,
    is_orthogonal,
    reorder_columns,
    spacing_of,
)
from napari_swin_umamba.images.image import Image, StoredGrid
from napari_swin_umamba.images.itk import affine_of_itk, quiet_itk
from napari_swin_umamba.images.limits import check_size
from napari_swin_umamba.images.volume_axes import ordered_axes, placeholder

__all__ = ["read_dicom", "read_dicom_series"]

_UNEVEN = 0.01
"""Share of the distance of slices by which one may differ without a word."""
_TOO_UNEVEN = 0.1
"""Share from which slices cannot be taken for evenly spaced."""


def read_dicom(path: Path, series: str | None = None, data: bool = True) -> Image:
    """Read a DICOM series, or one file of one or many frames.

    Slices are put in order by their place, not by their names. Rescale slope and intercept are
    applied, so that CT is in Hounsfield units. A tilted gantry gives a sheared affine.

    Parameters
    ----------
    path
        The folder of the series, or a file.
    series
        UID or number of the series, where a folder holds several.
    data
        Whether to read the values; without, the array is zeros that take no memory.

    Raises
    ------
    InputError
        The folder holds several series, slices are missing or of different sizes, or a file is
        damaged.
    """
    if path.is_dir():
        chosen = choose_series(path, series)
    else:
        header = read_dicom_header(path)
        chosen = DicomSeries(header.uid, header.number, header.description, (header,))
    return read_dicom_series(path, chosen, data)


def read_dicom_series(path: Path, series: DicomSeries, data: bool = True) -> Image:
    """Read the files of one series; see :func:`read_dicom`."""
    files = list(series.files)
    notes: tuple[str, ...] = ()
    if len(files) > 1:
        files, notes = _sorted(path, files)
    first = files[0]
    affine = checked_affine(path, _affine(files))
    frames = first.size[2] if len(files) == 1 else len(files)
    shape = (frames, first.size[1], first.size[0])
    if data:
        # Float64 holds what any slope makes of 32 bits; most series are 2 bytes.
        check_size(path, (*shape, first.components), 2, None, deflated=False)
        array = _values(path, files)
    else:
        full = shape if first.components == 1 else (*shape, first.components)
        array = placeholder(full, np.dtype(np.uint8))
    array = np.moveaxis(array, -1, 0) if first.components > 1 else array[np.newaxis]
    order = best_order(affine)
    array, axes = ordered_axes(path, array[:, np.newaxis], order, colours=False, first="CT")
    if frames == 1 and not first.placed:  # a picture: an X-ray, a photograph, ultrasound
        return _picture(path, array, axes, first)
    itk = None
    if is_orthogonal(affine):
        rotation = np.reshape(first.direction, (3, 3)).copy()
        steps = [*first.spacing]
        if len(files) > 1:
            column = affine[:3, 2][::-1]  # x, y, z
            steps[2] = float(np.linalg.norm(column))
            rotation[:, 2] = column / steps[2]
        itk = (first.origin, tuple(steps), tuple(rotation.ravel().tolist()))
    grid = StoredGrid(order, itk=itk)
    if not first.spaced:
        note = "the files do not say the voxel size"
        return Image(array, axes, path=path, notes=(*notes, note), grid=StoredGrid(order))
    affine = reorder_columns(affine, order)
    return Image(array, axes, spacing_of(affine), "millimeter", path, notes, affine, grid)


def _picture(path: Path, array: np.ndarray, axes: str, file: DicomFile) -> Image:
    """A file that lies nowhere in particular is a 2D image."""
    plane = axes.index("Z")
    array, axes = np.take(array, 0, axis=plane), axes.replace("Z", "")
    if not file.spaced:
        return Image(array, axes, path=path, notes=("the file does not say the pixel size",))
    return Image(array, axes, (file.spacing[1], file.spacing[0]), "millimeter", path)


def _affine(files: list[DicomFile]) -> np.ndarray:
    """Affine (4, 4) of the file's axes in z, y, x of LPS: columns x, y, and across slices."""
    first = files[0]
    affine = affine_of_itk(first.origin, first.spacing, first.direction)
    if len(files) > 1:
        step = (np.array(files[-1].origin) - first.origin) / (len(files) - 1)
        affine[:3, 2] = step[::-1]
    return affine


def _sorted(path: Path, files: list[DicomFile]) -> tuple[list[DicomFile], tuple[str, ...]]:
    """Files in the order of their places, and what is not quite even about them."""
    first = files[0]
    if any(file.size[2] > 1 for file in files):
        raise InputError(
            f"{path} holds {len(files)} files of many frames each; give one of the files"
        )
    if any(file.size != first.size or file.components != first.components for file in files):
        raise InputError(f"{path} holds slices of different sizes; put them into different folders")
    directions = np.array([file.direction for file in files])
    spacings = np.array([file.spacing[:2] for file in files])
    if np.abs(directions - directions[0]).max() > 1e-3 or not np.allclose(
        spacings, spacings[0], rtol=1e-3
    ):
        raise InputError(
            f"{path} holds slices that are not parallel or not alike (a localizer?); "
            "put them into different folders"
        )
    if not all(file.placed for file in files):
        raise InputError(
            f"{path} holds {len(files)} pictures that do not say where they lie (Image Position); "
            "give them one by one"
        )
    normal = np.reshape(first.direction, (3, 3))[:, 2]
    places = np.array([file.origin for file in files]) @ normal
    order = np.argsort(places, kind="stable")
    places = places[order]
    return [files[i] for i in order], _evenness(path, places)


def _evenness(path: Path, places: np.ndarray) -> tuple[str, ...]:
    """Say what is wrong with the distances of slices; `places` are sorted, in millimetres."""
    gaps = np.diff(places)
    typical = float(np.median(gaps))
    same = int((gaps < 1e-3).sum())
    if same:
        raise InputError(
            f"{path} holds {same + 1} or more slices at one place: several times, echoes or "
            "duplicates in one series; put each volume into a folder of its own"
        )
    worst = float(np.abs(gaps - typical).max()) / typical
    if worst <= _UNEVEN:
        return ()
    if worst <= _TOO_UNEVEN:
        spread = f"{gaps.min():.4g} to {gaps.max():.4g} mm"
        return (f"slices are {spread} apart; taken as evenly spaced, {gaps.mean():.4g} mm",)
    at = int(np.argmax(gaps))
    missing = round(gaps[at] / typical) - 1
    if missing >= 1 and abs(gaps[at] / typical - missing - 1) <= _TOO_UNEVEN * (missing + 1):
        raise InputError(
            f"{path} lacks slices: between {places[at]:.6g} and {places[at + 1]:.6g} mm there is "
            f"room for {missing} more (others are {typical:.4g} mm apart); export the series anew"
        )
    raise InputError(
        f"{path} has slices {gaps.min():.4g} to {gaps.max():.4g} mm apart, so it is no even grid; "
        "resample it first, or put its parts into folders of their own"
    )


def _values(path: Path, files: list[DicomFile]) -> np.ndarray:
    """Values ``(slices, rows, columns[, components])``, of the first dtype that holds all."""
    planes: list[np.ndarray] = []
    for file in files:
        with quiet_itk():
            try:
                image = dicom_reader(file.path).Execute()
            except RuntimeError as error:
                raise InputError(
                    f"{file.path} cannot be read, it may be damaged or packed in a way that GDCM "
                    "does not know"
                ) from error
        plane = sitk.GetArrayFromImage(image)
        if plane.dtype.kind not in "iuf":
            raise InputError(f"{file.path} holds {plane.dtype} values; real numbers are needed")
        planes.append(plane if plane.ndim == 3 + (file.components > 1) else plane[np.newaxis])
    dtype: np.dtype[Any] = np.result_type(*(plane.dtype for plane in planes))
    if dtype == np.float64:
        dtype = np.dtype(np.float32)  # slopes are given with few digits
    if len(planes) == 1:
        return planes[0].astype(dtype, copy=False)
    return np.concatenate(planes, axis=0, dtype=dtype, casting="same_kind")
