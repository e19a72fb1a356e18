"""Volumes open where they lie in the world, label maps as Labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("napari")

from napari.layers import Image as ImageLayer
from napari.layers import Labels

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_image, write_labels
from napari_swin_umamba.plan import SegmentationClass
from napari_swin_umamba.plugin.readers import get_reader, read_volumes
from napari_swin_umamba.plugin.sample_data import hippocampus

from ..images.dicom_files import write_series
from ..images.test_ome_zarr import write_zarr

# What an oblique volume in napari comes with; the tests are about where it lies.
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")

MANIFEST = Path(__file__).parents[2] / "napari.yaml"
VALUES = np.random.default_rng(0).integers(0, 999, (3, 4, 5)).astype(np.int16)  # x, y, z
OBLIQUE = np.array([[0, 0, 3, -5], [2, 0.1, 0, 6], [-0.1, 2, 0, 7], [0, 0, 0, 1.0]])
ALIGNED = np.array([[-2, 0, 0, 5], [0, -3, 0, 6], [0, 0, 4, 7], [0, 0, 0, 1.0]])


def _nifti(path: Path, affine: np.ndarray, array: np.ndarray = VALUES) -> Path:
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def _layer(path: Path) -> Any:
    ((data, arguments, kind),) = read_volumes(str(path))
    return {"image": ImageLayer, "labels": Labels}[kind](data, **arguments)


def test_which_files_are_read() -> None:
    for name in ("a.nii", "b.NII.GZ", "c.nrrd", "d.mha", "e.mhd"):
        assert get_reader(name) is read_volumes
        assert get_reader([name, name]) is read_volumes
    for name in ("a.gz", "a.tif", "a.nii.txt"):
        assert get_reader(name) is None
    assert get_reader([]) is None
    assert get_reader(["a.nii", "b.tif"]) is None


@pytest.mark.parametrize("affine", [OBLIQUE, ALIGNED])
def test_a_layer_lies_where_its_file_says(tmp_path: Path, affine: np.ndarray) -> None:
    path = _nifti(tmp_path / "brain.nii.gz", affine)
    layer = _layer(path)
    assert (layer.name, layer.metadata["path"]) == ("brain", str(path))
    assert layer.axis_labels == ("z", "y", "x")
    assert {str(unit) for unit in layer.units} == {"millimeter"}
    np.testing.assert_allclose(layer.scale, read_image(path).spacing)
    assert (layer.scale > 0).all()
    aligned = affine is ALIGNED
    assert np.array_equal(layer.affine.affine_matrix, np.eye(4)) == aligned
    assert layer.translate.any() == aligned
    for index in np.ndindex(VALUES.shape):
        x, y, z = (affine @ [*index, 1])[:3]  # to the right, anterior, superior
        position = np.round(layer.world_to_data((z, -y, -x))).astype(int)
        assert layer.data[tuple(position)] == VALUES[index]


def test_time_channels_and_colours(tmp_path: Path) -> None:
    film = _layer(_nifti(tmp_path / "film.nii", ALIGNED, np.stack([VALUES] * 2, axis=-1)))
    assert (film.axis_labels, film.data.shape) == (("t", "z", "y", "x"), (2, 5, 4, 3))
    np.testing.assert_allclose(film.scale, (1, 4, 3, 2))
    array = np.zeros((5, 4, 3, 2), np.float32)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), str(tmp_path / "a.mha"))
    channels = _layer(tmp_path / "a.mha")
    assert (channels.axis_labels, channels.data.shape) == (("c", "z", "y", "x"), (2, 5, 4, 3))
    colours = np.zeros((5, 4, 3, 3), np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(tmp_path / "a.nrrd"))
    layer = _layer(tmp_path / "a.nrrd")
    assert (layer.rgb, layer.ndim, layer.axis_labels) == (True, 3, ("z", "y", "x"))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
def test_label_maps_become_labels(tmp_path: Path, dtype: type) -> None:
    image = nib.Nifti1Image((VALUES % 3).astype(dtype), np.eye(4), dtype=dtype)
    nib.save(image, tmp_path / "brain_seg.nii")
    layer = _layer(tmp_path / "brain_seg.nii")
    assert isinstance(layer, Labels)
    assert np.array_equal(layer.data, (VALUES % 3).T)
    assert isinstance(_layer(_nifti(tmp_path / "brain.nii", np.eye(4))), ImageLayer)


def test_segments_of_slicer_have_names_and_colours(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "plain.nrrd", VALUES % 3).rename(tmp_path / "heart.seg.nrrd")
    keys = b"Segment0_Name:=left ventricle\nSegment0_LabelValue:=2\nSegment0_Color:=1 0.5 0\n"
    path.write_bytes(path.read_bytes().replace(b"\n\n", b"\n" + keys + b"\n", 1))
    layer = _layer(path)
    assert list(layer.features["name"]) == ["background", "left ventricle"]
    np.testing.assert_allclose(layer.get_color(2), (1, 0.5, 0, 1))
    assert np.array_equal(layer.data, VALUES % 3)


def test_dicom_folders_open_a_layer_for_each_series(tmp_path: Path) -> None:
    picture = sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    picture.SetSpacing((1, 2, 3))
    folder = write_series(tmp_path / "ct.1", picture, description="arterial")
    assert get_reader(str(folder)) is read_volumes
    layer = _layer(folder)
    assert (layer.name, layer.axis_labels) == ("ct.1", ("z", "y", "x"))
    np.testing.assert_allclose(layer.scale, (3, 2, 1))
    (_, arguments, _) = read_volumes([str(next(folder.iterdir()))])[0]
    assert arguments["axis_labels"] == ("z", "y", "x")
    write_series(folder, picture, uid="1.2.3.5", description="venous", number=9)
    names = [arguments["name"] for _, arguments, _ in read_volumes(str(folder))]
    assert names == ["ct.1 arterial", "ct.1 venous"]


def test_ome_zarr_opens_lazily_with_its_labels(tmp_path: Path) -> None:
    array = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)
    path = write_zarr(tmp_path / "cells.zarr", array, "czyx", scale=(1, 3, 2, 2))
    labels = array[0] % 3
    classes = [SegmentationClass(id=i, name=name) for i, name in enumerate(["background", "cell"])]
    source = read_image(path)
    write_labels(path / "labels" / "cell", labels, source, classes=classes)
    assert get_reader(str(path)) is read_volumes
    image, found = read_volumes(str(path))
    assert (image[1]["name"], image[2], found[1]["name"], found[2]) == (
        "cells",
        "image",
        "cell",
        "labels",
    )
    assert not isinstance(image[0], np.ndarray)
    layer = Labels(found[0], **found[1])
    assert list(layer.features["name"]) == ["background", "cell"]
    np.testing.assert_allclose(layer.scale, (3, 2, 2))
    np.testing.assert_allclose(layer.get_color(1), (0xE6 / 255, 0x9F / 255, 0, 1), atol=1e-6)
    alone = write_labels(tmp_path / "alone.zarr", labels, source, classes=classes)
    (_, arguments, kind) = read_volumes(str(alone))[0]
    assert (arguments["name"], kind, len(read_volumes(str(alone)))) == ("alone", "labels", 1)


def test_other_folders_are_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"x")
    assert get_reader(str(tmp_path)) is None
    (tmp_path / "empty.zarr").mkdir()
    assert get_reader(str(tmp_path / "empty.zarr")) is None
    (tmp_path / "plate.zarr").mkdir()
    (tmp_path / "plate.zarr" / ".zattrs").write_text('{"plate": {}}')
    assert get_reader(str(tmp_path / "plate.zarr")) is None
    assert get_reader(str(tmp_path / "missing")) is None


def test_several_files_are_several_layers(tmp_path: Path) -> None:
    paths = [str(_nifti(tmp_path / f"{name}.nii", ALIGNED)) for name in "ab"]
    assert [arguments["name"] for _, arguments, _ in read_volumes(paths)] == ["a", "b"]


def test_the_sample_is_a_volume_with_its_labels() -> None:
    image, labels = hippocampus()
    assert (image[2], labels[2]) == ("image", "labels")
    assert image[0].shape == labels[0].shape == (34, 55, 37)
    assert set(np.unique(labels[0])) == {0, 1, 2}
    assert labels[1]["features"]["name"] == ["background", "anterior", "posterior"]
    assert image[1]["metadata"]["licence"] == labels[1]["metadata"]["licence"] == "CC-BY-SA-4.0"


@pytest.fixture
def plugin(npe2pm: Any) -> Iterator[None]:
    with npe2pm.tmp_plugin(manifest=str(MANIFEST)):
        yield


def test_in_the_viewer(plugin: None, viewer: Any, tmp_path: Path) -> None:
    image, labels = viewer.open_sample("napari-swin-umamba", "hippocampus")
    assert isinstance(image, ImageLayer)
    assert isinstance(labels, Labels)
    assert np.array_equal(image.extent.world, labels.extent.world)
    path = _nifti(tmp_path / "brain.nii.gz", OBLIQUE)
    (layer,) = viewer.open(path, plugin="napari-swin-umamba")
    assert layer.source.reader_plugin == "napari-swin-umamba"
    picture = sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    folder = write_series(tmp_path / "ct", picture)
    (scan,) = viewer.open(folder, plugin="napari-swin-umamba")
    assert (scan.name, scan.data.shape) == ("ct", (3, 4, 5))
    zarr = write_zarr(tmp_path / "cells.zarr", np.zeros((3, 8, 9), np.uint8), "zyx")
    (cells,) = viewer.open(zarr, plugin="napari-swin-umamba")
    assert cells.data.shape == (3, 8, 9)
    path.write_bytes(path.read_bytes()[:99])
    with pytest.raises(InputError, match=r"brain\.nii\.gz"):
        viewer.open(path, plugin="napari-swin-umamba")
