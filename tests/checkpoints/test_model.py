"""Models survive their file bit by bit, and damaged files are told apart in one line."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_swin_umamba import load_model
from napari_swin_umamba.checkpoints import Model, ModelInfo, bundled_models, read_model_header
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.network import build_network
from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass

PLAN = Plan(
    architecture="swin-umamba-d-tiny",
    channels=(Channel(name="grey", normalization=Normalization(scheme="percentile")),),
    classes=(
        SegmentationClass(id=0, name="background"),
        SegmentationClass(id=1, name="Zellkörper"),
    ),
    patch=(64, 64),
    spacing=(0.5, 0.25),
    unit="micrometer",
)
INFO = ModelInfo(licence="CC0-1.0", training={"steps": 3}, scores={"dsc": 0.5})


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return Model(build_network(PLAN.architecture, 1, 2).eval(), PLAN, "test †", INFO)


@pytest.fixture(scope="module")
def saved(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model.save(tmp_path_factory.mktemp("model") / "test.safetensors")


def _header(path: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8 : 8 + length])


def _with_metadata(saved: Path, out: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Copy a model file, its metadata changed."""
    metadata = json.loads(_header(saved)["__metadata__"]["napari_swin_umamba"])
    change(metadata)
    save_file(load_file(saved), out, {"napari_swin_umamba": json.dumps(metadata)})
    return out


def test_round_trip_is_exact(model: Model, saved: Path) -> None:
    loaded = load_model(saved)
    assert (loaded.plan, loaded.name, loaded.source) == (PLAN, "test †", saved)
    assert loaded.info.training == {"steps": 3}
    assert loaded.info.created
    assert loaded.info.software["torch"] == torch.__version__
    assert not loaded.network.training
    expected = model.network.state_dict()
    found = loaded.network.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    image = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        assert torch.equal(model.network(image), loaded.network(image))


def test_saving_a_loaded_model_gives_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    again = load_model(saved).save(tmp_path / "again.safetensors")
    assert again.read_bytes() == saved.read_bytes()


def test_float16_file_is_half_as_large_and_loads_as_float32(
    model: Model, saved: Path, tmp_path: Path
) -> None:
    path = model.save(tmp_path / "half.safetensors", dtype=torch.float16)
    assert path.stat().st_size < 0.6 * saved.stat().st_size
    for key, tensor in load_model(path).network.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, model.network.state_dict()[key].half().float())


def test_a_network_with_deep_supervision_can_be_saved(tmp_path: Path) -> None:
    network = build_network(PLAN.architecture, 1, 2, deep_supervision=True)
    load_model(Model(network, PLAN, "deep").save(tmp_path / "deep.safetensors"))


def test_the_header_is_read_without_torch(saved: Path) -> None:
    plan, name, info = read_model_header(saved)
    assert (plan, name, info.licence) == (PLAN, "test †", "CC0-1.0")
    code = (
        "import sys; from napari_swin_umamba.segmentation import read_model_header;"
        f"read_model_header({str(saved)!r}); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_overlap_is_part_of_the_file_where_it_is_not_the_usual_one(
    model: Model, saved: Path, tmp_path: Path
) -> None:
    """Earlier versions refuse a field that they do not know: usual files stay readable there."""
    plan = PLAN.model_copy(update={"overlap": 0.375})
    path = Model(model.network, plan, "x", INFO).save(tmp_path / "x.safetensors")
    assert load_model(path).plan == read_model_header(path)[0] == plan
    texts = [_header(file)["__metadata__"]["napari_swin_umamba"] for file in (path, saved)]
    assert ["overlap" in json.loads(text)["plan"] for text in texts] == [True, False]


def test_an_overlap_out_of_range_is_refused(saved: Path, tmp_path: Path) -> None:
    bad = _with_metadata(
        saved, tmp_path / "bad.safetensors", lambda found: found["plan"].update(overlap=1.5)
    )
    with pytest.raises(InputError, match=r"overlap: .*less than or equal to 0\.9"):
        load_model(bad)


