"""``swin-umamba suggest``: the same suggestions without a window."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from typer.testing import CliRunner

from napari_swin_umamba.images import read_image
from napari_swin_umamba.network import build_network
from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass
from napari_swin_umamba.project import Comparison, Project, ProjectModels
from napari_swin_umamba.segmentation import Model, ModelInfo
from swin_umamba_training.cli import app


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.create(tmp_path / "project", "semantic", ["liver"])
    for name in ("a", "b"):
        values = np.random.default_rng(0).integers(0, 255, (9, 32, 40)).astype(np.uint8)
        values[0, 0, 0] = ord(name)
        file = tmp_path / f"{name}.tif"
        tifffile.imwrite(file, values, metadata={"axes": "ZYX"})
        made.add_image([file], read_image(file))
    made.annotation(made.images[0].id).write((4,), np.ones((32, 40), np.uint8))
    return made


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["suggest", *map(str, arguments)])
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_without_a_model_and_with_one(project: Project) -> None:
    code, out, said = run(project.folder)
    assert code == 0
    assert "no model yet" in said
    assert out.count("evenly spaced") == 5
    torch.manual_seed(0)
    plan = Plan(
        architecture="swin-umamba-d-tiny",
        channels=(Channel(name="x", normalization=Normalization(scheme="zscore")),),
        classes=tuple(SegmentationClass(id=n, name=f"c{n}") for n in range(2)),
        patch=(32, 32),
    )
    network = build_network("swin-umamba-d-tiny", 1, 2).eval()
    model = Model(network, plan, "x", ModelInfo(licence="CC0-1.0", description="x"))
    path = model.save(project.folder.parent / "x.safetensors")
    ProjectModels(project.folder).add(path, "none", comparison=Comparison(outcome="first"))
    arguments = (project.folder, "--image", "a", "--count", 2, "--device", "cpu", "--json")
    code, out, _ = run(*arguments)
    found = json.loads(out)
    assert code == 0
    assert (found["model"], found["looked_at"], found["candidates"]) == ("v1", 8, 8)
    rows = found["suggestions"]
    assert [row["image"] for row in rows] == ["a", "a"]
    assert rows[0]["score"] >= rows[1]["score"] > 0
    assert abs(rows[0]["position"][0] - rows[1]["position"][0]) > 1
    assert [4] not in [row["position"] for row in rows]


def test_what_is_wrong_is_one_line(project: Project, tmp_path: Path) -> None:
    code, _, said = run(tmp_path)
    assert code == 2
    assert said.startswith("error: ")
    assert "project.yaml" in said
    code, _, said = run(project.folder, "--image", "c")
    assert code == 2
    assert "no image 'c' (--image); there are: a, b" in said
    for image in project.images:
        for place in range(9):
            project.annotation(image.id).set_complete((place,), True)
    code, _, said = run(project.folder)
    assert code == 2
    assert "nothing of" in said
