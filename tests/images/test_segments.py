"""``.seg.nrrd`` as 3D Slicer documents it: names, colours, one layer, three dimensions."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import Image, read_image, write_labels
from napari_swin_umamba.images.itk_header import read_segments
from napari_swin_umamba.plan import SegmentationClass

from .test_volumes import ItkGrid, itk_grids

CLASSES = (
    SegmentationClass(id=0, name="background"),
    SegmentationClass(id=1, name="left\nventricle :=", color="#ff8000"),
    SegmentationClass(id=2, name="Müller cell", color="#0000ff"),
)


def slicer_fields(path: Path) -> dict[str, str]:
    """Key/value pairs by the words of the NRRD specification, not by our reader."""
    header = path.read_bytes().partition(b"\n\n")[0].decode("utf-8")
    lines = [line for line in header.splitlines() if ":=" in line]
    return dict(line.split(":=", 1) for line in lines)


def test_names_and_colours(tmp_path: Path) -> None:
    labels = (np.arange(60) % 3).reshape(3, 4, 5).astype(np.uint8)
    affine = np.diag([3.0, 2, 1, 1])
    like = Image(labels, "ZYX", (3, 2, 1), "millimeter", affine=affine)
    path = write_labels(tmp_path / "heart.seg.nrrd", labels, like, classes=CLASSES)
    fields = slicer_fields(path)
    assert fields["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"
    assert fields["Segmentation_SourceRepresentation"] == "Binary labelmap"
    assert fields["Segmentation_ReferenceImageExtentOffset"] == "0 0 0"
    assert {key: fields[f"Segment0_{key}"] for key in ("ID", "Name", "LabelValue", "Layer")} == {
        "ID": "Segment_1",
        "Name": "left ventricle :=",
        "LabelValue": "1",
        "Layer": "0",
    }
    assert [float(part) for part in fields["Segment0_Color"].split()] == pytest.approx(
        (1, 128 / 255, 0), abs=1e-5
    )
    assert fields["Segment0_Extent"] == fields["Segment1_Extent"] == "0 4 0 3 0 2"
    assert fields["Segment1_Name"] == "Müller cell"
    assert "Segment2_ID" not in fields
    written = sitk.ReadImage(str(path))
    assert written.GetMetaData("Segment1_LabelValue") == "2"
    assert np.array_equal(sitk.GetArrayFromImage(written), labels)
    assert [(one.value, one.name) for one in read_segments(path)] == [
        (1, "left ventricle :="),
        (2, "Müller cell"),
    ]


def test_objects_become_segments_unless_there_are_too_many(tmp_path: Path) -> None:
    labels = np.arange(60, dtype=np.int32).reshape(3, 4, 5)
    path = write_labels(tmp_path / "cells.seg.nrrd", labels)
    segments = read_segments(path)
    assert [one.value for one in segments] == list(range(1, 60))
    assert segments[3].name == "object 4"
    many = np.arange(3 * 40 * 50, dtype=np.int32).reshape(3, 40, 50)
    path = write_labels(tmp_path / "many.seg.nrrd", many)
    assert read_segments(path) == []
    assert np.array_equal(read_image(path).array, many)


def test_a_plain_nrrd_keeps_names_too(tmp_path: Path) -> None:
    labels = np.ones((3, 4, 5), np.uint8)
    named = write_labels(tmp_path / "a.nrrd", labels, classes=CLASSES)
    assert [one.value for one in read_segments(named)] == [1, 2]
    assert read_segments(write_labels(tmp_path / "b.nrrd", labels)) == []


def test_a_plane_is_stored_in_three_dimensions(tmp_path: Path) -> None:
    like = Image(np.ones((4, 5)), "YX", (2, 0.5), "millimeter")
    path = write_labels(tmp_path / "a.seg.nrrd", np.ones((4, 5), np.uint8), like, classes=CLASSES)
    written = sitk.ReadImage(str(path))
    assert written.GetSize() == (5, 4, 1)
    assert written.GetSpacing() == (0.5, 2, 1)
    assert slicer_fields(path)["Segment0_Extent"] == "0 4 0 3 0 0"


def test_a_film_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.seg\.nrrd holds no film"):
        write_labels(tmp_path / "a.seg.nrrd", np.ones((2, 3, 4, 5), np.uint8))
    assert not list(tmp_path.iterdir())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(grid=itk_grids(), source=st.sampled_from([".nrrd", ".mha"]))
def test_a_segmentation_overlays_its_scan_in_an_independent_reader(
    tmp_path: Path, grid: ItkGrid, source: str
) -> None:
    scan = grid.image(grid.values())
    sitk.WriteImage(scan, str(tmp_path / f"scan{source}"))
    image = read_image(tmp_path / f"scan{source}")
    path = tmp_path / "labels.seg.nrrd"
    write_labels(path, image.array % 3, image, overwrite=True, classes=CLASSES)
    written = sitk.ReadImage(str(path))
    assert written.GetDimension() == 3
    flat = scan.GetDimension() == 2
    for corner in np.ndindex(*[2] * scan.GetDimension()):
        index = tuple(int(n - 1) * c for n, c in zip(scan.GetSize(), corner, strict=True))
        place = scan.TransformIndexToPhysicalPoint(index)
        there = written.TransformPhysicalPointToContinuousIndex((*place, 0.0) if flat else place)
        np.testing.assert_allclose(there, (*index, 0) if flat else index, atol=1e-6)
        assert written[(*index, 0) if flat else index] == scan[index] % 3


@pytest.mark.parametrize("turned", [False, True])
def test_a_plane_lies_where_its_nifti_says(tmp_path: Path, turned: bool) -> None:
    affine = np.array([[-2.0, 0, 0, 1], [0, 3, 0, 2], [0, 0, 4, 30], [0, 0, 0, 1]])
    if turned:  # a coronal plane
        affine[:, [1, 2]] = affine[:, [2, 1]]
    nibabel.save(nibabel.Nifti1Image(np.zeros((6, 7), np.uint8), affine), tmp_path / "a.nii")
    image = read_image(tmp_path / "a.nii")
    labels = np.arange(image.array.size, dtype=np.uint8).reshape(image.array.shape) % 3
    write_labels(tmp_path / "a.seg.nrrd", labels, image)
    stored = sitk.ReadImage(str(tmp_path / "a.seg.nrrd"))
    assert stored.GetSize() == (6, 7, 1)
    world = np.diag([-1, -1, 1]) @ (affine @ [5, 6, 0, 1])[:3]
    np.testing.assert_allclose(stored.TransformIndexToPhysicalPoint((5, 6, 0)), world)
