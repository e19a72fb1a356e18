"""Painted slices on disk: what is read back, what is refused, and killing writers."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import Image
from napari_swin_umamba.project import Annotation, Project


def make(tmp_path: Path, shape: tuple[int, ...] = (5, 20, 30), axes: str = "ZYX") -> Annotation:
    tmp_path.mkdir(exist_ok=True)
    file = tmp_path / "image.tif"
    tifffile.imwrite(file, np.zeros(shape, np.uint8), photometric="minisblack")
    project = Project.create(tmp_path / "project", "semantic", ["a", "b"])
    image = project.add_image([file], Image(np.zeros(shape, np.uint8), axes))
    return project.annotation(image.id)


@pytest.mark.parametrize("largest", [3, 255, 256, 65535, 65536, 2**31 - 1])
def test_values_come_back_as_painted(tmp_path: Path, largest: int) -> None:
    annotation = make(tmp_path)
    labels = np.zeros((20, 30), np.int64)
    labels[3, 4], labels[19, 29] = largest, 1
    annotation.write((2,), labels)
    np.testing.assert_array_equal(annotation.read((2,)), labels)
    assert annotation.read((2,)).dtype == np.int32
    assert annotation.painted() == ((2,),)
    assert not annotation.read((1,)).any()
    assert [path.name for path in annotation.folder.iterdir()] == ["z00002.tif"]


def test_2d_images_and_films(tmp_path: Path) -> None:
    plane = make(tmp_path / "a", (20, 30), "YX")
    plane.write((), np.ones((20, 30), np.uint8))
    assert plane.painted() == ((),)
    assert list(plane.positions()) == [()]
    film = make(tmp_path / "b", (4, 3, 20, 30), "TZYX")
    film.write((3, 2), np.ones((20, 30), np.uint8))
    film.write((0, 2), np.ones((20, 30), np.uint8))
    assert film.painted() == ((0, 2), (3, 2))
    assert len(list(film.positions())) == 12


def test_a_slice_wiped_clean_has_no_file(tmp_path: Path) -> None:
    annotation = make(tmp_path)
    annotation.write((0,), np.ones((20, 30), np.uint8))
    annotation.write((0,), np.zeros((20, 30), np.uint8))
    assert annotation.painted() == ()
    assert list(annotation.folder.iterdir()) == []


def test_complete_slices_are_background_where_unpainted(tmp_path: Path) -> None:
    annotation = make(tmp_path)
    labels = np.zeros((20, 30), np.uint8)
    labels[0, :3] = 2
    annotation.write((1,), labels)
    annotation.set_complete((1,))
    annotation.set_complete((4,))
    assert annotation.complete() == ((1,), (4,))
    assert annotation.annotated() == ((1,), (4,))
    assert set(np.unique(annotation.read((1,)))) == {0, 2}
    assert set(np.unique(annotation.read_filled((1,)))) == {1, 2}
    assert (annotation.read_filled((4,)) == 1).all()
    annotation.set_complete((4,), False)
    assert annotation.annotated() == ((1,),)


def test_digest_tells_what_changed(tmp_path: Path) -> None:
    annotation = make(tmp_path)
    digests = [annotation.digest()]
    annotation.write((1,), np.ones((20, 30), np.uint8))
    digests.append(annotation.digest())
    annotation.set_complete((1,))
    digests.append(annotation.digest())
    annotation.write((1,), np.full((20, 30), 2, np.uint8))
    digests.append(annotation.digest())
    assert len(set(digests)) == 4
    annotation.write((1,), np.ones((20, 30), np.int32))
    assert annotation.digest() == digests[2]


@pytest.mark.parametrize(
    ("position", "labels", "message"),
    [
        ((5,), np.zeros((20, 30), np.uint8), "no slice"),
        ((-1,), np.zeros((20, 30), np.uint8), "no slice"),
        ((), np.zeros((20, 30), np.uint8), "no slice"),
        ((0,), np.zeros((30, 20), np.uint8), "20 x 30"),
        ((0,), np.zeros((20, 30), np.float32), "float32"),
        ((0,), np.full((20, 30), -1), "not -1"),
        ((0,), np.full((20, 30), 2**31), "0..2"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, position, labels, message: str) -> None:
    annotation = make(tmp_path)
    with pytest.raises(InputError, match=message):
        annotation.write(position, labels)
    assert not annotation.folder.exists()


def test_damaged_slices_are_named(tmp_path: Path) -> None:
    annotation = make(tmp_path)
    annotation.write((0,), np.ones((20, 30), np.uint8))
    file = annotation.folder / "z00000.tif"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(InputError, match=r"z00000\.tif"):
        annotation.read((0,))
    tifffile.imwrite(file, np.zeros((7, 7), np.uint8))
    with pytest.raises(InputError, match=r"z00000\.tif.*20 x 30"):
        annotation.read((0,))


def test_files_of_others_are_no_slices(tmp_path: Path) -> None:
    annotation = make(tmp_path)
    annotation.write((0,), np.ones((20, 30), np.uint8))
    for name in ("z99999.tif", "notes.tif", "z0000.tif", ".z00001.abcd.part.tif", "Thumbs.db"):
        (annotation.folder / name).write_bytes(b"x")
    assert annotation.painted() == ((0,),)
    annotation.clean_up()
    assert not (annotation.folder / ".z00001.abcd.part.tif").exists()
    assert (annotation.folder / "notes.tif").exists()


WRITER = """
import sys
import numpy as np
from napari_swin_umamba.project import Project
project = Project.open(sys.argv[1])
annotation = project.annotation(project.images[0].id)
count = 0
while True:
    count += 1
    annotation.write((count % 3,), np.full(annotation.slice_shape, count, np.int32))
    annotation.set_complete((count % 3,), count % 2 == 0)
    print(count, flush=True)
"""


@pytest.mark.parametrize("milliseconds", [3, 40, 130])
def test_a_writer_killed_at_any_moment_leaves_whole_slices(
    tmp_path: Path, milliseconds: int
) -> None:
    annotation = make(tmp_path, (3, 300, 300))
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "project")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    try:
        lines = [writer.stdout.readline() for _ in range(4)]
        time.sleep(milliseconds / 1000)
    finally:
        writer.kill()
    rest, _ = writer.communicate()
    told = int([*lines, *rest.splitlines()][-1])
    found = []
    for position in annotation.painted():
        values = np.unique(annotation.read(position))
        assert len(values) == 1
        assert values[0] % 3 == position[0]
        found.append(int(values[0]))
    # what was said to be written is there, and at most one write more
    assert set(range(told - 2, told + 1)) - {told - 2} <= set(found)
    assert max(found) <= told + 1
    annotation.clean_up()
    assert all(not path.name.startswith(".") for path in annotation.folder.iterdir())
