"""Time, channels, colours, single slices, units: what volume files hold besides a grid."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import Image, read_geometry, read_image, read_labels, write_labels

RNG = np.random.default_rng(0)
VALUES = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")
every_format = pytest.mark.parametrize("suffix", SUFFIXES)


def write(
    folder: Path, suffix: str, array: np.ndarray, spacing: tuple[float, ...] = (1, 1, 2)
) -> Path:
    """Write ``([t,] z, y, x[, channels])`` with SimpleITK."""
    rank = len(spacing)
    image = sitk.GetImageFromArray(array, isVector=array.ndim > rank)
    image.SetSpacing(spacing)
    image.SetOrigin((1, 2, 3, 0)[:rank])
    path = folder / f"image{suffix}"
    sitk.WriteImage(image, str(path))
    return path


@every_format
@pytest.mark.parametrize("channels", [2, 3])
def test_channels(tmp_path: Path, suffix: str, channels: int) -> None:
    array = RNG.normal(size=(4, 3, 2, channels)).astype(np.float32)
    image = read_image(write(tmp_path, suffix, array))
    assert image.axes == "CZYX"
    assert np.array_equal(image.array, np.moveaxis(array, -1, 0))
    assert image.spacing == (2, 1, 1)
    labels = write_labels(tmp_path / f"labels{suffix}", image.array[0] > 0, image)
    assert np.array_equal(read_labels(labels), array[..., 0] > 0)
    assert np.array_equal(read_image(labels).affine, image.affine)
    with pytest.raises(InputError, match="not a label image"):
        read_labels(image.path)


@every_format
def test_colours(tmp_path: Path, suffix: str) -> None:
    array = RNG.integers(0, 255, (4, 3, 2, 3), dtype=np.uint8)
    image = read_image(write(tmp_path, suffix, array))
    assert image.axes == "ZYXC"
    assert np.array_equal(image.array, array)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_time(tmp_path: Path, suffix: str) -> None:
    array = np.arange(5 * 24, dtype=np.int16).reshape(5, 4, 3, 2)
    image = read_image(write(tmp_path, suffix, array, (1, 2, 3, 0.5)))
    assert (image.axes, image.spacing) == ("TZYX", (3, 2, 1))
    assert np.array_equal(image.array, array)
    assert read_image(image.path, axes="czyx").axes == "CZYX"
    with pytest.raises(InputError, match=r"'TCYX' do not fit .*image.*only T and C"):
        read_image(image.path, axes="TCYX")
    for target in (".nrrd", ".mha", ".nii", ".tif"):
        path = write_labels(tmp_path / f"labels{target}", array % 7, image)
        assert np.array_equal(read_labels(path), array % 7)
        again = read_image(path)
        assert (again.axes, again.spacing) == ("TZYX", (3, 2, 1))
        assert target == ".tif" or sitk.ReadImage(str(path)).GetSpacing() == (1, 2, 3, 0.5)


@every_format
def test_a_volume_of_one_slice_stays_one(tmp_path: Path, suffix: str) -> None:
    image = read_image(write(tmp_path, suffix, VALUES[:1]))
    assert (image.axes, image.array.shape) == ("ZYX", (1, 3, 2))


@every_format
def test_a_2d_image(tmp_path: Path, suffix: str) -> None:
    image = read_image(write(tmp_path, suffix, VALUES[0], (0.5, 2)))
    assert (image.axes, image.spacing, image.affine.shape) == ("YX", (2, 0.5), (3, 3))
    assert np.array_equal(image.array, VALUES[0])
    for target in SUFFIXES:
        path = write_labels(tmp_path / f"labels{target}", VALUES[0], image)
        assert sitk.ReadImage(str(path)).GetSize() == (2, 3)
        np.testing.assert_allclose(read_image(path).affine, image.affine)


@every_format
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "i8", "f4", "f8"])
def test_dtypes(tmp_path: Path, suffix: str, dtype: str) -> None:
    image = read_image(write(tmp_path, suffix, VALUES.astype(dtype)))
    assert image.array.dtype == dtype
    assert np.array_equal(image.array, VALUES)


@every_format
def test_geometry_without_values(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, suffix, VALUES)
    image, full = read_geometry(path), read_image(path)
    assert image.array.shape == full.array.shape
    assert not image.array.any()
    assert np.array_equal(image.affine, full.affine)


@pytest.mark.parametrize("highest", [255, 256, 65536])
def test_spacing_and_unit_from_nifti_to_tiff(tmp_path: Path, highest: int) -> None:
    image = read_image(write(tmp_path, ".nii.gz", VALUES, (0.5, 0.25, 4)))
    labels = np.where(image.array == 0, highest, 1)
    path = write_labels(tmp_path / "labels.tif", labels, image)
    assert np.array_equal(tifffile.imread(path), labels)
    again = read_image(path)
    assert (again.axes, again.unit) == ("ZYX", "millimeter")
    assert again.spacing == pytest.approx((4, 0.25, 0.5))


def test_micrometres_become_millimetres_where_itk_knows_nothing_else(tmp_path: Path) -> None:
    like = Image(VALUES, "ZYX", (2.0, 0.5, 0.25), "micrometer")
    nrrd = sitk.ReadImage(str(write_labels(tmp_path / "a.nrrd", VALUES, like)))
    np.testing.assert_allclose(nrrd.GetSpacing(), (0.00025, 0.0005, 0.002))
    nifti = nib.load(write_labels(tmp_path / "a.nii", VALUES, like))
    assert nifti.header.get_zooms() == (0.25, 0.5, 2.0)
    assert nifti.header.get_xyzt_units()[0] == "micron"


def test_nrrd_in_micrometres(tmp_path: Path) -> None:
    path = write(tmp_path, ".nrrd", VALUES, (10, 10, 20))
    raw = path.read_bytes().replace(b"\nendian:", b'\nspace units: "um" "um" "um"\nendian:')
    path.write_bytes(raw)
    image = read_image(path)
    assert (image.spacing, image.unit) == ((20, 10, 10), "micrometer")
    again = read_image(write_labels(tmp_path / "a.nrrd", VALUES, image))
    np.testing.assert_allclose(again.affine[:3], image.affine[:3] / 1000)


def test_nothing_is_claimed_without_an_image(tmp_path: Path) -> None:
    nifti = nib.load(write_labels(tmp_path / "a.nii", VALUES))
    assert nifti.header.get_zooms() == (1, 1, 1)
    assert nifti.header.get_xyzt_units()[0] == "unknown"
    assert (nifti.header["qform_code"], nifti.header["sform_code"]) == (0, 0)
    assert sitk.ReadImage(str(write_labels(tmp_path / "a.mha", VALUES))).GetSize() == (2, 3, 4)
    assert read_image(write_labels(tmp_path / "a.tif", VALUES)).spacing is None


def test_a_header_without_spacing(tmp_path: Path) -> None:
    path = write(tmp_path, ".nrrd", VALUES)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(line for line in lines if not line.startswith(b"space")))
    image = read_image(path)
    assert (image.spacing, image.affine) == (None, None)
    assert image.notes == ("the file does not say the voxel size",)


def test_one_mhd_file_stands_alone(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "labels.mhd", VALUES)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes().startswith(b"ObjectType = Image")


def test_labels_of_another_size_are_refused(tmp_path: Path) -> None:
    like = Image(np.zeros((2, 4, 3, 2)), "CZYX")
    with pytest.raises(InputError, match=r"\(3, 3, 2\) do not fit .*\(4, 3, 2\) \(ZYX\)"):
        write_labels(tmp_path / "a.nii", VALUES[:3], like)
    with pytest.raises(InputError, match="no film without Z"):
        write_labels(tmp_path / "a.nii", VALUES, Image(VALUES, "TYX"))
    assert not list(tmp_path.iterdir())


def test_a_sheared_grid_fits_nifti_alone(tmp_path: Path) -> None:
    affine = np.array([[2, 0, 0, 1], [0, 1, 0.5, 2], [0, 0, 1, 3], [0, 0, 0, 1.0]])
    like = Image(VALUES, "ZYX", (2, 1, 1.118), "millimeter", affine=affine)
    assert like.pixel_size == pytest.approx(2)  # not 2 x 1 x 1.118
    assert Image(VALUES, "ZYX", (2, 3, 4)).pixel_size == 24
    assert Image(VALUES, "ZYX").pixel_size is None
    for suffix in (".nrrd", ".mha", ".mhd"):
        with pytest.raises(InputError, match=r"right angles.*\.nii\.gz"):
            write_labels(tmp_path / f"a{suffix}", VALUES, like)
    assert not list(tmp_path.iterdir())
    path = write_labels(tmp_path / "a.nii", VALUES, like)
    np.testing.assert_allclose(read_image(path).affine, affine)
    header = nib.load(path).header
    assert (header["qform_code"], header["sform_code"]) == (0, 2)
