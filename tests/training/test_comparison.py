"""Did it help? Verdicts on held-out painted pixels; classes that were renamed, added, removed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from napari_swin_umamba import load_model, segment
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_image
from napari_swin_umamba.project import FolderLock, Project, ProjectModels
from swin_umamba_training.cli import app
from swin_umamba_training.config import make_config
from swin_umamba_training.paired import Counts, paired_difference
from swin_umamba_training.train import train

TINY = {
    "arch": "swin-umamba-d-tiny",
    "patch": (32, 32),
    "batch": 2,
    "steps": 2,
    "val_every": 2,
    "device": "cpu",
}
FRAMES = 32


def make_project(folder: Path, classes: tuple[str, ...] = ("disc", "bar")) -> Project:
    """Slices with a bright disc and a brighter bar; 4 blocks of 8, 3 slices of each painted."""
    rows, columns = np.indices((48, 48))
    truth = np.ones((FRAMES, 48, 48), np.uint8)
    for z in range(FRAMES):
        truth[z][np.hypot(rows - 16 - z % 5, columns - 14) < 9] = 2
        truth[z][30:42, 20 + z % 7 : 40] = 3
    noise = np.random.default_rng(0).normal(0, 4, truth.shape)
    image = (60.0 * truth + noise).clip(0, 255).astype(np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(folder / "stack.tif", image, metadata={"axes": "ZYX"})
    project = Project.create(folder / "my project", "semantic", classes)
    added = project.add_image([folder / "stack.tif"], read_image(folder / "stack.tif"))
    annotation = project.annotation(added.id)
    for z in range(FRAMES):
        if z % 8 in (1, 3, 5):
            stroke = np.zeros_like(truth[z])
            stroke[::2] = truth[z][::2]
            annotation.write((z,), stroke)
    return project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def run(project: Project, name: str, **values: object) -> dict:
    """Train; the event of the comparison."""
    heard: list[dict] = []
    config = make_config(
        dataset=project.folder, run=project.folder / "runs" / name, **(TINY | values)
    )
    train(config, heard.append)
    kinds = [event["event"] for event in heard]
    assert kinds[-2:] == ["comparison", "done"]
    written = (project.folder / "runs" / name / "events.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in written] == heard
    return heard[-2]


def test_first_better_worse(project: Project) -> None:
    """The whole gate, by real runs: a first model, a better one, and one that was spoilt."""
    models = ProjectModels(project.folder)
    first = run(project, "1")
    assert (first["outcome"], first["name"], first["before"]) == ("first", "v1", None)
    assert [item["before"] for item in first["classes"]] == [None, None]
    assert models.read().current.name == "v1"

    better = run(project, "2", init="project", steps=30, val_every=15, learning_rate=3e-3)
    assert (better["outcome"], better["before"], better["name"]) == ("better", "v1", "v2")
    assert [item["name"] for item in better["classes"]] == ["disc", "bar"]
    for item in better["classes"]:
        assert item["slices"] == 3
        assert item["pixels"] > 200
        assert item["earlier"]["slices"] == 3
    assert better["interval"][0] > 0
    assert models.read().current.name == "v2"
    assert models.read().current.start == "v1"

    # What is compared is what `segment` yields, on painted pixels of held-out slices.
    volume = read_image(project.folder.parent / "stack.tif").array
    annotation = project.annotation(project.images[0].id)
    overlap = size = 0
    model = load_model(models.current_path())
    for name in better["slices"]:
        z = int(name.rpartition(":")[2])
        labels = segment(volume[z], model, device="cpu").labels
        painted = annotation.read((z,))
        found, true = (labels == 1) & (painted > 0), painted == 2
        overlap += int((found & true).sum())
        size += int(found.sum() + true.sum())
    assert better["classes"][0]["after"] == pytest.approx(2 * overlap / size, abs=1e-9)

    spoilt = {"steps": 4, "val_every": 4, "learning_rate": 0.3, "recipe": "quick"}
    worse = run(project, "3", init="project", **spoilt)
    assert (worse["outcome"], worse["name"]) == ("worse", "v3")
    assert all(item["earlier"]["forgotten"] for item in worse["classes"])
    known = models.read()
    assert known.current.name == "v2"
    assert [item.name for item in known.models] == ["v1", "v2", "v3"]


def test_too_little_asks(project: Project) -> None:
    annotation = project.annotation(project.images[0].id)
    run(project, "1")
    held = [int(name.rpartition(":")[2]) for name in run(project, "2", init="project")["slices"]]
    for z in held:  # the bar is painted on two held-out slices only
        labels = annotation.read((z,))
        if z != held[0]:
            continue
        labels[labels == 3] = 0
        annotation.write((z,), labels)
    found = run(project, "3", init="project")
    assert found["outcome"] == "too_little"
    assert [item["outcome"] == "too_little" for item in found["classes"]] == [False, True]
    assert ProjectModels(project.folder).read().current.name != found["name"]
    for z in held:  # and then on none: there is nothing to score, before or after
        labels = annotation.read((z,))
        labels[labels == 3] = 0
        annotation.write((z,), labels)
    bar = run(project, "4", init="project")["classes"][1]
    assert (bar["slices"], bar["before"], bar["after"]) == (0, None, None)


def test_a_class_that_nobody_painted_is_no_obstacle(project: Project) -> None:
    run(project, "1")
    project.add_class("vessel")
    found = run(project, "2", init="project")
    assert [item["name"] for item in found["classes"]] == ["disc", "bar"]
    assert found["outcome"] != "too_little"


def test_classes_renamed_removed_and_added_keep_their_weights(project: Project) -> None:
    """By ids, not by names: disc and bar swap names, a third one comes and disc goes."""
    run(project, "1")
    start = load_model(ProjectModels(project.folder).current_path())
    assert start.info.training["project_class_ids"] == [1, 2, 3]
    old = project.settings
    swapped = [
        item.model_copy(update={"name": name})
        for item, name in zip(old.classes, ("bar", "disc"), strict=True)
    ]
    project.replace_settings(old.model_copy(update={"classes": tuple(swapped)}))
    project.add_class("fibre")
    # A rate of nearly nothing leaves the weights where they were put.
    frozen = {"init": "project", "steps": 1, "val_every": 1, "learning_rate": 1e-12}
    run(project, "2", **frozen)
    after = load_model(project.folder / "runs" / "2" / "model.safetensors")
    assert [item.name for item in after.plan.classes] == ["background", "bar", "disc", "fibre"]
    assert after.info.training["project_class_ids"] == [1, 2, 3, 4]
    same_rows(start, after, {0: 0, 1: 1, 2: 2})

    fewer = project.settings.model_copy(update={"classes": project.classes[1:]})
    annotation = project.annotation(project.images[0].id)
    for position in annotation.painted():
        labels = annotation.read(position)
        annotation.write(position, np.where(labels == 2, 0, labels))
    project.replace_settings(fewer)
    run(project, "3", **frozen | {"init": str(project.folder / "runs" / "2" / "model.safetensors")})
    last = load_model(project.folder / "runs" / "3" / "model.safetensors")
    assert [item.name for item in last.plan.classes] == ["background", "disc", "fibre"]
    assert last.info.training["project_class_ids"] == [1, 3, 4]
    same_rows(after, last, {0: 0, 1: 2, 2: 3})


def same_rows(old, new, rows: dict[int, int]) -> None:
    """Outputs of the new model are those rows of the old one."""
    before, after = old.network.state_dict(), new.network.state_dict()
    heads = [name for name in after if "seg" in name or "out" in name.rsplit(".", 2)[0]]
    changed = [name for name in after if after[name].shape != before[name].shape] or heads
    assert changed
    for name in changed:
        for own, theirs in rows.items():
            np.testing.assert_allclose(after[name][own], before[name][theirs], atol=1e-6)


def test_a_model_of_another_project_goes_by_names(project: Project, tmp_path: Path) -> None:
    run(project, "1")
    other = make_project(tmp_path / "other", ("bar", "disc"))
    path = str(ProjectModels(project.folder).current_path())
    found = run(other, "1", init=path)
    model = load_model(other.folder / "runs" / "1" / "model.safetensors")
    assert [item.name for item in model.plan.classes] == ["background", "disc", "bar"]
    assert model.info.training["project_class_ids"] == [1, 3, 2]
    assert found["before"] == "1"  # the start model: this project had none


def test_one_training_at_a_time(project: Project) -> None:
    arguments = ["train", str(project.folder), "-o", str(project.folder / "runs" / "x")]
    with FolderLock(project.folder, "train", "being trained", note={"run": "/there"}):
        result = CliRunner().invoke(app, [*arguments, "--steps", "1"])
    assert result.exit_code == 2
    assert "is being trained already" in result.stderr
    assert not (project.folder / "runs").exists()


def test_init_project_without_a_model_or_a_project(project: Project, make_dataset) -> None:
    for folder, words in ((project.folder, "has no model yet"), (make_dataset(), "is none")):
        config = make_config(dataset=folder, run=folder / "run", init="project")
        with pytest.raises(InputError, match=words):
            train(config)


def test_slices_that_were_chosen_by_hand_judge_nothing(project: Project) -> None:
    heard: list[dict] = []
    values = {**TINY, "val": (f"{project.images[0].name}:3",)}
    train(make_config(dataset=project.folder, run=project.folder / "r", **values), heard.append)
    assert "comparison" not in [event["event"] for event in heard]
    assert ProjectModels(project.folder).read().models == ()


def test_the_command_line_prints_the_table(project: Project) -> None:
    arguments = ["train", str(project.folder), "--steps", "1", "--patch", "32", "--batch", "1"]
    arguments += ["--arch", "swin-umamba-d-tiny", "--device", "cpu"]
    one = CliRunner().invoke(app, [*arguments, "-o", str(project.folder / "runs" / "1")])
    assert "v1 is this project's first model." in one.stderr, one.stderr
    arguments.remove("--arch")
    arguments.remove("swin-umamba-d-tiny")
    two = CliRunner().invoke(
        app, [*arguments, "-o", str(project.folder / "runs" / "2"), "--init", "project"]
    )
    assert two.exit_code == 0, two.stderr
    assert "change (95 %)" in two.stderr
    assert "disc (Dice)" in two.stderr
    models = ["models", "history", str(project.folder)]
    shown = CliRunner().invoke(app, models)
    assert "first model" in shown.stdout
    assert CliRunner().invoke(app, ["models", "use", models[2], "v3"]).exit_code == 2
    assert CliRunner().invoke(app, ["models", "use", models[2], "latest"]).exit_code == 2
    used = CliRunner().invoke(app, ["models", "use", models[2], "v2"])
    assert Path(used.stdout.strip()) == ProjectModels(project.folder).current_path()
    assert json.loads(CliRunner().invoke(app, [*models, "--json"]).stdout)["current"] == 2


def counts(scores: list[tuple[float, float]]) -> Counts:
    return Counts(np.array([[o] for o, _ in scores]), np.array([[s] for _, s in scores]))


@given(
    st.lists(st.tuples(st.floats(1, 100), st.floats(200, 400)), min_size=3, max_size=8),
    st.floats(-1, 1),
    st.integers(0, 5),
)
@settings(max_examples=30, deadline=None)
def test_a_difference_is_the_same_from_both_sides(
    slices: list[tuple[float, float]], gain: float, seed: int
) -> None:
    noise = np.random.default_rng(seed).normal(gain, 0.3, len(slices))
    before = counts(slices)
    after = counts(
        [(o * float(np.exp(by)), size) for (o, size), by in zip(slices, noise, strict=True)]
    )
    found = paired_difference(before, after, [0], len(slices))
    back = paired_difference(after, before, [0], len(slices))
    assert found.low <= found.mean <= found.high
    assert (back.low, back.mean, back.high) == pytest.approx(
        (-found.high, -found.mean, -found.low), abs=1e-9
    )
    mirrored = {"better": "worse", "worse": "better", "tie": "tie"}
    assert back.outcome == mirrored[found.outcome]
    assert paired_difference(before, before, [0], len(slices)).outcome == "tie"


@given(st.integers(3, 8), st.one_of(st.floats(0.1, 0.24), st.floats(0.26, 40)))
@settings(max_examples=20, deadline=None)
def test_what_all_slices_gain_alike_is_sure(number: int, gain: float) -> None:
    before, after = counts([(40, 100)] * number), counts([(40 + gain, 100)] * number)
    found = paired_difference(before, after, [0], number)
    assert found.outcome == ("better" if gain > 0.25 else "tie")  # half a point of Dice


def test_three_slices_must_agree_and_chance_is_a_tie() -> None:
    size = 100.0
    before = counts([(30, size), (30, size), (30, size)])
    after = counts([(45, size), (45, size), (29, size)])
    assert paired_difference(before, after, [0], 3).outcome == "tie"
    rng = np.random.default_rng(1)
    false = 0
    for trial in range(200):  # two models that are equally good, on five slices
        one, two = rng.normal(30, 5, (2, 5))
        found = paired_difference(
            counts([(v, size) for v in one]), counts([(v, size) for v in two]), [0], 5, trial
        )
        false += found.outcome != "tie"
    assert false <= 20  # 5 % are meant; percentiles of a bootstrap give 15 %
