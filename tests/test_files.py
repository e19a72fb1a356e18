"""Files are written whole or not at all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import as_path, atomic_folder, atomic_path, check_output, hash_file


def test_a_written_file_appears(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "out.txt"
    with atomic_path(target) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("done")
        assert not target.exists()
    assert target.read_text() == "done"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target, overwrite=True) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_existing_file_is_kept_unless_asked(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(InputError, match="--overwrite"):
        check_output(target)
    assert check_output(target, overwrite=True) == target


def test_the_new_file_gets_the_usual_permissions(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    with atomic_path(tmp_path / "atomic") as temporary:
        temporary.write_text("")
    assert (tmp_path / "atomic").stat().st_mode == plain.stat().st_mode


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        check_output(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        check_output(tmp_path / "file" / "out.txt")


def test_a_hash_is_of_the_content(tmp_path: Path) -> None:
    file = tmp_path / "datei mit ö"
    file.write_bytes(b"abc" * 500_000)
    assert hash_file(file) == hashlib.sha256(b"abc" * 500_000).hexdigest()
    for path, words in ((tmp_path / "gone", "no such file"), (tmp_path, "cannot read")):
        with pytest.raises(InputError, match=words):
            hash_file(path)


@pytest.mark.parametrize("path", [None, 3, "", b"bytes", "a\0b", "~nobody-of-this-name/x"])
def test_what_is_no_path(path: object) -> None:
    with pytest.raises(InputError, match="is not the path of a file"):
        as_path(path)
    with pytest.raises(InputError, match="is not the path of a file"):
        check_output(path)


def test_a_disk_error_while_writing_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="No space left"),
        atomic_path(tmp_path / "out.txt") as temporary,
    ):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.zarr"
    with pytest.raises(ZeroDivisionError), atomic_folder(path) as folder:
        (folder / "inside").write_text("x")
        assert not path.exists()
        raise ZeroDivisionError
    assert not list(path.parent.iterdir())
    for text in ("first", "second"):
        with atomic_folder(path, overwrite=True) as folder:
            (folder / "sub").mkdir()
            (folder / "sub" / text).write_text(text)
    assert [file.name for file in path.rglob("*")] == ["sub", "second"]
    with pytest.raises(ZeroDivisionError), atomic_folder(path, overwrite=True):
        raise ZeroDivisionError
    assert (path / "sub" / "second").read_text() == "second"
    assert [file.name for file in path.parent.iterdir()] == ["a.zarr"]
    with pytest.raises(InputError, match="exists already; add --overwrite"), atomic_folder(path):
        pass
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="it is a file"), atomic_folder(tmp_path / "file", True):
        pass
    with (
        pytest.raises(InputError, match="cannot write"),
        atomic_folder(tmp_path / "file" / "a.zarr"),
    ):
        pass
