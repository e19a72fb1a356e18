"""Labels layers are saved where they lie; an independent reader finds them on the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("napari")

from napari.layers import Image as ImageLayer
from napari.layers import Labels

from napari_swin_umamba.images import read_image
from napari_swin_umamba.plugin.layer_grid import data_to_world
from napari_swin_umamba.plugin.layer_view import data_to_world as of_layer
from napari_swin_umamba.plugin.readers import read_volumes
from napari_swin_umamba.plugin.transform import result_transform
from napari_swin_umamba.plugin.writers import SaveError, write_labels_layer

# What an oblique volume in napari comes with; the tests are about where it lies.
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")

MANIFEST = Path(__file__).parents[2] / "napari.yaml"
SHAPE = (3, 4, 5)  # x, y, z
LABELS = np.arange(60).reshape(5, 4, 3) % 7  # z, y, x


def _save(path: Path, layer: Labels) -> Path:
    data, meta, _ = layer.as_layer_data_tuple()
    assert write_labels_layer(str(path), data, meta) == [str(path)]
    return path


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    """Of NIfTI: any that is not nearly singular, shear included."""
    entries = st.floats(-3, 3).map(lambda value: round(value, 2))
    matrix = np.array(draw(st.lists(entries, min_size=9, max_size=9))).reshape(3, 3)
    matrix += np.eye(3)[:, draw(st.permutations(range(3)))] * draw(st.sampled_from([-8, 8]))
    affine = np.eye(4)
    affine[:3, :3] = matrix / draw(st.sampled_from([1, 10]))
    affine[:3, 3] = draw(st.tuples(*[st.integers(-200, 200)] * 3))
    return affine


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(affine=affines(), named=st.booleans())
def test_from_nifti_through_a_layer_to_nifti(
    tmp_path: Path, affine: np.ndarray, named: bool
) -> None:
    values = np.arange(60, dtype=np.int16).reshape(SHAPE)
    source = nib.Nifti1Image(values, affine)
    source.header.set_xyzt_units("mm")
    source.header["descrip"] = b"scanner X"
    nib.save(source, tmp_path / "brain.nii")
    source = nib.load(tmp_path / "brain.nii", mmap=False)
    ((data, arguments, _),) = read_volumes(str(tmp_path / "brain.nii"))
    image = ImageLayer(data, **arguments)
    metadata = {"source_image": arguments["metadata"]["path"]} if named else {}
    labels = Labels(data % 7, metadata=metadata, **result_transform(image, range(3)))
    written = nib.load(_save(tmp_path / "labels.nii.gz", labels))
    if named:
        assert np.array_equal(written.affine, source.affine)
        assert written.header["descrip"] == source.header["descrip"]
        assert np.array_equal(np.asarray(written.dataobj), values % 7)
    # Without the file's order of axes the same voxels lie at the same places.
    for index in ((0, 0, 0), *np.ndindex(2, 2, 2)):
        corner = np.array(index) * (np.array(SHAPE) - 1)
        place = source.affine @ [*corner, 1]
        position = (np.linalg.solve(written.affine, place))[:3]
        found = tuple(np.round(position).astype(int))
        np.testing.assert_allclose(position, found, atol=2e-3)
        assert written.dataobj[found] == values[tuple(corner)] % 7


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".mhd"])
def test_formats_onto_the_file_of_the_image(tmp_path: Path, suffix: str) -> None:
    picture = sitk.GetImageFromArray(LABELS.astype(np.int16) * 100)
    picture.SetSpacing((0.5, 0.7, 3))
    picture.SetOrigin((-10, 20, 30))
    picture.SetDirection((0, 0, 1, 1, 0, 0, 0, -1, 0))
    path = tmp_path / f"brain{suffix}"
    sitk.WriteImage(picture, str(path))
    ((data, arguments, _),) = read_volumes(str(path))
    arguments.pop("rgb")
    labels = Labels(data // 100, **arguments)
    written = sitk.ReadImage(str(_save(tmp_path / f"out{suffix}", labels)))
    assert np.array_equal(sitk.GetArrayFromImage(written), LABELS)
    np.testing.assert_allclose(written.GetSpacing(), (0.5, 0.7, 3), rtol=1e-6)
    np.testing.assert_allclose(written.GetOrigin(), picture.GetOrigin())
    np.testing.assert_allclose(written.GetDirection(), picture.GetDirection(), atol=1e-6)


def test_the_transform_is_napari_s_own() -> None:
    rng = np.random.default_rng(0)
    layer = Labels(
        LABELS,
        scale=(3, 2, 1),
        translate=(7, 8, 9),
        rotate=(10, 20, 30),
        shear=rng.normal(size=3),
        affine=np.vstack([rng.normal(size=(3, 4)), [0, 0, 0, 1]]),
    )
    _, meta, _ = layer.as_layer_data_tuple()
    np.testing.assert_allclose(data_to_world(meta, 3), of_layer(layer), atol=1e-9)
    np.testing.assert_allclose(data_to_world({}, 3), np.eye(4))


def test_a_file_that_has_changed_is_not_asked(tmp_path: Path) -> None:
    source = nib.Nifti1Image(np.zeros(SHAPE, np.int16), np.eye(4))
    source.header["descrip"] = b"scanner X"
    nib.save(source, tmp_path / "brain.nii")
    meta = {"path": str(tmp_path / "brain.nii")}
    place = {"affine": np.diag([1.0, -1, -1, 1])}
    for kept, layer in (
        (True, Labels(LABELS, metadata=meta, **place)),
        (False, Labels(LABELS, metadata=meta, translate=(1, 0, 0), **place)),
        (False, Labels(LABELS[:4], metadata=meta, **place)),
        (False, Labels(LABELS, metadata={"path": str(tmp_path / "gone.nii")}, **place)),
    ):
        written = nib.load(_save(tmp_path / "labels.nii", layer), mmap=False)
        assert (bytes(written.header["descrip"]).strip(b"\0") == b"scanner X") == kept


@pytest.mark.parametrize(
    ("units", "code", "zooms"),
    [
        (("um",) * 3, "micron", (1, 2, 3)),
        (("um", "mm", "mm"), "mm", (1, 2, 0.003)),
        (("pixel",) * 3, "unknown", (1, 2, 3)),
        (("nm",) * 3, "micron", (0.001, 0.002, 0.003)),
    ],
)
def test_units(tmp_path: Path, units: tuple[str, ...], code: str, zooms: tuple[float]) -> None:
    layer = Labels(LABELS, scale=(3, 2, 1), units=units)
    header = nib.load(_save(tmp_path / "a.nii.gz", layer)).header
    assert header.get_xyzt_units()[0] == code
    np.testing.assert_allclose(header.get_zooms(), zooms, rtol=1e-6)


def test_time(tmp_path: Path) -> None:
    film = np.stack([LABELS, LABELS * 0])
    layer = Labels(film, scale=(2, 3, 4, 5), axis_labels=("t", "z", "y", "x"))
    written = nib.load(_save(tmp_path / "film.nii", layer))
    assert written.shape == (3, 4, 5, 2)
    assert written.header.get_zooms() == (5, 4, 3, 2)
    turned = np.eye(5)
    turned[:2, :2] = [[0, 1], [1, 0]]
    with pytest.raises(SaveError, match="mixes time and space"):
        _save(tmp_path / "b.nii", Labels(film, affine=turned))


@pytest.mark.parametrize(
    ("labels", "units", "axes"),
    [
        ("ztyx", ("mm", "second", "mm", "mm"), (1, 0, 2, 3)),
        (("time", "z", "y", "x"), ("mm",) * 4, (0, 1, 2, 3)),
        ("xyzt", ("mm",) * 4, (3, 2, 1, 0)),
        (("plane", "row", "column"), ("mm",) * 3, (0, 1, 2)),
        ("xyz", ("mm",) * 3, (2, 1, 0)),
        (("-3", "-2", "-1"), ("mm",) * 3, (0, 1, 2)),
    ],
)
def test_axes_in_any_order(
    tmp_path: Path, labels: Any, units: tuple[str, ...], axes: tuple[int, ...]
) -> None:
    ndim = len(axes)
    shape = (2, 3, 4, 5)[-ndim:]
    data = np.arange(np.prod(shape)).reshape(shape) % 7
    scale, translate = np.arange(2.0, 2 + ndim), 10 * np.arange(1.0, 1 + ndim)
    layer = Labels(data, scale=scale, translate=translate, axis_labels=tuple(labels), units=units)
    image = read_image(_save(tmp_path / "a.nii.gz", layer))
    np.testing.assert_array_equal(image.array, data.transpose(axes))
    space = list(axes[-3:])
    np.testing.assert_allclose(image.spacing, scale[space])
    assert image.affine is not None
    np.testing.assert_allclose(image.affine[:3, 3], translate[space])


def test_a_film_of_plain_images(tmp_path: Path) -> None:
    layer = Labels(LABELS, axis_labels=("y", "x", "time"))
    image = read_image(_save(tmp_path / "a.tif", layer))
    assert image.axes == "TYX"
    np.testing.assert_array_equal(image.array, LABELS.transpose(2, 0, 1))
    with pytest.raises(SaveError, match="1 axes beside time"):
        _save(tmp_path / "b.tif", Labels(LABELS[0], axis_labels=("t", "x")))


def test_tiff_says_what_it_cannot_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_warning", said.append)
    layer = Labels(LABELS, scale=(3, 2, 1), units=("mm",) * 3)
    image = read_image(_save(tmp_path / "a.tif", layer))
    assert (image.axes, image.spacing, image.unit) == ("ZYX", (3, 2, 1), "millimeter")
    assert not said
    layer.rotate = (10, 0, 0)
    assert np.array_equal(tifffile.imread(_save(tmp_path / "b.tiff", layer)), LABELS)
    assert "b.tiff has the layer's voxel size" in said[0]
    _save(tmp_path / "d.tif", Labels(LABELS, translate=(0, 5, 0)))
    assert "where it lies" in said[1]
    flat = Labels(LABELS[0], scale=(2, 1), units=("mm", "mm"))
    assert read_image(_save(tmp_path / "c.tif", flat)).spacing == (2, 1)


def test_refusals_are_plain_and_leave_the_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.nii"
    path.write_bytes(b"precious")
    with pytest.raises(SaveError, match="5 axes"):
        _save(path, Labels(np.zeros((2,) * 5, int)))
    with pytest.raises(SaveError, match="0..2"):
        _save(path, Labels(LABELS - 1))
    sheared = Labels(LABELS, shear=(0.5, 0, 0))
    with pytest.raises(SaveError, match=r"right angles.*\.nii\.gz"):
        _save(tmp_path / "a.nrrd", sheared)
    assert [file.name for file in tmp_path.iterdir()] == ["labels.nii"]
    assert path.read_bytes() == b"precious"
    assert not issubclass(SaveError, ValueError)  # napari would say: no writer found
    _save(path, sheared)
    assert nib.load(path).header["sform_code"] == 2


def test_in_the_viewer(npe2pm: Any, viewer: Any, tmp_path: Path) -> None:
    with npe2pm.tmp_plugin(manifest=str(MANIFEST)):
        from napari.plugins._npe2 import file_extensions_string_for_layers

        layer = viewer.add_labels(LABELS)
        for suffix in (".nii", ".nii.gz", ".nrrd", ".seg.nrrd", ".mha", ".zarr", ".tif"):
            path = tmp_path / f"a{suffix}"
            assert viewer.layers.save(str(path), plugin="napari-swin-umamba") == [str(path)]
        viewer.layers.selection = {layer}
        filters, _ = file_extensions_string_for_layers([layer])
        assert "Swin-UMamba NIfTI with the image's geometry (*.nii.gz *.nii)" in filters
        assert "Swin-UMamba Segmentation for 3D Slicer (*.seg.nrrd)" in filters
        # Another layer: napari 0.7 fails when one that it shows gets data of more axes.
        viewer.layers.selection = {viewer.add_labels(np.zeros((2,) * 5, int))}
        with pytest.raises(SaveError, match="5 axes"):
            path = str(tmp_path / "b.nii")
            viewer.layers.save(path, selected=True, plugin="napari-swin-umamba")


def test_classes_keep_their_names_and_colours_for_slicer(tmp_path: Path) -> None:
    features = {"index": [0, 1, 2], "name": ["background", "liver", "spleen"]}
    colours = {None: (0, 0, 0, 0), 0: (0, 0, 0, 0), 1: (1, 0.5, 0, 1), 2: (0, 0, 1, 1)}
    labels = Labels(LABELS % 3, features=features, colormap=colours, scale=(3, 2, 1))
    path = _save(tmp_path / "organs.seg.nrrd", labels)
    written = sitk.ReadImage(str(path))
    assert written.GetMetaData("Segment0_Name") == "liver"
    assert written.GetMetaData("Segment1_LabelValue") == "2"
    red, green, blue = (float(part) for part in written.GetMetaData("Segment0_Color").split())
    assert (red, green, blue) == pytest.approx((1, 0.5, 0), abs=1 / 255)
    ((data, arguments, kind),) = read_volumes(str(path))
    assert kind == "labels"
    assert arguments["features"]["name"] == ["background", "liver", "spleen"]
    path = _save(tmp_path / "organs.zarr", labels)
    ((data, arguments, kind),) = read_volumes(str(path))
    assert np.array_equal(np.asarray(data), LABELS % 3)
    assert arguments["features"]["name"] == ["background", "liver", "spleen"]
    np.testing.assert_allclose(arguments["scale"], (3, 2, 1))
    objects = Labels(LABELS)  # without names
    assert (
        "Segment0_Name"
        not in sitk.ReadImage(str(_save(tmp_path / "objects.nrrd", objects))).GetMetaDataKeys()
    )


def test_an_image_is_not_replaced_by_labels(tmp_path: Path) -> None:
    (tmp_path / "cells.zarr").mkdir()
    (tmp_path / "cells.zarr" / "thesis.txt").write_text("x")
    data, meta, _ = Labels(LABELS).as_layer_data_tuple()
    with pytest.raises(SaveError, match="holds no labels"):
        write_labels_layer(str(tmp_path / "cells.zarr"), data, meta)
    assert (tmp_path / "cells.zarr" / "thesis.txt").is_file()
