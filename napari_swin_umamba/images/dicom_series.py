"""Which series the DICOM files of a folder belong to, from their headers alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.images.itk import quiet_itk
from napari_swin_umamba.images.limits import check_size
from napari_swin_umamba.images.magic import is_dicom_file

__all__ = [
    "DicomFile",
    "DicomSeries",
    "choose_series",
    "dicom_reader",
    "read_dicom_header",
    "read_series",
]

_SUFFIXES = (".dcm", ".dicom", ".ima")
_MOST_LISTED = 8  # series in a message


@dataclass(frozen=True)
class DicomFile:
    """What one file says about itself."""

    path: Path
    uid: str
    """Series Instance UID."""
    number: str
    """Series Number, "" if it has none."""
    description: str
    size: tuple[int, ...]
    """Columns, rows, frames."""
    components: int
    origin: tuple[float, float, float]
    """Of the first voxel: x, y, z of LPS, in millimetres."""
    spacing: tuple[float, float, float]
    direction: tuple[float, ...]
    """Three by three, row by row."""
    placed: bool
    """Whether the file says where it lies, and is not merely put at the origin by the reader."""
    spaced: bool
    """Whether the file says how far apart its pixels are."""


@dataclass(frozen=True)
class DicomSeries:
    """The files of a series, in no particular order."""

    uid: str
    number: str
    description: str
    files: tuple[DicomFile, ...]

    def __str__(self) -> str:
        """Return a line by which a person knows the series."""
        frames = sum(file.size[2] for file in self.files)
        name = f"'{self.description}', " if self.description else ""
        number = f"number {self.number}, " if self.number else ""
        return f"{self.uid} ({name}{number}{frames} slices)"


def read_series(folder: Path) -> list[DicomSeries]:
    """Read the headers of all DICOM files of a folder, in no folder inside it.

    Other files, and DICOM files without pixels (reports, plans, DICOMDIR), are passed over.

    Returns
    -------
    list of DicomSeries
        By series number.

    Raises
    ------
    InputError
        No file holds pixels, or one is damaged or only named like DICOM.
    """
    files = sorted(file for file in folder.iterdir() if _is_dicom(file))
    groups: dict[str, list[DicomFile]] = {}
    problem: InputError | None = None
    for file in files:
        try:
            header = read_dicom_header(file)
        except InputError as error:
            if not _has_no_pixels(file):
                raise
            problem = error
            continue
        groups.setdefault(header.uid, []).append(header)
    if not groups:
        raise problem or InputError(f"{folder} holds no DICOM images")
    series = [
        DicomSeries(uid, found[0].number, found[0].description, tuple(found))
        for uid, found in groups.items()
    ]
    return sorted(series, key=lambda one: (one.number.zfill(12), one.uid))


def choose_series(folder: Path, wanted: str | None) -> DicomSeries:
    """Return the series of a folder that a person wants, or its only one.

    Parameters
    ----------
    folder
        With DICOM files.
    wanted
        Its UID or number; None if there is only one.

    Raises
    ------
    InputError
        There are several, or not the one wanted; the message lists them.
    """
    series = read_series(folder)
    if wanted is not None:
        matching = [one for one in series if wanted in (one.uid, one.number)]
        if len(matching) == 1:
            return matching[0]
        found = "no" if not matching else f"{len(matching)}"
        raise InputError(
            f"{folder} holds {found} series {shown(wanted)} (--series); it holds {_listed(series)}"
        )
    if len(series) > 1:
        raise InputError(
            f"{folder} holds {len(series)} DICOM series: {_listed(series)}; choose one by its UID "
            "or number (--series), or put them into folders of their own"
        )
    return series[0]


def read_dicom_header(path: Path) -> DicomFile:
    """Read what a file says beside its pixels.

    Raises
    ------
    InputError
        It is damaged, holds no pixels, or announces more than it can hold.
    """
    reader = dicom_reader(path)
    with quiet_itk():
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise InputError(
                f"{path} cannot be read as a DICOM image: it is damaged or holds no pixels"
            ) from error
    size = (*reader.GetSize(), 1, 1)[:3]
    components = reader.GetNumberOfComponents()
    compressed = _value(reader, "0002|0010").startswith("1.2.840.10008.1.2.4")
    itemsize = 2 if _value(reader, "0028|0100") not in ("1", "8") else 1
    # One bit a pixel is allowed; run-length and JPEG codecs say little about sizes.
    available = None if compressed else path.stat().st_size * (8 if itemsize == 1 else 1)
    check_size(path, (*size[::-1], components), itemsize, available, deflated=False)
    origin, spacing = (*reader.GetOrigin(), 0.0)[:3], (*reader.GetSpacing(), 1.0)[:3]
    direction = np.eye(3)
    rank = min(reader.GetDimension(), 3)
    square = np.reshape(reader.GetDirection(), (reader.GetDimension(),) * 2)
    direction[:rank, :rank] = square[:rank, :rank]
    enhanced = size[2] > 1
    return DicomFile(
        path,
        _value(reader, "0020|000e"),
        _value(reader, "0020|0011"),
        _value(reader, "0008|103e"),
        size,
        components,
        origin,
        spacing,
        tuple(direction.ravel().tolist()),
        placed=enhanced or bool(_value(reader, "0020|0032")),
        spaced=spacing[:2] != (1.0, 1.0) or bool(_value(reader, "0028|0030")) or enhanced,
    )


def dicom_reader(path: Path) -> sitk.ImageFileReader:
    """A reader that takes a file for DICOM whatever its name is."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    return reader


def _value(reader: sitk.ImageFileReader, tag: str) -> str:
    if not reader.HasMetaDataKey(tag):
        return ""
    value = str(reader.GetMetaData(tag)).encode("utf-8", "replace").decode("utf-8", "replace")
    return " ".join(value.replace("\0", " ").split())


def _is_dicom(file: Path) -> bool:
    """Whether a file is DICOM; one that is only named so would silently be a missing slice."""
    if is_dicom_file(file):
        return True
    if file.suffix.lower() in _SUFFIXES and file.is_file() and not file.name.startswith("."):
        raise InputError(f"{file} is damaged: it does not begin as a DICOM file does")
    return False


def _listed(series: Iterable[DicomSeries]) -> str:
    lines = [str(one) for one in series]
    rest = len(lines) - _MOST_LISTED
    return "; ".join(lines[:_MOST_LISTED]) + (f"; and {rest} more" if rest > 0 else "")


# Media Storage SOP Classes (PS3.4, annex B) without pixels: DICOMDIR; presentation states, reports,
# documents, waveforms, radiotherapy structures and plans, raw data, registrations, fiducials.
_NO_IMAGE = re.compile(
    rb"1\.2\.840\.10008\.(1\.3\.10|5\.1\.4\.1\.1\.(11|88|104|9|481\.[3-9]|66(\.[1-3])?|67))(\.|[^.0-9])"
)


def _has_no_pixels(path: Path) -> bool:
    """Whether a file is of a kind that has no pixels, and not a damaged image."""
    with open(path, "rb") as file:
        return _NO_IMAGE.search(file.read(1024)) is not None
