"""Labels in the input's format, for each of them; replaced only if asked; nothing half-written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image as PillowImage

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import read_image, read_labels
from napari_swin_umamba.images.ngff import label_names
from napari_swin_umamba.segmentation import BatchOptions, plan_batch, run_batch, segment

from ..images.dicom_files import write_series
from ..images.test_ome_zarr import write_zarr

VALUES = np.random.default_rng(3).integers(0, 255, (2, 32, 32)).astype(np.int16)


def by_itk(path: Path) -> None:
    image = sitk.GetImageFromArray(VALUES)
    image.SetSpacing((0.5, 0.5, 3))
    sitk.WriteImage(image, str(path))


def by_tifffile(path: Path) -> None:
    tifffile.imwrite(
        path,
        VALUES.astype(np.uint16),
        ome=True,
        photometric="minisblack",
        metadata={
            "axes": "ZYX",
            **{
                f"PhysicalSize{axis}": size
                for axis, size in zip("ZYX", (3, 0.5, 0.25), strict=True)
            },
        },
    )


def dicom(path: Path) -> None:
    image = sitk.GetImageFromArray(VALUES)
    write_series(path, image)


FORMATS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a.nii.gz": (by_itk, "a.nii.gz"),
    "a.nii": (by_itk, "a.nii"),
    "a.nrrd": (by_itk, "a.nrrd"),
    "a.mha": (by_itk, "a.mha"),
    "a.mhd": (by_itk, "a.mha"),
    "a.ome.tif": (by_tifffile, "a.ome.tif"),
    "a.png": (lambda path: PillowImage.fromarray(VALUES[0].astype(np.uint8)).save(path), "a.tif"),
    "a.jpg": (lambda path: PillowImage.fromarray(VALUES[0].astype(np.uint8)).save(path), "a.tif"),
    "a.zarr": (lambda path: write_zarr(path, VALUES, "zyx", scale=(3, 1, 1)), "a.zarr"),
    "v3.zarr": (lambda path: write_zarr(path, VALUES, "zyx", "0.5"), "v3.zarr"),
    "ct.v1": (dicom, "ct.v1.nii.gz"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_labels_of_every_format(tmp_path: Path, make_model: Callable, name: str) -> None:
    write, expected = FORMATS[name]
    write(tmp_path / name)
    model, options = make_model(), BatchOptions(device="cpu")
    out = tmp_path / "out"
    summary = run_batch(plan_batch([tmp_path / name], out), model, options)
    assert not summary.failed, summary.failed[0].error
    assert [file.name for file in out.iterdir()] == [expected]
    image = read_image(tmp_path / name)
    labels = read_labels(out / expected)
    assert np.array_equal(labels, segment(image, model, device="cpu").labels)
    again = read_image(out / expected)
    if image.spacing is not None:
        assert again.spacing == pytest.approx(image.spacing)
        assert again.unit == image.unit
    if image.affine is not None:
        np.testing.assert_allclose(again.affine, image.affine, atol=1e-5)
    with pytest.raises(InputError, match=r"exists already.*--overwrite"):
        plan_batch([tmp_path / name], out)
    other = make_model(output="boundary")
    summary = run_batch(plan_batch([tmp_path / name], out, overwrite=True), other, options)
    assert not summary.failed, summary.failed[0].error
    assert [file.name for file in out.iterdir()] == [expected]
    assert np.array_equal(read_labels(out / expected), segment(image, other, device="cpu").labels)


def test_ome_tiff_keeps_axes_and_physical_sizes(tmp_path: Path, make_model: Callable) -> None:
    by_tifffile(tmp_path / "a.ome.tif")
    batch = plan_batch([tmp_path / "a.ome.tif"], tmp_path / "out")
    assert run_batch(batch, make_model(), BatchOptions(device="cpu")).done == 1
    with tifffile.TiffFile(tmp_path / "out" / "a.ome.tif") as tif:
        assert tif.is_ome
        assert tif.series[0].axes == "ZYX"
        pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
        sizes = [pixels[f"PhysicalSize{axis}"] for axis in "ZYX"]
        assert sizes == [3, 0.5, 0.25]
        assert {pixels[f"PhysicalSize{axis}Unit"] for axis in "ZYX"} == {"µm"}


def test_into_the_labels_of_an_ome_zarr(tmp_path: Path, make_model: Callable) -> None:
    path = write_zarr(tmp_path / "a.zarr", VALUES, "zyx")
    model, options = make_model(), BatchOptions(device="cpu")
    target = path / "labels" / "nuclei"
    assert run_batch(plan_batch([path], target), model, options).done == 1
    assert label_names(path) == ("nuclei",)
    assert np.array_equal(read_labels(target), segment(VALUES, model, "ZYX", device="cpu").labels)
    with pytest.raises(InputError, match="exists already"):
        plan_batch([path], target)
    assert run_batch(plan_batch([path], target, overwrite=True), model, options).done == 1
    assert label_names(path) == ("nuclei",)
    with pytest.raises(InputError, match="is the image itself"):
        plan_batch([path], path, overwrite=True)
    with pytest.raises(InputError, match="do not go into one file"):
        write_zarr(tmp_path / "b.zarr", VALUES, "zyx")
        plan_batch([path, tmp_path / "b.zarr"], path / "labels" / "x")


def test_folders_that_are_images_and_folders_of_them(tmp_path: Path) -> None:
    write_zarr(tmp_path / "cells" / "a.zarr", VALUES, "zyx")
    write_zarr(tmp_path / "cells" / "b.ome.zarr", VALUES, "zyx")
    (tmp_path / "cells" / "c.zarr").mkdir()  # holds nothing
    batch = plan_batch([tmp_path / "cells"], tmp_path / "out")
    assert [job.output.name for job in batch.jobs] == ["a.zarr", "b.ome.zarr"]
    for name in ("patient1", "patient2"):
        dicom(tmp_path / "scans" / name)
    batch = plan_batch([tmp_path / "scans"], tmp_path / "out")
    assert [job.output.name for job in batch.jobs] == ["patient1.nii.gz", "patient2.nii.gz"]
    batch = plan_batch([tmp_path / "scans" / "patient1"], tmp_path / "x.seg.nrrd")
    assert [job.output.name for job in batch.jobs] == ["x.seg.nrrd"]


def test_a_damaged_chunk_fails_its_image_alone(tmp_path: Path, make_model: Callable) -> None:
    folder = tmp_path / "cells"
    for name in "ab":
        write_zarr(folder / f"{name}.zarr", VALUES, "zyx")
    chunk = folder / "a.zarr" / "s0" / "1.0.0"
    chunk = chunk if chunk.is_file() else next((folder / "a.zarr" / "s0").glob("0.0.*"))
    chunk.write_bytes(chunk.read_bytes()[:20])
    summary = run_batch(
        plan_batch([folder], tmp_path / "out"), make_model(), BatchOptions(device="cpu")
    )
    assert (summary.done, len(summary.failed)) == (1, 1)
    assert "cut off or damaged" in str(summary.failed[0].error)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["b.zarr"]
