"""Whole files of every format that is read: what the damaged ones are made from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
import tifffile
import torch
import zarr
from PIL import Image as PillowImage

import napari_swin_umamba

from ..images.dicom_files import execute

__all__ = ["SOURCES", "write_source"]

_MODEL = Path(napari_swin_umamba.__file__).parent / "models" / "nuclei.safetensors"


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).integers(1, 4000, shape).astype(np.uint16)


def _tiff(**options: object) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, _noise(3, 40, 50), **options)


def _itk(compressed: bool) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        image = sitk.GetImageFromArray(_noise(6, 30, 40))
        sitk.WriteImage(image, str(path), useCompression=compressed)

    return write


def _dicom_folder(folder: Path) -> None:
    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    for number in range(3):
        image = sitk.GetImageFromArray(_noise(20, 30))
        tags = {"0008|0060": "MR", "0020|000e": "1.2.3", "0020|0032": f"0\\0\\{2 * number}"}
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{number}.dcm"))
        execute(writer, image)


def _zarr(version: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        group = zarr.open_group(str(path), mode="w", zarr_format=version)
        array = group.create_array("0", shape=(3, 40, 50), chunks=(1, 40, 50), dtype="uint16")
        array[...] = _noise(3, 40, 50)
        scale = {"type": "scale", "scale": [3, 1, 1]}
        entry = {
            "axes": [{"name": axis, "type": "space"} for axis in "zyx"],
            "datasets": [{"path": "0", "coordinateTransformations": [scale]}],
        }
        if version == 3:
            group.attrs["ome"] = {"version": "0.5", "multiscales": [entry]}
        else:
            group.attrs["multiscales"] = [{"version": "0.4", **entry}]

    return write


def _checkpoint(path: Path) -> None:
    """As nnU-Net writes it, but for the weights, which are not those of any network."""
    init = {"plans": {}, "configuration": "2d", "fold": 0, "dataset_json": {}}
    torch.save(
        {
            "network_weights": {"stem.weight": torch.zeros(48, 3, 7, 7)},
            "trainer_name": "nnUNetTrainerSwinUMamba",
            "init_args": init,
            "inference_allowed_mirroring_axes": (0, 1),
        },
        path,
    )


def _nnunet_folder(folder: Path) -> None:
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps({"configurations": {}}))
    (folder / "dataset.json").write_text(json.dumps({"channel_names": {"0": "MR"}, "labels": {}}))
    _checkpoint(folder / "fold_0" / "checkpoint_final.pth")


def _nifti(path: Path) -> None:
    image = nib.Nifti1Image(_noise(30, 40, 6).astype(np.int16), np.diag([1, 1, 3, 1]))
    nib.save(image, path)


SOURCES: dict[str, Callable[[Path], None]] = {
    "png.png": lambda path: PillowImage.fromarray(_noise(40, 50).astype(np.uint8)).save(path),
    "jpeg.jpg": lambda path: PillowImage.fromarray(_noise(40, 50).astype(np.uint8)).save(path),
    "plain.tif": _tiff(photometric="minisblack", metadata={"axes": "ZYX"}),
    "deflated.tif": _tiff(photometric="minisblack", compression="zlib", metadata={"axes": "ZYX"}),
    "ome.ome.tif": _tiff(photometric="minisblack", ome=True, metadata={"axes": "ZYX"}),
    "imagej.tif": _tiff(imagej=True, metadata={"axes": "ZYX"}),
    "nifti.nii": _nifti,
    "nifti.nii.gz": _nifti,
    "raw.nrrd": _itk(compressed=False),
    "packed.nrrd": _itk(compressed=True),
    "raw.mha": _itk(compressed=False),
    "packed.mha": _itk(compressed=True),
    "two.mhd": _itk(compressed=False),
    "slices": _dicom_folder,
    "frames.dcm": _itk(compressed=False),
    "two.zarr": _zarr(2),
    "three.zarr": _zarr(3),
    "ours.safetensors": lambda path: path.write_bytes(_MODEL.read_bytes()) and None,
    "nnunet.pth": _checkpoint,
    "nnunet": _nnunet_folder,
}
"""Name of a file or folder -> what writes it."""


def write_source(name: str, folder: Path) -> Path:
    """Write one of :data:`SOURCES` into a folder; return the path."""
    path = folder / name
    SOURCES[name](path)
    return path
