"""Makes damaged and malicious files, the same ones for the same seed.

Three general ways to damage each format (cut off, flipped bits, another format's first bytes), and
by hand what an attacker or a broken program would write: headers that announce 10^12 values, small
files that unpack to gigabytes, and pickles that leave a trace if anybody loads them.
"""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from .sources import SOURCES, write_source

__all__ = ["COUNT", "Case", "make_cases"]

COUNT = 200
SEED = 20260 + 7
_GENERAL = ("cut", "flip", "magic")
_METADATA = (".json", ".zarray", ".zattrs", ".mhd")


@dataclass(frozen=True)
class Case:
    """A file or folder that something is wrong with."""

    path: Path
    what: str
    """Name of the source and what was done to it."""
    must_fail: bool
    """False for flipped bits: where a format has no checksum, they are other values."""

    @property
    def is_model(self) -> bool:
        """Whether `load_model` is to read it."""
        return self.path.suffix in (".pth", ".safetensors") or self.path.name.endswith("nnunet")


def make_cases(folder: Path, every: int = 1) -> Iterator[Case]:
    """Write the cases and tell of each.

    Parameters
    ----------
    folder
        Where to; ``folder / "code_was_run"`` must not exist afterwards.
    every
        10: only a tenth of them, spread over formats and kinds.
    """
    sources = folder / "sources"
    sources.mkdir()
    for name in SOURCES:
        write_source(name, sources)
    special = _special(folder / "code_was_run")
    plain = [(name, way) for way in _GENERAL for name in SOURCES]
    order: list[tuple[str, str]] = [("", name) for name in special]
    while len(order) < COUNT:
        order += plain[: COUNT - len(order)]
    shuffled = np.random.default_rng(SEED).permutation(COUNT)
    for place in sorted(shuffled[: COUNT // every]):
        name, way = order[place]
        target = folder / f"{place:03}"
        target.mkdir()
        if not name:
            path = special[way](target)
            yield Case(path, way, must_fail=True)
        else:
            path = target / name
            _copy(sources / name, path)
            _damage(path, way, np.random.default_rng([SEED, int(place)]))
            yield Case(path, f"{name} {way}", must_fail=way != "flip")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)
        if source.suffix == ".mhd":
            shutil.copy(source.with_suffix(".raw"), target.with_suffix(".raw"))


def _damage(path: Path, way: str, rng: np.random.Generator) -> None:
    file = path
    if path.is_dir():
        inside = sorted(one for one in path.rglob("*") if one.is_file() and one.stat().st_size > 40)
        file = inside[int(rng.integers(len(inside)))]
    elif path.suffix == ".mhd" and way == "cut" and rng.random() < 0.5:
        file = path.with_suffix(".raw")
    raw = bytearray(file.read_bytes())
    if way == "cut":
        raw = raw[: int(len(raw) * rng.uniform(0.02, 0.95))]
    elif way == "magic":
        others = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"NRRD0004", b"PK\3\4", b"{")
        start = others[int(rng.integers(len(others)))]
        raw[:132] = (start * 132)[:132] if len(raw) > 132 else start
    else:
        # The first bytes: there are the headers, where a flipped bit does the most harm.
        for position in rng.integers(0, min(len(raw), 600), 4):
            raw[position] ^= 1 << int(rng.integers(8))
    file.write_bytes(raw)


class _Trace:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.trace), "w")


