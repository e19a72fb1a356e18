"""What makes the bundled models, and what measures models: with data that take seconds."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from napari_swin_umamba import load_model
from swin_umamba_training.config import make_config
from swin_umamba_training.train import train

ROOT = Path(__file__).parents[2]
NAMES = ("cell0", "cell1")


@pytest.fixture(scope="module")
def script() -> Iterator[Callable[[str], ModuleType]]:
    """Imports a script as it is when it runs; nothing of it is left for other tests."""
    path, modules = list(sys.path), set(sys.modules)
    sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "benchmarks")]
    yield importlib.import_module
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(ROOT) and "." not in name:
            del sys.modules[name]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Calls the command line of a script."""

    def run(module: ModuleType, *arguments: str | Path) -> Any:
        monkeypatch.setattr(sys, "argv", [str(module.__file__), *map(str, arguments)])
        return module.main()

    return run


@pytest.fixture
def bundling(
    script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> ModuleType:
    """``train_bundled``; what it makes goes into the test's folder."""
    module = script("train_bundled")
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(module, "PACKAGE", tmp_path / "package")
    return module


def test_a_model_is_bundled_with_its_scores_and_decoded_in_all_ways(
    bundling: ModuleType,
    script: Callable[[str], ModuleType],
    call: Callable[..., Any],
    make_dataset: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    cells = make_dataset("instances")
    (cells / "kinds.json").write_text(json.dumps({"fluo": NAMES}))
    made = replace(bundling.MODELS["nuclei"], dataset=lambda data, folder: data, patch=(96, 96))
    monkeypatch.setitem(bundling.MODELS, "nuclei", made)
    folder = tmp_path / "work" / "nuclei"  # of a run that is at its end
    folder.mkdir(parents=True)
    (folder / "val.txt").write_text("\n".join(NAMES) + "\n")
    config = make_config(
        dataset=cells,
        run=folder / "nuclei",
        arch=made.architecture,
        instances=True,
        class_names=("nucleus",),
        patch=(32, 32),
        batch=2,
        steps=2,
        val=NAMES,
        device="cpu",
    )
    trained = train(config).model

    files = ("--data", cells, "--work", tmp_path / "work")
    assert call(bundling, "nuclei", *files, "--bundle", "--model-version", "7") == 0

    result = json.loads((tmp_path / "results" / "nuclei.json").read_text())
    file = tmp_path / "package" / "nuclei.safetensors"
    assert result["steps"] == [2]
    assert result["validation_images"] == len(NAMES)
    assert result["bytes"] == file.stat().st_size < trained.stat().st_size
    assert result["sha256"] == sha256(file.read_bytes()).hexdigest()
    model, before = load_model(file), load_model(trained)
    expected = {"patch": (96, 96), "overlap": made.overlap}
    assert model.plan == before.plan.model_copy(update=expected)
    assert (model.info.version, model.info.licence) == ("7", made.licence)
    assert model.info.scores == result["scores"]
    assert set(result["scores"]) == {f"f1@{iou} fluorescence" for iou in (0.5, 0.7, 0.9)}
    shipped, own = model.network.state_dict(), before.network.state_dict()
    assert all(torch.allclose(shipped[name], own[name], rtol=1e-3, atol=1e-6) for name in own)

    capsys.readouterr()
    parts = ("--images", cells / "images", "--masks", cells / "masks")
    call(script("decoding"), file, *parts, "--names", folder / "val.txt")
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()]
    assert [len(row) for row in rows] == [5] * 6
    assert all(0 <= float(value) <= 1 for row in rows[2:] for value in row[1:4])


@pytest.mark.slow
def test_a_bundled_model_is_trained_in_pieces(
    bundling: ModuleType,
    call: Callable[..., Any],
    make_dataset: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    cells = make_dataset("instances")
    (cells / "kinds.json").write_text(json.dumps({"fluo": NAMES}))

    def prepare(data: Path, folder: Path) -> None:
        (folder / "val.txt").write_text(NAMES[0] + "\n")

    made = replace(
        bundling.MODELS["nuclei"],
        prepare=prepare,
        dataset=lambda data, folder: data,
        patch=(32, 32),
    )
    monkeypatch.setitem(bundling.MODELS, "nuclei", made)
    settings = ("length.steps=2", "sampling.batch=2", "sampling.patch=[32,32]")
    words = [word for setting in settings for word in ("--set", setting)]
    parts = ("nuclei", "--data", cells, "--work", tmp_path / "work", "--variant", "small", *words)

    assert call(bundling, *parts, "--minutes", "0") == 0

    assert "give it more --minutes" in capfd.readouterr().out
    assert not (tmp_path / "results").exists()

    assert call(bundling, *parts) == 0

    result = json.loads((tmp_path / "results" / "nuclei-small.json").read_text())
    assert result["steps"] == [2]
    assert result["settings"] == list(settings)
    assert result["validation_images"] == 1
    assert not (tmp_path / "package").exists()  # no variant is put into the package


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["liver"], "invalid choice: 'liver'"),
        (["nuclei", "--set", "steps=3"], "name one (--variant)"),
        (["nuclei", "--variant", "b", "--bundle"], "not put into the package"),
    ],
)
def test_what_cannot_be_bundled_is_said_before_anything_is_made(
    bundling: ModuleType,
    call: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    words: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        call(bundling, *arguments, "--data", tmp_path, "--work", tmp_path / "work")

    assert ended.value.code == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_every_decoding_parts_two_discs_and_drops_a_speck(
    script: Callable[[str], ModuleType],
) -> None:
    decoding = script("decoding")
    rows, columns = np.indices((40, 64))
    depth = np.maximum(
        1 - np.hypot(rows - 18, columns - 16) / 10, 1 - np.hypot(rows - 20, columns - 44) / 10
    )
    depth[31, 31] = 0.8
    depth = depth.clip(0, 1)
    interior = np.where(depth > 0.2, 0.98, 0.01)
    boundary = np.where((depth > 0) & (depth <= 0.2), 0.98, 0.005)
    borders = np.stack([1 - interior - boundary, interior, boundary])
    distance = np.stack([depth == 0, depth > 0, depth]).astype(float)

    for decode in (decoding.pieces_of_the_interior, decoding.grown_pieces, decoding.surest_pieces):
        assert len(np.unique(decode(borders))) == 1 + 2, decode.__name__
    assert len(np.unique(decoding.deep_pieces(distance))) == 1 + 2
    grown, bare = decoding.grown_pieces(borders) > 0, decoding.pieces_of_the_interior(borders) > 0
    assert grown[bare].all()
    assert grown.sum() > bare.sum()


def test_results_become_a_table_of_means_and_intervals(
    script: Callable[[str], ModuleType],
    call: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    accuracy = script("accuracy")
    monkeypatch.setattr(accuracy, "RESULTS", tmp_path)
    result = {"experiment": "fluorescence", "init": "none", "minutes": 5.0, "peak_memory_gb": 1.5}
    for arch, f1, steps in [("ours", 0.8, 100), ("ours", 0.9, 300), ("other", 0.7, 50)]:
        scores = {"f1": f1, "precision": 0.5}
        content = {**result, "arch": arch, "steps": steps, "scores": scores}
        (tmp_path / f"{arch}_{steps}.json").write_text(json.dumps(content))

    call(accuracy, "table")

    # 12.706 (Student's t, one degree of freedom) * 0.0707 / sqrt(2) = 0.635
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| fluorescence | other | none | 5.0 minutes | 1 | f1 0.700 | 50 | 1.50 |",
        "| fluorescence | ours | none | 5.0 minutes | 2 | f1 0.850 ± 0.635 | 200 | 1.50 |",
    ]


def test_a_measured_run_is_not_made_again(
    script: Callable[[str], ModuleType],
    call: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    accuracy = script("accuracy")
    monkeypatch.setattr(accuracy, "RESULTS", tmp_path)
    known = tmp_path / "hippocampus_dynunet-tiny_none_3.json"
    known.write_text("{}")
    run = ("--data", tmp_path / "nowhere", "--arch", "dynunet-tiny", "--seed", "3")

    call(accuracy, "run", "hippocampus", *run)

    assert "is there already" in capsys.readouterr().out
    assert known.read_text() == "{}"
    with pytest.raises(SystemExit) as ended:
        call(accuracy, "run", "liver", "--data", tmp_path)
    assert ended.value.code == 2
