"""TIFF: dtypes, axes, palettes and pixel sizes as OME, ImageJ and others write them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_image, read_labels

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (7, 9), dtype=np.uint8)
COLOR = RNG.integers(0, 256, (7, 9, 3), dtype=np.uint8)
CHANNELS = RNG.integers(0, 4096, (5, 7, 9), dtype=np.uint16)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8", "?"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_dtypes_and_byte_orders(tmp_path: Path, dtype: str, order: str) -> None:
    path = tmp_path / "a.tif"
    array = (GREY % 2).astype(dtype)
    tifffile.imwrite(path, array, byteorder=order)
    image = read_image(path)
    assert image.array.dtype.newbyteorder("=") == array.dtype
    assert np.array_equal(image.array, array)
    assert (image.axes, image.spacing) == ("YX", None)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd", "jpeg2000", "packbits"])
def test_compressions(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, compression=compression)
    assert np.array_equal(read_image(path).array, GREY)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1)])
def test_tiny(tmp_path: Path, shape: tuple[int, int]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY[: shape[0], : shape[1]])
    assert read_image(path).array.shape == shape


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_color_is_channels_last(tmp_path: Path, planar: str) -> None:
    path = tmp_path / "a.tif"
    stored = COLOR if planar == "contig" else np.moveaxis(COLOR, -1, 0)
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar)
    image = read_image(path)
    assert image.axes == "YXC"
    assert np.array_equal(image.array, COLOR)


@pytest.mark.parametrize("kind", ["ome", "imagej"])
def test_channels_of_a_micrograph_are_channels_first(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, CHANNELS, metadata={"axes": "CYX"}, photometric="minisblack", **{kind: True}
    )
    image = read_image(path)
    assert image.axes == "CYX"
    assert np.array_equal(image.array, CHANNELS)


def test_axes_of_length_one_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, CHANNELS[None, :, None], ome=True, metadata={"axes": "TCZYX"})
    image = read_image(path)
    assert (image.axes, image.array.shape) == ("CYX", (5, 7, 9))


@pytest.mark.parametrize("kind", ["ome", "imagej"])
@pytest.mark.parametrize("axes", ["ZYX", "TYX", "TZYX", "ZCYX", "TZCYX"])
def test_volumes_and_films(tmp_path: Path, axes: str, kind: str) -> None:
    path = tmp_path / "stack.tif"
    array = RNG.integers(0, 255, (2, 3, 4, 7, 9)[-len(axes) :], dtype=np.uint8)
    tifffile.imwrite(path, array, metadata={"axes": axes}, photometric="minisblack", **{kind: True})
    image = read_image(path)
    assert image.axes == axes.replace("ZC", "CZ")
    expected = np.moveaxis(array, -3, -4) if "ZC" in axes else array
    assert np.array_equal(image.array, expected)


def test_color_volume(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    array = np.stack([COLOR, 255 - COLOR])
    tifffile.imwrite(path, array, imagej=True, photometric="rgb", metadata={"axes": "ZYXS"})
    image = read_image(path)
    assert image.axes == "ZYXC"
    assert np.array_equal(image.array, array)


def test_pages_of_unknown_meaning_are_guessed_and_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    tifffile.imwrite(path, CHANNELS, photometric="minisblack")
    image = read_image(path)
    assert image.axes == "ZYX"
    assert np.array_equal(image.array, CHANNELS)
    (note,) = image.notes
    assert re.search(r"5 pages are taken for planes.*does not name them.*--axes CYX or TYX", note)
    assert read_image(path, channel_axis=0).notes == ()
    tifffile.imwrite(tmp_path / "four.tif", CHANNELS[np.newaxis].repeat(2, 0))
    with pytest.raises(InputError, match=r"does not explain.*\(--axes\)"):
        read_image(tmp_path / "four.tif")
    assert read_image(path, axes="CYX").array.shape == (5, 7, 9)
    with pytest.raises(InputError, match="do not fit"):
        read_image(path, axes="YX")
    assert read_image(path, axes="zyx").axes == "ZYX"
    for axes in ("XYZ", "CXY", "QYX", "YYX"):
        with pytest.raises(InputError, match=f"'{axes}' are not those of an image"):
            read_image(path, axes=axes)


def test_several_images_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(GREY)
        tif.write(GREY[:3, :3])
    image = read_image(path)
    assert np.array_equal(image.array, GREY)
    assert image.notes == ("the file holds 2 images; the first one is used",)


def _palette() -> np.ndarray:
    colors = np.zeros((3, 256), np.uint16)
    colors[1] = np.arange(256) * 257  # a green ramp
    return colors


def test_palette_picture_becomes_color(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, photometric="palette", colormap=_palette())
    image = read_image(path)
    assert image.axes == "YXC"
    assert np.array_equal(image.array[..., 1], GREY)
    assert not image.array[..., 0].any()
    assert np.array_equal(read_labels(path), GREY)


def test_imagej_lookup_table_is_only_a_display(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        GREY,
        photometric="palette",
        colormap=_palette(),
        description="ImageJ=1.54f\nmin=0\nmax=255\n",
        metadata=None,
    )
    image = read_image(path)
    assert image.axes == "YX"
    assert np.array_equal(image.array, GREY)


# Pixel sizes.


@pytest.mark.parametrize(
    ("stored", "unit"),
    [
        ("um", "micrometer"),
        ("micron", "micrometer"),
        ("\\u00B5m", "micrometer"),
        ("nm", "nanometer"),
    ],
)
def test_imagej_spacing(tmp_path: Path, stored: str, unit: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, imagej=True, resolution=(4, 2), metadata={"unit": stored})
    image = read_image(path)
    assert image.spacing == (0.5, 0.25)
    assert image.unit == unit


@pytest.mark.parametrize(("stored", "unit"), [("µm", "micrometer"), ("nm", "nanometer")])
def test_ome_spacing(tmp_path: Path, stored: str, unit: str) -> None:
    path = tmp_path / "a.ome.tif"
    size = {"PhysicalSizeY": 0.5, "PhysicalSizeX": 0.25}
    units = {"PhysicalSizeYUnit": stored, "PhysicalSizeXUnit": stored}
    tifffile.imwrite(path, GREY, ome=True, metadata={"axes": "YX", **size, **units})
    image = read_image(path)
    assert image.spacing == (0.5, 0.25)
    assert image.unit == unit


@pytest.mark.parametrize("unit", ["pixel", "", "furlong"])
def test_a_size_without_a_unit_says_nothing(tmp_path: Path, unit: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, imagej=True, resolution=(4, 2), metadata={"unit": unit})
    assert read_image(path).spacing is None


@pytest.mark.parametrize("size", [0, -1, float("nan")])
def test_an_ome_size_that_none_has_says_nothing(tmp_path: Path, size: float) -> None:
    path = tmp_path / "a.ome.tif"
    sizes = {
        f"PhysicalSize{axis}{end}": v for axis in "XY" for end, v in [("", size), ("Unit", "nm")]
    }
    tifffile.imwrite(path, GREY, ome=True, metadata={"axes": "YX", **sizes})
    assert read_image(path).spacing is None


def test_an_imagej_size_that_none_has_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, imagej=True, resolution=((0, 1), (0, 1)), metadata={"unit": "um"})
    assert read_image(path).spacing is None


def test_broken_ome_metadata_does_not_hide_the_image(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, description="<OME>not closed</OME>", metadata=None)
    image = read_image(path)
    assert np.array_equal(image.array, GREY)
    assert image.spacing is None


@pytest.mark.parametrize("planes", [2.5, 1.0])
def test_imagej_spacing_of_a_volume(tmp_path: Path, planes: float) -> None:
    path = tmp_path / "a.tif"
    spacing = {} if planes == 1 else {"spacing": planes}  # as ImageJ writes it
    tifffile.imwrite(
        path,
        CHANNELS,
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "ZYX", "unit": "um"} | spacing,
    )
    image = read_image(path)
    assert (image.spacing, image.unit) == ((planes, 0.5, 0.25), "micrometer")


def test_ome_spacing_of_a_volume_in_two_units(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    sizes = {"PhysicalSizeZ": 2.0, "PhysicalSizeY": 500.0, "PhysicalSizeX": 250.0}
    units = {"PhysicalSizeZUnit": "µm", "PhysicalSizeYUnit": "nm", "PhysicalSizeXUnit": "nm"}
    tifffile.imwrite(path, CHANNELS, ome=True, metadata={"axes": "ZYX", **sizes, **units})
    image = read_image(path)
    assert image.spacing == pytest.approx((2000, 500, 250))
    assert image.unit == "nanometer"


def test_ome_without_a_distance_of_planes(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    sizes = {"PhysicalSizeY": 0.5, "PhysicalSizeX": 0.25}
    tifffile.imwrite(path, CHANNELS, ome=True, metadata={"axes": "ZYX", **sizes})
    assert read_image(path).spacing is None
