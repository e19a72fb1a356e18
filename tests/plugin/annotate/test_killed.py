"""napari is killed while somebody paints: what ended two seconds before is on disk."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")

from napari_swin_umamba.images import Image
from napari_swin_umamba.project import FolderLock, Project

PAINTER = Path(__file__).with_name("painter.py")
CELL = 12
MAY_BE_LOST = 2.0
"""Seconds before the end within which strokes need not be on disk."""

pytestmark = [
    pytest.mark.window,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9"),
]


def paint_and_kill(folder: Path, seed: int, seconds: float) -> int:
    """Return the number of strokes that had to be there."""
    shape = (8, 60, 84)
    file = folder / "volume.tif"
    tifffile.imwrite(file, np.zeros(shape, np.uint8), photometric="minisblack")
    project = Project.create(folder / "project", "semantic", ["a", "b"])
    image = project.add_image([file], Image(np.zeros(shape, np.uint8), "ZYX"))
    log = folder / "strokes.jsonl"
    with open(folder / "output.txt", "wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(PAINTER), str(folder), str(seed)], stdout=output, stderr=output
        )
        try:
            until = time.monotonic() + 120
            while not (log.exists() and log.stat().st_size) and time.monotonic() < until:
                assert process.poll() is None, (folder / "output.txt").read_text()
                time.sleep(0.05)
            time.sleep(seconds)
            killed = time.monotonic()
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    strokes = [json.loads(line) for line in lines if line.endswith("\n")]
    assert strokes, (folder / "output.txt").read_text()
    must = [stroke for stroke in strokes if stroke[0] < killed - MAY_BE_LOST]
    annotation = Project.open(folder / "project").annotation(image.id)
    slices = {place: annotation.read((place,)) for place in range(shape[0])}
    for ended, place, row, column, check in must:
        cell = slices[place][row : row + CELL, column : column + CELL]
        found = zlib.crc32(np.ascontiguousarray(cell).tobytes())
        assert found == check, f"{killed - ended:.2f} s before the end, in slice {place}"
    FolderLock(folder / "project", "edit", "open").acquire().release()
    return len(must)


def test_what_ended_two_seconds_before_is_there(tmp_path: Path) -> None:
    assert paint_and_kill(tmp_path, 1, random.uniform(2.3, 4.5)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 22))
def test_at_twenty_moments(tmp_path: Path, seed: int) -> None:
    assert paint_and_kill(tmp_path, seed, random.uniform(2.1, 8)) > 0
