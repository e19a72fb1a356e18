"""Every format tells the same of the same grid, and labels come back onto it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_swin_umamba.images import Image, read_image, read_labels, write_labels

ITK_SUFFIXES = (".nrrd", ".mha", ".mhd")
NIFTI_SUFFIXES = (".nii", ".nii.gz")


@dataclass(frozen=True)
class ItkGrid:
    """A grid as ITK has it: x first, in millimetres of LPS."""

    size: tuple[int, ...]
    origin: tuple[float, ...]
    spacing: tuple[float, ...]
    direction: np.ndarray

    def image(self, array: np.ndarray) -> sitk.Image:
        """An image of values ``([z,] y, x[, channels])``."""
        image = sitk.GetImageFromArray(array, isVector=array.ndim > len(self.size))
        image.SetOrigin(self.origin)
        image.SetSpacing(self.spacing)
        image.SetDirection(self.direction.ravel().tolist())
        return image

    def values(self) -> np.ndarray:
        """Different in every voxel, ``([z,] y, x)``."""
        return np.arange(np.prod(self.size), dtype=np.int16).reshape(self.size[::-1])


@st.composite
def itk_grids(draw: st.DrawFn, dimensions: tuple[int, ...] = (2, 3)) -> ItkGrid:
    """Oblique, mirrored and swapped axes, any spacing, sizes from 1."""
    rank = draw(st.sampled_from(dimensions))
    steps = st.floats(0.05, 20).map(lambda value: round(value, 4))
    if rank == 2:
        angle = draw(st.sampled_from([0, np.pi / 2, np.pi]) | st.floats(-3, 3))
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    else:
        angles = draw(st.tuples(*[st.sampled_from([0, 90, 180]) | st.floats(-180, 180)] * 3))
        rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    signs = np.diag(draw(st.tuples(*[st.sampled_from([1, -1])] * rank)))
    order = draw(st.permutations(range(rank)))
    # A multiple of 90 degrees is meant to be exact: the ties are of interest.
    direction = np.where(np.abs(rotation) < 1e-9, 0, rotation)[:, order] @ signs
    return ItkGrid(
        draw(st.tuples(*[st.integers(1, 5)] * rank)),
        tuple(draw(st.tuples(*[st.floats(-300, 300).map(lambda v: round(v, 3))] * rank))),
        draw(st.tuples(*[steps] * rank)),
        direction,
    )


def world_of(image: sitk.Image, index: tuple[int, ...]) -> np.ndarray:
    """Where ITK puts a voxel, as z, y, x; `index` is x first."""
    return np.array(image.TransformIndexToPhysicalPoint(index))[::-1]


def write_itk(folder: Path, image: sitk.Image, suffix: str, name: str = "image") -> Path:
    """Write a file, uncompressed."""
    path = folder / f"{name}{suffix}"
    sitk.WriteImage(image, str(path))
    return path


quick = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _check_world(image: Image, reference: sitk.Image) -> None:
    """Every corner's value lies where ITK puts it."""
    assert image.affine is not None
    assert image.spacing is not None
    rank = len(image.spacing)
    largest = np.abs(image.affine[:rank, :rank]) / image.spacing
    assert (
        np.prod(np.diag(largest))
        >= max(np.prod(largest[range(rank), order]) for order in _orders(rank)) - 1e-5
    )
    size = reference.GetSize()
    scale = max(1, *np.abs(image.affine).ravel())
    for corner in np.ndindex(*[2] * rank):
        index = tuple(int(n - 1) * c for n, c in zip(size, corner, strict=True))
        position = np.linalg.solve(image.affine, [*world_of(reference, index), 1])[:rank]
        ours = tuple(np.round(position).astype(int))
        # NIfTI's header has float32: up to a few thousandths of a small voxel, far from the origin.
        np.testing.assert_allclose(position, ours, atol=3e-6 * scale / min(image.spacing) + 1e-4)
        assert image.array[ours] == reference[index]


def _orders(rank: int) -> list[tuple[int, ...]]:
    return list(permutations(range(rank)))


@quick
@given(grid=itk_grids(), suffix=st.sampled_from(ITK_SUFFIXES))
def test_nrrd_and_metaimage_lie_where_itk_puts_them(
    tmp_path: Path, grid: ItkGrid, suffix: str
) -> None:
    path = write_itk(tmp_path, grid.image(grid.values()), suffix)
    image = read_image(path)
    assert image.axes == "ZYX"[-len(grid.size) :]
    assert image.array.dtype == np.int16
    assert (image.unit, image.notes) == ("millimeter", ())
    _check_world(image, grid.image(grid.values()))


@quick
@given(grid=itk_grids(dimensions=(3,)), suffix=st.sampled_from(NIFTI_SUFFIXES))
def test_nifti_by_itk_gives_the_same_image(tmp_path: Path, grid: ItkGrid, suffix: str) -> None:
    picture = grid.image(grid.values())
    nifti = read_image(write_itk(tmp_path, picture, suffix))
    nrrd = read_image(write_itk(tmp_path, picture, ".nrrd"))
    _check_world(nifti, picture)
    assert nifti.unit == "millimeter"
    if nifti.grid.order == nrrd.grid.order:  # else float32 decided a tie at 45 degrees
        assert np.array_equal(nifti.array, nrrd.array)
        assert nifti.spacing == pytest.approx(nrrd.spacing, rel=1e-5)
        np.testing.assert_allclose(nifti.affine, nrrd.affine, atol=1e-3)


@quick
@given(
    grid=itk_grids(),
    source=st.sampled_from([*ITK_SUFFIXES, *NIFTI_SUFFIXES]),
    target=st.sampled_from([*ITK_SUFFIXES, *NIFTI_SUFFIXES]),
)
def test_labels_overlay_the_image_in_an_independent_reader(
    tmp_path: Path, grid: ItkGrid, source: str, target: str
) -> None:
    if len(grid.size) == 2 and source in NIFTI_SUFFIXES:
        source = ".mha"  # ITK's NIfTI cannot hold the rotation of a 2D image
    picture = grid.image(grid.values())
    path = write_itk(tmp_path, picture, source)
    image = read_image(path)
    labels = image.array % 7
    labels_path = write_labels(tmp_path / f"labels{target}", labels, image, overwrite=True)
    assert np.array_equal(read_labels(labels_path), labels)
    again = read_image(labels_path)
    np.testing.assert_allclose(again.affine, image.affine, rtol=1e-5, atol=2e-4)
    if target in ITK_SUFFIXES:
        written, reference = sitk.ReadImage(str(labels_path)), sitk.ReadImage(str(path))
        assert written.GetSize() == reference.GetSize()
        np.testing.assert_allclose(written.GetOrigin(), reference.GetOrigin(), atol=1e-3)
        np.testing.assert_allclose(written.GetSpacing(), reference.GetSpacing(), rtol=1e-5)
        np.testing.assert_allclose(written.GetDirection(), reference.GetDirection(), atol=1e-5)
        assert np.array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(picture) % 7)
    elif source in NIFTI_SUFFIXES:
        written, reference = nib.load(labels_path), nib.load(path)
        assert written.shape == reference.shape
        assert np.array_equal(written.affine, reference.affine)
        assert np.array_equal(np.asarray(written.dataobj), np.asarray(reference.dataobj) % 7)
        assert written.get_data_dtype() == np.uint8
