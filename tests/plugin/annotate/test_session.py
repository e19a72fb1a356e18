"""Where a person was in a project; it may be lost without harm."""

from __future__ import annotations

from pathlib import Path

from napari_swin_umamba.plugin.annotate.session import Session, View


def test_what_is_damaged_is_forgotten(tmp_path: Path) -> None:
    session = Session(image="a", keys={2: "Alt+4"}, views={"a": View(step=(3, 0, 0))})
    session.write(tmp_path)
    assert Session.read(tmp_path) == session

    (tmp_path / "session.json").write_text("{")
    assert Session.read(tmp_path) == Session()
