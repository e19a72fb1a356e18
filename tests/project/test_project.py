"""The project folder: made, opened, changed; bad, newer and moved files; two programs at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import Image, read_image
from napari_swin_umamba.project import FolderLock, LockedError, Project, Roles


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "pictures" / "Zelle ä 1.png"
    path.parent.mkdir()
    iio.imwrite(path, np.random.default_rng(0).integers(0, 255, (20, 30), np.uint8))
    return path


def volume(shape: tuple[int, ...] = (5, 20, 30), axes: str = "ZYX") -> Image:
    return Image(np.zeros(shape, np.uint8), axes, (3.0, 1.0, 1.0), "millimeter")


def test_what_is_changed_is_there_after_opening_again(tmp_path: Path, picture: Path) -> None:
    project = Project.create(tmp_path / "my project", "semantic", ["nucleus", "Zellwand ß"])
    added = project.add_image([picture], read_image(picture))
    third = project.add_class("fibre", "#123456")
    again = Project.open(tmp_path / "my project")
    assert again.settings == project.settings
    assert [item.id for item in again.classes] == [2, 3, 4]
    assert again.classes[2] == third
    assert again.images == (added,)
    assert added.axes == "YX"
    assert added.shape == (20, 30)
    assert added.slice_axis is None
    assert again.find_files(added.id) == (picture,)
    assert again.changed_files(added.id) == ()
    assert Project.open(tmp_path / "my project" / "project.yaml").images == (added,)


def test_ids_are_never_given_twice(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", "semantic", ["a", "b"])
    before = project.settings
    fewer = before.model_copy(update={"classes": before.classes[:1]})
    project.replace_settings(fewer)
    assert project.add_class("c").id == 4
    # undoing all of it does not free the number either
    project.replace_settings(before)
    assert project.add_class("d").id == 5


@pytest.mark.parametrize("name", ["a", "Background", ""])
def test_class_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    project = Project.create(tmp_path / "p", "semantic", ["a"])
    before = (tmp_path / "p" / "project.yaml").read_bytes()
    with pytest.raises(InputError, match="class|name"):
        project.add_class(name)
    assert (tmp_path / "p" / "project.yaml").read_bytes() == before
    assert len(project.classes) == 1


def test_objects_are_of_one_class(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", "instances")
    assert [(item.id, item.name) for item in project.classes] == [(2, "object")]
    with pytest.raises(InputError, match="exactly one class"):
        project.add_class("second")


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="new or empty folder"):
        Project.create(tmp_path / "p", "semantic")
    Project.create(tmp_path / "q", "semantic")
    with pytest.raises(InputError, match="already holds a project"):
        Project.create(tmp_path / "q", "semantic")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format: 2\nkind: semantic\nnews: 1\n", "newer version"),
        ("{[", "not YAML"),
        ("hello", "does not hold a project"),
        ("kind: semantic\n", "its format is None"),
        ("format: 1\nkind: semantic\n", "classes"),
        ("format: 1\nkind: film\nclasses: []\n", "kind.*'film'"),
        ("format: 1\nkind: semantic\nclasses: []\ncolour: red\n", "colour"),
        (
            "{format: 1, kind: semantic, classes: [{id: 2, name: a}, {id: 2, name: b}]}",
            "class ids must differ: 2",
        ),
        ("format: 1\nkind: semantic\nclasses: [{id: 1, name: a}]\n", r"classes\.0\.id"),
        ("", "does not hold a project"),
    ],
)
def test_bad_project_files_are_named_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "project.yaml").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        Project.open(tmp_path)
    assert "project.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_paths_out_of_the_project_are_refused(tmp_path: Path, picture: Path) -> None:
    project = Project.create(tmp_path / "p", "semantic", ["a"])
    project.add_image([picture], read_image(picture), copy=True)
    file = tmp_path / "p" / "project.yaml"
    path = project.images[0].files[0].path
    file.write_text(file.read_text(encoding="utf-8").replace(path, "../secret.png"))
    with pytest.raises(InputError, match=r"no \.\."):
        Project.open(tmp_path / "p")


def test_no_project(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no project\.yaml"):
        Project.open(tmp_path / "nothing")


def test_a_change_by_another_program_is_not_overwritten(tmp_path: Path) -> None:
    mine = Project.create(tmp_path / "p", "semantic", ["a"])
    theirs = Project.open(tmp_path / "p")
    theirs.add_class("theirs")
    with pytest.raises(InputError, match="changed by another program"):
        mine.add_class("mine")
    assert [item.name for item in Project.open(tmp_path / "p").classes] == ["a", "theirs"]


def test_an_image_is_added_once(tmp_path: Path, picture: Path) -> None:
    project = Project.create(tmp_path / "p", "semantic", ["a"])
    added = project.add_image([picture], read_image(picture))
    copy = picture.with_name("copy.png")
    shutil.copy(picture, copy)
    with pytest.raises(InputError, match=f"already, as '{added.name}'"):
        project.add_image([copy], read_image(copy))


def test_copied_images_travel_with_the_project(tmp_path: Path, picture: Path) -> None:
    project = Project.create(tmp_path / "p", "semantic", ["a"])
    added = project.add_image([picture], read_image(picture), copy=True)
    picture.unlink()
    shutil.move(tmp_path / "p", tmp_path / "elsewhere")
    moved = Project.open(tmp_path / "elsewhere")
    (found,) = moved.find_files(added.id)
    assert found.parent == tmp_path / "elsewhere" / "images"
    assert iio.imread(found).shape == (20, 30)


def test_moved_and_changed_files(tmp_path: Path, picture: Path) -> None:
    project = Project.create(tmp_path / "p", "semantic", ["a"])
    added = project.add_image([picture], read_image(picture))
    new = tmp_path / "new place"
    new.mkdir()
    shutil.move(picture, new / picture.name)
    with pytest.raises(InputError, match="not there any more"):
        project.find_files(added.id)
    project.remember_files({added.id: project.find_files(added.id, [new])})
    assert Project.open(tmp_path / "p").find_files(added.id) == (new / picture.name,)
    iio.imwrite(new / picture.name, np.zeros((20, 30), np.uint8))
    assert project.changed_files(added.id) == (new / picture.name,)
    # another file of the name is not taken for it
    shutil.move(new / picture.name, picture)
    with pytest.raises(InputError, match="not there any more"):
        project.find_files(added.id, [picture.parent])


def test_volumes_have_slices(tmp_path: Path, picture: Path) -> None:
    project = Project.create(tmp_path / "p", "semantic", ["a"])
    film = volume((4, 2, 5, 20, 30), "TCZYX")
    added = project.add_image([picture], film, slice_axis="Y")
    assert added.label_axes == "TZYX"
    assert added.fixed_axes == "TY"
    assert added.plane_axes == "ZX"
    assert project.annotation(added.id).slice_shape == (5, 30)


def test_a_second_program_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path, "edit", "open in napari")
    with lock:
        with pytest.raises(LockedError, match="open in napari already.*process"):
            FolderLock(tmp_path, "edit", "open in napari").acquire()
        with FolderLock(tmp_path, "train", "being trained"):
            pass
    with FolderLock(tmp_path, "edit", "open in napari") as again:
        assert again.held
    assert not again.held


def test_the_lock_of_a_killed_program_falls(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path;"
        "from napari_swin_umamba.project import FolderLock;"
        "lock = FolderLock(Path(sys.argv[1]), 'edit', 'open').acquire();"
        "print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        lock = FolderLock(tmp_path, "edit", "open")
        with pytest.raises(LockedError, match=f"process {holder.pid}"):
            lock.acquire()
    finally:
        holder.kill()
        holder.communicate()
    assert lock.acquire().held
    lock.release()


def test_roles_never_change(tmp_path: Path) -> None:
    roles = Roles().assigned({("a", 0): "train", ("a", 1): "held_out"})
    roles.write(tmp_path / "roles.json")
    again = Roles.read(tmp_path / "roles.json")
    assert again == roles
    assert again.role(("a", 1)) == "held_out"
    assert again.role(("b", 0)) is None
    assert again.block_of("a", 9) == ("a", 1)
    assert again.block_of("b", None) == ("b", 0)
    with pytest.raises(InputError, match="never held out"):
        again.assigned({("a", 1): "train"})
    (tmp_path / "roles.json").write_text('{"format": 7}')
    with pytest.raises(InputError, match="newer version"):
        Roles.read(tmp_path / "roles.json")
