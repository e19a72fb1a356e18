"""The models of a project: kept all, one current; added and chosen by several programs at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.project import (
    ClassScore,
    Comparison,
    FolderLock,
    LockedError,
    Project,
    ProjectModels,
)
from napari_swin_umamba.project.comparison import EarlierScore, verdict_sentence


@pytest.fixture
def models(tmp_path: Path) -> ProjectModels:
    return ProjectModels(Project.create(tmp_path / "my project", "semantic", ["cell"]).folder)


def a_file(folder: Path, content: str) -> Path:
    path = folder / f"{content}.safetensors"
    path.write_text(content)
    return path


def test_the_better_one_becomes_current_and_any_can_be_chosen(
    models: ProjectModels, tmp_path: Path
) -> None:
    assert models.current_path() is None
    models.add(a_file(tmp_path, "one"), "none", comparison=Comparison(outcome="first"))
    models.add(a_file(tmp_path, "two"), "v1", comparison=Comparison(outcome="worse", before="v1"))
    assert models.read().current.name == "v1"
    models.add(a_file(tmp_path, "three"), "v1", comparison=Comparison(outcome="better"))
    known = models.read()
    assert known.current.name == "v3"
    assert known.before_last_choice == 1
    assert models.current_path().read_text() == "three"

    assert models.choose(known.before_last_choice).current.name == "v1"
    assert models.choose(2).current.name == "v2"
    assert [item.name for item in models.read().models] == ["v1", "v2", "v3"]
    assert [choice.why for choice in models.read().choices] == [
        *("first", "better", "chosen", "chosen")
    ]
    with pytest.raises(InputError, match="no model v9; there are: v1, v2, v3"):
        models.choose(9)
    assert models.choose(None).current is None


def test_one_file_is_one_model(models: ProjectModels, tmp_path: Path) -> None:
    """A run that is resumed after its end is judged again, but is no other model."""
    first = models.add(a_file(tmp_path, "one"), "none", comparison=Comparison(outcome="first"))
    assert models.add(a_file(tmp_path, "one"), "none").number == first.number
    assert len(models.read().models) == 1


@pytest.mark.parametrize("outcome", ["tie", "worse", "mixed", "too_little"])
def test_what_is_not_better_is_a_candidate(
    models: ProjectModels, tmp_path: Path, outcome: str
) -> None:
    models.add(a_file(tmp_path, "one"), "none", comparison=Comparison(outcome="first"))
    models.add(a_file(tmp_path, "two"), "v1", comparison=Comparison(outcome=outcome, before="v1"))
    assert models.read().current.name == "v1"
    assert models.path(models.read().newest).exists()


def test_a_full_disk_changes_nothing(
    models: ProjectModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.add(a_file(tmp_path, "one"), "none", comparison=Comparison(outcome="first"))
    before = (models.folder / "models.json").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    two = a_file(tmp_path, "two")
    monkeypatch.setattr("napari_swin_umamba.project.models.shutil.copyfile", full)
    with pytest.raises(InputError, match="No space left"):
        models.add(two, "v1", comparison=Comparison(outcome="better"))
    assert (models.folder / "models.json").read_bytes() == before
    assert {path.name for path in models.folder.iterdir()} == {"models.json", "v0001.safetensors"}


def test_a_damaged_list_is_said_and_left(models: ProjectModels, tmp_path: Path) -> None:
    models.add(a_file(tmp_path, "one"), "none")
    (models.folder / "models.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        models.read()
    with pytest.raises(InputError, match="damaged"):
        models.add(a_file(tmp_path, "two"), "none")
    assert (models.folder / "models.json").read_text() == "{"


def test_several_programs_add_at_once(models: ProjectModels, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from napari_swin_umamba.project import *\n"
        "for i in range(4):\n"
        "    file = Path(sys.argv[2] + f'-{i}'); file.write_text(sys.argv[2] + str(i))\n"
        "    ProjectModels(Path(sys.argv[1])).add(file, 'none', comparison="
        "Comparison(outcome='better'))\n"
    )
    folder = models.folder.parent
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(folder), str(tmp_path / name)])
        for name in ("a", "b", "c")
    ]
    assert [child.wait(120) for child in children] == [0, 0, 0]
    known = models.read()
    assert [item.number for item in known.models] == list(range(1, 13))
    assert len({models.path(item).read_text() for item in known.models}) == 12
    assert len(known.choices) == 12


@given(steps=st.lists(st.one_of(st.sampled_from(["better", "tie"]), st.integers(1, 4))))
@settings(max_examples=25, deadline=None)
def test_no_step_loses_a_model(
    steps: list[str | int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("project")
    models, current, added = ProjectModels(folder), None, 0
    for step in steps:
        if isinstance(step, str):
            added += 1
            models.add(a_file(folder, str(added)), "x", comparison=Comparison(outcome=step))
            current = added if step == "better" else current
        elif step <= added:
            models.choose(step)
            current = step
    known = models.read()
    assert (known.current.number if known.current else None) == current
    assert [models.path(item).read_text() for item in known.models] == [
        str(number + 1) for number in range(added)
    ]


def test_a_lock_tells_its_note_and_its_remedy(tmp_path: Path) -> None:
    held = FolderLock(tmp_path, "train", "being trained", note={"run": "somewhere"})
    other = FolderLock(tmp_path, "train", "being trained", "wait for its end")
    assert not other.is_taken()
    with held:
        assert other.is_taken()
        assert other.holder()["run"] == "somewhere"
        with pytest.raises(LockedError, match=r"is being trained already.*; wait for its end$"):
            other.acquire(patience=0.1)
        assert json.loads((tmp_path / ".locks" / "train.json").read_text())["run"] == "somewhere"
    assert not other.is_taken()


def score(outcome: str, **values: object) -> ClassScore:
    return ClassScore(
        **{"id": 2, "name": "cell", "before": 0.5, "after": 0.6, "slices": 5, "pixels": 900}
        | {"outcome": outcome, **values}
    )


def test_words() -> None:
    few = Comparison(
        outcome="too_little",
        before="v3",
        classes=(score("too_little", slices=1, pixels=1234),),
        slices=("a:3",),
    )
    assert verdict_sentence(few, "v4") == (
        "Too little to tell whether v4 is better than v3: cell on 1 held-out slice, 1,234 pixels "
        "(3 slices and 200 pixels are needed). Look at both and choose."
    )
    none = Comparison(outcome="too_little", before="v3")
    assert "no slice is held out" in verdict_sentence(none, "v4")
    earlier = EarlierScore(before=0.84, after=0.71, slices=4, forgotten=True)
    forgot = Comparison(outcome="mixed", before="v3", classes=(score("tie", earlier=earlier),))
    assert "it forgot: cell 0.84 → 0.71" in verdict_sentence(forgot, "v4")
