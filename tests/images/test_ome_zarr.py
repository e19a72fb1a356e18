"""OME-Zarr: what its metadata say, lazily; labels into a new one and into an image's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import Image, read_image, read_labels, write_labels
from napari_swin_umamba.images.label_rule import is_label_map
from napari_swin_umamba.images.ngff import label_names, read_multiscale
from napari_swin_umamba.plan import SegmentationClass

TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}
CLASSES = tuple(
    SegmentationClass(id=i, name=name) for i, name in enumerate(["background", "liver", "duct"])
)
both_versions = pytest.mark.parametrize("version", ["0.4", "0.5"])


def write_zarr(
    path: Path,
    array: np.ndarray,
    axes: str,
    version: str = "0.4",
    scale: tuple[float, ...] | None = None,
    move: tuple[float, ...] | None = None,
    unit: str | None = "micrometer",
    levels: int = 1,
    **options: Any,
) -> Path:
    """An OME-Zarr written with zarr alone, by the words of the specification."""
    form = 3 if version == "0.5" else 2
    group = zarr.open_group(str(path), mode="w", zarr_format=form)
    scale = scale or (1.0,) * array.ndim
    described = []
    for axis in axes:
        entry = {"name": axis, "type": TYPES[axis]}
        described.append(entry | ({"unit": unit} if unit and TYPES[axis] == "space" else {}))
    datasets = []
    for level in range(levels):
        step = [2**level if axis in "yx" else 1 for axis in axes]
        part = array[tuple(slice(None, None, one) for one in step)]
        options = {"chunks": tuple(min(size, 8) for size in part.shape), **options}
        if form == 3:
            options["dimension_names"] = list(axes)
        stored = group.create_array(f"s{level}", shape=part.shape, dtype=part.dtype, **options)
        stored[...] = part
        moves = [{"type": "translation", "translation": list(move)}] if move else []
        scaled = [a * b for a, b in zip(scale, step, strict=True)]
        datasets.append(
            {
                "path": f"s{level}",
                "coordinateTransformations": [{"type": "scale", "scale": scaled}, *moves],
            }
        )
    entry = {"axes": described, "datasets": datasets}
    if form == 3:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [entry]}
    else:
        group.attrs["multiscales"] = [{"version": "0.4", **entry}]
    return path


def numbers(*shape: int, dtype: type = np.uint16) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def world(attributes: dict[str, Any], level: int, index: tuple[int, ...]) -> list[float]:
    """Where the specification puts a voxel: scale, then translation."""
    place = list(map(float, index))
    for step in attributes["datasets"][level]["coordinateTransformations"]:
        values = step[step["type"]]
        for i, value in enumerate(values):
            place[i] = place[i] * value if step["type"] == "scale" else place[i] + value
    return place


def attributes_of(group: Path) -> dict[str, Any]:
    attributes = dict(zarr.open_group(str(group), mode="r").attrs)
    return attributes.get("ome", attributes)


@both_versions
def test_axes_scale_units_and_lazy_values(tmp_path: Path, version: str) -> None:
    array = numbers(2, 3, 4, 20, 10)
    path = write_zarr(
        tmp_path / "a.zarr", array, "tczyx", version, (2.5, 1, 3, 0.5, 0.25), levels=3
    )
    image = read_image(path)
    assert image.axes == "TCZYX"
    assert isinstance(image.array, da.Array)
    assert (image.spacing, image.unit, image.affine) == ((3, 0.5, 0.25), "micrometer", None)
    assert image.grid is not None
    assert image.grid.time == (2.5, 0)
    assert np.array_equal(np.asarray(image.array), array)  # the finest level


@both_versions
def test_axes_of_length_1_are_dropped_and_come_back(tmp_path: Path, version: str) -> None:
    array = numbers(1, 1, 1, 6, 5)
    path = write_zarr(tmp_path / "a.zarr", array, "tczyx", version, (7, 1, 2, 3, 4))
    image = read_image(path)
    assert (image.axes, image.array.shape) == ("ZYX", (1, 6, 5))
    labels = np.asarray(image.array) % 3
    written = write_labels(tmp_path / "l.zarr", labels, image)
    described = read_multiscale(written / "labels" / "l")
    assert (described.axes, described.levels[0].shape) == (tuple("tzyx"), (1, 1, 6, 5))
    assert described.levels[0].scale == (7, 2, 3, 4)


@both_versions
def test_labels_go_into_the_image_that_is_there(tmp_path: Path, version: str) -> None:
    path = write_zarr(
        tmp_path / "a.zarr", numbers(2, 3, 20, 10), "czyx", version, (1, 3, 2, 2), levels=3
    )
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    image = read_image(path)
    labels = np.asarray(image.array)[0] % 3
    write_labels(path / "labels" / "organs", labels, image, classes=CLASSES)
    write_labels(path / "labels" / "second", labels, image)
    assert {file: file.read_bytes() for file in before} == before
    assert label_names(path) == ("organs", "second")
    assert attributes_of(path / "labels")["labels"] == ["organs", "second"]
    group = attributes_of(path / "labels" / "organs")
    label = group["image-label"]
    assert label["source"] == {"image": "../../"}
    assert label["properties"][1] == {"label-value": 1, "name": "liver"}
    assert label["colors"][1] == {"label-value": 1, "rgba": [0xE6, 0x9F, 0x00, 255]}
    (entry,) = group["multiscales"]
    (source,) = attributes_of(path)["multiscales"]
    assert [axis["name"] for axis in entry["axes"]] == ["z", "y", "x"]
    assert len(entry["datasets"]) == len(source["datasets"]) == 3
    for level, dataset in enumerate(entry["datasets"]):
        stored = np.asarray(zarr.open_array(str(path / "labels/organs" / dataset["path"]))[...])
        finest = labels[:, :: 2**level, :: 2**level]
        assert stored.shape == finest.shape
        assert world(entry, level, (1, 1, 1)) == world(source, level, (0, 1, 1, 1))[1:]
    assert np.array_equal(read_labels(path / "labels" / "organs"), labels)
    assert is_label_map(read_image(path / "labels" / "organs"))
    assert not is_label_map(image)
    with pytest.raises(InputError, match=r"exists already.*--overwrite"):
        write_labels(path / "labels" / "organs", labels, image)
    write_labels(path / "labels" / "organs", labels * 0, image, overwrite=True)
    assert not read_labels(path / "labels" / "organs").any()
    assert label_names(path) == ("organs", "second")
    assert not [file for file in path.rglob(".*") if "part" in file.name or "old" in file.name]


@both_versions
def test_labels_must_fit_the_image_that_they_go_into(tmp_path: Path, version: str) -> None:
    path = write_zarr(tmp_path / "a.zarr", numbers(3, 20, 10), "zyx", version)
    with pytest.raises(InputError, match=r"labels of shape \(3, 20, 9\).*do not fit"):
        write_labels(path / "labels" / "x", np.zeros((3, 20, 9), np.uint8))
    assert not (path / "labels").exists()


def test_an_image_is_never_replaced_by_labels(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a.zarr", numbers(20, 10), "yx")
    image = read_image(path)
    with pytest.raises(InputError, match="holds no labels"):
        write_labels(path, np.zeros((20, 10), np.uint8), image, overwrite=True)
    (tmp_path / "b.zarr").mkdir()
    (tmp_path / "b.zarr" / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="holds no labels"):
        write_labels(tmp_path / "b.zarr", np.zeros((20, 10), np.uint8), image, overwrite=True)
    assert np.array_equal(np.asarray(read_image(path).array), numbers(20, 10))
    for value in (1, 2):
        write_labels(tmp_path / "c.zarr", np.full((20, 10), value, np.uint8), image, overwrite=True)
        assert (read_labels(tmp_path / "c.zarr") == value).all()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_labels_overlay_the_image_by_the_words_of_the_specification(
    tmp_path: Path, data: st.DataObject
) -> None:
    axes = data.draw(st.sampled_from(["yx", "zyx", "cyx", "czyx", "tyx", "tzyx", "tczyx"]))
    version = data.draw(st.sampled_from(["0.4", "0.5"]))
    shape = tuple(data.draw(st.tuples(*[st.integers(1, 5)] * len(axes))))
    steps = st.floats(0.05, 20).map(lambda value: round(value, 4))
    signed = st.tuples(steps, st.sampled_from([1, -1])).map(lambda pair: pair[0] * pair[1])
    scale = tuple(data.draw(signed) if axis in "zyx" else 1.0 for axis in axes)
    places = st.floats(-300, 300).map(lambda value: round(value, 3))
    move = tuple(data.draw(places) if axis in "zyx" else 0.0 for axis in axes)
    number = len(list(tmp_path.iterdir()))
    array = numbers(*shape)
    path = write_zarr(tmp_path / f"{number}.zarr", array, axes, version, scale, move)
    image = read_image(path)
    sizes = dict(zip(image.axes, image.array.shape, strict=True))
    kept = [size for axis, size in sizes.items() if axis != "C"]
    labels = numbers(*kept) % 251
    for target in (tmp_path / f"{number}l.zarr", path / "labels" / "a"):
        written = write_labels(target, labels, image)
        assert np.array_equal(np.asarray(read_image(written).array), labels)
        group = attributes_of(written)["multiscales"][0]
        names = [axis["name"] for axis in group["axes"]]
        assert names == [axis for axis in axes if axis != "c"]
        (source,) = attributes_of(path)["multiscales"]
        corner = [size - 1 for axis, size in zip(axes, shape, strict=True) if axis != "c"]
        full = dict(zip(names, corner, strict=True))
        there = world(source, 0, tuple(full.get(axis, 0) for axis in axes))
        here = world(group, 0, tuple(corner))
        assert here == [place for axis, place in zip(axes, there, strict=True) if axis != "c"]
    if image.affine is not None:
        space = [i for i, axis in enumerate(axes) if axis in "zyx"]
        inside = [shape[i] - 1 for i in space]
        np.testing.assert_allclose(
            (image.affine @ [*inside, 1])[:-1],
            [world(source, 0, tuple(size - 1 for size in shape))[i] for i in space],
        )


def test_other_formats_give_and_take(tmp_path: Path) -> None:
    affine = np.diag([3.0, 2, 1, 1])
    affine[:3, 3] = 10, 20, 30
    source = Image(np.zeros((4, 5, 6)), "ZYX", (3, 2, 1), "millimeter", affine=affine)
    labels = numbers(4, 5, 6, dtype=np.uint8)
    written = write_labels(tmp_path / "l.ome.zarr", labels, source)
    again = read_image(written)
    assert (again.spacing, again.unit) == ((3, 2, 1), "millimeter")
    np.testing.assert_allclose(again.affine, affine)
    assert (written / "labels" / "l").is_dir()
    nifti = read_image(write_labels(tmp_path / "l.nii.gz", labels, again))
    np.testing.assert_allclose(nifti.affine, affine)
    assert np.array_equal(nifti.array, labels)


def test_bioformats2raw_keeps_images_in_numbered_groups(tmp_path: Path) -> None:
    root = tmp_path / "a.zarr"
    zarr.open_group(str(root), mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    for number in (0, 1, 10):
        write_zarr(root / str(number), numbers(4, 5) + number, "yx")
    image = read_image(root)
    assert np.array_equal(np.asarray(image.array), numbers(4, 5))
    assert image.notes == ("a.zarr holds 3 images; the first one is used",)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"plate": {"wells": []}}, "is a plate of many images; give one .*A/1/0"),
        ({"well": {"images": []}}, "is a well of many images"),
        ({}, "no OME-Zarr image: its metadata has no 'multiscales'"),
        ({"labels": ["a"]}, r"a list of labels \(a\)"),
        ({"multiscales": []}, "makes no sense|makes sense"),
        ({"multiscales": [{"datasets": [{"path": "../0"}]}]}, "outside of itself"),
        ({"multiscales": [{"datasets": [{"path": "0"}]}]}, "array 0 is missing"),
    ],
)
def test_what_is_no_image(tmp_path: Path, attributes: dict[str, Any], words: str) -> None:
    zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2).attrs.update(attributes)
    with pytest.raises(InputError, match=words):
        read_image(tmp_path / "a.zarr")


def test_folders_and_addresses_that_are_no_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither OME-Zarr nor a DICOM series"):
        read_image(tmp_path)
    for address in ("https://example.org/a.zarr", "s3://bucket/a.zarr", Path("https://a.b/c.zarr")):
        with pytest.raises(InputError, match="is a web address; download it first"):
            read_image(address)


@both_versions
def test_axes_that_have_no_scale_or_another_unit(tmp_path: Path, version: str) -> None:
    path = write_zarr(tmp_path / "a.zarr", numbers(4, 5), "yx", version, unit=None)
    image = read_image(path)
    assert (image.spacing, image.unit) == (None, None)
    assert image.notes == ("the file does not say the size of a voxel",)


def test_a_codec_that_could_run_code_is_refused(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a.zarr", numbers(4, 5), "yx")
    header = json.loads((path / "s0" / ".zarray").read_text())
    for change in ({"filters": [{"id": "pickle"}]}, {"compressor": {"id": "pickle"}}):
        (path / "s0" / ".zarray").write_text(json.dumps(header | change))
        with pytest.raises(InputError, match="'pickle'.*may run code"):
            read_image(path)
    (path / "s0" / ".zarray").write_text(json.dumps(header | {"dtype": "|O"}))
    with pytest.raises(InputError, match="holds '|O' values"):
        read_image(path)


@both_versions
@pytest.mark.parametrize("codec", ["gzip", "zstd", "blosc"])
def test_a_chunk_that_unpacks_to_more_than_a_chunk(
    tmp_path: Path, version: str, codec: str
) -> None:
    import numcodecs

    if version == "0.5":
        options: dict[str, Any] = {"compressors": [{"name": codec, "configuration": {}}]}
        if codec == "gzip":
            options["compressors"][0]["configuration"] = {"level": 5}
    else:
        options = {"compressors": numcodecs.get_codec({"id": codec})}
    path = write_zarr(tmp_path / "a.zarr", numbers(8, 8), "yx", version, **options)
    assert np.array_equal(np.asarray(read_image(path).array), numbers(8, 8))
    chunk = path / "s0" / ("c/0/0" if version == "0.5" else "0.0")
    chunk.write_bytes(numcodecs.get_codec({"id": codec}).encode(bytes(2**29)))
    with pytest.raises(InputError, match="unpacks to more than"):
        np.asarray(read_image(path).array)


@both_versions
def test_absurd_sizes(tmp_path: Path, version: str) -> None:
    path = write_zarr(tmp_path / "a.zarr", numbers(4, 4, 4), "zyx", version)
    file = path / "s0" / ("zarr.json" if version == "0.5" else ".zarray")
    header = json.loads(file.read_text())
    file.write_text(json.dumps(header | {"shape": [10**6, 10**6, 10**6]}))
    with pytest.raises(InputError, match="does not fit into memory"):
        read_image(path)
    file.write_text(json.dumps(header | {"shape": [10**6, 10**2, 10]}))
    image = read_image(path)  # a million tiny chunks, most of them missing: legal
    assert np.prod(image.array.numblocks) <= 100_000
    assert not np.asarray(image.array[-1]).any()
