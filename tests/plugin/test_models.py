"""The list of models, and what the widget says about them, without Qt."""

from collections.abc import Callable
from pathlib import Path

import pytest

from napari_swin_umamba.plan import Plan, SegmentationClass
from napari_swin_umamba.plugin import model_list
from napari_swin_umamba.plugin.model_list import list_models, read_choice, titles
from napari_swin_umamba.plugin.words import describe_finding, duration, sentence


def test_summary_says_what_the_model_is(semantic_model: Path) -> None:
    choice = read_choice(semantic_model)
    assert choice.summary() == (
        "2 classes: liver, spleen · 1 channel (nuclei) · Swin-UMamba† tiny · licence CC0-1.0"
    )
    assert str(semantic_model) in choice.details()
    assert choice.details().startswith("Random weights")


def test_bad_file_is_a_choice_with_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "text.safetensors"
    path.write_text("no model")
    choice = read_choice(path)
    assert choice.plan is None
    assert choice.problem.endswith(".")
    assert "--model" not in choice.problem


def test_bundled_come_first_and_missing_files_are_left_out(
    make_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nuclei, mine, other = make_model("nuclei"), make_model("mine"), make_model("mine")
    monkeypatch.setattr(model_list, "bundled_models", lambda: {"nuclei": nuclei})
    choices = list_models([str(mine), str(tmp_path / "gone.safetensors"), str(other), str(mine)])
    assert [choice.path for choice in choices] == [nuclei, mine, other]
    assert titles(choices) == [
        "nuclei (bundled)",
        f"mine ({mine.parent.name}/mine.safetensors)",
        f"mine ({other.parent.name}/mine.safetensors)",
    ]


def test_words(make_plan: Callable[..., Plan]) -> None:
    objects = make_plan(output="boundary")
    assert describe_finding(objects) == "Finds objects, one number each"
    nuclei = objects.model_copy(
        update={
            "classes": (
                objects.classes[0],
                SegmentationClass(id=1, name="nucleus interior"),
                objects.classes[2],
            )
        }
    )
    assert describe_finding(nuclei) == "Finds every nucleus, one number each"
    assert sentence("no such file: x.png (--model)") == "No such file: x.png."
    assert duration(0.04) == "less than 0.1 s"
    assert duration(3.25) == "3.2 s"
    assert duration(200) == "3 min 20 s"
