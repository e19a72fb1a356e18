"""Which files a batch segments and where their labels go, settled before any work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import as_path, check_output
from napari_swin_umamba.images import IMAGE_SUFFIXES, LABEL_SUFFIXES, suffix_of
from napari_swin_umamba.images.magic import is_dicom_file, is_dicom_folder
from napari_swin_umamba.images.ngff import is_labels_place, is_zarr
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.segmentation.channel_files import Case, gather_cases

__all__ = ["MEASUREMENTS_NAME", "Batch", "Job", "check_writable", "image_files", "plan_batch"]

MEASUREMENTS_NAME = "measurements.csv"

_OTHER_SUFFIXES = (
    *(".jpg", ".jpeg", ".jp2", ".gif", ".bmp", ".webp", ".svg", ".pdf", ".npy", ".npz", ".csv"),
    *(".gz", ".h5", ".czi", ".lif", ".nd2", ".dcm"),
)
"""Endings of files that labels are not written to: nobody means a folder by them."""

_LABELS_LIKE = {
    **{suffix: suffix for suffix in (".nii", ".nii.gz", ".nrrd", ".mha")},
    ".mhd": ".mha",  # labels are one file, their data inside
    ".zarr": ".zarr",
}
"""Ending of the labels of an image with this ending, which know as much of the world."""
_LABELS_OF_DICOM = ".nii.gz"  # any grid fits, that of a tilted gantry too
_LABELS_ELSE = ".tif"  # of all other images: any number of labels, and the pixel size


@dataclass(frozen=True)
class Job:
    """One image to segment."""

    input: Path
    output: Path
    """Where its labels go."""
    channels: tuple[Path, ...] = ()
    """All files of the image, one for each channel, if it has several; the first is `input`."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read."""
        return self.channels or (self.input,)


@dataclass(frozen=True)
class Batch:
    """What :func:`plan_batch` settled, for :func:`~napari_swin_umamba.segmentation.run_batch`."""

    jobs: tuple[Job, ...]
    """One at least."""
    measurements: Path | None = None
    """Where a table of all files goes; None: nothing is measured."""
    overwrite: bool = False
    """Whether existing files may be replaced."""

    @property
    def folder(self) -> Path:
        """Where all results go."""
        return self.jobs[0].output.parent


def plan_batch(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    measure: bool = False,
    plan: Plan | None = None,
) -> Batch:
    """Say which files will be segmented and where their labels will be; nothing is written.

    Parameters
    ----------
    inputs
        Images, and folders of them. A folder of DICOM files is one image, as an OME-Zarr is. One
        that is named twice is segmented once.
    output
        A file for labels if it ends like one, or labels in an OME-Zarr image
        (``IMAGE.zarr/labels/NAME``); otherwise a folder, that gets for each image a file of the
        same name: ``.nii.gz`` for ``.nii.gz``, likewise ``.nii``, ``.nrrd``, ``.mha`` and
        ``.zarr``, ``.nii.gz`` for DICOM, and ``.tif`` for all others.
    overwrite
        Whether existing files may be replaced.
    measure
        Whether a table ``measurements.csv`` goes beside the labels.
    plan
        Of the model: channel files are put together as it needs them
        (:func:`~napari_swin_umamba.segmentation.channel_files.gather_cases`).

    Raises
    ------
    InputError
        An input is not there or a folder without images; a channel is missing; an output is an
        input, exists, or belongs to two inputs; or it can be seen that the folder cannot be written
        to.
    """
    cases = gather_cases(_input_files([as_path(path) for path in inputs]), plan)
    output = as_path(output)
    jobs = tuple(
        Job(case.files[0], target, case.files if len(case.files) > 1 else ())
        for case, target in zip(cases, _targets(cases, output), strict=True)
    )
    measurements = jobs[0].output.parent / MEASUREMENTS_NAME if measure else None
    _check_collisions(jobs)
    if not overwrite:
        _check_existing([job.output for job in jobs] + ([measurements] if measurements else []))
    _check_folder(output, jobs[0].output.parent)
    return Batch(jobs, measurements, overwrite)


