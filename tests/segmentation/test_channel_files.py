"""nnU-Net's channel files: which files are one case, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_labels
from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass
from napari_swin_umamba.segmentation import BatchOptions, plan_batch, run_batch, segment
from napari_swin_umamba.segmentation.channel_files import read_case

AFFINE = np.diag([-1.0, -1, 3, 1])


def plan_of(channels: int, rgb: bool = False) -> Plan:
    norm = Normalization(scheme="zscore")
    return Plan(
        architecture="swin-umamba-d-tiny",
        channels=tuple(Channel(name=f"T{i + 1}", normalization=norm) for i in range(channels)),
        classes=tuple(SegmentationClass(id=i, name=name) for i, name in enumerate("ab")),
        patch=(32, 32),
        rgb=rgb,
    )


def write(path: Path, shape: tuple[int, ...] = (32, 32, 2), affine: np.ndarray = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(sum(path.name.encode())).integers(0, 255, shape)
    nib.save(nib.Nifti1Image(values.astype(np.int16), affine), path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("liver_0000", "liver_0001", "my_case_0000", "my_case_0001"):
        write(tmp_path / "images" / f"{name}.nii.gz")
    return tmp_path / "images"


def test_channels_in_a_folder_or_one_by_one_are_one_case(folder: Path, tmp_path: Path) -> None:
    (folder / "dataset.json").write_text("{}")
    batch = plan_batch([folder], tmp_path / "out", plan=plan_of(2))
    assert [job.output.name for job in batch.jobs] == ["liver.nii.gz", "my_case.nii.gz"]
    assert [[file.name for file in job.channels] for job in batch.jobs] == [
        ["liver_0000.nii.gz", "liver_0001.nii.gz"],
        ["my_case_0000.nii.gz", "my_case_0001.nii.gz"],
    ]
    files = [folder / "liver_0001.nii.gz", folder / "liver_0000.nii.gz"]
    (job,) = plan_batch(files, tmp_path / "out.nii", plan=plan_of(2)).jobs
    assert [file.name for file in job.files] == ["liver_0000.nii.gz", "liver_0001.nii.gz"]
    assert job.input == job.files[0]
    assert job.output == tmp_path / "out.nii"


def test_a_missing_channel_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "liver_0001.nii.gz").unlink()
    words = r"liver_0001\.nii\.gz is not among the images: the model takes 2 channels \(T1, T2\)"
    with pytest.raises(InputError, match=words):
        plan_batch([folder], tmp_path / "out", plan=plan_of(2))
    write(folder / "liver_0001.nii.gz")
    write(folder / "liver_0002.nii.gz")
    with pytest.raises(InputError, match=r"liver has 3 channel files, up to liver_0002\.nii\.gz"):
        plan_batch([folder], tmp_path / "out", plan=plan_of(2))


def test_a_model_of_one_channel(tmp_path: Path) -> None:
    one = write(tmp_path / "a_0000.nii.gz")
    frames = [write(tmp_path / f"b_{number:04}.nii.gz") for number in (0, 1)]
    for plan in (plan_of(1), plan_of(3, rgb=True)):
        batch = plan_batch([one, *frames], tmp_path / "out", plan=plan)
        names = [job.output.name for job in batch.jobs]
        assert names == ["a.nii.gz", "b_0000.nii.gz", "b_0001.nii.gz"]
        assert not any(job.channels for job in batch.jobs)
    batch = plan_batch([one], tmp_path / "out")  # no model is known
    assert batch.jobs[0].output.name == "a_0000.nii.gz"


def test_files_that_hold_their_channels_are_no_channel_files(tmp_path: Path) -> None:
    for number in range(3):
        tifffile.imwrite(
            tmp_path / f"frame_{number:04}.tif",
            np.zeros((2, 32, 32), np.uint8),
            imagej=True,
            metadata={"axes": "CYX"},
        )
    batch = plan_batch([tmp_path], tmp_path / "out", plan=plan_of(2))
    assert [job.output.name for job in batch.jobs] == [f"frame_000{i}.tif" for i in range(3)]


@pytest.mark.parametrize(
    ("shape", "affine", "words"),
    [
        ((32, 32, 3), AFFINE, r"\(2, 32, 32\) and ZYX \(3, 32, 32\) are their sizes"),
        ((32, 32, 2), np.diag([-1.0, -1, 4, 1]), "their voxels are"),
        ((32, 32, 2), AFFINE + [[0, 0, 0, 9], *np.zeros((3, 4))], "at different places"),
    ],
)
def test_grids_that_differ(
    folder: Path, shape: tuple[int, ...], affine: np.ndarray, words: str
) -> None:
    write(folder / "liver_0001.nii.gz", shape, affine)
    with pytest.raises(InputError, match=f"not on one grid: .*{words}"):
        read_case([folder / "liver_0000.nii.gz", folder / "liver_0001.nii.gz"])


def test_a_case_is_segmented_as_its_stack(
    folder: Path, tmp_path: Path, make_model: Callable
) -> None:
    model = make_model(channels=2)
    write(folder / "my_case_0001.nii.gz", (32, 32, 5))  # that one fails, the other is done
    batch = plan_batch([folder], tmp_path / "out", plan=model.plan)
    summary = run_batch(batch, model, BatchOptions(device="cpu"))
    assert (summary.done, len(summary.failed)) == (1, 1)
    assert "not on one grid" in str(summary.failed[0].error)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["liver.nii.gz"]
    parts = [nib.load(folder / f"liver_000{i}.nii.gz") for i in (0, 1)]
    stack = np.stack([np.asarray(part.dataobj).T for part in parts])
    labels = segment(stack, model, "CZYX", (3, 1, 1)).labels
    assert np.array_equal(read_labels(tmp_path / "out" / "liver.nii.gz"), labels)
    written = nib.load(tmp_path / "out" / "liver.nii.gz")
    assert np.array_equal(written.affine, parts[0].affine)
