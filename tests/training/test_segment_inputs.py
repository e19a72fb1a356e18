"""``swin-umamba segment``: channel files, axes and series that a person has to name."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
import torch
from typer.testing import CliRunner

from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.network import build_network
from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass
from swin_umamba_training.cli import app

from ..images.dicom_files import write_series

NOISE = np.random.default_rng(0).integers(0, 999, (2, 32, 32)).astype(np.int16)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with models of one and of two channels."""
    monkeypatch.chdir(tmp_path)
    for count in (1, 2):
        torch.manual_seed(0)
        norm = Normalization(scheme="zscore")
        plan = Plan(
            architecture="swin-umamba-d-tiny",
            channels=tuple(Channel(name=f"T{i + 1}", normalization=norm) for i in range(count)),
            classes=tuple(SegmentationClass(id=i, name=name) for i, name in enumerate("ab")),
            patch=(32, 32),
        )
        network = build_network(plan.architecture, count, 2).eval()
        Model(network, plan, f"m{count}").save(f"m{count}.safetensors")
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["segment", *arguments])
    return result.exit_code, " ".join(result.output.split())


def test_channel_files(here: Path) -> None:
    names = [f"case_{number:04}.nii.gz" for number in (0, 1)]
    for name in names:
        nib.save(nib.Nifti1Image(NOISE.T, np.diag([-1.0, -1, 3, 1])), name)
    assert run(*names, "-o", "out", "--model", "m2.safetensors")[0] == 0
    assert [file.name for file in (here / "out").iterdir()] == ["case.nii.gz"]
    assert nib.load("out/case.nii.gz").shape == (32, 32, 2)
    code, output = run(names[0], "-o", "other", "--model", "m2.safetensors")
    assert code == 2
    assert "case_0001.nii.gz is not among the images: the model takes 2 channels (T1, T2)" in output
    assert run(names[0], "-o", "one", "--model", "m1.safetensors")[0] == 0
    assert [file.name for file in (here / "one").iterdir()] == ["case.nii.gz"]


def test_the_channel_axis(here: Path) -> None:
    tifffile.imwrite("cells.tif", NOISE.astype(np.uint16), photometric="minisblack")
    code, output = run("cells.tif", "-o", "a.tif", "--model", "m2.safetensors")
    assert code == 1
    assert "the model takes 2 (T1, T2)" in output
    assert "2 pages are taken for planes of a volume" in output
    assert "--axes CYX" in output
    for name in ("0", "Z", "-3"):
        arguments = ("-o", f"{name}.tif", "--model", "m2.safetensors", f"--channel-axis={name}")
        assert run("cells.tif", *arguments)[0] == 0
        assert tifffile.imread(f"{name}.tif").shape == (32, 32)
    code, output = run(
        *("cells.tif", "-o", "b.tif", "--model", "m2.safetensors"),
        *("--axes", "CYX", "--channel-axis", "0"),
    )
    assert code == 2
    assert "give either the axes or the channel axis" in output


def test_a_series_is_chosen(here: Path) -> None:
    write_series(here / "ct", sitk.GetImageFromArray(NOISE), description="arterial")
    late = sitk.GetImageFromArray(np.concatenate([NOISE, NOISE]))
    write_series(here / "ct", late, uid="1.2.3.5", description="venous", number=8)
    arguments = ("ct", "-o", "ct.nii.gz", "--model", "m1.safetensors")
    code, output = run(*arguments)
    assert code == 1
    assert "'arterial', number 3, 2 slices" in output
    assert "(--series)" in output
    assert run(*arguments, "--series", "8")[0] == 0
    assert nib.load("ct.nii.gz").shape == (32, 32, 4)


def test_a_web_address(here: Path) -> None:
    code, output = run("https://a.org/b.zarr", "-o", "c.zarr", "--model", "m1.safetensors")
    assert code == 2
    assert "is a web address" in output
