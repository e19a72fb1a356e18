"""NIfTI's own matters: byte orders, scaling, codes, units, colours, and a header that is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_image, read_labels, write_labels

VALUES = np.arange(24, dtype=np.int16).reshape(2, 3, 4)  # x, y, z
AFFINE = np.array([[2, 0, 0, -5], [0, 3, 0, 6], [0, 0, 4, 7], [0, 0, 0, 1.0]])


def save(path: Path, array: np.ndarray = VALUES, affine: Any = AFFINE, **fields: Any) -> Path:
    kind = fields.pop("kind", nib.Nifti1Image)
    image = kind(array, affine, dtype=array.dtype)
    for name, value in fields.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def test_ras_becomes_lps_in_zyx(tmp_path: Path) -> None:
    image = read_image(save(tmp_path / "a.nii", xyzt_units=2))
    assert (image.axes, image.spacing, image.unit) == ("ZYX", (4, 3, 2), "millimeter")
    assert np.array_equal(image.array, VALUES.T)
    assert image.notes == ()
    expected = [[4, 0, 0, 7], [0, -3, 0, -6], [0, 0, -2, 5], [0, 0, 0, 1]]
    assert np.array_equal(image.affine, expected)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_versions_and_byte_orders(tmp_path: Path, kind: Any, order: str, suffix: str) -> None:
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.int16)
    path = tmp_path / f"a{suffix}"
    nib.save(kind(VALUES, AFFINE, header), path)
    image = read_image(path)
    assert image.array.dtype == np.dtype("int16")
    assert image.array.dtype.isnative
    assert np.array_equal(image.array, VALUES.T)
    labels = write_labels(tmp_path / "labels.nii", image.array, image)
    assert type(nib.load(labels)) is kind
    assert np.array_equal(read_labels(labels), VALUES.T)


@pytest.mark.parametrize(
    ("slope", "inter", "dtype"), [(0.5, -3, "f4"), (1, 0, "i2"), (0, 9, "i2"), (1, -1024, "f4")]
)
def test_scaling(tmp_path: Path, slope: float, inter: float, dtype: str) -> None:
    path = save(tmp_path / "a.nii")
    raw = bytearray(path.read_bytes())
    raw[112:120] = np.array([slope, inter], "<f4").tobytes()
    path.write_bytes(raw)
    image = read_image(path)
    assert image.array.dtype == dtype
    assert np.array_equal(image.array, np.asarray(nib.load(path).dataobj).T)
    labels = nib.load(write_labels(tmp_path / "labels.nii", VALUES.T, image))
    assert labels.header.get_slope_inter() in ((1, 0), (None, None))
    assert np.array_equal(np.asarray(labels.dataobj), VALUES)


def test_without_codes_there_is_a_spacing_and_no_place(tmp_path: Path) -> None:
    image = nib.Nifti1Image(VALUES, None)
    image.header.set_zooms((2, 3, 4))
    nib.save(image, tmp_path / "a.nii")
    read = read_image(tmp_path / "a.nii")
    assert (read.spacing, read.affine) == ((4, 3, 2), None)
    assert any("qform and sform codes are 0" in note for note in read.notes)
    labels = nib.load(write_labels(tmp_path / "labels.nii", VALUES.T, read))
    assert labels.header.get_zooms() == (2, 3, 4)
    assert (labels.header["qform_code"], labels.header["sform_code"]) == (0, 0)


@pytest.mark.parametrize(
    ("code", "unit"), [(1, "meter"), (2, "millimeter"), (3, "micrometer"), (0, "millimeter")]
)
def test_units(tmp_path: Path, code: int, unit: str) -> None:
    image = read_image(save(tmp_path / "a.nii", xyzt_units=code))
    assert image.unit == unit
    assert ("millimetres assumed" in "".join(image.notes)) == (code == 0)
    labels = nib.load(write_labels(tmp_path / "labels.nii.gz", VALUES.T, image))
    assert labels.header["xyzt_units"] == code


@pytest.mark.parametrize("names", ["RGB", "RGBA"])
def test_colours(tmp_path: Path, names: str) -> None:
    pixels = np.zeros((2, 3, 4), [(name, "u1") for name in names])
    pixels["G"] = VALUES
    image = read_image(save(tmp_path / "a.nii", pixels))
    assert (image.axes, image.array.dtype) == ("ZYXC", np.uint8)
    assert image.array.shape == (4, 3, 2, len(names))
    assert np.array_equal(image.array[..., 1], VALUES.T)
    labels = nib.load(write_labels(tmp_path / "labels.nii", VALUES.T, image))
    assert np.array_equal(np.asarray(labels.dataobj), VALUES)


def test_the_header_is_kept(tmp_path: Path) -> None:
    sagittal = np.array([[0, 0, 3, -5], [2, 0.1, 0, 6], [-0.1, 2, 0, 7], [0, 0, 0, 1.0]])
    path = save(
        tmp_path / "a.nii.gz",
        affine=sagittal,
        descrip=b"scanner X",
        aux_file=b"notes.txt",
        sform_code=4,
        qform_code=1,
        xyzt_units=10,
        dim_info=57,
        toffset=3,
        cal_max=12,
    )
    image = read_image(path)
    assert image.grid.order == (1, 0, 2)
    labels, source = nib.load(write_labels(tmp_path / "l.nii.gz", image.array, image)), None
    source = nib.load(path)
    changed = {"datatype", "bitpix", "scl_slope", "scl_inter", "cal_max", "intent_code"}
    for field in set(source.header.keys()) - changed:
        assert np.array_equal(labels.header[field], source.header[field]), field
    assert labels.header["intent_code"] == 1002
    assert labels.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(labels.dataobj), VALUES)


@pytest.mark.parametrize("tail", [(1,), (1, 1)])
def test_axes_of_length_one_behind_space(tmp_path: Path, tail: tuple[int, ...]) -> None:
    image = read_image(save(tmp_path / "a.nii", VALUES.reshape(2, 3, 4, *tail)))
    assert (image.axes, image.array.shape) == ("ZYX", (4, 3, 2))
    labels = nib.load(write_labels(tmp_path / "labels.nii", VALUES.T, image))
    assert labels.shape == (2, 3, 4, 1)


def test_channels_of_times(tmp_path: Path) -> None:
    array = np.arange(240, dtype=np.float32).reshape(2, 3, 4, 5, 2)
    image = read_image(save(tmp_path / "a.nii", array))
    assert image.axes == "TCZYX"
    assert np.array_equal(image.array, array.transpose(3, 4, 2, 1, 0))


def test_a_coronal_picture_is_a_volume_of_one_plane(tmp_path: Path) -> None:
    coronal = np.array([[2, 0, 0, 1], [0, 0, 1, 2], [0, 3, 0, 3], [0, 0, 0, 1.0]])
    image = read_image(save(tmp_path / "a.nii", VALUES[..., 0], coronal))
    assert (image.axes, image.array.shape) == ("ZYX", (3, 1, 2))
    labels = nib.load(write_labels(tmp_path / "labels.nii", image.array, image))
    assert labels.shape == (2, 3)
    assert np.array_equal(np.asarray(labels.dataobj), VALUES[..., 0])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"srow_x": np.nan}, r"\(affine\) holds NaN"),
        ({"srow_x": 0}, r"\(affine\) is singular"),
        ({"srow_x": [0, 3, 0, 1]}, r"\(affine\) is singular"),
        ({"dim": [3, 10000, 10000, 10000, 1, 1, 1, 1]}, "10000 x 10000 x 10000 values.*1.8 TiB"),
        ({"dim": [3, 0, 3, 4, 1, 1, 1, 1]}, "empty image"),
        ({"dim": [3, -2, 3, 4, 1, 1, 1, 1]}, "empty image"),
        ({"dim": [9, 2, 3, 4, 1, 1, 1, 1]}, "9 axes"),
        ({"dim": [6, 2, 3, 2, 1, 1, 2, 1]}, "no image or volume"),
        ({"datatype": 32, "bitpix": 64}, "real numbers"),
        ({"datatype": 77}, "datatype 77 are not known"),
        ({"vox_offset": 1e9}, "data begin at byte 1e\\+09"),
        ({"magic": b"ni1"}, r"\.hdr/\.img pair"),
        ({"sform_code": 0, "qform_code": 1, "pixdim": -1}, r"voxel sizes \(pixdim\)"),
        ({"sform_code": 0, "qform_code": 1, "quatern_b": 5}, "geometry .*is broken"),
    ],
)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_headers_that_cannot_be(
    tmp_path: Path, fields: dict[str, Any], words: str, suffix: str
) -> None:
    path = save(tmp_path / f"a{suffix}")
    with nib.openers.ImageOpener(path) as file:
        raw = file.read()
    header = nib.Nifti1Header(raw[:348], check=False)
    for name, value in fields.items():
        header[name] = value
    with nib.openers.ImageOpener(path, "wb") as file:
        file.write(header.binaryblock + raw[348:])
    with pytest.raises(InputError, match=f"a{suffix}.*{words}") as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