def test_unknown_info_is_kept(model: Model, tmp_path: Path) -> None:
    info = ModelInfo.model_validate({"licence": "MIT", "doi": "10.1/2"})
    path = Model(model.network, PLAN, "x", info).save(tmp_path / "x.safetensors")
    assert read_model_header(path)[2].model_dump()["doi"] == "10.1/2"


def test_the_list_of_bundled_models_begins_with_the_usual_one() -> None:
    assert next(iter(bundled_models())) == "nuclei"


def test_bundled_models_have_a_valid_header() -> None:
    for name, path in bundled_models().items():
        plan, _, info = read_model_header(name)
        assert path.stem == name
        assert plan.num_classes >= 2
        assert info.licence


# What is no model at all.


def test_no_such_model() -> None:
    with pytest.raises(InputError, match="unknown model 'nucleii'.*--model"):
        load_model("nucleii")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "^None is not a model; give a bundled model .*--model"),
        (3, "^3 is not a model"),
        (np.zeros((50, 50)), r"^array\(\[\[.*\.\.\. is not a model"),
        (b"nuclei", "^b'nuclei' is not a model"),
        ("", "name of the model is empty; give a bundled model .*--model"),
        ("x" * 5000, r"'x+\.\.\.: .*--model"),  # too long for a file: an error, or no such file
        ("~nobody-of-this-name/m.safetensors", "home directory"),
        ("a\0b", "not the path of a file"),
    ],
)
def test_what_is_no_name_of_a_model(source: object, words: str) -> None:
    for read in (load_model, read_model_header):
        with pytest.raises(InputError, match=words) as caught:
            read(source)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="no trained-model folder of nnU-Net, it has no plans.json"
    ):
        load_model(tmp_path)


def test_a_checkpoint_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save({}, path)
    with pytest.raises(InputError, match="no checkpoint of nnU-Net v2: it lacks network_weights"):
        load_model(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes"),
        (b"abc", "not a .safetensors"),
        (b"hello, this is text, long enough", "not a .safetensors"),
        (struct.pack("<Q", 2) + b"{}", "no plan"),
        (struct.pack("<Q", 2) + b"[]", "not a .safetensors"),
        (struct.pack("<Q", 9) + b'{"a":"b"', "truncated"),
        (struct.pack("<Q", 5) + b'{"a":', "damaged"),
        (struct.pack("<Q", 7) + b'{"a":1}', "damaged at 'a'"),
        (struct.pack("<Q", 40_000) + b'{"a":' * 8_000, "damaged"),
    ],
)
def test_files_that_are_no_model(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_weights_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(2)}, path, {"format": "pt"})
    with pytest.raises(InputError, match="not saved by this program"):
        load_model(path)


@pytest.mark.parametrize("keep", [4, 100, 0.5, 0.999])
def test_truncated(saved: Path, tmp_path: Path, keep: float) -> None:
    raw = saved.read_bytes()
    path = tmp_path / "short.safetensors"
    path.write_bytes(raw[: keep if isinstance(keep, int) else int(keep * len(raw))])
    with pytest.raises(InputError, match=r"truncated|not a \.safetensors"):
        load_model(path)


