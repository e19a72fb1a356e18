"""What a data set may look like, and what is said about one that cannot be used."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_swin_umamba.errors import InputError
from swin_umamba_training.dataset import check_objects, scan_dataset, split
from swin_umamba_training.folders import image_files


def test_semantic_masks(make_dataset) -> None:
    dataset = scan_dataset(make_dataset("semantic"))
    assert [sample.name for sample in dataset.samples] == ["cell0", "cell1", "cell2", "cell3"]
    assert dataset.samples[0].shape == (64, 72)
    assert not dataset.instances
    assert dataset.values == (0, 1)
    assert (dataset.channels, dataset.rgb) == (1, False)


def test_instance_masks_when_told(make_dataset) -> None:
    folder = make_dataset("instances")
    with pytest.raises(InputError, match="--instances"):
        scan_dataset(folder)  # a dozen objects could also be a dozen organs
    dataset = scan_dataset(folder, instances=True)
    assert dataset.instances
    assert dataset.values == ()


def shrink_objects(mask: Path, kept: int) -> None:
    """Leave 4 pixels of every object but the first `kept`."""
    labels = iio.imread(mask)
    for number in range(kept + 1, labels.max() + 1):
        labels.flat[np.flatnonzero(labels == number)[4:]] = 0
    iio.imwrite(mask, labels)


def test_objects_too_small_to_learn_are_counted(make_dataset) -> None:
    folder = make_dataset("instances")
    samples = scan_dataset(folder, instances=True).samples
    assert check_objects(samples[1:], samples[:1]) == ()
    shrink_objects(folder / "masks" / "cell0.png", kept=2)
    total = sum(sample.objects for sample in samples)
    dropped = samples[0].objects - 2
    samples = scan_dataset(folder, instances=True).samples
    assert check_objects(samples, ()) == (
        f"{dropped} of {total} objects have fewer than 16 pixels and are left out",
    )


def test_objects_that_are_all_too_small_are_refused(make_dataset) -> None:
    folder = make_dataset("instances")
    for file in sorted((folder / "masks").iterdir())[:3]:
        shrink_objects(file, kept=0)
    samples = scan_dataset(folder, instances=True).samples
    with pytest.raises(InputError, match=r"none of the \d+ objects.* 16 pixels.*--semantic"):
        check_objects(samples[:3], samples[3:])
    notes = check_objects(samples[2:], samples[:2])
    assert "left out" in notes[0]
    assert "no object to find" in notes[1]


def test_objects_in_validation_images_alone_are_refused(make_dataset) -> None:
    folder = make_dataset("instances", images=2)
    iio.imwrite(folder / "masks" / "cell0.png", np.zeros((64, 72), np.uint8))
    samples = scan_dataset(folder, instances=True).samples
    with pytest.raises(InputError, match="no training image holds an object.*--val"):
        check_objects(samples[:1], samples[1:])


def test_masks_of_zero_and_255_are_classes_zero_and_one(make_dataset) -> None:
    folder = make_dataset("semantic")
    for file in (folder / "masks").iterdir():
        iio.imwrite(file, iio.imread(file) * np.uint8(255))
    dataset = scan_dataset(folder)
    assert dataset.values == (0, 255)
    assert any("0, 255" in note for note in dataset.notes)


def test_grey_and_rgb_images_together_are_rgb(make_dataset) -> None:
    folder = make_dataset(channels=3)
    file = folder / "images" / "cell1.png"
    iio.imwrite(file, iio.imread(file)[..., 0])
    dataset = scan_dataset(folder)
    assert (dataset.channels, dataset.rgb) == (3, True)


def test_pixel_size_is_kept_where_all_files_know_it(make_dataset) -> None:
    folder = make_dataset(images=2)
    for file in sorted((folder / "images").iterdir()):
        image = iio.imread(file)
        file.unlink()
        tifffile.imwrite(
            file.with_suffix(".tif"),
            image,
            imagej=True,
            resolution=(4, 4),
            metadata={"unit": "um", "axes": "YX"},
        )
    dataset = scan_dataset(folder)
    assert dataset.spacing == pytest.approx((0.25, 0.25))
    assert dataset.unit == "micrometer"


def test_images_without_a_mask_are_left_out_and_named(make_dataset) -> None:
    folder = make_dataset()
    (folder / "masks" / "cell2.png").unlink()
    dataset = scan_dataset(folder)
    assert len(dataset.samples) == 3
    assert any("1 image" in note for note in dataset.notes)


def remove_masks(folder: Path) -> None:
    for file in (folder / "masks").iterdir():
        file.unlink()


def spoil(relative: str, content: bytes):
    return lambda folder: (folder / relative).write_bytes(content)


def write(relative: str, array: np.ndarray):
    writer = tifffile.imwrite if relative.endswith(".tif") else iio.imwrite
    return lambda folder: writer(folder / relative, array)


def nan_image(folder: Path) -> None:
    (folder / "images" / "cell0.png").unlink()
    image = np.ones((64, 72), np.float32)
    image[3, 4] = np.nan
    tifffile.imwrite(folder / "images" / "cell0.tif", image)


def one_class(folder: Path) -> None:
    for file in (folder / "masks").iterdir():
        iio.imwrite(file, np.zeros((64, 72), np.uint8))


def stack(folder: Path) -> None:
    planes = np.zeros((3, 64, 72), np.uint8)
    tifffile.imwrite(folder / "images" / "z.tif", planes, imagej=True, metadata={"axes": "ZYX"})
    iio.imwrite(folder / "masks" / "z.png", planes[0])


BAD = {
    "a volume and one plane of it": (stack, r"z\.png is 64 x 72 pixels, its.* 3 x 64 x 72"),
    "no masks folder": (lambda f: (remove_masks(f), (f / "masks").rmdir()), "no folder masks/"),
    "no masks": (remove_masks, "no masks"),
    "text renamed .png": (spoil("images/cell1.png", b"not an image"), r"cell1\.png"),
    "zero bytes": (spoil("masks/cell1.png", b""), r"masks.cell1\.png.*empty"),
    "NaN image": (nan_image, r"cell0\.tif.*1 value.* NaN"),
    "mask of another size": (
        write("masks/cell3.png", np.zeros((64, 70), np.uint8)),
        r"cell3\.png is 64 x 70 pixels.*64 x 72",
    ),
    "one class only": (one_class, "only the value 0"),
    "mask without image": (
        write("masks/lost.png", np.zeros((4, 4), np.uint8)),
        r"lost\.png has no",
    ),
    "two images of one name": (
        write("images/cell1.tif", np.zeros((64, 72), np.uint8)),
        "same name",
    ),
    "channels differ": (
        write("images/cell1.png", np.zeros((64, 72, 3), np.uint8)),
        None,  # grey beside colour is fine
    ),
    "colour picture as mask": (
        write("masks/cell1.png", np.dstack([np.eye(64, 72), np.zeros((64, 72, 2))]).astype("u1")),
        r"cell1\.png is not a label image",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_sets_are_named_in_one_line(case: str, make_dataset) -> None:
    folder = make_dataset()
    damage, message = BAD[case]
    damage(folder)
    if message is None:
        scan_dataset(folder)
        return
    with pytest.raises(InputError, match=message) as caught:
        scan_dataset(folder)
    assert "\n" not in str(caught.value)


def test_a_five_channel_image_among_grey_ones(make_dataset) -> None:
    folder = make_dataset(images=2)
    (folder / "images" / "cell0.png").unlink()
    stack = np.zeros((5, 64, 72), np.uint8)
    tifffile.imwrite(folder / "images" / "cell0.tif", stack, imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(InputError, match=r"cell0\.tif has 5 channels.*cell1\.png has 1 channel"):
        scan_dataset(folder)


@pytest.mark.parametrize(("path", "message"), [("nowhere", "does not exist"), ("a.txt", "a file")])
def test_not_a_folder(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match=message):
        scan_dataset(tmp_path / path)


def test_split_is_drawn_by_seed_and_parts_the_images(make_dataset) -> None:
    samples = scan_dataset(make_dataset(images=10)).samples
    training, validation = split(samples, (), 0.2, seed=1)
    assert len(validation) == 2
    assert {s.name for s in training} | {s.name for s in validation} == {s.name for s in samples}
    assert not {s.name for s in training} & {s.name for s in validation}
    assert split(samples, (), 0.2, seed=1) == (training, validation)
    drawn = {tuple(s.name for s in split(samples, (), 0.2, seed)[1]) for seed in range(8)}
    assert len(drawn) > 1


def test_split_by_names(make_dataset, tmp_path: Path) -> None:
    samples = scan_dataset(make_dataset()).samples
    (tmp_path / "val.txt").write_text("cell1\n\ncell3.png\n")
    for val in (("cell1", "cell3.png"), (str(tmp_path / "val.txt"),)):
        assert [s.name for s in split(samples, val, 0.2, 0)[1]] == ["cell1", "cell3"]
    with pytest.raises(InputError, match=r"'cell9'.*--val"):
        split(samples, ("cell9",), 0.2, 0)
    with pytest.raises(InputError, match=r"none is left.*--val"):
        split(samples, ("cell0", "cell1", "cell2", "cell3"), 0.2, 0)


def test_one_image_needs_a_choice(make_dataset) -> None:
    samples = scan_dataset(make_dataset(images=1)).samples
    with pytest.raises(InputError, match="--val-fraction 0"):
        split(samples, (), 0.2, 0)
    assert split(samples, (), 0.0, 0) == (samples, ())


def test_stray_files_are_left_alone(make_dataset) -> None:
    folder = make_dataset()
    for part in ("images", "masks"):
        for stray in ("Thumbs.db", "readme.txt", "._cell0.png", "cell0.csv"):
            (folder / part / stray).write_text("not an image")
        assert [file.name for file in image_files(folder / part)] == [
            f"cell{index}.png" for index in range(4)
        ]
    assert len(scan_dataset(folder).samples) == 4