def _special(trace: Path) -> dict[str, Callable[[Path], Path]]:
    poison = pickle.dumps({"network_weights": _Trace(trace)})
    return {
        **{f"poison in {name}": _file(name, poison) for name in _POISONED},
        "poison in a torch archive": lambda folder: _torch_archive(folder, poison),
        "poison in an nnU-Net folder": lambda folder: _poisoned_folder(folder, poison),
        "poison in a chunk": lambda folder: _poisoned_chunk(folder, poison),
        "poison in objects": lambda folder: _change_zarr(folder, dtype="|O", poison=poison),
        **{f"huge {name}": make for name, make in _HUGE.items()},
        **{f"bomb {name}": make for name, make in _BOMBS.items()},
        **{f"deep {name}": _file(name, content) for name, content in _DEEP.items()},
        **{f"empty {name}": _file(name, b"") for name in ("a.nii.gz", "a.tif", "a.safetensors")},
        "empty a.zarr": _zarr_of("{}"),
        "deep a.zarr": _zarr_of('{"a":' * 50_000),
        "huge list a.zarr": _zarr_of(json.dumps({"multiscales": [{"datasets": [[]] * 10**5}]})),
    }


_POISONED = ("a.pth", "a.safetensors", "a.pkl", "a.nii", "a.tif", "a.nrrd", "a.dcm")
_DEEP = {
    "a.safetensors": struct.pack("<Q", 400_000) + b'{"a":' * 80_000,
    "b.safetensors": struct.pack("<Q", 10**15) + b"{}",
    "c.safetensors": struct.pack("<Q", 99_000_000) + b"{",
}