def test_bytes_too_many(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.safetensors"
    path.write_bytes(saved.read_bytes() + b"\0")
    with pytest.raises(InputError, match="too many"):
        load_model(path)


# What was a model once.


def test_a_future_version(saved: Path, tmp_path: Path) -> None:
    path = _with_metadata(
        saved, tmp_path / "m.safetensors", lambda m: m.update(format_version=2, plan="new kind")
    )
    with pytest.raises(InputError, match="newer version.*format 2.*pip install -U"):
        load_model(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("plan"), "damaged.*plan"),
        (lambda m: m.update(format_version="1"), "format version '1'"),
        (lambda m: m.update(format_version=True), "format version True"),
        (lambda m: m.update(name="../../etc"), "cannot be a model's name"),
        (lambda m: m["plan"].update(patch=[64, 65]), "patch.*multiples of 32"),
        (lambda m: m["plan"].update(surprise=1), "plan in.*surprise"),
        (lambda m: m["plan"].update(architecture="resnet"), "'resnet'.*does not know"),
        (
            lambda m: m["plan"]["classes"].append({"id": 2, "name": "x"}),
            "3 classes.*wrong shape",
        ),
        (lambda m: m["plan"].update(channels=m["plan"]["channels"] * 2), "2 channels.*wrong shape"),
        (lambda m: m["plan"].update(architecture="swin-umamba-d"), "does not hold a swin-umamba-d"),
        (lambda m: m["info"].update(scores={"dsc": "good"}), "scores.dsc"),
    ],
)
def test_tampered_metadata(
    saved: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    path = _with_metadata(saved, tmp_path / "m.safetensors", change)
    with pytest.raises(InputError, match=words) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_weights_that_do_not_fit(saved: Path, tmp_path: Path) -> None:
    weights = load_file(saved)
    metadata = _header(saved)["__metadata__"]
    first, second, *_ = weights
    weights["renamed"] = weights.pop(first)
    weights[second] = torch.zeros(3)
    path = tmp_path / "m.safetensors"
    save_file(weights, path, metadata)
    with pytest.raises(InputError) as caught:
        load_model(path)
    message = str(caught.value)
    assert f"missing: {first}" in message
    assert "unexpected: renamed" in message
    assert f"wrong shape: {second} (3,)" in message


def test_weights_that_are_not_finite(saved: Path, tmp_path: Path, model: Model) -> None:
    weights = load_file(saved)
    next(iter(weights.values())).view(-1)[0] = float("nan")
    path = tmp_path / "m.safetensors"
    save_file(weights, path, _header(saved)["__metadata__"])
    with pytest.raises(InputError, match="not finite"):
        load_model(path)


# Saving refuses what could not be loaded, and leaves nothing.


def test_a_diverged_network_is_not_saved(tmp_path: Path) -> None:
    network = build_network(PLAN.architecture, 1, 2)
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] = float("inf")
    with pytest.raises(InputError, match="not saved.*not finite"):
        Model(network, PLAN, "x").save(tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_bad_names_are_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.safetensors"):
        model.save(tmp_path / "x.pt")
    with pytest.raises(InputError, match="cannot be a model's name"):
        Model(model.network, PLAN, "a/b").save(tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="^None is not the path of a file"):
        model.save(None)
    with pytest.raises(InputError, match="cannot write .*too long") as caught:
        model.save(tmp_path / ("x" * 5000 + ".safetensors"))
    assert len(str(caught.value)) < 400
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.complex64, "float16", 3])
def test_only_floats_hold_weights(model: Model, tmp_path: Path, dtype: object) -> None:
    with pytest.raises(InputError, match=r"cannot be stored as .*choose one of torch\.float64"):
        model.save(tmp_path / "x.safetensors", dtype=dtype)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_keeps_the_old_file(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = model.save(tmp_path / "x.safetensors")
    before = path.read_bytes()

    def full(file: Path, data: bytes) -> None:
        with open(file, "wb") as half:
            half.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="x.safetensors: No space left.*choose another place"):
        model.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of a file")
def test_a_disk_that_refuses_the_data_is_one_line(model: Model, tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(InputError, match="cannot write .*x.safetensors: File too large") as e:
            model.save(tmp_path / "x.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(e.value)
    assert list(tmp_path.iterdir()) == []


def test_others_may_read_a_model_where_they_may_read_other_files(
    model: Model, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    path = model.save(tmp_path / "x.safetensors")
    assert path.stat().st_mode == plain.stat().st_mode
