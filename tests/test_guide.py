"""The guide tells the truth: its programs run, its pictures are there, its messages are ours."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

import napari_swin_umamba
from napari_swin_umamba.images import read_image
from swin_umamba_training.cli import app

DOCS = Path(__file__).parents[1] / "docs"
GUIDE = DOCS / "guide" / "segment.md"
PACKAGE = Path(napari_swin_umamba.__file__).parent
SAMPLES = PACKAGE / "plugin" / "samples"

_PICTURE = re.compile(
    r'<picture><source media="\(prefers-color-scheme: light\)" srcset="([^"]+)">'
    r'<img alt="([^"]+)" src="([^"]+)"></picture>'
)

pytestmark = pytest.mark.skipif(not GUIDE.is_file(), reason="without the documentation")


def blocks(language: str) -> list[str]:
    text = GUIDE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the guide speaks of."""
    picture = read_image(SAMPLES / "nuclei_crowded.png").array[:64, :64]
    (tmp_path / "plate7").mkdir()
    for name in ("cells.tif", "plate7/a1.tif", "plate7/a2.tif"):
        tifffile.imwrite(tmp_path / name, picture)
    shutil.copy(SAMPLES / "hippocampus_mri.nii.gz", tmp_path / "brain.nii.gz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_programs_run(images: Path) -> None:
    found, names = blocks("python"), {}
    assert len(found) == 5
    for block in found:
        exec(compile(block, str(GUIDE), "exec"), names)
    assert names["summary"].done == 2
    assert read_image(images / "brain-labels.nii.gz").array.shape == (34, 55, 37)
    assert (images / "brain.csv").read_text(encoding="utf-8-sig").startswith("object,voxels,volume")
    assert (images / "plate7-labels" / "measurements.csv").is_file()


def test_the_commands_run(images: Path) -> None:
    (block,) = blocks("sh")
    for line in block.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "swin-umamba"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    assert np.asarray(tifffile.imread(images / "cells-cli.tif")).max() > 0
    assert (images / "plate7-cli" / "measurements.csv").is_file()


@pytest.mark.parametrize("page", sorted(DOCS.parent.glob("*.md")) + sorted(DOCS.rglob("*.md")))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {_anchor(title) for title in titles}, target


def test_every_picture_is_shown_and_there_in_both_themes() -> None:
    """Each page names a dark picture and its light twin; none lies about unused."""
    shown: set[Path] = set()
    for page in sorted(DOCS.parent.glob("*.md")) + sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        for light, words, dark in _PICTURE.findall(text):
            assert words.strip(), (page, dark)
            assert light == dark.replace("-dark.png", "-light.png"), (page, dark)
            shown |= {(page.parent / light).resolve(), (page.parent / dark).resolve()}
        assert not re.search(r"!\[[^]]*\]\([^)]*images/", text), f"{page}: one theme alone"
    assert shown == set((DOCS / "images").resolve().iterdir())


def _anchor(title: str) -> str:
    """What GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_the_messages_are_those_of_the_program() -> None:
    said = "\n".join(file.read_text(encoding="utf-8") for file in sorted(PACKAGE.rglob("*.py")))
    said = re.sub(r"\"\s*f?\"", "", said)  # strings in pieces
    said = re.sub(r"\s*\(--[\w-]+\)", "", said).lower()
    said = re.sub(r"\{[^{}\n]*\}", "…", said)
    part = GUIDE.read_text(encoding="utf-8").split("## Messages, and what to do")[1]
    rows = re.findall(r"^\| ([^|]+) \|", part.split("## Memory")[0], re.MULTILINE)
    messages = [row for row in rows if row != "message"]
    assert len(messages) > 30
    for message in messages:
        for piece in re.split(r"…|\b[12] channels?\b|\bhas 1\b", message.lower()):
            assert piece.strip(" ()“”") in said, (message, piece)