def _file(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _torch_archive(folder: Path, poison: bytes) -> Path:
    path = folder / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", poison)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    return path


def _poisoned_folder(folder: Path, poison: bytes) -> Path:
    path = write_source("nnunet", folder)
    (path / "fold_0" / "checkpoint_final.pth").write_bytes(poison)
    return path


def _poisoned_chunk(folder: Path, poison: bytes) -> Path:
    path = _change_zarr(folder, filters=[{"id": "pickle", "protocol": 5}], compressor=None)
    for chunk in (path / "0").glob("[0-9]*"):
        chunk.write_bytes(poison)
    return path


def _change_zarr(folder: Path, poison: bytes | None = None, **changes: object) -> Path:
    path = write_source("two.zarr", folder)
    header = json.loads((path / "0" / ".zarray").read_text())
    (path / "0" / ".zarray").write_text(json.dumps(header | changes))
    if poison is not None:
        for chunk in (path / "0").glob("[0-9]*"):
            chunk.write_bytes(poison)
    return path


def _zarr_of(attributes: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "a.zarr"
        path.mkdir()
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        (path / ".zattrs").write_text(attributes)
        return path

    return make


def _patched(name: str, *changes: tuple[bytes, bytes]) -> Callable[[Path], Path]:
    """A source with some of its bytes replaced."""

    def make(folder: Path) -> Path:
        path = write_source(name, folder)
        raw = path.read_bytes()
        for old, new in changes:
            assert old in raw, (name, old)
            raw = raw.replace(old, new, 1)
        path.write_bytes(raw)
        return path

    return make


def _nifti_dims(compressed: bool, *dims: int) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        raw = bytearray(write_source("nifti.nii", folder).read_bytes())
        raw[40:56] = struct.pack("<8h", len(dims), *dims, *[1] * (7 - len(dims)))
        path = folder / ("a.nii.gz" if compressed else "a.nii")
        path.write_bytes(gzip.compress(raw) if compressed else raw)
        return path

    return make


def _nifti2(folder: Path) -> Path:
    header = bytearray(540)
    header[:12] = struct.pack("<i8s", 540, b"n+2\0\r\n\x1a\n")
    struct.pack_into("<hh8q", header, 12, 4, 16, 3, 10**12, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<8d", header, 104, *[1.0] * 8)
    struct.pack_into("<q", header, 168, 544)
    return _file("a.nii", bytes(header) + bytes(400))(folder)


def _png(width: int, height: int, rows: bytes) -> Callable[[Path], Path]:
    """A grey 8-bit PNG around a zlib stream."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return _file(
        "a.png",
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b""),
    )


def _zeros(size: int) -> bytes:
    """A zlib stream of `size` zeros, a multiple of 16 MiB, made without compressing them all."""
    packer = zlib.compressobj(9, wbits=-15)
    block = packer.compress(bytes(2**24)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, wbits=-15).flush()
    adler = (size % 65521) << 16 | 1
    return b"\x78\x9c" + block * (size // 2**24) + end + struct.pack(">I", adler)


def _jpeg(folder: Path) -> Path:
    path = write_source("jpeg.jpg", folder)
    raw = bytearray(path.read_bytes())
    start = raw.index(b"\xff\xc0")
    raw[start + 5 : start + 9] = struct.pack(">HH", 65500, 65500)
    path.write_bytes(raw)
    return path


def _tiff(folder: Path) -> Path:
    path = folder / "a.tif"
    tifffile.imwrite(path, np.zeros((64, 64), np.uint8), metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        for tag in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tif.pages[0].tags[tag].overwrite(10**6)
    return path


def _described(folder: Path, name: str, old: str, new: str) -> Path:
    """A TIFF whose description tells of other axes than it has."""
    path = write_source(name, folder)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tag = tif.pages[0].tags["ImageDescription"]
        assert old in tag.value, tag.value
        tag.overwrite(tag.value.replace(old, new))
    return path


def _tiff_bomb(folder: Path) -> Path:
    """A strip of 64 x 64 bytes that unpacks to 4 GiB."""
    path = folder / "a.tif"
    tifffile.imwrite(path, np.zeros((64, 64), np.uint8), compression="zlib", metadata=None)
    bomb = _zeros(2**32)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tags = tif.pages[0].tags
        tags["StripByteCounts"].overwrite(len(bomb))
        tags["StripOffsets"].overwrite(path.stat().st_size)
    with open(path, "ab") as file:
        file.write(bomb)
    return path


def _gzip_bomb(folder: Path) -> Path:
    """4 GiB of zeros behind a header that announces them all."""
    header = bytearray(write_source("nifti.nii", folder).read_bytes()[:352])
    header[40:56] = struct.pack("<8h", 3, 2048, 1024, 1024, 1, 1, 1, 1)
    path = folder / "a.nii.gz"
    block = gzip.compress(bytes(2**24))
    path.write_bytes(gzip.compress(header) + block * 256)
    return path


def _meta_bomb(folder: Path) -> Path:
    data = _zeros(2**32)
    header = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = True\n"
        f"CompressedDataSize = {len(data)}\nDimSize = 2048 2048 1024\nElementType = MET_UCHAR\n"
        "ElementDataFile = LOCAL\n"
    )
    return _file("a.mha", header.encode() + data)(folder)


def _nrrd_bomb(folder: Path) -> Path:
    header = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2048 2048 1024\nencoding: gzip\n\n"
    return _file("a.nrrd", header.encode() + gzip.compress(bytes(2**24)) * 256)(folder)


def _chunk_bomb(folder: Path) -> Path:
    path = _change_zarr(folder, compressor={"id": "gzip", "level": 5})
    for chunk in (path / "0").glob("[0-9]*"):
        chunk.write_bytes(gzip.compress(bytes(2**24)) * 256)
    return path


def _zip_bomb(folder: Path) -> Path:
    """A torch archive whose pickle unpacks to 4 GiB."""
    path = folder / "a.pth"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("archive/data.pkl", "w", force_zip64=True) as file,
    ):
        for _ in range(64):
            file.write(bytes(2**24))
    return path


def _tensor(shape: list[int], end: int) -> Callable[[Path], Path]:
    entry = {"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}
    header = json.dumps(entry).encode()
    return _file("a.safetensors", struct.pack("<Q", len(header)) + header + bytes(64))


def _zarr3(**changes: object) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = write_source("three.zarr", folder)
        header = json.loads((path / "0" / "zarr.json").read_text())
        (path / "0" / "zarr.json").write_text(json.dumps(header | changes))
        return path

    return make


def _dicom_frames(folder: Path) -> Path:
    """A file of several frames that says it had 10^9 of them, each of 65535 rows."""
    path = write_source("frames.dcm", folder)
    raw = path.read_bytes()
    for tag, value in (
        (b"\x28\0\x08\0", b"999999999 "),  # Number of Frames, text
        (b"\x28\0\x10\0", b"\xff\xff"),  # Rows
        (b"\x28\0\x11\0", b"\xff\xff"),  # Columns
    ):
        start = raw.index(tag) + 4
        explicit = raw[start : start + 2].isalpha()
        kind, size = (raw[start : start + 2], "<H") if explicit else (b"", "<I")
        old = struct.unpack_from(size, raw, start + len(kind))[0]
        head = start + len(kind) + struct.calcsize(size)
        raw = raw[:start] + kind + struct.pack(size, len(value)) + value + raw[head + old :]
    path.write_bytes(raw)
    return path


_CUBE = "10000 10000 10000"
_HUGE: dict[str, Callable[[Path], Path]] = {
    "a.nii": _nifti_dims(False, 10_000, 10_000, 10_000),
    "a.nii.gz": _nifti_dims(True, 10_000, 10_000, 10_000),
    "seven a.nii": _nifti_dims(False, 32767, 32767, 32767, 32767, 32767, 32767, 32767),
    "negative a.nii": _nifti_dims(False, -5, 10, 10),
    "nifti2": _nifti2,
    "raw.nrrd": _patched("raw.nrrd", (b"sizes: 40 30 6", f"sizes: {_CUBE}".encode())),
    "packed.nrrd": _patched("packed.nrrd", (b"sizes: 40 30 6", f"sizes: {_CUBE}".encode())),
    "text.nrrd": _file(
        "a.nrrd",
        f"NRRD0004\ntype: int\ndimension: 3\nsizes: {_CUBE}\nencoding: txt\n\n1 2".encode(),
    ),
    "list.nrrd": _file(
        "a.nrrd",
        b"NRRD0004\ntype: int\ndimension: 1\nsizes: 9\nencoding: raw\ndata file: /etc/passwd\n\n",
    ),
    "raw.mha": _patched("raw.mha", (b"DimSize = 40 30 6", f"DimSize = {_CUBE}".encode())),
    "packed.mha": _patched("packed.mha", (b"DimSize = 40 30 6", f"DimSize = {_CUBE}".encode())),
    "many a.mha": _patched("raw.mha", (b"NDims = 3", b"NDims = 999999999")),
    "channels a.mha": _patched(
        "raw.mha", (b"DimSize = ", b"ElementNumberOfChannels = 1000000000000\nDimSize = ")
    ),
    "a.png": _png(10**6, 10**6, zlib.compress(bytes(1000))),
    "a.jpg": _jpeg,
    "a.tif": _tiff,
    "ome.tif": lambda folder: _described(folder, "ome.ome.tif", 'SizeZ="3"', 'SizeZ="999999999"'),
    "cut ome.tif": _patched("ome.ome.tif", (b'SizeZ="3"', b'SizeZ="999999999999"')),
    "imagej.tif": lambda folder: _described(folder, "imagej.tif", "=3", "=999999999"),
    "rows.dcm": _dicom_frames,
    "a.zarr": lambda folder: _change_zarr(folder, shape=[10**4, 10**4, 10**4]),
    "chunk a.zarr": lambda folder: _change_zarr(folder, shape=[9, 9, 9], chunks=[10**4] * 3),
    "three.zarr": _zarr3(shape=[10**4, 10**4, 10**4]),
    "shapeless three.zarr": _zarr3(shape="all"),
    "a.safetensors": _tensor([10**6, 10**6], 4 * 10**12),
    "negative a.safetensors": _tensor([-1], 64),
}
_BOMBS: dict[str, Callable[[Path], Path]] = {
    "a.png": _png(2**16 - 1, 2**16, _zeros(2**32)),
    "a.tif": _tiff_bomb,
    "a.nii.gz": _gzip_bomb,
    "a.mha": _meta_bomb,
    "a.nrrd": _nrrd_bomb,
    "a.zarr": _chunk_bomb,
    "a.pth": _zip_bomb,
}
