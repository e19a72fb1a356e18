"""Text headers of NRRD and MetaImage: what to check before ITK reads, and what ITK leaves out.

ITK does the reading. It neither says whether a header knows the voxel size, nor the unit, and it
allocates what a header announces, so these few fields are looked at here first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.images.limits import check_size
from napari_swin_umamba.images.magic import NRRD_MAGIC
from napari_swin_umamba.images.units import unit_name

__all__ = [
    "CONTENT_KEY",
    "ItkHeader",
    "Segment",
    "data_files",
    "read_itk_header",
    "read_segments",
]

CONTENT_KEY = "swin_umamba_content"
"""Field in which our label maps say what they are: the formats have none for it."""

_LONGEST_HEADER = 2**20  # bytes
# Bytes of a value by what its type's name contains; the first that fits.
_SIZES = (("char|int8", 1), ("short|int16", 2), ("long.?long|int64|double", 8))


@dataclass(frozen=True)
class Segment:
    """One label of a segmentation by 3D Slicer."""

    value: int
    name: str
    colour: tuple[float, float, float]
    """Red, green, blue from 0 to 1."""


@dataclass(frozen=True)
class ItkHeader:
    """What ITK does not tell."""

    fields: dict[str, str]
    """Lower-case names; keys of NRRD's key/value pairs begin with ``:``."""
    knows_spacing: bool
    unit: str

    @property
    def says_labels(self) -> bool:
        """Whether the file says that its values are labels."""
        return "labels" in (self.fields.get(CONTENT_KEY), self.fields.get(":" + CONTENT_KEY))


def read_itk_header(path: Path, nrrd: bool) -> ItkHeader:
    """Read and check a text header.

    Raises
    ------
    InputError
        It is cut off, its data file is missing, or it announces more than there is.
    """
    with open(path, "rb") as file:
        start = file.read(_LONGEST_HEADER)
    fields, end, lines = _nrrd_fields(path, start) if nrrd else _meta_fields(path, start)
    shape, itemsize, name, deflated = (_nrrd_layout if nrrd else _meta_layout)(path, fields)
    if name.upper() in ("", "LOCAL"):
        available: int | None = path.stat().st_size - end
    else:
        available = _bytes_of(path, name, lines)
    if nrrd and fields.get("encoding", "raw").lower() not in ("raw", "gzip", "gz"):
        available = None  # bzip2 and text: their size says little
    check_size(path, shape, itemsize, available, deflated)
    packed = fields.get("compresseddatasize", "")
    if available is not None and packed.isdigit() and int(packed) > available:
        raise InputError(
            f"{path} is cut off: it holds {available:,} of {int(packed):,} compressed bytes"
        )
    if nrrd:
        knows = bool({"space directions", "spacings"} & fields.keys())
        units = re.findall(r'"([^"]*)"', fields.get("space units") or fields.get("units") or "")
    else:
        knows, units = bool({"elementspacing", "elementsize"} & fields.keys()), []
    names = {unit_name(unit) for unit in units if unit} - {None}
    unit = names.pop() if len(names) == 1 else None
    return ItkHeader(fields, knows, unit or "millimeter")


def read_segments(path: Path) -> list[Segment]:
    """List the segments that 3D Slicer describes in a ``.seg.nrrd``; none of other files."""
    with open(path, "rb") as file:
        start = file.read(_LONGEST_HEADER)
    if not start.startswith(NRRD_MAGIC):
        return []
    fields, _, _ = _nrrd_fields(path, start)
    segments = []
    for number in range(len(fields)):
        key = f":segment{number}_"
        if key + "labelvalue" not in fields:
            break
        try:
            value = int(fields[key + "labelvalue"])
            red, green, blue = (float(part) for part in fields[key + "color"].split())
        except (KeyError, ValueError):
            continue
        segments.append(Segment(value, fields.get(key + "name", ""), (red, green, blue)))
    return segments


def _nrrd_fields(path: Path, start: bytes) -> tuple[dict[str, str], int, list[str]]:
    """Fields, the byte at which data may begin, and the lines after ``data file: LIST``."""
    gap = re.search(rb"\r?\n\r?\n", start)
    text = (start[: gap.start()] if gap else start).decode("utf-8", "replace")
    fields: dict[str, str] = {}
    listed: list[str] = []
    for line in text.splitlines()[1:]:
        if line.startswith("#"):
            continue
        if ":=" in line and not re.match(r"[a-z ]+: ", line):
            key, _, value = line.partition(":=")
            fields[":" + key.strip().lower()] = value.strip()
        elif ": " in line or line.endswith(":"):
            key, _, value = line.partition(":")
            fields[key.strip().lower()] = value.strip()
        elif fields.get("data file", fields.get("datafile", "")).upper().startswith("LIST"):
            listed.append(line.strip())
    if gap is None and not {"data file", "datafile"} & fields.keys():
        raise InputError(f"{path} is cut off: its NRRD header has no end")
    return fields, gap.end() if gap else len(start), listed


