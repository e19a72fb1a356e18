"""What measures the window while a project is trained."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.ndimage import label

from napari_swin_umamba.project import Project

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a script of the folder; nothing of it is left for other tests."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(BENCHMARKS):
            del sys.modules[name]


def test_strokes_tell_the_truth_on_four_slices(
    script: Callable[[str], ModuleType], tmp_path: Path
) -> None:
    measuring, projects = script("first_prediction"), script("event_loop_project")
    image, truth = measuring.dark_nuclei()
    assert image.shape == truth.shape == (24, 256, 256)
    assert image[truth].mean() < image[~truth].mean() - 25  # nuclei are dark

    strokes = partial(projects.draw_strokes, every=24, width=4)
    project = Project.open(projects.make_project(tmp_path, image, truth, strokes))

    annotation = project.annotation(project.images[0].id)
    assert len(annotation.painted()) == 4
    assert (projects.SHOWN,) not in annotation.painted()
    for position in annotation.painted():
        strokes = annotation.read(position)
        assert 0.05 < (strokes > 0).mean() < 0.15
        assert (truth[position] == (strokes == 2))[strokes > 0].all()


def test_objects_are_painted_whole(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    measuring, projects = script("first_prediction"), script("event_loop_project")
    _, truth = measuring.dark_nuclei()
    painted = projects.draw_objects(truth[0])
    assert set(np.unique(painted)) >= {0, 1}
    numbers = set(np.unique(painted)) - {0, 1}
    assert len(numbers) > 5
    known, _ = label(truth[0])
    for number in numbers:
        np.testing.assert_array_equal(painted == number, known == number - 1)
    assert not truth[0][painted == 1].any()


def test_dice_counts_all_objects_as_one(script: Callable[[str], ModuleType]) -> None:
    dice = script("first_prediction").dice
    truth = np.array([[True, True, False, False]])
    assert dice(np.array([[5, 7, 0, 0]]), truth) == 1
    assert dice(np.array([[0, 3, 1, 0]]), truth) == 0.5
    assert dice(np.zeros((1, 4), int), truth) == 0


@pytest.mark.slow
@pytest.mark.window
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("start", ["nuclei", "project"])
def test_a_better_prediction_is_seen(start: str) -> None:
    command = [sys.executable, str(BENCHMARKS / "first_prediction.py"), "--start", start]
    command += ["--limit", "900"]  # on a computer that is busy
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert result["before"] < result["after"] <= 1
    assert 0 < result["first"] <= result["better"]
    assert not result["torch_was_imported"]
    assert not result["trouble"]
    assert result["events"]["start"] < result["events"]["live"] < result["better"]
