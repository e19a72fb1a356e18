"""``data check`` and ``train`` on bad data sets: all that is wrong by name, nothing written.

Each data set is made by code; :class:`Bad` says what is done to a good one and what must be said.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import nibabel
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from swin_umamba_training.cli import app

SIZE = (24, 32)
CASES = 6


@dataclass(frozen=True)
class Bad:
    """One thing that is wrong."""

    damage: Callable[[Path], object]
    codes: tuple[str, ...]
    """Kinds of problems, each of which must be reported."""
    names: tuple[str, ...]
    """Files or words that the message must name."""


def labels_of(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = np.zeros(SIZE, np.uint8)
    row, column = rng.integers(2, 10, 2)
    labels[row : row + 8, column : column + 9] = 1
    labels[row + 3 : row + 6, column + 12 : column + 15] = 2
    labels[row + 9 : row + 11, column : column + 3] = 2  # two pieces: a class, no object
    return labels


def image_of(seed: int) -> np.ndarray:
    noise = np.random.default_rng(100 + seed).normal(0, 5, SIZE)
    return (60 + 50 * labels_of(seed) + noise).clip(0, 255).astype(np.uint8)


# --- images/ and masks/ -------------------------------------------------------------------------


def make_pairs(folder: Path) -> Path:
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for index in range(CASES):
        iio.imwrite(folder / "images" / f"a{index}.png", image_of(index))
        iio.imwrite(folder / "masks" / f"a{index}.png", labels_of(index))
    return folder


def png(relative: str, array: np.ndarray):
    return lambda folder: iio.imwrite(folder / relative, array)


def tif(relative: str, array: np.ndarray, instead_of: str | None = None, **options: object):
    def write(folder: Path) -> None:
        if instead_of:
            (folder / instead_of).unlink()
        tifffile.imwrite(folder / relative, array, **options)

    return write


def spoil(relative: str, content: bytes):
    return lambda folder: (folder / relative).write_bytes(content)


def remove(relative: str):
    return lambda folder: (folder / relative).unlink()


def remove_all(part: str):
    return lambda folder: [file.unlink() for file in (folder / part).iterdir()]


def remove_folder(part: str):
    def damage(folder: Path) -> None:
        remove_all(part)(folder)
        (folder / part).rmdir()

    return damage


def cut(relative: str, size: int):
    def damage(folder: Path) -> None:
        path = folder / relative
        path.write_bytes(path.read_bytes()[:size])

    return damage


def all_background(folder: Path) -> None:
    for file in (folder / "masks").iterdir():
        iio.imwrite(file, np.zeros(SIZE, np.uint8))


def with_pixel_size(relative: str, microns: float):
    def damage(folder: Path) -> None:
        for file in sorted((folder / "images").iterdir()):
            size = microns if file.stem == Path(relative).stem else 1.0
            array = iio.imread(file)
            file.unlink()
            tifffile.imwrite(
                file.with_suffix(".tif"),
                array,
                imagej=True,
                resolution=(1 / size, 1 / size),
                metadata={"unit": "um", "axes": "YX"},
            )

    return damage


def one_pixel_size(folder: Path) -> None:
    array = iio.imread(folder / "images" / "a0.png")
    (folder / "images" / "a0.png").unlink()
    metadata = {"unit": "um", "axes": "YX"}
    tifffile.imwrite(
        folder / "images" / "a0.tif", array, imagej=True, resolution=(4, 4), metadata=metadata
    )


def five_channels(folder: Path) -> None:
    (folder / "images" / "a3.png").unlink()
    stack = np.stack([image_of(3)] * 5)
    tifffile.imwrite(folder / "images" / "a3.tif", stack, imagej=True, metadata={"axes": "CYX"})


def nan_image(folder: Path) -> None:
    image = image_of(2).astype(np.float32)
    image[1, 1], image[2, 2] = np.nan, np.inf
    tif("images/a2.tif", image, "images/a2.png")(folder)


def scattered_values(folder: Path) -> None:
    """More values than classes can have, in more than one piece each."""
    for index in range(2):
        mask = np.tile(np.arange(100, dtype=np.uint16), SIZE[0] * SIZE[1] // 100 + 1)
        mask = mask[: SIZE[0] * SIZE[1]].reshape(SIZE)
        iio.imwrite(folder / "masks" / f"a{index}.png", mask)


def few_objects(folder: Path) -> None:
    for index in range(CASES):
        mask = np.zeros(SIZE, np.uint8)
        for number in range(6):
            mask[2:8, 5 * number : 5 * number + 3] = number + 1
        iio.imwrite(folder / "masks" / f"a{index}.png", mask)


def volume(folder: Path) -> None:
    stack = np.stack([image_of(1)] * 3)
    tifffile.imwrite(folder / "images" / "v.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    masks = np.stack([labels_of(1)] * 3)
    tifffile.imwrite(folder / "masks" / "v.tif", masks, imagej=True, metadata={"axes": "ZYX"})


HALF = np.full(SIZE, 0.5, np.float32)
NEGATIVE = np.full(SIZE, -1, np.int16)
COLOURS = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)

PAIRS = {
    "no images folder": Bad(remove_folder("images"), ("no-folder",), ("images/",)),
    "no masks folder": Bad(remove_folder("masks"), ("no-folder",), ("masks/",)),
    "no masks": Bad(remove_all("masks"), ("no-masks",), ("masks",)),
    "mask without image": Bad(remove("images/a1.png"), ("missing-image",), ("a1.png",)),
    "image without mask": Bad(remove("masks/a4.png"), ("missing-mask",), ("a4.png",)),
    "two images of one name": Bad(tif("images/a1.tif", image_of(1)), ("same-name",), ("a1.tif",)),
    "two masks of one name": Bad(tif("masks/a2.tif", labels_of(2)), ("same-name",), ("a2.tif",)),
    "mask of another size": Bad(
        png("masks/a0.png", np.zeros((5, 5), np.uint8)), ("sizes-differ",), ("a0.png", "5 x 5")
    ),
    "image is text": Bad(spoil("images/a3.png", b"not an image"), ("unreadable",), ("a3.png",)),
    "image of zero bytes": Bad(spoil("images/a3.png", b""), ("unreadable",), ("a3.png", "empty")),
    "image cut off": Bad(cut("images/a3.png", 60), ("unreadable",), ("a3.png",)),
    "mask is text": Bad(spoil("masks/a5.png", b"xyz"), ("bad-labels",), ("a5.png",)),
    "mask cut off": Bad(cut("masks/a5.png", 50), ("bad-labels",), ("a5.png",)),
    "mask of fractions": Bad(
        tif("masks/a4.tif", HALF, "masks/a4.png"), ("bad-labels",), ("a4.tif", "fractions")
    ),
    "mask of negative values": Bad(
        tif("masks/a4.tif", NEGATIVE, "masks/a4.png"), ("bad-labels",), ("a4.tif", "-1")
    ),
    "mask of colours": Bad(png("masks/a4.png", COLOURS), ("bad-labels",), ("a4.png",)),
    "mask as JPEG": Bad(
        lambda f: (remove("masks/a4.png")(f), iio.imwrite(f / "masks" / "a4.jpg", labels_of(4))),
        ("bad-labels",),
        ("a4.jpg", "JPEG"),
    ),
    "NaN": Bad(nan_image, ("not-finite",), ("a2.tif", "2 values")),
    "all masks empty": Bad(all_background, ("nothing-labelled",), ("only the value 0",)),
    "one mask empty": Bad(
        png("masks/a3.png", np.zeros(SIZE, np.uint8)), ("empty-case",), ("a3.png",)
    ),
    "constant image": Bad(
        png("images/a5.png", np.full(SIZE, 7, np.uint8)), ("constant-image",), ("a5.png",)
    ),
    "16 bits among 8": Bad(
        png("images/a1.png", image_of(1).astype(np.uint16) * 257),
        ("mixed-bit-depth",),
        ("a1.png", "uint16"),
    ),
    "pixel sizes mixed": Bad(
        with_pixel_size("images/a2.png", 2.5), ("mixed-spacing",), ("a2.tif", "2.5")
    ),
    "pixel size in one file only": Bad(one_pixel_size, ("mixed-units",), ("a0.tif",)),
    "channels mixed": Bad(five_channels, ("channels-differ",), ("a3.tif", "5 channels")),
    "too many values": Bad(scattered_values, ("undeclared-label",), ("--instances",)),
    "classes or objects": Bad(few_objects, ("classes-or-objects",), ("--instances", "--semantic")),
    "one image twice": Bad(
        png("images/a5.png", image_of(4)), ("same-image",), ("a4.png", "a5.png")
    ),
    "a volume among images": Bad(volume, ("mixed-axes",), ("v.tif",)),
}

# --- nnU-Net raw --------------------------------------------------------------------------------

AFFINE = np.diag([1.0, 1.0, 3.0, 1.0])


def nifti(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    image = nibabel.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def volume_labels(seed: int) -> np.ndarray:
    return np.stack([labels_of(seed)] * 4, axis=-1)


def volume_image(seed: int, channel: int = 0) -> np.ndarray:
    noise = np.random.default_rng([seed, channel]).normal(0, 5, (*SIZE, 4))
    return (100 + 50 * volume_labels(seed) + noise).astype(np.float32)


def make_nnunet(folder: Path) -> Path:
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    for index in range(CASES):
        for channel in range(2):
            nifti(
                folder / "imagesTr" / f"c{index}_{channel:04d}.nii.gz", volume_image(index, channel)
            )
        nifti(folder / "labelsTr" / f"c{index}.nii.gz", volume_labels(index))
    describe(folder)
    return folder


DESCRIPTION = {
    "channel_names": {"0": "T1", "1": "T2"},
    "labels": {"background": 0, "organ": 1, "tumour": 2},
    "numTraining": CASES,
    "file_ending": ".nii.gz",
}


def describe(folder: Path, **fields: object) -> None:
    values = {key: value for key, value in (DESCRIPTION | fields).items() if value is not None}
    (folder / "dataset.json").write_text(json.dumps(values))


def described(**fields: object):
    return lambda folder: describe(folder, **fields)


def nii(relative: str, array: np.ndarray, affine: np.ndarray = AFFINE):
    return lambda folder: nifti(folder / relative, array, affine)


def undeclared(folder: Path) -> None:
    labels = volume_labels(3)
    labels[0, 0, 0], labels[1, 1, 1] = 7, 9
    nifti(folder / "labelsTr" / "c3.nii.gz", labels)


def coarse(folder: Path) -> None:
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    for channel in range(2):
        nifti(folder / "imagesTr" / f"c1_{channel:04d}.nii.gz", volume_image(1, channel), affine)
    nifti(folder / "labelsTr" / "c1.nii.gz", volume_labels(1), affine)


MOVED = AFFINE.copy()
MOVED[:3, 3] = 40
TURNED = AFFINE.copy()
TURNED[:3, :3] = TURNED[:3, :3] @ np.array([[0.9, -0.43588989, 0], [0.43588989, 0.9, 0], [0, 0, 1]])

NNUNET = {
    "no dataset.json": Bad(remove("dataset.json"), ("dataset-json",), ("dataset.json",)),
    "dataset.json is no JSON": Bad(spoil("dataset.json", b"{"), ("dataset-json",), ("not JSON",)),
    "dataset.json is a list": Bad(spoil("dataset.json", b"[1]"), ("dataset-json",), ("[1]",)),
    "no channel names": Bad(described(channel_names=None), ("dataset-json",), ("channel_names",)),
    "channels misnumbered": Bad(
        described(channel_names={"1": "T1", "2": "T2"}), ("dataset-json",), ("channel_names",)
    ),
    "no labels": Bad(described(labels=None), ("dataset-json",), ("labels",)),
    "labels with a gap": Bad(
        described(labels={"background": 0, "organ": 1, "tumour": 3}),
        ("labels-not-consecutive", "undeclared-label"),
        ("0, 1, 3",),
    ),
    "label no number": Bad(
        described(labels={"background": 0, "organ": "one"}), ("dataset-json",), ("organ",)
    ),
    "regions": Bad(
        described(labels={"background": 0, "whole": [1, 2], "tumour": 2}),
        ("regions",),
        ("whole",),
    ),
    "ignore not highest": Bad(
        described(labels={"background": 0, "organ": 1, "ignore": 2, "tumour": 3}),
        ("ignore-label",),
        ("ignore",),
    ),
    "no file ending": Bad(described(file_ending=None), ("dataset-json",), ("file_ending",)),
    "no labelsTr": Bad(remove_folder("labelsTr"), ("no-folder",), ("labelsTr",)),
    "no case": Bad(
        lambda f: (remove_all("labelsTr")(f), remove_all("imagesTr")(f)), ("no-masks",), ("empty",)
    ),
    "case without labels": Bad(remove("labelsTr/c2.nii.gz"), ("missing-mask",), ("c2_0000",)),
    "labels without case": Bad(
        lambda f: (remove("imagesTr/c2_0000.nii.gz")(f), remove("imagesTr/c2_0001.nii.gz")(f)),
        ("missing-image",),
        ("c2.nii.gz",),
    ),
    "channel missing": Bad(
        remove("imagesTr/c4_0001.nii.gz"), ("missing-channel",), ("c4_0001.nii.gz",)
    ),
    "channel too many": Bad(
        nii("imagesTr/c4_0002.nii.gz", volume_image(4)), ("extra-channel",), ("c4_0002.nii.gz",)
    ),
    "name without channel": Bad(
        nii("imagesTr/c9.nii.gz", volume_image(4)), ("name-not-understood",), ("c9.nii.gz",)
    ),
    "label undeclared": Bad(undeclared, ("undeclared-label",), ("c3.nii.gz", "label 7", "label 9")),
    "class nowhere": Bad(
        described(labels={"background": 0, "organ": 1, "tumour": 2, "cyst": 3}),
        ("class-absent",),
        ("cyst",),
    ),
    "labels of another size": Bad(
        nii("labelsTr/c0.nii.gz", volume_labels(0)[:, :, :3]), ("sizes-differ",), ("c0.nii.gz",)
    ),
    "channels of several sizes": Bad(
        nii("imagesTr/c0_0001.nii.gz", volume_image(0)[:, :, :3]),
        ("sizes-differ",),
        ("c0_0001.nii.gz",),
    ),
    "labels of another spacing": Bad(
        nii("labelsTr/c0.nii.gz", volume_labels(0), np.diag([1.0, 1.0, 5.0, 1.0])),
        ("spacing-differs",),
        ("c0.nii.gz", "5"),
    ),
    "labels turned": Bad(
        nii("labelsTr/c0.nii.gz", volume_labels(0), TURNED), ("place-differs",), ("c0.nii.gz",)
    ),
    "labels moved": Bad(
        nii("labelsTr/c0.nii.gz", volume_labels(0), MOVED), ("place-differs",), ("c0.nii.gz",)
    ),
    "fractions as labels": Bad(
        nii("labelsTr/c5.nii.gz", volume_labels(5) + np.float32(0.5)),
        ("bad-labels",),
        ("c5.nii.gz", "fractions"),
    ),
    "negative labels": Bad(
        nii("labelsTr/c5.nii.gz", volume_labels(5).astype(np.int16) - 1),
        ("bad-labels",),
        ("c5.nii.gz", "-1"),
    ),
    "volume cut off": Bad(
        cut("imagesTr/c1_0000.nii.gz", 300), ("unreadable",), ("c1_0000.nii.gz",)
    ),
    "spacing mixed": Bad(coarse, ("mixed-spacing",), ("c1_0000.nii.gz",)),
    "bit depth mixed": Bad(
        lambda f: [
            nifti(f / "imagesTr" / f"c1_{c:04d}.nii.gz", volume_image(1, c).astype(np.uint8))
            for c in range(2)
        ],
        ("mixed-bit-depth",),
        ("c1_0000.nii.gz", "uint8"),
    ),
    "empty case": Bad(
        nii("labelsTr/c2.nii.gz", np.zeros((*SIZE, 4), np.uint8)), ("empty-case",), ("c2.nii.gz",)
    ),
}

# Several at once: parts that do not hide each other.
COMBINED = {
    "pairs": (
        "mask without image",
        "image without mask",
        "two masks of one name",
        "mask of another size",
        "image is text",
        "mask is text",
    ),
    "pairs, values": ("NaN", "mask of fractions", "constant image", "image is text"),
    "pairs, warnings": ("one mask empty", "constant image", "16 bits among 8"),
    "pairs, everything named a": ("mask of colours", "channels mixed", "NaN", "mask is text"),
    "pairs, an image twice and its mask": ("one image twice", "mask is text"),
    "pairs, an image twice and negative values": ("one image twice", "mask of negative values"),
    "pairs, a constant image and its mask": ("constant image", "mask is text"),
    "nnunet, files": (
        "case without labels",
        "channel missing",
        "label undeclared",
        "labels of another size",
        "fractions as labels",
        "volume cut off",
        "name without channel",
    ),
    "nnunet, warnings": ("empty case", "labels moved", "spacing mixed", "class nowhere"),
    "nnunet, description": ("label no number", "no labelsTr"),
}


def call(*arguments: object, code: int):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    }


def check(folder: Path, bad: list[Bad]) -> None:
    """All three ways of looking at a data set tell the same, with exit code 2, writing nothing."""
    before = listing(folder.parent)
    answer = json.loads(call("data", "check", folder, "--json", code=2).stdout)
    text = call("data", "check", folder, code=2)
    lines = [line for line in text.stderr.splitlines() if not line.startswith("note: ")]
    problems = answer["problems"]
    assert len(lines) == len(problems)
    for line, problem in zip(lines, problems, strict=True):
        assert line == f"{problem['severity']}: {problem['message']}"
        assert len(line) < 700
    for item in bad:
        for code in item.codes:
            messages = [p["message"] for p in problems if p["code"] == code]
            assert messages, f"{code} is not among {[p['code'] for p in problems]}"
        told = "\n".join(p["message"] for p in problems if p["code"] in item.codes)
        for name in item.names:
            assert name in told
    errors = [p for p in problems if p["severity"] == "error"]
    assert answer["trainable"] == (not errors)
    if errors:
        refused = call("train", folder, "-o", folder.parent / "run", code=2)
        assert [line for line in refused.stderr.splitlines() if line.startswith("error: ")] == [
            f"error: {p['message']}" for p in errors
        ]
        assert refused.stdout == ""
        imported = call("data", "import", folder, "-o", folder.parent / "project", code=2)
        assert f"error: {errors[0]['message']}" in imported.stderr
    else:
        call("data", "check", folder, "--errors-only", code=0)
    assert listing(folder.parent) == before


@pytest.mark.parametrize("case", PAIRS)
def test_images_and_masks(case: str, tmp_path: Path) -> None:
    folder = make_pairs(tmp_path / "bad data ä")
    PAIRS[case].damage(folder)
    check(folder, [PAIRS[case]])


@pytest.mark.parametrize("case", NNUNET)
def test_nnunet_raw(case: str, tmp_path: Path) -> None:
    folder = make_nnunet(tmp_path / "Dataset001_Bad")
    NNUNET[case].damage(folder)
    check(folder, [NNUNET[case]])


@pytest.mark.parametrize("case", COMBINED)
def test_several_at_once(case: str, tmp_path: Path) -> None:
    make, table = (make_pairs, PAIRS) if case.startswith("pairs") else (make_nnunet, NNUNET)
    folder = make(tmp_path / "data")
    bad = [table[name] for name in COMBINED[case]]
    for item in bad:
        item.damage(folder)
    check(folder, bad)


def test_there_are_sixty_of_them() -> None:
    assert len(PAIRS) + len(NNUNET) + len(COMBINED) >= 60


@pytest.mark.parametrize("make", [make_pairs, make_nnunet])
def test_good_data_sets_have_no_problem(make, tmp_path: Path) -> None:
    folder = make(tmp_path / "data")
    before = listing(tmp_path)
    answer = json.loads(call("data", "check", folder, "--json", code=0).stdout)
    assert answer["problems"] == []
    assert answer["trainable"]
    text = call("data", "check", folder, code=0)
    assert "6 cases" in text.stdout
    assert "plan: 16 patches of 32 x 32" in text.stdout
    assert listing(tmp_path) == before


@pytest.mark.parametrize(("name", "words"), [("nowhere", "does not exist"), ("file", "is a file")])
def test_no_data_set(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").write_text("x")
    answer = call("data", "check", tmp_path / name, code=2)
    assert words in answer.stderr


def test_ignore_is_for_pairs(tmp_path: Path) -> None:
    """Other data sets say it themselves; a flag without effect would mislead."""
    folder = make_nnunet(tmp_path / "Dataset001_Good")
    for command in (("data", "check", folder), ("train", folder, "-o", tmp_path / "run")):
        answer = call(*command, "--ignore", 2, code=2)
        assert "leave out --ignore" in answer.stderr
    assert not (tmp_path / "run").exists()
