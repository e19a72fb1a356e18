"""DICOM files for the tests, written with SimpleITK by the words of the standard."""

from __future__ import annotations

import locale
from pathlib import Path

import numpy as np
import SimpleITK as sitk

CT = "1.2.840.10008.5.1.4.1.1.2"


def execute(writer: sitk.ImageFileWriter, image: sitk.Image) -> None:
    """Write, and undo what GDCM does to the locale: it leaves that of C, where text is ASCII."""
    before = locale.setlocale(locale.LC_ALL)
    try:
        writer.Execute(image)
    finally:
        locale.setlocale(locale.LC_ALL, before)


def write_series(
    folder: Path,
    image: sitk.Image,
    uid: str = "1.2.3.4",
    description: str = "abdomen",
    number: int = 3,
    slices: list[int] | None = None,
    slope: float = 1,
    intercept: float = 0,
    ending: str = ".dcm",
    places: list[tuple[float, ...]] | None = None,
) -> Path:
    """Write a volume of int16 slice by slice, under names that tell nothing about their order.

    ITK stores what, with slope and intercept applied, gives the values of the image back.
    """
    folder.mkdir(parents=True, exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetImageIO("GDCMImageIO")
    direction = np.reshape(image.GetDirection(), (3, 3))
    count = image.GetDepth()
    for index in slices if slices is not None else range(count):
        one = image[:, :, index]
        place = places[index] if places else image.TransformIndexToPhysicalPoint((0, 0, index))
        tags = {
            "0008|0016": CT,
            "0008|0018": f"{uid}.{index + 1}",
            "0008|0060": "CT",
            "0008|103e": description,
            "0020|000d": "1.2.3",
            "0020|000e": uid,
            "0020|0011": str(number),
            "0020|0013": str(index + 1),
            "0020|0032": "\\".join(f"{value:.10g}" for value in place),
            "0020|0037": "\\".join(f"{value:.10g}" for value in direction[:, :2].T.ravel()),
            "0028|1052": str(intercept),
            "0028|1053": str(slope),
        }
        for tag, value in tags.items():
            one.SetMetaData(tag, value)
        # The names run against the slices.
        writer.SetFileName(str(folder / f"IM{uid[-1]}{(index * 7) % 11:02}{index}{ending}"))
        execute(writer, one)
    return folder
