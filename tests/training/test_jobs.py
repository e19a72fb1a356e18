"""A job through the real command, on a computer that never saw the project."""

from __future__ import annotations

import json
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner, Result

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_image
from napari_swin_umamba.project import Project, ProjectModels, unpack_job
from swin_umamba_training import jobs
from swin_umamba_training.cli import app
from swin_umamba_training.recipe_files import load_recipe

TINY = ["--arch", "swin-umamba-d-tiny"]
SMALL = ["--set", "sampling.patch=[32, 32]", "--set", "sampling.batch=1"]
SHORT = [*SMALL, "--set", "length.steps=2", "--set", "validation.every=2"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A bright disc in 16 slices, 2 blocks of them; three of each are painted."""
    rows, columns = np.indices((40, 44))
    truth = np.ones((16, 40, 44), np.uint8)
    for z in range(16):
        truth[z][np.hypot(rows - 16 - z % 5, columns - 14) < 9] = 2
    noise = np.random.default_rng(0).normal(0, 4, truth.shape)
    file = tmp_path / "scans" / "stack.tif"
    file.parent.mkdir()
    image = (60.0 * truth + noise).clip(0, 255).astype(np.uint8)
    tifffile.imwrite(file, image, metadata={"axes": "ZYX"})
    project = Project.create(tmp_path / "here" / "discs", "semantic", ["disc"])
    added = project.add_image([file], read_image(file))
    for z in (1, 3, 5, 9, 11, 13):
        project.annotation(added.id).write((z,), truth[z])
    return project


def command(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    return result


def test_there_and_back(project: Project, tmp_path: Path) -> None:
    """Export, train where neither project nor images are, go on there, import: twice."""
    job, run = tmp_path / "job.zip", tmp_path / "there" / "run"
    said = command("job", "export", project.folder, "-o", job, *TINY, *SHORT)
    assert said.stdout.strip() == str(job)
    assert "1 annotated image" in said.stderr
    held_out = project.roles
    away = tmp_path / "away"
    shutil.move(tmp_path / "here", away)
    shutil.move(tmp_path / "scans", away / "scans")
    trained = command("train", job, "-o", run, "--device", "cpu")
    assert trained.stdout.strip() == str(run / "model.safetensors")
    assert "first model" in trained.stderr
    assert "into the project that the job is from" in trained.stderr
    with zipfile.ZipFile(run / "result.zip") as archive:
        manifest = json.loads(archive.read("result.json"))
        assert archive.read("model.safetensors") == (run / "model.safetensors").read_bytes()
    assert manifest["steps"] == 2
    assert manifest["comparison"]["outcome"] == "first"
    assert manifest["roles"] == held_out.model_dump(mode="json") | {
        "images": {
            image: {str(block): role for block, role in blocks.items()}
            for image, blocks in held_out.images.items()
        }
    }
    folder = away / "discs"
    imported = command("job", "import", folder, run / "result.zip", "--json")
    answer = json.loads(imported.stdout)
    assert (answer["number"], answer["new"], answer["current"]) == (1, True, True)
    assert answer["notes"] == []
    assert "this project's first model" in command(
        "job", "import", folder, run / "result.zip"
    ).stderr.replace("\n", " ")

    # The second one goes on from the first, which travels with the job; --steps counts.
    (away / "scans").rename(tmp_path / "scans")
    again, other = tmp_path / "again.zip", tmp_path / "there" / "other"
    command("job", "export", folder, "-o", again, "--init", "project", "--minutes", 5, *SMALL)
    command("train", again, "-o", other, "--device", "cpu", "--steps", 2)
    known = ProjectModels(Project.open(other / "job" / "discs").folder).read()
    assert [(item.name, item.start) for item in known.models] == [("v1", "none"), ("v2", "v1")]
    assert known.newest.comparison.before == "v1"
    config = json.loads((other / "config.json").read_text())
    assert config["recipe"]["length"] == {"steps": 2, "minutes": None, "early_stop": None}
    assert config["recipe"]["name"] == "finetune"

    # Resuming finds the job in the folder, and writes the result anew.
    (other / "result.zip").unlink()
    command("train", again, "-o", other, "--device", "cpu", "--resume")
    assert (other / "result.zip").is_file()
    wrong = command("train", job, "-o", other, "--resume", code=2)
    assert "holds no run of the job" in wrong.stderr
    said = command("job", "import", folder, other / "result.zip").stderr
    assert "v2" in said
    assert ProjectModels(folder).read().newest.start == "v1"


def test_what_keeps_a_job_from_being_trained(project: Project, tmp_path: Path) -> None:
    """Nothing is left in the folder of the run, and nothing of anybody else's is taken."""
    job, run = tmp_path / "job.zip", tmp_path / "run"
    command("job", "export", project.folder, "-o", job, *TINY, *SHORT)
    command("job", "export", project.folder, "-o", job, *TINY, *SHORT, code=2)
    command("job", "export", project.folder, "-o", tmp_path / "job.tar", code=2)
    for arguments in (("--minutes", 0), ("--patch", "x"), ("--init", "no.safetensors")):
        command("train", job, "-o", run, *arguments, code=2)
        assert not run.exists()
    assert "settled in the job" in command("train", job, "-o", run, "--fold", 0, code=2).stderr
    cut = tmp_path / "cut.zip"
    cut.write_bytes(job.read_bytes()[:-100])
    assert "cut off" in command("train", cut, "-o", run, code=2).stderr
    assert not run.exists()
    (run / "job").mkdir(parents=True)
    (run / "job" / "mine.txt").write_text("mine")
    assert "exists already" in command("train", job, "-o", run, code=2).stderr
    assert (run / "job" / "mine.txt").read_text() == "mine"
    (run / "model.safetensors").write_text("a model")
    assert "already holds a run" in command("train", job, "-o", run, code=2).stderr
    assert (run / "model.safetensors").exists()


def test_a_recipe_may_be_based_on_another(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: finetune\nlength: {steps: null, minutes: 3}\n")
    recipe, usual = load_recipe(path), load_recipe("finetune")
    assert recipe == usual.model_copy(update={"length": recipe.length})
    assert (recipe.length.steps, recipe.length.minutes) == (None, 3)
    assert load_recipe(path, {"optimizer.lr": 1e-5}).freeze.steps == 0.1
    path.write_text("[" * 5000)
    with pytest.raises(InputError, match="cannot read the recipe"):
        load_recipe(path)
    path.write_text("base: ../finetune\n")
    with pytest.raises(InputError, match="base must be one of .*, not '../finetune'"):
        load_recipe(path)


def test_other_processes_find_what_the_first_one_unpacked(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With several GPUs or computers every process is given the archive; one unpacks it."""
    job, run = tmp_path / "job.zip", tmp_path / "run"
    command("job", "export", project.folder, "-o", job, *TINY, *SHORT)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(jobs, "_PATIENCE", 0.1)
    with pytest.raises(InputError, match="all computers must see the same folder"):
        jobs.take_job(job, run, resume=False, overwrite=False)
    assert not run.exists()
    monkeypatch.setattr(jobs, "_PATIENCE", 30)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(jobs.take_job, job, run, False, False)
        unpacked = unpack_job(job, run / "job")
        assert waiting.result() == unpacked
    jobs.discard_unbegun(run)  # not for them to do
    assert unpacked.project.is_dir()
    monkeypatch.setenv("RANK", "0")
    jobs.discard_unbegun(run)
    assert not run.exists()
