"""The program as a person calls it: results on stdout, one line for what is wrong, exit codes."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import torch
from typer.testing import CliRunner

from napari_swin_umamba import files
from napari_swin_umamba.checkpoints import Model, ModelInfo
from napari_swin_umamba.network import build_network
from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass
from napari_swin_umamba.segmentation import batch_planning
from swin_umamba_training.cli import app

COMMANDS = (
    *([], ["train"], ["segment"], ["evaluate"], ["doctor"]),
    *(["models"], ["models", "list"], ["models", "info"]),
    *(["weights"], ["weights", "list"], ["weights", "fetch"]),
    *(["data"], ["data", "check"], ["data", "import"], ["data", "export"]),
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of two small untrained models for one channel."""
    folder = tmp_path_factory.mktemp("models")
    channels = (Channel(name="grey", normalization=Normalization(scheme="zscore")),)
    for output, names in (
        ("semantic", ("background", "cell")),
        ("boundary", ("background", "interior", "boundary")),
    ):
        plan = Plan(
            architecture="swin-umamba-d-tiny",
            channels=channels,
            classes=tuple(SegmentationClass(id=i, name=name) for i, name in enumerate(names)),
            patch=(32, 32),
            output=output,
        )
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = build_network(plan.architecture, 1, len(names)).eval()
        info = ModelInfo(description="for tests", licence="CC0-1.0")
        Model(network, plan, output, info).save(folder / f"{output}.safetensors")
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    iio.imwrite(path, np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8))
    return path


def call(*arguments: object, code: int = 0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code
    return result


def error_line(*arguments: object) -> str:
    """What a refused command says: one line on stderr, nothing on stdout."""
    result = call(*arguments, code=2)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert result.stdout == ""
    return lines[0]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_has_examples(command: list[str]) -> None:
    text = call(*command, "--help").stdout
    assert "Usage: " in text
    assert "Examples" in text


def test_help_says_when_training_asks_what_masks_hold() -> None:
    text = " ".join(call("train", "--help").stdout.split())
    assert "add --instances or --semantic" in text


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from swin_umamba_training.cli import app;"
        "assert CliRunner().invoke(app, ['train', '--help']).exit_code == 0;"
        "print(sorted({'torch', 'numpy', 'lightning', 'monai'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense",), "No such command 'nonsense'"),
        (("trian",), "Did you mean 'train'"),
        (("models", "nonsense"), "No such command 'nonsense'"),
        (("segment", "--nonsense"), "No such option.*--nonsense"),
        (("segment", "a.png", "-m", "nuclei"), "Missing option.*-o"),
        (("segment", "a.png", "-m", "nuclei", "-o", ""), "-o.*not ''"),
        (("train", "data", "-o", "run", "--steps", "x"), "--steps.*'x'"),
        (("train", "data", "-o", " "), "-o.*not ' '"),
    ],
)
def test_usage_errors_are_one_line(arguments: tuple, message: str) -> None:
    assert re.search(message, error_line(*arguments))


def test_version_and_help_end_well() -> None:
    assert "error" not in call(code=2).output
    assert call("--version").stdout.startswith("swin-umamba ")
    assert call("segment", "--help").stderr == ""


