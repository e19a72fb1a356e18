"""Label maps are recognised, and no picture is taken for one."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from napari_swin_umamba.images import read_image, stem_of, suffix_of, write_labels
from napari_swin_umamba.images.label_rule import MOST_LABELS, is_label_map

FEW = np.arange(60).reshape(3, 4, 5) % 3


@pytest.mark.parametrize(
    "name",
    ["labelsTr/case_001.nii.gz", "masks/a.nrrd", "brain_mask.nii", "ct-seg.mha", "x_label_2.nii"]
    + ["case.aseg.nii.gz", "Segmentation.nrrd", "a_LABELS.nii", "seg1.nii", "x.seg.nrrd"],
)
def test_names_of_label_maps(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    write_labels(path, FEW)
    assert is_label_map(read_image(path))


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_the_name_alone_is_not_enough(tmp_path: Path, dtype: str) -> None:
    for name, array, expected in (
        ("labels", FEW, True),
        ("labels", FEW - 1, dtype == "u1"),  # uint8 wraps to 255
        ("labels", np.arange(MOST_LABELS * 2).reshape(2, -1, 2), False),
        ("labels", FEW + 0.5, dtype != "f4"),  # stored as whole numbers
        ("t1_masked", FEW, False),
        ("t1", FEW, False),
    ):
        path = tmp_path / f"{name}.nii"
        with np.errstate(invalid="ignore"):
            nib.save(
                nib.Nifti1Image(
                    array.astype(np.int64).astype(dtype) if dtype != "f4" else array.astype(dtype),
                    np.eye(4),
                ),
                path,
            )
        assert is_label_map(read_image(path)) == expected, name


def test_what_the_header_says_needs_no_name(tmp_path: Path) -> None:
    many = np.arange(1000).reshape(10, 10, 10)
    assert is_label_map(read_image(write_labels(tmp_path / "cells.nii.gz", many)))
    for name in ("cells.nrrd", "cells.mha", "cells.mhd"):
        assert is_label_map(read_image(write_labels(tmp_path / name, many)))
    for name, labels in (("plain.nrrd", False), ("plain.mha", False), ("plain.seg.nrrd", True)):
        sitk.WriteImage(sitk.GetImageFromArray(many), str(tmp_path / name))
        assert is_label_map(read_image(tmp_path / name)) == labels


def test_endings() -> None:
    for name, stem, suffix in (
        ("a.nii.gz", "a", ".nii.gz"),
        ("A.b.NII.GZ", "A.b", ".nii.gz"),
        ("a.tar.gz", "a.tar", ".gz"),
        ("a.seg.nrrd", "a.seg", ".nrrd"),
        ("a", "a", ""),
    ):
        assert (stem_of(Path(name)), suffix_of(Path(name))) == (stem, suffix)
