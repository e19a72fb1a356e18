"""DICOM series: in order, in Hounsfield units, where ITK puts them; labels fit them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_geometry, read_image, read_labels, write_labels
from napari_swin_umamba.images.magic import is_dicom_folder

from .dicom_files import write_series


def volume(shape: tuple[int, int, int] = (4, 5, 6), **geometry: object) -> sitk.Image:
    values = np.arange(math.prod(shape), dtype=np.int16).reshape(shape) - 20
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(geometry.get("spacing", (0.5, 0.75, 3)))
    image.SetOrigin(geometry.get("origin", (-10, 20, 30)))
    image.SetDirection(geometry.get("direction", np.eye(3).ravel().tolist()))
    return image


def series_by_itk(folder: Path) -> sitk.Image:
    """The independent reader: ITK's own order of the files."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


@st.composite
def geometries(draw: st.DrawFn) -> sitk.Image:
    angles = draw(st.tuples(*[st.sampled_from([0, 90, 180]) | st.floats(-180, 180)] * 3))
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    rotation = np.where(np.abs(rotation) < 1e-9, 0, rotation)
    steps = st.floats(0.1, 8).map(lambda value: round(value, 3))
    return volume(
        # ITK's series reader takes slices of one row or column for lines and misplaces them.
        draw(st.tuples(st.integers(2, 5), st.integers(2, 5), st.integers(2, 5))),
        spacing=draw(st.tuples(steps, steps, steps)),
        origin=draw(st.tuples(*[st.floats(-300, 300).map(lambda v: round(v, 2))] * 3)),
        direction=rotation.ravel().tolist(),
    )


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(picture=geometries(), target=st.sampled_from([".nii.gz", ".seg.nrrd", ".mha"]))
def test_labels_overlay_the_series_in_an_independent_reader(
    tmp_path: Path, picture: sitk.Image, target: str
) -> None:
    folder = write_series(tmp_path / str(len(list(tmp_path.iterdir()))), picture)
    image = read_image(folder)
    reference = series_by_itk(folder)
    size = reference.GetSize()
    assert image.affine is not None
    for corner in np.ndindex(2, 2, 2):
        index = tuple(int(n - 1) * c for n, c in zip(size, corner, strict=True))
        place = np.array(reference.TransformIndexToPhysicalPoint(index))[::-1]
        ours = np.linalg.solve(image.affine, [*place, 1])[:3]
        rounded = tuple(np.round(ours).astype(int))
        np.testing.assert_allclose(ours, rounded, atol=1e-3)
        assert image.array[rounded] == reference[index]
    labels = (image.array + 20) % 7
    written = write_labels(tmp_path / f"labels{target}", labels, image, overwrite=True)
    assert np.array_equal(read_labels(written), labels)
    # SimpleITK reads the NIfTI too: x and y of LPS come back with it.
    again = sitk.ReadImage(str(written))
    for corner in np.ndindex(2, 2, 2):
        index = tuple(int(n - 1) * c for n, c in zip(size, corner, strict=True))
        place = reference.TransformIndexToPhysicalPoint(index)
        there = again.TransformPhysicalPointToContinuousIndex(place)
        np.testing.assert_allclose(there, np.round(there), atol=5e-3)
        found = again[tuple(int(round(one)) for one in there)]
        assert found == (reference[index] + 20) % 7


@pytest.mark.parametrize("ending", [".dcm", "", ".IMA"])
def test_names_say_nothing_and_slopes_are_applied(tmp_path: Path, ending: str) -> None:
    folder = write_series(tmp_path / "ct", volume(), slope=2, intercept=-1024, ending=ending)
    (folder / "notes.txt").write_text("x")
    (folder / ".DS_Store").write_bytes(b"x")
    assert is_dicom_folder(folder)
    image = read_image(folder)
    assert (image.axes, image.spacing, image.unit) == ("ZYX", (3, 0.75, 0.5), "millimeter")
    assert image.notes == ()
    assert np.array_equal(image.array, sitk.GetArrayFromImage(series_by_itk(folder)))
    for index, file in enumerate(sorted(folder.glob("IM*"), key=lambda file: file.stem[-1])):
        stored = np.frombuffer(file.read_bytes()[-60:], "<i2").reshape(5, 6)  # the end: pixels
        assert stored.min() > 450
        assert np.array_equal(image.array[index], stored * 2 - 1024)
    header = read_geometry(folder)
    assert header.array.shape == image.array.shape
    assert np.array_equal(header.affine, image.affine)


def test_several_series_are_listed_and_one_is_chosen(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "ct", volume(), description="arterial", number=4)
    write_series(folder, volume((2, 5, 6)), uid="1.2.3.5", description="venous", number=5)
    with pytest.raises(InputError) as caught:
        read_image(folder)
    text = str(caught.value)
    assert "1.2.3.4 ('arterial', number 4, 4 slices)" in text
    assert "1.2.3.5 ('venous', number 5, 2 slices)" in text
    assert "--series" in text
    assert "folders of their own" in text
    assert read_image(folder, series="1.2.3.4").array.shape == (4, 5, 6)
    assert read_image(folder, series="5").array.shape == (2, 5, 6)
    with pytest.raises(InputError, match="holds no series '6'"):
        read_image(folder, series="6")
    with pytest.raises(InputError, match="no folder of DICOM files"):
        read_image(next(folder.iterdir()), series="5")