def test_train_segment_and_evaluate_as_processes(make_dataset, tmp_path: Path) -> None:
    """The whole way through the real program, as the napari widget and clusters start it."""

    def program(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "swin_umamba_training", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        return done

    folder, run = make_dataset("instances"), tmp_path / "run"
    options = ["--patch", 32, "--batch", 2, "--steps", 3, "--instances", "--val", "cell3"]
    done = program("train", folder, "-o", run, "--arch", "swin-umamba-d-tiny", *options, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    events = [event for event in events if event["event"] != "slices"]  # if not in the cache yet
    assert [events[0]["event"], events[-1]["event"]] == ["start", "done"]
    model = run / "model.safetensors"

    done = program("segment", folder / "images", "-o", tmp_path / "labels", "--model", model)
    written = [Path(line) for line in done.stdout.splitlines()]
    assert written == [tmp_path / "labels" / f"cell{index}.tif" for index in range(4)]
    assert tifffile.imread(written[0]).shape == (64, 72)

    done = program("evaluate", tmp_path / "labels", folder / "masks", "--metric", "f1", "--json")
    scores = json.loads(done.stdout)
    assert set(scores["images"]) == {f"cell{index}" for index in range(4)}
    assert 0 <= scores["mean"]["f1"] <= 1


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a child process on Windows")
def test_ctrl_c_ends_a_run_in_one_line_and_keeps_the_model(make_dataset, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--arch", "swin-umamba-d-tiny", "--patch", "32", "--steps", "100000"]
    command = [sys.executable, "-m", "swin_umamba_training", "train", str(make_dataset())]
    process = subprocess.Popen(
        [*command, "-o", str(run), "--val-every", "2", "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that runs in the background of a shell hands on that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if json.loads(line)["event"] == "validation":
                break
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1, stderr
    assert [line for line in stderr.splitlines() if line.startswith("error: ")] == [
        "error: interrupted"
    ]
    assert "Traceback" not in stderr
    assert json.loads(stdout.splitlines()[-1])["message"] == "interrupted"
    assert (run / "model.safetensors").exists()


def test_train_shows_notes_validation_and_the_model(make_dataset, tmp_path: Path) -> None:
    options = ["--patch", "32x64", "--batch", 1, "--steps", 2, "--device", "cpu"]
    result = call(
        *("train", make_dataset(), "-o", tmp_path / "run", "--arch", "swin-umamba-d-tiny"),
        *options,
    )
    assert result.stdout.strip() == str(tmp_path / "run" / "model.safetensors")
    assert "3 training and 1 validation images" in result.stderr
    assert "Dice: class 1" in result.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["recipe"]["sampling"]["patch"] == [32, 64]


def test_train_refusals(make_dataset, tmp_path: Path, models: Path) -> None:
    folder, run = make_dataset(), tmp_path / "run"
    for arguments, message in (
        ((tmp_path / "no", "-o", run), "does not exist"),
        ((folder, "-o", folder / "images" / "cell0.png"), "is a file"),
        ((folder, "-o", run, "--steps", 0), "--steps"),
        ((folder, "-o", run, "--patch", "33"), "--patch: must be multiples of 32"),
        ((folder, "-o", run, "--patch", "a"), "--patch"),
        ((folder, "-o", run, "--patch", "²"), "--patch.*not '²'"),
        ((folder, "-o", run, "--patch", "9" * 5000), "--patch"),
        ((folder, "-o", run, "--patch", "99999968"), "--patch: .*4096.*not 99999968x99999968"),
        ((folder, "-o", run, "--seed", 2**64), "--seed: .*not '18446744073709551616'"),
        ((folder, "-o", run, "--seed", -1), "--seed: .*not '-1'"),
        ((folder, "-o", run, "--learning-rate", "inf"), "--learning-rate: .*finite.*not 'inf'"),
        ((folder, "-o", run, "--minutes", "nan"), "--minutes: .*not 'nan'"),
        ((folder, "-o", run, "--batch", 10**30), "--batch: .*not '1000"),
        ((folder, "-o", run, "--arch", "unet"), "unknown network 'unet'"),
        ((folder, "-o", run, "--init", "nonsense"), r"^error: --init: (?!.*--model).*'nonsense'"),
        ((folder, "-o", run, "--device", "toaster"), "--device"),
        ((folder, "-o", run, "--normalization", "log"), "--normalization"),
        ((folder, "-o", run, "--val", "nobody"), "--val"),
        ((folder, "-o", run, "--set", "lr=1"), "--set 'lr': .*optimizer.lr"),
        ((folder, "-o", run, "--recipe", "best"), "unknown recipe 'best'"),
        ((folder, "-o", run, "--devices", 3, "--batch", 4), "--batch: 4 patches .* 3 devices"),
        ((folder, "-o", run, "--resume"), "holds no run to resume"),
        ((folder, "-o", run, "--resume", "--steps", 3), "leave out --steps"),
        ((folder, "-o", run, "--resume", "--overwrite"), "leave out --overwrite"),
    ):
        line = error_line("train", *arguments)
        assert re.search(message, line), line
    assert not run.exists()


def test_divergence_has_code_1(make_dataset, tmp_path: Path) -> None:
    options = ["--patch", 32, "--batch", 1, "--steps", 9, "--learning-rate", 1e12, "--val-every", 1]
    result = call(
        *("train", make_dataset(), "-o", tmp_path / "run", "--arch", "swin-umamba-d-tiny"),
        *options,
        code=1,
    )
    assert "error: training diverged" in result.stderr
    assert "Traceback" not in result.stderr


def test_segment_one_file(image: Path, models: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "labels.png"
    result = call("segment", image, "-o", out, "--model", models / "semantic.safetensors", "--json")
    report = json.loads(result.stdout)
    assert report["output"] == str(out)
    labels = iio.imread(out)
    assert labels.shape == (40, 50)
    assert report["pixels"] == {"background": (labels == 0).sum(), "cell": (labels == 1).sum()}


def test_segment_numbers_objects_when_the_model_does(
    image: Path, models: Path, tmp_path: Path
) -> None:
    out = tmp_path / "labels.tif"
    model = models / "boundary.safetensors"
    report = json.loads(call("segment", image, "-o", out, "-m", model, "--json").stdout)
    assert report["objects"] == tifffile.imread(out).max()


def test_one_bad_image_does_not_stop_the_others(image: Path, models: Path, tmp_path: Path) -> None:
    bad, nan = tmp_path / "bad.png", tmp_path / "nan.tif"
    bad.write_text("text")
    tifffile.imwrite(nan, np.full((40, 50), np.nan, np.float32))
    result = call(
        *("segment", bad, image, nan, "-o", tmp_path / "out"),
        *("--model", models / "semantic.safetensors"),
        code=1,
    )
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["image.tif"]
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert [
        name in line for name, line in zip(("bad.png", "nan.tif", "2 of 3"), errors, strict=True)
    ]
    assert "Traceback" not in result.stderr


def test_json_has_a_line_for_every_file(image: Path, models: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_text("text")
    model = models / "semantic.safetensors"
    result = call("segment", bad, image, "-o", tmp_path / "out", "-m", model, "--json", code=1)
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert (first["input"], second["input"]) == (str(bad), str(image))
    assert "not a PNG" in first["error"]
    assert "error" not in second
    assert second["pixels"].keys() == {"background", "cell"}


def test_segment_an_image_that_cannot_be_used(image: Path, models: Path, tmp_path: Path) -> None:
    """Known only once it is read: something failed, the command was not wrong."""
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "zero.png").touch()
    five = tmp_path / "five.tif"
    tifffile.imwrite(five, np.zeros((5, 40, 50), np.uint8), imagej=True, metadata={"axes": "CYX"})
    options = ("-o", tmp_path / "out.tif", "-m", models / "semantic.safetensors")
    for file, more, message in (
        (tmp_path / "text.png", (), "text.png"),
        (tmp_path / "zero.png", (), "zero.png"),
        (five, (), "five.tif.*5 channels.*takes 1"),
        (image, ("--axes", "ZYX"), "'ZYX'"),
        (image, ("--plane", "Z"), None),  # a 2D image is one plane, whatever is said
    ):
        result = call("segment", file, *options, *more, code=0 if message is None else 1)
        errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == (message is not None)
        assert message is None or re.search(message, errors[0]), errors
        assert (tmp_path / "out.tif").exists() == (message is None)


def test_segment_a_volume_into_classes_objects_and_a_table(models: Path, tmp_path: Path) -> None:
    volume = np.random.default_rng(0).integers(0, 255, (3, 33, 40)).astype(np.uint8)
    file = tmp_path / "volume.tif"
    tifffile.imwrite(
        file,
        volume,
        imagej=True,
        resolution=(2, 2),
        metadata={"axes": "ZYX", "spacing": 3, "unit": "um"},
    )
    model = models / "boundary.safetensors"
    out = tmp_path / "classes"
    options = ("--classes", "--measure", "--plane", "y")
    result = call("segment", file, "-o", out, "-m", model, *options)
    assert result.stdout.strip() == str(out / "volume.tif")
    assert set(np.unique(tifffile.imread(out / "volume.tif"))) <= {0, 1}
    table = (out / "measurements.csv").read_text(encoding="utf-8-sig").splitlines()
    assert table[0] == "file,class,id,voxels,volume (µm³),share (%),count"
    assert [line.split(",")[0] for line in table[1:]] == ["volume.tif"] * 2
    assert "measurements.csv exists already" in error_line(
        *("segment", file, "-o", tmp_path / "classes" / "other.tif", "-m", model, "--measure")
    )

    report = json.loads(
        call("segment", file, "-o", out, "-m", model, "--objects", "--json", "--overwrite").stdout
    )
    assert report["shape"] == [3, 33, 40]
    assert report["objects"] == len(np.unique(tifffile.imread(out / "volume.tif"))) - 1


def test_segment_refusals(image: Path, models: Path, tmp_path: Path) -> None:
    model = models / "semantic.safetensors"
    (tmp_path / "empty").mkdir()
    five = tmp_path / "five.tif"
    five.touch()
    existing = tmp_path / "existing.tif"
    existing.write_bytes(b"mine")
    twin = tmp_path / "empty" / ".." / "image.tif"
    tifffile.imwrite(twin, np.zeros((4, 4), np.uint8))
    out = tmp_path / "out.tif"
    for arguments, message in (
        ((tmp_path / "no.png", "-o", out, "-m", model), "no such file"),
        ((tmp_path / "empty", "-o", out, "-m", model), "no images in"),
        ((image, "-o", out, "-m", "nonsense"), "unknown model 'nonsense'"),
        ((image, "-o", out, "-m", image), "not a .safetensors"),
        ((image, "-o", existing, "-m", model), "--overwrite"),
        ((image, "-o", image, "-m", model, "--overwrite"), "the image itself"),
        ((image, "-o", image / "labels", "-m", model), "is a file"),
        ((image, "-o", "/proc/labels.tif", "-m", model), "cannot write"),
        ((image, five, "-o", out, "-m", model), "2 images do not go into one file"),
        ((image, twin, "-o", tmp_path / "labels", "-m", model), "would both be written"),
        ((image, "-o", out, "-m", model, "--device", "toaster"), "--device"),
        ((image, "-o", out, "-m", model, "--overlap", "2"), "--overlap"),
        ((image, "-o", out, "-m", model, "--axes", "XX"), "axes.*'XX'"),
        ((image, "-o", out, "-m", model, "--plane", "T"), "'T'.*--plane"),
        ((image, "-o", out, "-m", model, "--resample"), "'semantic'.*--resample"),
        ((image, "-o", tmp_path / "out.jpg", "-m", model), r"out\.jpg.*\.tif"),
    ):
        line = error_line("segment", *arguments)
        assert re.search(message, line), line
    assert existing.read_bytes() == b"mine"
    assert not out.exists()
    assert not (tmp_path / "labels").exists()


def test_what_fails_for_every_image_is_said_once(
    image: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(3):
        (folder / f"{index}.png").write_bytes(image.read_bytes())
    options = (folder, "-m", models / "semantic.safetensors")
    for wrong, message in (
        (("--overlap", 1), "1.0.*--overlap"),
        (("--overlap", "nan"), "nan.*--overlap"),
        (("--device", "toaster"), "'toaster'.*--device"),
        (("--axes", "ZXX"), "'ZXX'.*--axes"),
        (("--precision", "int8"), "'int8'.*--precision"),
    ):
        assert re.search(message, error_line("segment", *options, "-o", tmp_path / "out", *wrong))
    assert not (tmp_path / "out").exists()

    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(batch_planning, "TemporaryFile", full)
    assert "No space left" in error_line("segment", *options, "-o", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_disk_that_fills_up_is_said_once(
    image: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(3):
        (folder / f"{index}.png").write_bytes(image.read_bytes())

    def full(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_flush_to_disk", full)
    model = models / "semantic.safetensors"
    result = call("segment", folder, "-o", tmp_path / "out", "-m", model, code=1)
    (line,) = result.stderr.splitlines()
    assert "0.tif: No space left on device" in line
    assert line.endswith("3 of 3 images were not segmented")


def test_evaluate_prints_a_table(tmp_path: Path) -> None:
    labels = np.zeros((30, 30), np.uint8)
    labels[5:12, 5:12], labels[15:25, 15:25] = 1, 2
    iio.imwrite(tmp_path / "t.png", labels)
    result = call("evaluate", tmp_path / "t.png", tmp_path / "t.png", "--metric", "dsc")
    assert "dsc 2" in result.stdout
    assert "1.000" in result.stdout
    assert "--metric" in error_line(
        "evaluate", tmp_path / "t.png", tmp_path / "t.png", "--metric", "x"
    )


def test_models(models: Path) -> None:
    assert isinstance(json.loads(call("models", "list", "--json").stdout), list)
    call("models", "list")
    text = call("models", "info", models / "boundary.safetensors").stdout
    for expected in (
        "swin-umamba-d-tiny",
        "CC0-1.0",
        "for tests",
        "2 boundary",
        "numbered objects",
    ):
        assert expected in text
    info = json.loads(call("models", "info", models / "semantic.safetensors", "--json").stdout)
    assert info["plan"]["patch"] == [32, 32]
    assert "unknown model" in error_line("models", "info", "nonsense")


def test_doctor_reports_backend_and_check() -> None:
    report = json.loads(call("doctor", "--device", "cpu", "--json").stdout)
    assert report["healthy"] is True
    assert report["backend"] == "numba"
    backends = {b["name"]: b for b in report["backends"]}
    assert set(backends) == {"numba", "triton", "mamba_ssm", "torch", "reference"}
    assert backends["numba"]["available"] is True
    assert "not on cpu" in backends["triton"]["reason"]
    assert 0 < report["speed"]["forward_ms"] < report["speed"]["training_ms"]
    assert report["versions"]["torch"] == torch.__version__
    shown = call("doctor", "--device", "cpu").stdout
    assert "passed" in shown
    assert "mamba_ssm" in shown
    assert "ms forward" in shown


def test_doctor_says_only_that_a_device_is_unknown() -> None:
    assert "'zz'" in error_line("doctor", "--device", "zz")


def test_doctor_fails_where_the_scan_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_swin_umamba.network.selective_scan import SelfCheck
    from swin_umamba_training import doctor

    monkeypatch.setattr(doctor, "check_backend", lambda name, device: SelfCheck("numba", 0.1, 0.1))
    result = call("doctor", "--device", "cpu", code=1)
    assert "FAILED" in result.stdout
    assert "error: " in result.stderr


def test_recipes_are_listed_and_shown(tmp_path: Path) -> None:
    names = [item["name"] for item in json.loads(call("recipes", "list", "--json").stdout)]
    assert names == ["finetune", "paper", "quick"]
    assert "paper" in call("recipes", "list").stdout
    text = call("recipes", "show", "paper").stdout
    assert "# AdamW" in text
    assert json.loads(call("recipes", "show", "paper", "--json").stdout)["schedule"]["every"] == 250
    (tmp_path / "mine.yaml").write_text(text)
    assert call("recipes", "show", tmp_path / "mine.yaml").stdout == text
    assert "unknown recipe" in error_line("recipes", "show", "nonsense")


def test_a_run_is_resumed_by_its_folder(make_dataset, tmp_path: Path) -> None:
    options = ["--arch", "swin-umamba-d-tiny", "--patch", "32", "--batch", 1, "--steps", 2]
    folder = make_dataset()
    call("train", folder, "-o", tmp_path / "run", *options, "--device", "cpu")
    result = call("train", folder, "-o", tmp_path / "run", "--resume", "--device", "cpu")
    assert result.stdout.strip() == str(tmp_path / "run" / "model.safetensors")