def _meta_fields(path: Path, start: bytes) -> tuple[dict[str, str], int, list[str]]:
    last = re.search(rb"(?:^|\n)\s*ElementDataFile\s*=[^\n]*(\n|$)", start)
    if last is None:
        raise InputError(f"{path} is cut off: its header names no ElementDataFile")
    fields = {}
    for line in start[: last.end()].decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals:
            fields[key.strip().lower()] = value.strip()
    listed = []
    if fields["elementdatafile"].upper().startswith("LIST"):
        listed = start[last.end() :].decode("utf-8", "replace").split("\n")
    return fields, last.end(), [line.strip() for line in listed if line.strip()]


def _nrrd_layout(path: Path, fields: dict[str, str]) -> tuple[tuple[int, ...], int, str, bool]:
    shape = _numbers(path, fields, "sizes")
    _check_dimension(path, fields, "dimension", shape)
    itemsize = _itemsize(fields.get("type", ""))
    name = fields.get("data file", fields.get("datafile", ""))
    return shape, itemsize, name, fields.get("encoding", "raw").lower() in ("gzip", "gz")


def _meta_layout(path: Path, fields: dict[str, str]) -> tuple[tuple[int, ...], int, str, bool]:
    shape = _numbers(path, fields, "dimsize")
    _check_dimension(path, fields, "ndims", shape)
    channels = _numbers(path, fields, "elementnumberofchannels", "1")
    itemsize = _itemsize(fields.get("elementtype", ""))
    deflated = fields.get("compresseddata", "false").lower() in ("true", "1")
    return (*shape, *channels), itemsize, fields["elementdatafile"], deflated


def _check_dimension(path: Path, fields: dict[str, str], key: str, shape: tuple[int, ...]) -> None:
    """Refuse a number of axes that is not that of the sizes: ITK's MetaIO would crash."""
    (count,) = _numbers(path, fields, key)[:1]
    if count != len(shape):
        raise InputError(
            f"{path} is damaged: its header says {key} {count}, and sizes along {len(shape)} axes"
        )


def _itemsize(kind: str) -> int:
    for names, size in _SIZES:
        if re.search(names, kind.lower()):
            return size
    return 4


def _numbers(
    path: Path, fields: dict[str, str], key: str, default: str | None = None
) -> tuple[int, ...]:
    text = fields.get(key, default)
    try:
        numbers = tuple(int(part) for part in (text or "").split())
    except ValueError:
        numbers = ()
    if not numbers:
        raise InputError(f"{path} is damaged: its header says {key} {shown(text)}")
    return numbers


def _bytes_of(path: Path, name: str, listed: list[str]) -> int | None:
    """Size of the data files that a header names; None for a pattern of names.

    Raises
    ------
    InputError
        One is missing.
    """
    if name.upper().startswith("LIST"):
        names = listed
    elif re.search(r"%\d*d", name):
        return None
    else:
        names = [name]
    files = [path.parent / entry for entry in names]
    for file in files:
        if not file.is_file():
            raise InputError(
                f"{path} is only a header: its data file {file} is missing; put it beside it"
            )
    return sum(file.stat().st_size for file in files)


def data_files(path: Path) -> tuple[Path, ...]:
    """Files of their own that hold the data of a NRRD or MetaImage header; none of other files.

    Raises
    ------
    InputError
        The header cannot be read, names files by a pattern, or one is missing.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(_LONGEST_HEADER)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    nrrd = start.startswith(NRRD_MAGIC)
    if not nrrd and path.suffix.lower() not in (".mhd", ".mha"):
        return ()
    fields, _, lines = _nrrd_fields(path, start) if nrrd else _meta_fields(path, start)
    keys = ("data file", "datafile") if nrrd else ("elementdatafile",)
    name = next((fields[key] for key in keys if key in fields), "")
    if name.upper() in ("", "LOCAL"):
        return ()
    if _bytes_of(path, name, lines) is None:
        raise InputError(f"{path} names its data files by a pattern; save it as one file")
    names = lines if name.upper().startswith("LIST") else [name]
    return tuple(path.parent / entry for entry in names)