def test_missing_slices_are_told(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "a", volume((6, 5, 6)), slices=[0, 1, 2, 4, 5])
    with pytest.raises(InputError, match=r"lacks slices: between 36 and 42 mm .* 1 more .*3 mm"):
        read_image(folder)
    folder = write_series(tmp_path / "twice", volume())
    for file in list(folder.iterdir()):
        file.with_suffix(".copy").write_bytes(file.read_bytes())
    with pytest.raises(InputError, match="slices at one place"):
        read_image(folder)


@pytest.mark.parametrize(("shift", "words"), [(0.1, None), (1.2, "no even grid")])
def test_uneven_slices_are_told(tmp_path: Path, shift: float, words: str | None) -> None:
    places = [(-10.0, 20.0, 3.0 * i + shift * (i == 2)) for i in range(6)]
    folder = write_series(tmp_path / "a", volume((6, 5, 6)), places=places)
    if words:
        with pytest.raises(InputError, match=words):
            read_image(folder)
        return
    image = read_image(folder)
    assert image.spacing == pytest.approx((3, 0.75, 0.5))
    assert image.notes == ("slices are 2.9 to 3.1 mm apart; taken as evenly spaced, 3 mm",)


def test_a_tilted_gantry_is_a_sheared_grid(tmp_path: Path) -> None:
    places = [(-10.0, 20.0 + 0.5 * i, 3.0 * i) for i in range(4)]
    folder = write_series(tmp_path / "a", volume(), places=places)
    image = read_image(folder)
    assert image.affine is not None
    np.testing.assert_allclose(image.affine @ (3, 0, 0, 1), (9, 21.5, -10, 1))
    labels = (image.array + 20) % 5
    with pytest.raises(InputError, match=r"right angles.*NIfTI"):
        write_labels(tmp_path / "l.seg.nrrd", labels, image)
    again = read_image(write_labels(tmp_path / "l.nii.gz", labels, image))
    np.testing.assert_allclose(again.affine, image.affine, atol=1e-5)


def test_slices_that_do_not_belong_together(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "a", volume())
    write_series(folder, volume((2, 9, 9), origin=(0, 0, 300)), slices=[1])
    with pytest.raises(InputError, match="different sizes"):
        read_image(folder)
    folder = write_series(tmp_path / "b", volume(), slices=[0, 1, 2])
    write_series(folder, volume(direction=(0, 0, 1, 1, 0, 0, 0, 1, 0)), slices=[3])
    with pytest.raises(InputError, match="not parallel"):
        read_image(folder)


def test_reports_and_plans_are_passed_over_but_not_damaged_slices(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "a", volume())
    raw = next(folder.iterdir()).read_bytes()
    report = raw[: raw.index(b"\xe0\x7f\x10\0")]
    (folder / "report.dcm").write_bytes(
        report.replace(b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.5.1.4.1.1.11")
    )
    assert read_image(folder).array.shape == (4, 5, 6)
    (folder / "cut.dcm").write_bytes(report)
    with pytest.raises(InputError, match=r"cut\.dcm cannot be read as a DICOM image"):
        read_image(folder)
    (folder / "cut.dcm").write_bytes(raw[:100])
    with pytest.raises(InputError, match=r"cut\.dcm is damaged: it does not begin"):
        read_image(folder)
    (folder / "cut.dcm").unlink()
    for file in folder.glob("IM*"):
        file.unlink()
    with pytest.raises(InputError, match=r"report\.dcm cannot be read as a DICOM image"):
        read_image(folder)


def test_one_file(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "a", volume(), slices=[2])
    (file,) = folder.iterdir()
    image = read_image(file)
    assert (image.axes, image.array.shape) == ("ZYX", (1, 5, 6))
    assert image.affine is not None
    np.testing.assert_allclose(image.affine[:3, 3], (36, 20, -10))
    assert np.array_equal(read_image(folder).array, image.array)


def test_many_frames_in_one_file(tmp_path: Path) -> None:
    picture = sitk.Cast(volume(direction=(0, 0, 1, 1, 0, 0, 0, 1, 0)) + 20, sitk.sitkUInt16)
    sitk.WriteImage(picture, str(tmp_path / "a.dcm"))
    image = read_image(tmp_path / "a.dcm")
    reference = sitk.ReadImage(str(tmp_path / "a.dcm"))
    assert image.affine is not None
    for index in ((0, 0, 0), (5, 4, 3), (1, 2, 3)):
        place = reference.TransformIndexToPhysicalPoint(index)[::-1]
        ours = np.linalg.solve(image.affine, [*place, 1])[:3].round().astype(int)
        assert image.array[tuple(ours)] == reference[index]


def test_a_colour_picture_is_no_volume(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (7, 8, 3)).astype(np.uint8)
    path = tmp_path / "photo.dcm"
    sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(path))
    # ITK sometimes says where a picture lies and sometimes not: rename those tags.
    raw = path.read_bytes().replace(b"\x20\0\x32\0", b"\x20\0\x31\0")
    path.write_bytes(raw.replace(b"\x28\0\x30\0", b"\x28\0\x29\0"))
    image = read_image(path)
    assert (image.axes, image.array.shape) == ("YXC", (7, 8, 3))
    assert np.array_equal(image.array, colours)
    assert image.affine is None


def test_damaged_files(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "a", volume())
    file = sorted(folder.iterdir())[1]
    raw = file.read_bytes()
    for keep in (140, 400, len(raw) - 30):
        file.write_bytes(raw[:keep])
        with pytest.raises(InputError, match=file.name):
            read_image(file)
    with pytest.raises(InputError, match=file.name):
        read_image(folder)
