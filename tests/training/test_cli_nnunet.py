"""Official models on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from napari_swin_umamba.checkpoints import Model, load_model
from napari_swin_umamba.network import build_network
from napari_swin_umamba.network.ensemble import Ensemble
from swin_umamba_training.cli import app

Make = Callable[..., dict[str, Any]]


def call(*arguments: object, code: int = 0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def refusal(*arguments: object) -> str:
    result = call(*arguments, code=2)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert result.stdout == ""
    return lines[0]


@pytest.fixture
def light_folder(
    tmp_path: Path, nnunet_plans: Make, nnunet_dataset: Make, nnunet_checkpoint: Make
) -> Path:
    """A folder whose checkpoints have all but the weights."""
    folder = tmp_path / "results" / "Dataset901" / "nnUNetTrainerSwinUMamba__nnUNetPlans__2d"
    plans, dataset = nnunet_plans(), nnunet_dataset(licence="CC-BY 4.0")
    for fold in "01":
        (folder / f"fold_{fold}").mkdir(parents=True)
        for name in ("best", "99"):
            saved = nnunet_checkpoint(plans, dataset, trainer="nnUNetTrainerSwinUMamba")
            torch.save(saved, folder / f"fold_{fold}" / f"checkpoint_{name}.pth")
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    return folder


def test_info_of_folders_and_checkpoints(light_folder: Path) -> None:
    text = " ".join(call("models", "info", light_folder).stdout.split())
    assert "nnUNetTrainerSwinUMamba, configuration 2d, checkpoint checkpoint_best.pth" in text
    assert "folds 2, averaged" in text
    assert "slices along Z" in text
    text = call("models", "info", light_folder, "--checkpoint", "checkpoint_99", "--json").stdout
    assert json.loads(text)["info"]["training"]["checkpoint"] == "checkpoint_99.pth"
    text = call("models", "info", light_folder / "fold_0" / "checkpoint_99.pth", "--json").stdout
    described = json.loads(text)
    assert described["plan"]["architecture"] == "swin-umamba"
    assert described["info"]["licence"] == "CC-BY 4.0"


def test_list_of_a_folder(light_folder: Path) -> None:
    results = light_folder.parents[1]
    bad = results / "Dataset902" / "broken"
    bad.mkdir(parents=True)
    (bad / "plans.json").write_text("{}")
    done = call("models", "list", results, "--json")
    assert [item["name"] for item in json.loads(done.stdout)] == [str(light_folder)]
    assert "note: " in done.stderr
    assert "broken" in done.stderr
    assert "no models found" in call("models", "list", light_folder / "fold_0").stdout
    assert "no file or folder" in refusal("models", "list", results / "nowhere")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--checkpoint", "checkpoint_final"], "it has checkpoint_99.pth, checkpoint_best.pth"),
        (["--folds", "7"], "it has 0, 1 (--folds)"),
        (["--folds", ","], "(--folds)"),
    ],
)
def test_choices_that_are_not_there(light_folder: Path, arguments: list, words: str) -> None:
    image, out = light_folder / "image.png", light_folder / "out.tif"
    image.write_bytes(b"")
    assert words in refusal("models", "info", light_folder, *arguments)
    target = light_folder / "m.safetensors"
    assert words in refusal("models", "import", light_folder, "-o", target, *arguments)
    assert words in refusal("segment", image, "-o", out, "-m", light_folder, *arguments)
    assert not target.exists()
    assert not out.exists()


def test_import_says_what_is_wrong(light_folder: Path, tmp_path: Path) -> None:
    assert "must end in .safetensors" in refusal(
        "models", "import", light_folder, "-o", tmp_path / "m.pth"
    )
    there = tmp_path / "there.safetensors"
    there.write_bytes(b"old")
    assert "exists already; add --overwrite" in refusal(
        "models", "import", light_folder, "-o", there
    )
    assert "do not fit the network" in refusal(
        "models", "import", light_folder, "-o", there, "--overwrite"
    )
    assert there.read_bytes() == b"old"
    assert "leave --folds out" in refusal("models", "info", "nuclei", "--folds", "0")


def test_a_pickle_that_could_run_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return eval, ("1/0",)

    torch.save({"network_weights": Evil()}, tmp_path / "evil.pth")
    for command in (
        ("models", "info", tmp_path / "evil.pth"),
        ("models", "import", tmp_path / "evil.pth", "-o", tmp_path / "m.safetensors"),
    ):
        assert "asks for 'builtins.eval'" in refusal(*command)


def test_import_and_segment(nnunet_folder: Path, tmp_path: Path) -> None:
    """Folder, single checkpoint and imported file write the same labels."""
    affine = np.diag([0.9, 1.3, 6.0, 1.0])
    values = np.random.default_rng(0).normal(100, 20, (60, 40, 1)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "scan.nii.gz")
    imported = tmp_path / "one.safetensors"
    done = call(
        *("models", "import", nnunet_folder, "-o", imported),
        *("--folds", "1", "--checkpoint", "checkpoint_final", "--name", "my MRI"),
    )
    assert done.stdout.strip() == str(imported)
    assert json.loads(call("models", "info", imported, "--json").stdout)["name"] == "my MRI"
    written = []
    for number, model in enumerate(
        (
            (nnunet_folder, "--checkpoint", "checkpoint_final.pth", "--folds", "1"),
            (nnunet_folder / "fold_1" / "checkpoint_final.pth",),
            (imported,),
        )
    ):
        out = tmp_path / f"labels{number}.nii.gz"
        call("segment", tmp_path / "scan.nii.gz", "-o", out, "--model", *model)
        labels = nib.load(out)
        assert np.allclose(labels.affine, affine, atol=1e-6)
        assert labels.get_data_dtype() == np.uint8
        written.append(np.asarray(labels.dataobj))
    assert np.array_equal(written[0], written[1])
    assert np.array_equal(written[0], written[2])
    assert len(np.unique(written[0])) > 1


def test_training_does_not_start_from_several_networks(
    make_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    networks = [build_network("swin-umamba-d-tiny", 1, 2) for _ in range(2)]
    nuclei = load_model("nuclei").plan
    changes = {"channels": nuclei.channels[:1], "classes": nuclei.classes[:2], "rgb": False}
    plan = nuclei.model_copy(update={**changes, "output": "semantic", "folds": 2})
    both = Model(Ensemble(networks), plan, "both").save(tmp_path / "both.safetensors")
    assert load_model(both).plan.folds == 2
    run = tmp_path / "run"
    line = refusal("train", make_dataset("instances"), "-o", run, "--init", both, "--instances")
    assert "is 2 networks, one of each fold" in line
