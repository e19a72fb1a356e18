"""Archives of unknown origin: nothing leaves the folder or fills the disk, nothing is half."""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from napari_swin_umamba.archives import (
    Archive,
    Limits,
    Packed,
    safe_name,
    why_unsafe,
    writing_archive,
)
from napari_swin_umamba.errors import Cancelled, InputError

CONTENT = b"some bytes " * 40


def entry(name: str, content: bytes = CONTENT) -> Packed:
    return Packed(name, len(content), hashlib.sha256(content).hexdigest())


def raw_archive(path: Path, *names: str, content: bytes = CONTENT, **fields: object) -> Path:
    """Whatever names and fields are given stand in it as they are."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo("x")
            info.filename = name
            for field, value in fields.items():
                setattr(info, field, value)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("warnings.warn", lambda *_, **__: None)  # of names that come twice
                archive.writestr(info, content)
    return path


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


BAD_NAMES = [
    "/etc/passwd",
    "../outside",
    "a/../../outside",
    "a/..",
    "C:/windows/x",
    "c:x",
    "..\\outside",
    "a\\b",
    "\\\\server\\share\\x",
    "//server/share/x",
    "a//b",
    "./a",
    "a/./b",
    "a\x00b",
    "a\nb",
    "con",
    "models/NUL.txt",
    "COM1",
    "a/lpt9.tif",
    "a.",
    "a ",
    " a",
    "folder./a",
    "a|b",
    'a"b',
    "a?",
    "x" * 300,
    "/".join("abcdefghijklmno"),
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_lead_elsewhere(tmp_path: Path, name: str) -> None:
    path = raw_archive(tmp_path / "bad.zip", "good.txt", name)
    with pytest.raises(InputError, match="is not unpacked"):
        Archive(path)
    assert everything(tmp_path) == {"bad.zip"}


@given(st.text(min_size=1, max_size=40))
@example("..").via("a folder above")
@example("aux.nii.gz").via("a device")
@settings(max_examples=100)
def test_a_name_is_refused_or_stays_inside(name: str) -> None:
    folder = Path("/some/where")
    if not why_unsafe(name):
        parts = name.split("/")
        assert (folder / name).parts == (*folder.parts, *parts)
        assert not {"", ".", ".."} & set(parts)
        assert not set(name) & set('\\:\0<>"|?*')


@given(st.text(max_size=300))
def test_a_safe_name_is_safe(name: str) -> None:
    made = safe_name(name)
    assert not why_unsafe(made), made
    assert "/" not in made
    if name and "/" not in name and len(name) <= 100 and not why_unsafe(name):
        assert made == name  # what every system can have stays


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("a", "a"), "comes twice"),
        (("Image.tif", "image.TIF"), "comes twice"),
        (("Gr\u00f6\u00dfe", "Gro\u0308\u00dfe"), "comes twice"),
        (("a", "a/b"), "is a file and a folder"),
        (("a/b/c", "A/B"), "is a file and a folder"),
    ],
)
def test_two_of_a_name(tmp_path: Path, names: tuple[str, ...], why: str) -> None:
    with pytest.raises(InputError, match=why):
        Archive(raw_archive(tmp_path / "bad.zip", *names))


@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR]
)
def test_links_and_devices(tmp_path: Path, kind: int) -> None:
    path = raw_archive(tmp_path / "bad.zip", "a", external_attr=(kind | 0o777) << 16)
    with pytest.raises(InputError, match="is a link or a special file"):
        Archive(path)


def test_other_compressions_and_passwords(tmp_path: Path) -> None:
    path = raw_archive(tmp_path / "lzma.zip", "a", compress_type=zipfile.ZIP_LZMA)
    with pytest.raises(InputError, match="compressed in a way"):
        Archive(path)
    path = raw_archive(tmp_path / "secret.zip", "a")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="is encrypted"):
        Archive(path)


def test_bounds(tmp_path: Path) -> None:
    path = raw_archive(tmp_path / "many.zip", *(f"{number}" for number in range(20)))
    Archive(path, Limits(files=20)).__exit__(None, None, None)
    for limits, why in (
        (Limits(files=19), "20 files, more than 19"),
        (Limits(file_bytes=439), "has 440 bytes, more than 439"),
        (Limits(total_bytes=8799), "8,800 bytes, more than 8,799"),
    ):
        with pytest.raises(InputError, match=why):
            Archive(path, limits)
    bomb = raw_archive(
        tmp_path / "bomb.zip", "zeros", content=bytes(4 << 20), compress_type=zipfile.ZIP_DEFLATED
    )
    with pytest.raises(InputError, match="compressed more than 200 times"):
        Archive(bomb)


def test_files_that_share_their_bytes(tmp_path: Path) -> None:
    """One piece of data under many names."""
    path = raw_archive(tmp_path / "one.zip", "a", content=bytes(range(256)) * 64)
    data = path.read_bytes()
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    listed = data[start:end]
    many = b"".join(listed.replace(b"a", bytes([letter])) for letter in b"abcdefgh")
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 8, 8, len(many), start, 0)
    path.write_bytes(data[:start] + many + tail)
    with pytest.raises(InputError, match="its files overlap"):
        Archive(path)


def test_a_list_that_would_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "list.zip"
    listed = bytes(17 << 20)
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, len(listed), 0, 0)
    path.write_bytes(listed + tail)
    with pytest.raises(InputError, match="so many files"):
        Archive(path)


def test_a_header_that_lies_about_the_size(tmp_path: Path) -> None:
    """The list says 440 bytes; 1 MB is what the data unpack to."""
    path = raw_archive(
        tmp_path / "lie.zip", "a", content=bytes(1 << 20), compress_type=zipfile.ZIP_DEFLATED
    )
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = struct.pack("<L", 440)
    path.write_bytes(data)
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(InputError), Archive(path) as archive:
        archive.unpack(folder, [entry("a")])
    assert sum(file.stat().st_size for file in folder.rglob("*")) <= 440


def test_what_is_expected_and_what_comes(tmp_path: Path) -> None:
    path = raw_archive(tmp_path / "a.zip", "a", "b/c")
    folder = tmp_path / "out"
    folder.mkdir()
    heard: list[tuple[int, int]] = []
    with Archive(path) as archive:
        assert archive.read("a") == CONTENT
        with pytest.raises(InputError, match="more than 4"):
            archive.read("a", most=4)
        with pytest.raises(InputError, match="lacks 'd'"):
            archive.unpack(folder, [entry("d")])
        with pytest.raises(InputError, match="a is not what was put into it"):
            archive.unpack(folder, [entry("a", CONTENT[:-1] + b"?")])
    for file in folder.iterdir():
        file.unlink()
    with Archive(path) as archive:
        archive.unpack(
            folder, [entry("a"), entry("b/c")], lambda done, total: heard.append((done, total))
        )
    assert (folder / "b" / "c").read_bytes() == CONTENT
    assert heard[-1] == (880, 880)
    huge = Packed("a", 1 << 60, "0" * 64)
    with Archive(path) as archive, pytest.raises(InputError, match="has room for"):
        archive.unpack(folder, [huge])


def whole_archive() -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.txt", "folder/b.bin"):
            archive.writestr(name, bytes(range(256)) * 3)
    return memory.getvalue()


WHOLE = whole_archive()


def unpacks_or_refuses(data: bytes, folder: Path) -> None:
    """Either every byte is as it was, or there is one error of the kind that people are shown."""
    path, out = folder / "x.zip", folder / "out"
    path.write_bytes(data)
    out.mkdir(exist_ok=True)
    wanted = [entry("a.txt", bytes(range(256)) * 3), entry("folder/b.bin", bytes(range(256)) * 3)]
    try:
        with Archive(path) as archive:
            archive.unpack(out, wanted)
    except InputError as error:
        assert str(path) in str(error) or "archive" in str(error)
    else:
        assert (out / "a.txt").read_bytes() == bytes(range(256)) * 3
    inside = everything(out)
    assert inside <= {"a.txt", "folder", "folder/b.bin"}
    for file in ("folder/b.bin", "a.txt"):
        (out / file).unlink(missing_ok=True)


@given(cut=st.integers(0, len(WHOLE) - 1))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cut_off(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut.zip"
    path.write_bytes(WHOLE[:cut])
    with pytest.raises(InputError, match="cut off"), Archive(path):
        pass


@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=8
    )
)
@example(changes=[(WHOLE.rindex(b"a.txt"), 0)])  # a name that begins with a zero
@example(changes=[(WHOLE.rindex(b"folder/b.bin"), 0)])
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged(tmp_path: Path, changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE)
    for place, value in changes:
        data[place] = value
    unpacks_or_refuses(bytes(data), tmp_path)


def test_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "picture.zip"
    path.write_bytes(b"\x89PNG" + bytes(100))
    with pytest.raises(InputError, match="is no zip archive"):
        Archive(path)
    with pytest.raises(InputError, match="no such file"):
        Archive(tmp_path / "none.zip")
    with pytest.raises(InputError, match="cannot read"):
        Archive(tmp_path)


# --- writing ------------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.bin"
    path.write_bytes(bytes(range(256)) * 20_000)  # 5 MB: several blocks
    return path


def test_written_and_read_again(tmp_path: Path, source: Path) -> None:
    path, heard = tmp_path / "job.zip", []
    size = source.stat().st_size
    with writing_archive(path, total=size, on_bytes=lambda *now: heard.append(now)) as archive:
        archive.add_file("bild ö.bin", source)
        archive.add_bytes("a/b.txt", b"text")
    assert heard[4] == (size, size)
    folder = tmp_path / "out"
    folder.mkdir()
    with Archive(path) as reader:
        assert set(reader.names) == {"bild ö.bin", "a/b.txt"}
        reader.unpack(folder, archive.files)
    assert (folder / "bild ö.bin").read_bytes() == source.read_bytes()
    # Nothing is compressed: what is said about the size beforehand is true.
    assert size < path.stat().st_size < size + 2000


def test_what_is_written_is_never_half(tmp_path: Path, source: Path) -> None:
    path = tmp_path / "job.zip"
    path.write_bytes(b"the old one")
    there = everything(tmp_path)

    def attempt(error: type[BaseException], match: str, **arguments: object) -> None:
        with (
            pytest.raises(error, match=match),
            writing_archive(path, overwrite=True, **arguments) as archive,  # type: ignore[arg-type]
        ):
            archive.add_file("a", source)
            archive.add_file("gone", tmp_path / "gone")
        assert everything(tmp_path) == there
        assert path.read_bytes() == b"the old one"

    attempt(InputError, "no such file")
    (tmp_path / "gone").mkdir()
    there = everything(tmp_path)
    attempt(InputError, "cannot read .*gone")
    (tmp_path / "gone").rmdir()
    there = everything(tmp_path)
    asked = iter([False, False, True])
    attempt(Cancelled, "stopped", should_stop=lambda: next(asked))
    with (
        pytest.raises(InputError, match="job.zip exists already"),
        writing_archive(path),
    ):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of file sizes")
def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path, source: Path) -> None:
    """The system lets no file grow beyond two of its five megabytes."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, before[1]))
    try:
        with (
            pytest.raises(InputError, match="cannot write .*File too large"),
            writing_archive(tmp_path / "job.zip") as archive,
        ):
            archive.add_file("a", source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert everything(tmp_path) == {"source.bin"}