def image_files(folder: Path) -> list[Path]:
    """List the images in a folder by name.

    Hidden files and what systems and people leave beside images (``Thumbs.db``, notes) are none.

    Parameters
    ----------
    folder
        An OME-Zarr or a DICOM series is itself the image. Folders in it are not looked into, but
        for OME-Zarr, and for DICOM series where there is nothing else.
    """
    if is_zarr(folder):
        return [folder]
    inside = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    images = [path for path in inside if _is_image(path)]
    if images:
        return images
    if is_dicom_folder(folder):
        return [folder]
    return [path for path in inside if path.is_dir() and is_dicom_folder(path)]


def _is_image(path: Path) -> bool:
    if path.is_dir():
        return suffix_of(path) == ".zarr" and is_zarr(path)
    return suffix_of(path) in IMAGE_SUFFIXES


def check_writable(batch: Batch) -> None:
    """Make the folder of the results and write a file there that vanishes again.

    Raises
    ------
    InputError
        That does not work.
    """
    output = batch.jobs[0].output
    if is_labels_place(output):
        folder = output.parent.parent
    elif output.is_dir() and batch.overwrite:
        folder = output.parent
    else:
        folder = check_output(output, batch.overwrite).parent
    try:
        with TemporaryFile(dir=folder) as probe:
            probe.write(b"probe")
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"cannot write to {folder}: {reason}; choose another (--output)"
        ) from error


def _input_files(inputs: Sequence[Path]) -> list[Path]:
    """The images named, and those in the folders named."""
    files: dict[Path, Path] = {}
    for path in inputs:
        try:
            found = image_files(path) if path.is_dir() else [path]
            missing = not path.exists()
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
        if missing:
            raise InputError(f"no such file or folder: {path}")
        if not found:
            raise InputError(f"no images in {path}; known are {', '.join(sorted(IMAGE_SUFFIXES))}")
        for file in found:
            files.setdefault(file.resolve(), file)
    if not files:
        raise InputError("no images were given; name files, or a folder of images")
    return list(files.values())


def _targets(cases: Sequence[Case], output: Path) -> list[Path]:
    """Where the labels of each image go."""
    suffix = suffix_of(output)
    if not _names_labels(output):
        return [output / f"{case.name}{_ending(case.files[0])}" for case in cases]
    if suffix in _OTHER_SUFFIXES:
        raise InputError(
            f"cannot write labels to {output}: the name of a file must end in "
            f"{', '.join(LABEL_SUFFIXES[:-1])} or {LABEL_SUFFIXES[-1]} (--output)"
        )
    if len(cases) > 1:
        raise InputError(f"{len(cases)} images do not go into one file; give a folder (--output)")
    return [output]


def _names_labels(output: Path) -> bool:
    """Whether a path means one file of labels (or a mistaken one) and not a folder for many."""
    if is_labels_place(output):
        return True
    if output.is_dir():
        return suffix_of(output) == ".zarr" and is_zarr(output)
    return suffix_of(output) in (*LABEL_SUFFIXES, *_OTHER_SUFFIXES)


def _ending(file: Path) -> str:
    """Ending of the labels of an image."""
    if suffix_of(file) in _LABELS_LIKE:
        return _LABELS_LIKE[suffix_of(file)]
    return _LABELS_OF_DICOM if file.is_dir() or is_dicom_file(file) else _LABELS_ELSE


def _check_collisions(jobs: Sequence[Job]) -> None:
    writers: dict[str, Path] = {}
    inputs = {file.resolve() for job in jobs for file in job.files}
    for job in jobs:
        # Windows takes names that differ in upper and lower case for one.
        first = writers.setdefault(os.path.normcase(job.output), job.input)
        if first is not job.input:
            raise InputError(
                f"{first} and {job.input} would both be written to {job.output}; segment them "
                "into different folders (--output)"
            )
        if job.output.resolve() in inputs:
            raise InputError(f"{job.output} is the image itself; choose another place (--output)")


def _check_existing(targets: Sequence[Path]) -> None:
    existing = [target for target in targets if target.exists()]
    if not existing:
        return
    others = len(existing) - 1
    more = f" and {others} more exist" if others else " exists"
    raise InputError(
        f"{existing[0]}{more} already; choose another place (--output) or replace what is there "
        "(--overwrite)"
    )


def _check_folder(output: Path, folder: Path) -> None:
    above = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not above.is_dir():
        raise InputError(f"cannot write to {output}: {above} is a file (--output)")
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(
            f"cannot write to {output}: no permission for {above}; choose another (--output)"
        )
