"""Damaged and malicious volume files: one line says what is wrong, and no memory is asked for."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_geometry, read_image, read_labels

VALUES = np.random.default_rng(0).integers(0, 999, (8, 9, 10)).astype(np.int16)
FORMATS = [(".nii", False), (".nii.gz", True), (".nrrd", False), (".nrrd", True)]
FORMATS += [(".mha", False), (".mha", True)]
every_format = pytest.mark.parametrize(("suffix", "compressed"), FORMATS)


@pytest.fixture
def write(tmp_path: Path):
    def write_volume(suffix: str, compressed: bool) -> Path:
        path = tmp_path / f"brain{suffix}"
        sitk.WriteImage(sitk.GetImageFromArray(VALUES), str(path), useCompression=compressed)
        return path

    return write_volume


@every_format
@pytest.mark.parametrize("keep", [0.02, 0.1, 0.3, 0.9, 0.99])
def test_cut_off(write, suffix: str, compressed: bool, keep: float) -> None:
    path = write(suffix, compressed)
    raw = path.read_bytes()
    path.write_bytes(raw[: int(len(raw) * keep)])
    for reader in (read_image, read_labels):
        with pytest.raises(InputError, match=f"brain{suffix}") as caught:
            reader(path)
        assert "\n" not in str(caught.value)


@every_format
def test_flipped_bits(write, suffix: str, compressed: bool) -> None:
    """Never another error than InputError; checksums find what is wrong in gzip files."""
    raw = write(suffix, compressed).read_bytes()
    path = write(suffix, compressed)
    rng = np.random.default_rng(1)
    for _ in range(25):
        damaged = bytearray(raw)
        for position in rng.integers(0, min(len(raw), 900), 3):
            damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            image = read_image(path)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert image.array.size > 0


def test_the_checksum_of_gzip_counts(write) -> None:
    path = write(".nii.gz", True)
    raw = bytearray(path.read_bytes())
    raw[-6] ^= 1
    path.write_bytes(raw)
    with pytest.raises(InputError, match="damaged.*CRC"):
        read_image(path)


HUGE_NRRD = b"""NRRD0004
type: short
dimension: 3
sizes: 10000 10000 10000
encoding: gzip
endian: little

"""
HUGE_META = b"""ObjectType = Image
NDims = 3
BinaryData = True
CompressedData = True
DimSize = 10000 10000 10000
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""


@pytest.mark.parametrize(("header", "name"), [(HUGE_NRRD, "a.nrrd"), (HUGE_META, "a.mha")])
def test_absurd_sizes(tmp_path: Path, header: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(header + zlib.compress(bytes(99)))
    for reader in (read_image, read_geometry):
        with pytest.raises(InputError, match=r"10000 x 10000 x 10000.*1\.8 TiB"):
            reader(path)


def test_a_gzip_bomb_is_unpacked_as_far_as_its_header_says(write) -> None:
    path = write(".nii", False)
    raw = path.read_bytes()
    bomb = path.with_name("bomb.nii.gz")
    with gzip.open(bomb, "wb") as file:
        file.write(raw)
        for _ in range(64):
            file.write(bytes(2**20))
    tracemalloc.start()
    image = read_image(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(image.array, VALUES)
    assert peak < 2**23


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"])
@pytest.mark.parametrize(
    "content", [b"", b"no volume at all", b"\x1f\x8b", gzip.compress(b"text", mtime=0)]
)
def test_no_volume(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"a{suffix} is (empty|not a PNG.*NIfTI)"):
        read_image(path)


def test_the_content_decides_not_the_name(write) -> None:
    for suffix, compressed in FORMATS:
        path = write(suffix, compressed)
        other = path.rename(path.with_name("volume.png"))
        assert np.array_equal(read_image(other).array, VALUES)


def test_an_mhd_without_its_data_names_them(write) -> None:
    path = write(".mhd", False)
    assert np.array_equal(read_image(path).array, VALUES)
    path.with_suffix(".raw").write_bytes(bytes(99))
    with pytest.raises(InputError, match=r"brain\.mhd is cut off"):
        read_image(path)
    path.with_suffix(".raw").unlink()
    with pytest.raises(InputError, match=r"brain\.mhd is only a header: .*brain\.raw is missing"):
        read_image(path)


@pytest.mark.parametrize(
    ("suffix", "old", "new", "words"),
    [
        (".nrrd", b"(1,0,0)", b"(nan,0,0)", "damaged: .*space vector"),
        (".nrrd", b"(1,0,0)", b"(0,1,0)", r"\(affine\) is singular"),
        (".nrrd", b"sizes: 10 9 8", b"sizes: 10 0 8", "empty image"),
        (".nrrd", b"sizes: 10 9 8", b"sizes: ten", "sizes 'ten'"),
        (".mha", b"TransformMatrix = 1 0 0 0 1 0", b"TransformMatrix = 1 0 0 1 0 0", "is singular"),
        (".mha", b"TransformMatrix = 1", b"TransformMatrix = nan", "is singular"),
        (".mha", b"DimSize = 10 9 8", b"DimSize = 10 -9 8", "empty image"),
        (".mha", b"ElementDataFile", b"ElementDataFail", "names no ElementDataFile"),
    ],
)
def test_headers_that_cannot_be(write, suffix: str, old: bytes, new: bytes, words: str) -> None:
    path = write(suffix, False)
    raw = path.read_bytes()
    assert old in raw
    path.write_bytes(raw.replace(old, new))
    with pytest.raises(InputError, match=words) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
