"""PNG and JPEG come in as they are stored; what is no image is refused in one line."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_image, read_labels

RNG = np.random.default_rng(0)
GREY8 = RNG.integers(0, 256, (7, 9), dtype=np.uint8)
RGB8 = RNG.integers(0, 256, (7, 9, 3), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, (7, 9), dtype=np.uint16)
RGB16 = RNG.integers(0, 65536, (7, 9, 3), dtype=np.uint16)


@pytest.mark.parametrize("array", [GREY8, GREY16, RGB8, np.dstack([RGB8, GREY8])])
def test_png(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "a.png"
    PillowImage.fromarray(array).save(path)
    image = read_image(path)
    assert image.array.dtype == array.dtype
    assert np.array_equal(image.array, array)
    assert image.axes == ("YX" if array.ndim == 2 else "YXC")
    assert image.path == path


def test_png_with_16_bits_per_color_keeps_them(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(RGB16))
    assert np.array_equal(read_image(path).array, RGB16)


def test_png_bilevel(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    mask = GREY8 > 128
    PillowImage.fromarray(mask).save(path)
    assert np.array_equal(read_image(path).array, mask)
    assert np.array_equal(read_labels(path), mask)


def test_png_palette_is_colors_in_an_image_and_indices_in_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    indices = GREY8 % 4
    palette = PillowImage.fromarray(indices, mode=None).convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.save(path)
    image = read_image(path)
    assert image.axes == "YXC"
    assert np.array_equal(image.array[..., 0] == 255, indices == 1)
    assert np.array_equal(read_labels(path), indices)


def test_png_with_alpha_and_one_channel(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    PillowImage.fromarray(np.dstack([GREY8, GREY8 // 2]), mode=None).save(path)
    image = read_image(path)
    assert np.array_equal(image.array, GREY8)
    assert image.notes == ("transparency (alpha channel) ignored",)


def test_an_animation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    frames = [PillowImage.fromarray(array) for array in (GREY8, 255 - GREY8)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="animation"):
        read_image(path)


def test_jpeg(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(48)).astype(np.uint8)
    for mode, array in (("L", smooth), ("RGB", np.dstack([smooth] * 3))):
        path = tmp_path / f"{mode}.jpg"
        PillowImage.fromarray(array).save(path, quality=95)
        assert np.abs(read_image(path).array.astype(int) - array).max() < 8
    cmyk = tmp_path / "cmyk.jpeg"
    PillowImage.fromarray(np.dstack([smooth] * 3)).convert("CMYK").save(cmyk)
    assert read_image(cmyk).array.shape == (64, 48, 3)


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "really_a_tiff.png"
    tifffile.imwrite(path, GREY16)
    assert np.array_equal(read_image(path).array, GREY16)


def test_the_person_knows_the_axes_better(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    PillowImage.fromarray(RGB8).save(path)
    assert read_image(path, axes="CYX").axes == "CYX"
    with pytest.raises(InputError, match="do not fit"):
        read_image(path, axes="YX")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.png", b"I am a text file, renamed.", "is not a PNG, JPEG or TIFF image"),
        ("empty.tif", b"", r"empty \(0 bytes\)"),
        ("cut.png", imagecodecs.png_encode(RGB8)[:60], "damaged"),
        ("cut16.png", imagecodecs.png_encode(RGB16)[:60], "damaged"),
        ("magic.png", b"\x89PNG\r\n\x1a\n", "damaged"),
        ("magic.jpg", b"\xff\xd8\xff\xe0 nothing more", "damaged"),
        ("magic.tif", b"II*\0\x08\0\0\0", "damaged|no image"),
        ("garbage.tif", b"II*\0" + bytes(range(200)), "damaged|no image"),
    ],
)
@pytest.mark.parametrize("reader", [read_image, read_labels])
def test_damaged_files(tmp_path: Path, name: str, content: bytes, words: str, reader) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{name}.*({words}|is a JPEG)") as caught:
        reader(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("reader", [read_image, read_labels])
def test_no_file(tmp_path: Path, reader) -> None:
    with pytest.raises(InputError, match="no such file"):
        reader(tmp_path / "none.png")
    with pytest.raises(InputError, match="is a folder"):
        reader(tmp_path)


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_cut_files_are_never_read_in_part(tmp_path: Path, keep: float) -> None:
    big = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for name in ("a.png", "a.jpg", "a.tif"):
        path = tmp_path / name
        PillowImage.fromarray(big).save(path)
        raw = path.read_bytes()
        path.write_bytes(raw[: int(keep * len(raw))])
        with pytest.raises(InputError, match="damaged"):
            read_image(path)


# Labels.


def test_labels_from_agreeing_colors(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    opaque = np.full_like(GREY8, 255)
    PillowImage.fromarray(np.dstack([GREY8] * 3 + [opaque])).save(path)
    labels = read_labels(path)
    assert labels.dtype == np.int32
    assert np.array_equal(labels, GREY8)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (RGB8, "one number per pixel"),
        (GREY8 + np.float32(0.5), "fractions"),
        (np.where(GREY8 > 9, np.nan, GREY8).astype(np.float32), "fractions or NaN"),
        (GREY8.astype(np.int16) - 200, "reach from -"),
        (GREY8.astype(np.uint32) + np.uint32(2**31), "reach from"),
    ],
)
def test_images_that_are_no_labels(tmp_path: Path, array: np.ndarray, words: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array)
    with pytest.raises(InputError, match=words):
        read_labels(path)


def test_labels_stored_as_whole_floats(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY8.astype(np.float32))
    assert np.array_equal(read_labels(path), GREY8)


def test_jpeg_labels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    PillowImage.fromarray(GREY8).save(path)
    with pytest.raises(InputError, match="is a JPEG"):
        read_labels(path)
