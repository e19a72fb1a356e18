"""The recipe for 3D Slicer, each step as it is written, with SimpleITK in the place of Slicer.

Slicer reads and writes NRRD with ITK's grid and the fields of its own documentation.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from napari_swin_umamba.checkpoints import Model, load_model
from napari_swin_umamba.images import read_image
from napari_swin_umamba.network import build_network
from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass
from napari_swin_umamba.segmentation import segment
from swin_umamba_training.cli import app

from .images.dicom_files import write_series

RECIPE = Path(__file__).parents[1] / "docs" / "guide" / "slicer.md"
NAMES = ("background", "liver", "left kidney")

pytestmark = pytest.mark.skipif(not RECIPE.is_file(), reason="without the documentation")


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sitk.Image:
    """Step 1: a scan as Slicer exports it, oblique, and the model beside it."""
    values = np.random.default_rng(0).integers(-900, 900, (4, 40, 36)).astype(np.int16)
    scan = sitk.GetImageFromArray(values)
    scan.SetSpacing((0.9, 0.8, 2.5))
    scan.SetOrigin((-120.25, 33.5, 410))
    rotation = Rotation.from_euler("xyz", (8, -5, 12), degrees=True).as_matrix()
    scan.SetDirection(rotation.ravel().tolist())
    sitk.WriteImage(scan, str(tmp_path / "ct.nrrd"), useCompression=True)
    write_series(tmp_path / "ct_dicom", scan)
    torch.manual_seed(0)
    plan = Plan(
        architecture="swin-umamba-d-tiny",
        channels=(Channel(name="CT", normalization=Normalization(scheme="zscore")),),
        classes=tuple(SegmentationClass(id=i, name=name) for i, name in enumerate(NAMES)),
        patch=(64, 64),
    )
    network = build_network(plan.architecture, 1, 3).eval()
    Model(network, plan, "organs").save(tmp_path / "organs.safetensors")
    monkeypatch.chdir(tmp_path)
    return scan


def test_the_recipe(exported: sitk.Image) -> None:
    (block,) = re.findall(
        r"^```sh\n(.*?)^```$", RECIPE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    # Step 2: the commands, word for word.
    for line in block.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "swin-umamba"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        again = CliRunner().invoke(app, arguments)
        assert again.exit_code == 2
        assert "--overwrite" in again.output
    # Step 3: what Slicer loads lies on the scan, voxel for voxel.
    labels = segment(read_image("ct.nrrd"), load_model("organs.safetensors")).labels
    assert len(np.unique(labels)) > 1
    for name, tolerance in (("ct.seg.nrrd", 1e-12), ("ct_dicom.seg.nrrd", 1e-6)):
        loaded = sitk.ReadImage(name)
        assert loaded.GetSize() == exported.GetSize()
        for part in ("Origin", "Spacing", "Direction"):
            ours, theirs = (getattr(one, f"Get{part}")() for one in (loaded, exported))
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance, err_msg=part)
        for number, class_name in enumerate(NAMES[1:]):
            assert loaded.GetMetaData(f"Segment{number}_Name") == class_name
            assert loaded.GetMetaData(f"Segment{number}_LabelValue") == str(number + 1)
            assert len(loaded.GetMetaData(f"Segment{number}_Color").split()) == 3
        assert loaded.GetMetaData("Segmentation_ContainedRepresentationNames") == "Binary labelmap|"
        # The labels are those of the voxel at the same place in the scan.
        array = sitk.GetArrayFromImage(loaded)
        image = read_image("ct.nrrd")
        assert image.affine is not None
        for index in ((0, 0, 0), (35, 39, 3), (10, 20, 2)):
            place = loaded.TransformIndexToPhysicalPoint(index)[::-1]
            ours = np.linalg.solve(image.affine, [*place, 1])[:3].round().astype(int)
            assert array[index[::-1]] == labels[tuple(ours)]
        assert np.array_equal(np.bincount(array.ravel()), np.bincount(labels.ravel()))
