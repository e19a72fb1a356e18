"""Which axis holds channels, where a person knows better than the file."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_image


def pages(path: Path, *shape: int, axes: str | None = None, dtype: type = np.uint16) -> np.ndarray:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    if axes is None:
        tifffile.imwrite(path, array, photometric="minisblack")
    else:
        tifffile.imwrite(path, array, imagej=True, metadata={"axes": axes})
    return array


@pytest.mark.parametrize(
    ("stored", "shape", "channel_axis", "axes", "order"),
    [
        (None, (2, 8, 9), 0, "CYX", (0, 1, 2)),
        (None, (8, 9, 2), 2, "CYX", (2, 0, 1)),
        (None, (8, 9, 2), -1, "CYX", (2, 0, 1)),
        (None, (4, 2, 8, 9), 1, "CZYX", (1, 0, 2, 3)),
        ("ZYX", (2, 8, 9), "Z", "CYX", (0, 1, 2)),
        ("ZYX", (2, 8, 9), "0", "CYX", (0, 1, 2)),
        ("TYX", (2, 8, 9), "t", "CYX", (0, 1, 2)),
        ("TZYX", (3, 2, 8, 9), "Z", "TCYX", (0, 1, 2, 3)),
        ("TZYX", (3, 2, 8, 9), "T", "CZYX", (0, 1, 2, 3)),
    ],
)
def test_tiff(
    tmp_path: Path,
    stored: str | None,
    shape: tuple[int, ...],
    channel_axis: int | str,
    axes: str,
    order: tuple[int, ...],
) -> None:
    array = pages(tmp_path / "a.tif", *shape, axes=stored)
    image = read_image(tmp_path / "a.tif", channel_axis=channel_axis)
    assert image.axes == axes
    assert np.array_equal(image.array, array.transpose(order))


def test_colours_stay_colours(tmp_path: Path) -> None:
    array = pages(tmp_path / "a.tif", 8, 9, 3, dtype=np.uint8)
    image = read_image(tmp_path / "a.tif", channel_axis=2)
    assert image.axes == "YXC"
    assert np.array_equal(image.array, array)


def test_the_fourth_axis_of_nifti(tmp_path: Path) -> None:
    values = np.arange(2 * 3 * 4 * 2, dtype=np.int16).reshape(2, 3, 4, 2)
    nib.save(nib.Nifti1Image(values, np.diag([-1.0, -1, 1, 1])), tmp_path / "a.nii")
    assert read_image(tmp_path / "a.nii").axes == "TZYX"
    for name in ("T", 0, -4):
        image = read_image(tmp_path / "a.nii", channel_axis=name)
        assert image.axes == "CZYX"
        assert np.array_equal(image.array, values.T)
    with pytest.raises(InputError, match="Z is an axis of space"):
        read_image(tmp_path / "a.nii", channel_axis="Z")


def test_axes_that_are_not_there(tmp_path: Path) -> None:
    pages(tmp_path / "a.tif", 2, 8, 9, axes="ZYX")
    for wrong in ("T", 3, -4, "", "ZY"):
        with pytest.raises(InputError, match=r"has no axis .* 0 to 2 \(--channel-axis\)"):
            read_image(tmp_path / "a.tif", channel_axis=wrong)
    with pytest.raises(InputError, match="either the axes or the channel axis"):
        read_image(tmp_path / "a.tif", "ZYX", channel_axis=0)
    with pytest.raises(InputError, match="2 to 4 can be read"):
        tifffile.imwrite(tmp_path / "b.tif", np.zeros((8, 9), np.uint8))
        read_image(tmp_path / "b.tif", channel_axis=0)


def test_pages_that_the_file_does_not_name_are_z(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).integers(0, 9, (4, 16, 20)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack", metadata=None)
    assert read_image(tmp_path / "a.tif").axes == "ZYX"
    image = read_image(tmp_path / "a.tif", channel_axis="Z")
    assert image.axes == "CYX"
    np.testing.assert_array_equal(image.array, pages)
