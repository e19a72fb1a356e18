"""The small JSON files of a project: whole, or told to be damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.project.json_file import read_json, write_json


class Notes(BaseModel):
    model_config = ConfigDict(extra="forbid")

    words: tuple[str, ...] = ()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    assert read_json(file, Notes, "remove it") == Notes()
    assert not file.exists()

    write_json(file, Notes(words=("Zelle", "细胞")))

    assert read_json(file, Notes, "remove it").words == ("Zelle", "细胞")
    assert file.read_bytes().endswith(b"}\n")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"news": 1}', b'{"words": ["\xff"]}'])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "notes.json"
    file.write_bytes(content)

    with pytest.raises(InputError, match=r"notes\.json .*mend it or remove it$"):
        read_json(file, Notes, "remove it")

    assert file.read_bytes() == content


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.json").mkdir()

    with pytest.raises(InputError, match=r"cannot read .*notes\.json"):
        read_json(tmp_path / "notes.json", Notes, "remove it")
    with pytest.raises(InputError, match=r"cannot write .*notes\.json"):
        write_json(tmp_path / "notes.json", Notes())
