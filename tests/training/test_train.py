"""Real training runs of a few steps: what they leave behind, that they repeat, how they end."""

from __future__ import annotations

import csv
import errno
import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from napari_swin_umamba import InputError, load_model, segment
from swin_umamba_training.checkpointing import load_state
from swin_umamba_training.config import make_config
from swin_umamba_training.events import EventLog
from swin_umamba_training.module import SegmentationModule, TrainingDiverged
from swin_umamba_training.recipe_files import load_recipe
from swin_umamba_training.sampling import PatchDataset
from swin_umamba_training.train import train
from swin_umamba_training.validation import ValidationScores

TINY = {
    "arch": "swin-umamba-d-tiny",
    "patch": (32, 32),
    "batch": 2,
    "steps": 4,
    "val_every": 2,
    "device": "cpu",
}


def run(folder: Path, name: str = "run", on_event=None, **values: object):
    config = make_config(dataset=folder, run=folder.parent / name, **(TINY | values))
    return train(config, on_event)


def events(result) -> list[dict]:
    lines = (result.model.parent / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def start_of(heard: list[dict]) -> dict:
    """The event ``start``; before it come those of slices that were not in the cache yet."""
    return next(event for event in heard if event["event"] == "start")


def weights(result) -> dict[str, torch.Tensor]:
    return load_model(result.model).network.state_dict()


def test_run_leaves_model_scores_curves_and_events(make_dataset, tmp_path: Path) -> None:
    folder = make_dataset("instances")
    heard: list[dict] = []
    result = run(folder, on_event=heard.append, instances=True, class_names=("cell",))
    assert {file.name for file in result.model.parent.iterdir()} == {
        *("config.json", "curves.png", "events.jsonl", "last.ckpt"),
        *("model.safetensors", "recipe.yaml", "report.html", "scores.csv"),
    }
    assert (result.steps, result.reason) == (4, "steps")

    kinds = [event["event"] for event in heard]
    assert [kind for kind in kinds if kind != "slices"][0] == "start"
    start = start_of(heard)
    assert kinds[-1] == "done"
    assert kinds.count("validation") == 2
    assert events(result) == heard
    assert start["training_images"] == 3
    assert start["validation_images"] == 1

    with (result.model.parent / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["2", "4"]
    assert all(0 <= float(row["dice_cell interior"]) <= 1 for row in rows)
    assert all(float(row["val_loss"]) > 0 for row in rows)
    assert iio.imread(result.model.parent / "curves.png").std() > 0

    model = load_model(result.model)
    assert model.plan.output == "boundary"
    assert [item.name for item in model.plan.classes] == [
        *("background", "cell interior", "cell boundary")
    ]
    assert model.info.scores["f1@0.5"] == result.score
    areas = [
        count
        for path in (folder / "masks").iterdir()
        for count in np.unique(iio.imread(path), return_counts=True)[1][1:]
    ]
    assert model.plan.object_diameter == pytest.approx(
        2 * (np.median([area for area in areas if area >= 16]) / np.pi) ** 0.5, abs=0.06
    )
    assert model.info.training["seed"] == 0
    labels = segment(iio.imread(folder / "images" / "cell0.png"), model).labels
    assert labels.shape == (64, 72)


def test_last_checkpoint_and_configuration_hold_what_resuming_needs(make_dataset) -> None:
    folder = make_dataset()
    result = run(folder)
    last = torch.load(result.model.parent / "last.ckpt", weights_only=True)
    assert last["clock"]["step"] == 4
    assert last["optimizer"]["state"]
    assert last["best"] == result.score
    assert [row["step"] for row in last["rows"]] == [2, 4]
    config = make_config(**json.loads((result.model.parent / "config.json").read_text()))
    asked = make_config(dataset=folder, run=folder.parent / "run", **TINY)
    assert config == asked.with_orientation("any")  # settled, and kept
    assert load_recipe(result.model.parent / "recipe.yaml") == config.recipe


def test_same_seed_same_weights_and_another_seed_others(make_dataset) -> None:
    folder = make_dataset()
    # what happened before in the process must not matter
    torch.manual_seed(123)
    first = weights(run(folder, "a"))
    torch.rand(7)
    again = weights(run(folder, "b", workers=2))
    other = weights(run(folder, "c", seed=1))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_training_leaves_the_random_state_alone(make_dataset) -> None:
    folder = make_dataset()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(folder, steps=1)
    assert torch.equal(torch.rand(3), expected)


def test_training_learns(make_dataset) -> None:
    """Bright discs on dark: a few dozen steps must tell them apart."""
    folder = make_dataset()
    heard: list[dict] = []
    run(folder, on_event=heard.append, steps=40, val_every=40, batch=4, learning_rate=2e-3)
    (validation,) = (event for event in heard if event["event"] == "validation")
    assert validation["dice"]["class 1"] > 0.8


@pytest.mark.parametrize(
    ("scores", "best", "kept"),
    [
        ([0.2, 0.7, 0.6, 0.5], [True, True, False, False], 2),
        ([0.2, 0.7, 0.6, 0.7], [True, True, False, True], 4),  # of equals the later one
    ],
)
def test_best_model_is_kept(
    make_dataset, monkeypatch: pytest.MonkeyPatch, scores: list, best: list, kept: int
) -> None:
    heard: list[dict] = []

    def validations() -> list[dict]:
        return [event for event in heard if event["event"] == "validation"]

    monkeypatch.setattr(ValidationScores, "score", property(lambda _: scores[len(validations())]))
    result = run(make_dataset(), on_event=heard.append, val_every=1)
    assert [event["best"] for event in validations()] == best
    assert result.score == 0.7
    assert load_model(result.model).info.training["step"] == kept


def test_stop_file_ends_the_run_and_keeps_the_model(make_dataset) -> None:
    folder = make_dataset()

    def stop_after_first_step(event: dict) -> None:
        if event["event"] == "step":
            (folder.parent / "run" / "stop").touch()

    result = run(folder, on_event=stop_after_first_step, steps=500)
    assert result.reason == "stopped"
    assert result.steps == 1
    assert load_model(result.model).info.training["step"] == 1


def test_minutes_end_the_run(make_dataset) -> None:
    result = run(make_dataset(), steps=None, minutes=1 / 60, val_every=1000)
    assert result.reason == "minutes"
    assert 0 < result.seconds < 20


def test_without_validation_the_last_model_is_kept(make_dataset) -> None:
    result = run(make_dataset(images=1), val_fraction=0)
    assert result.score is None
    assert load_model(result.model).info.training["step"] == 4
    assert "val_loss" not in (result.model.parent / "scores.csv").read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_said_in_one_line_and_hides_no_cause() -> None:
    heard: list[dict] = []
    refusal = pytest.raises(InputError, match=r"/dev/full: No space left.*-o")
    with refusal, EventLog(Path("/dev/full"), heard.append) as log:
        log.write("start")
    assert [event["event"] for event in heard] == ["start", "failed"]
    with pytest.raises(ZeroDivisionError), EventLog(Path("/dev/full")):
        raise ZeroDivisionError


def test_a_disk_that_becomes_full_keeps_the_model(
    make_dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def append(_: EventLog, record: dict) -> None:
        if record["event"] == "validation":
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(EventLog, "_append", append)
    folder = make_dataset()
    with pytest.raises(InputError, match="No space left"):
        run(folder)
    assert load_model(folder.parent / "run" / "model.safetensors").info.training["step"] == 2


def test_an_unknown_network_is_said_before_the_data_are_read(make_dataset) -> None:
    folder = make_dataset()
    (folder / "images" / "cell0.png").write_bytes(b"")
    with pytest.raises(InputError, match="unknown network 'foo'.*--arch"):
        run(folder, arch="foo")


def test_objects_all_too_small_leave_no_folder(make_dataset) -> None:
    folder = make_dataset("instances")
    for file in (folder / "masks").iterdir():
        dots = np.zeros((64, 72), np.uint8)
        dots[8:56:4, 8:56:4] = np.arange(1, 145).reshape(12, 12)
        iio.imwrite(file, dots)
    with pytest.raises(InputError, match="none of the 432 objects"):
        run(folder)
    assert not (folder.parent / "run").exists()


def test_empty_masks_among_painted_ones_train(make_dataset) -> None:
    folder = make_dataset("instances")
    iio.imwrite(folder / "masks" / "cell1.png", np.zeros((64, 72), np.uint8))
    result = run(folder, instances=True, val=("cell1",))
    assert result.steps == 4


def test_going_on_from_a_model(make_dataset) -> None:
    folder = make_dataset()
    first = run(folder, "first")
    second = run(folder, "second", init=str(first.model), arch=None, steps=1, learning_rate=1e-9)
    before, after = weights(first), weights(second)
    assert all(torch.allclose(before[key], after[key], atol=1e-5) for key in before)
    assert "starts from all weights" in second.notes[-1]


def test_other_classes_begin_with_new_output_layers(make_dataset) -> None:
    first = run(make_dataset(), "first")
    folder = make_dataset("instances", name="objects")
    second = run(folder, "second", init=str(first.model), instances=True, learning_rate=1e-9)
    assert "of 3 outputs 1 are its own by name, 2 begin anew" in second.notes[-1]
    before, after = weights(first), weights(second)
    shared = [key for key in before if before[key].shape == after[key].shape]
    assert 0 < len(before) - len(shared) < 20
    assert all(torch.allclose(before[key], after[key], atol=1e-5) for key in shared)


def test_classes_of_the_start_model_keep_ids_and_weights(make_dataset) -> None:
    """Values 1 and 2 are 'new' and 'disc' here, where the model knows 'disc' as 1."""
    first = run(make_dataset(), "first", class_names=("disc",))
    folder = make_dataset(name="more")
    for file in (folder / "masks").iterdir():
        mask = iio.imread(file) * 2
        mask[:6, :6] = 1
        iio.imwrite(file, mask)
    second = run(
        *(folder, "second"),
        init=str(first.model),
        class_names=("new", "disc"),
        learning_rate=1e-9,
        instances=False,
    )
    plan = load_model(second.model).plan
    assert [(item.id, item.name) for item in plan.classes] == [
        *((0, "background"), (1, "disc"), (2, "new"))
    ]
    before, after = weights(first), weights(second)
    heads = [key for key in before if before[key].shape != after[key].shape]
    assert heads
    for key, tensor in before.items():
        kept = after[key][:2] if key in heads else after[key]
        assert torch.allclose(kept, tensor, atol=1e-5), key
    # The classes are where they were painted: the model that knows 'disc' still finds it as 1.
    image = iio.imread(folder / "images" / "cell0.png")
    ours, theirs = (segment(image, load_model(item.model)).labels for item in (first, second))
    found = (ours == 1) & (theirs != 2)
    assert np.array_equal(theirs[found], ours[found])


def test_other_channels_are_adapted(make_dataset) -> None:
    """A grey image given as three equal channels looks to the network as before."""
    first = run(make_dataset(), "first")
    folder = make_dataset(name="colour", channels=3)
    second = run(folder, "second", init=str(first.model), learning_rate=1e-9)
    assert "3 channels, 'first' takes 1" in second.notes[-1]
    one, three = load_model(first.model), load_model(second.model)
    assert three.plan.in_channels == 3
    image = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = one.network(image), three.network(image.expand(-1, 3, -1, -1))
    assert torch.allclose(expected, found, atol=1e-4)


def test_start_model_must_fit(make_dataset) -> None:
    first = run(make_dataset(), "first")
    with pytest.raises(InputError, match="swin-umamba-d-tiny.*--arch"):
        run(make_dataset(name="b"), "second", init=str(first.model), arch="swin-umamba-d")
    with pytest.raises(InputError, match="--init: unknown model 'nonsense'"):
        run(make_dataset(name="d"), "fourth", init="nonsense")
    with pytest.raises(InputError, match="ImageNet weights do not fit 'swin-umamba-d-tiny'"):
        run(make_dataset(name="e"), "fifth", init="imagenet")


def test_normalization_is_the_start_models_unless_asked_for(make_dataset) -> None:
    folder = make_dataset()
    options = {"steps": 1, "val_every": 1}
    first = run(folder, "first", normalization="zscore", **options)
    schemes = []
    for name, asked in (("kept", "auto"), ("other", "percentile")):
        again = run(folder, name, init=str(first.model), normalization=asked, **options)
        schemes += [c.normalization.scheme for c in load_model(again.model).plan.channels]
    assert schemes == ["zscore", "percentile"]


def test_a_run_is_not_replaced_unless_told(make_dataset) -> None:
    folder = make_dataset()
    first = run(folder)
    (first.model.parent / "notes.txt").write_text("mine")
    before = first.model.read_bytes()
    with pytest.raises(InputError, match="already holds a run.*--overwrite"):
        run(folder, seed=1)
    # nor by a run that cannot begin
    with pytest.raises(InputError, match="--class-names"):
        run(folder, overwrite=True, class_names=("a", "b"))
    assert first.model.read_bytes() == before
    run(folder, seed=1, overwrite=True)
    assert first.model.read_bytes() != before
    assert (first.model.parent / "notes.txt").read_text() == "mine"
    assert [event["event"] for event in events(first)].count("start") == 1


@pytest.mark.parametrize("place", ["file/run", "/proc/run"])
def test_places_that_cannot_be_written(make_dataset, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    folder = make_dataset()
    config = make_config(dataset=folder, run=tmp_path / place, **TINY)
    with pytest.raises(InputError, match=r"cannot write the run.*-o"):
        train(config)


def test_a_bad_data_set_leaves_no_folder(make_dataset) -> None:
    folder = make_dataset()
    (folder / "images" / "cell0.png").write_bytes(b"")
    with pytest.raises(InputError):
        run(folder)
    assert not (folder.parent / "run").exists()


def test_early_stop(make_dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ValidationScores, "score", 0.5)
    result = run(make_dataset(), val_every=1, steps=50, overrides={"length.early_stop": 3})
    assert (result.reason, result.steps) == ("early", 4)


def test_minutes_become_steps_that_are_stored(make_dataset) -> None:
    heard: list[dict] = []
    result = run(make_dataset(), steps=None, minutes=0.03, val_every=1000, on_event=heard.append)
    assert result.reason == "minutes"
    steps = start_of(heard)["steps"]
    assert 1 <= result.steps <= steps
    assert load_model(result.model).info.training["steps"] == steps
    stored = load_state(result.model.parent / "last.ckpt")["clock"]
    assert stored["steps"] == steps
    # Both given: what is less counts.
    few = run(make_dataset(name="b"), "b", steps=2, minutes=5.0)
    assert (few.reason, few.steps) == ("steps", 2)
    one = run(make_dataset(name="c"), "c", steps=1, minutes=5.0)
    assert (one.reason, one.steps) == ("steps", 1)


def test_broken_batches_are_left_out_and_told(
    make_dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patches of NaN, as a damaged image could give, must not reach the weights."""
    plain = PatchDataset.__getitem__

    def damaged(self: PatchDataset, index: int) -> tuple:
        image, target = plain(self, index)
        return (image * float("nan") if index // 2 == 2 else image), target

    monkeypatch.setattr(PatchDataset, "__getitem__", damaged)
    heard: list[dict] = []
    result = run(make_dataset(), steps=5, val_every=5, on_event=heard.append)
    trouble = [event for event in heard if event["event"] == "trouble"]
    assert [(event["step"], event["action"]) for event in trouble] == [(3, "skip")]
    assert "the step is left out" in trouble[0]["message"]
    assert result.steps == 5
    assert all(torch.isfinite(tensor).all() for tensor in weights(result).values())
    assert heard[-1]["skipped"] == 1


def test_low_precision_that_fails_is_raised(make_dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = SegmentationModule._backward

    def overflowing(self: SegmentationModule, batch: tuple) -> float:
        loss = plain(self, batch)
        return loss if self.guard.format == "fp32" else float("nan")

    monkeypatch.setattr(SegmentationModule, "_backward", overflowing)
    heard: list[dict] = []
    options = {"precision.format": "bf16", "precision.patience": 2}
    result = run(make_dataset(), steps=5, val_every=5, overrides=options, on_event=heard.append)
    trouble = [event for event in heard if event["event"] == "trouble"]
    assert [event["action"] for event in trouble] == ["skip", "raise"]
    assert "bf16 is too coarse here, fp32 from now on" in trouble[1]["message"]
    assert result.steps == 5


@pytest.mark.parametrize("number_format", ["bf16", "fp16"])
def test_low_precision_trains(make_dataset, number_format: str) -> None:
    heard: list[dict] = []
    overrides = {"precision.format": number_format}
    run(make_dataset(), overrides=overrides, on_event=heard.append)
    assert start_of(heard)["precision"] == number_format
    assert [event["loss"] for event in heard if event["event"] == "validation"]
    assert not [event for event in heard if event.get("action") in ("raise", "rollback")]


@pytest.mark.parametrize("arch", ["dynunet-tiny", "segresnet"])
def test_baselines_train(make_dataset, arch: str) -> None:
    result = run(make_dataset(), arch=arch, steps=2, init="none")
    assert load_model(result.model).plan.architecture == arch


def test_distances_train_and_number_objects(make_dataset) -> None:
    folder = make_dataset("instances")
    overrides = {"targets.instances": "distance"}
    result = run(folder, instances=True, class_names=("cell",), overrides=overrides)
    model = load_model(result.model)
    assert model.plan.output == "distance"
    assert [item.name for item in model.plan.label_classes] == ["background", "cell"]
    assert set(model.info.scores) == {"dice cell", "f1@0.5"}
    labels = segment(iio.imread(folder / "images" / "cell0.png"), model).labels
    assert labels.dtype == np.int32


def test_report_stands_alone(make_dataset) -> None:
    result = run(make_dataset(images=8), val_fraction=0.5, class_names=("disc",))
    text = (result.model.parent / "report.html").read_text()
    for expected in ("Dice: disc", "95 % interval", "Worst cases", "SHA-256", "ended: steps"):
        assert expected in text
    assert text.count("data:image/png;base64,") == 5  # the curves, and the four worst
    assert 'src="data:' in text
    assert "http" not in text
    assert load_model(result.model).info.training["data_sha256"] in text
    for name in ("optimizer:", "cell0", "torch", "fp32, scan fp32"):
        assert name in text


def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "start"}\n{"event": "ste')
    with EventLog(path) as log:
        log.write("done")
    kinds = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert kinds == ["start", "done"]


def test_a_class_without_validation_pixels_is_told_as_such(make_dataset) -> None:
    """Masks of 0 and 5: four classes are painted nowhere."""
    folder = make_dataset()
    for file in (folder / "masks").iterdir():
        iio.imwrite(file, iio.imread(file) * np.uint8(5))
    heard: list[dict] = []
    result = run(folder, on_event=heard.append, instances=False)
    validations = [event for event in heard if event["event"] == "validation"]
    assert [list(event["dice"]) for event in validations] == [["class 5"]] * 2
    assert all(event["score"] == event["dice"]["class 5"] for event in validations)
    report = (result.model.parent / "report.html").read_text()
    assert report.count("in no validation image") == 4


def test_divergence_is_said_and_the_best_model_stays(make_dataset) -> None:
    folder = make_dataset()
    with pytest.raises(TrainingDiverged, match="after step.*--learning-rate"):
        run(folder, learning_rate=1e12, steps=50, val_every=1)
    last = (folder.parent / "run" / "events.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["event"] == "failed"


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["swin-umamba", "swin-umamba-d"])
def test_the_large_networks_train(make_dataset, arch: str) -> None:
    result = run(make_dataset(images=2), arch=arch, steps=1, batch=1, val_every=1)
    assert load_model(result.model).plan.architecture == arch
