"""Segment many files: one after the other, each result whole on disk before the next begins.

The command line and napari both run this. It prints nothing: what happens is told to `on_event`.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np

from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.errors import Cancelled, InputError, is_out_of_memory
from napari_swin_umamba.images import Image, write_labels
from napari_swin_umamba.plan import SegmentationClass
from napari_swin_umamba.segmentation.batch_planning import Batch, Job, check_writable
from napari_swin_umamba.segmentation.batch_report import (
    BatchSummary,
    FileReport,
    FileStarted,
    OnEvent,
    TileDone,
)
from napari_swin_umamba.segmentation.channel_files import read_case
from napari_swin_umamba.segmentation.device import resolve_device
from napari_swin_umamba.segmentation.layout import check_plane
from napari_swin_umamba.segmentation.measurement import measure_labels
from napari_swin_umamba.segmentation.object_rules import ObjectRules
from napari_swin_umamba.segmentation.precision import check_precision
from napari_swin_umamba.segmentation.resampling import check_scaling
from napari_swin_umamba.segmentation.segmenter import segment

__all__ = ["BatchOptions", "run_batch"]

_NO_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Errors of writing that every other file would meet as well."""
_ALMOST_NOTHING = 1 << 20  # bytes

StopRequest = Callable[[], bool]


@dataclass(frozen=True)
class BatchOptions:
    """How the files are segmented: what :func:`~napari_swin_umamba.segment` takes."""

    axes: str | None = None
    """Of the files, one letter for each axis; None to believe them."""
    device: str = "auto"
    mirror: bool = False
    """Average over mirrored versions: slower, a little more accurate."""
    overlap: float | None = None
    """Fraction of a tile that neighbours share at least, from 0 to 0.9. None: the model's."""
    plane: str | None = None
    """Axis along which volumes are cut into slices, Z, Y or X; None to choose."""
    objects: bool | None = None
    """Number objects (True) or give class ids (False); None: as the model was trained."""
    resample: bool | None = None
    """Bring slices to the pixel size of the training images first; None: as the model's plan
    says."""
    object_diameter: float | None = None
    """Of typical objects, in pixels of the files: slices are scaled by it; in place of
    `resample`."""
    object_rules: ObjectRules = ObjectRules()
    """Which objects are left out."""
    channel_axis: str | None = None
    """Letter or number of the axis of the files that holds channels; in place of `axes`."""
    series: str | None = None
    """UID or number of the series, where folders of DICOM files hold several."""
    precision: str = "fp32"
    """What the network computes in, ``"fp32"`` or ``"bf16"``."""

    def check(self, model: Model | None = None) -> None:
        """Say once what would fail for every file.

        Parameters
        ----------
        model
            Which they are for, if it is known yet.

        Raises
        ------
        InputError
            An option is out of range, or the model cannot do it.
        """
        if self.overlap is not None and not 0 <= self.overlap <= 0.9:
            raise InputError(
                f"the overlap must lie between 0 and 0.9, not {self.overlap} (--overlap)"
            )
        letters = self.axes.upper() if self.axes is not None else "YX"
        unique = len(set(letters)) == len(letters)
        if not unique or not {"Y", "X"} <= set(letters) <= set("TCZYX"):
            raise InputError(
                f"axes must be one letter of T, C, Z, Y, X for each axis of the files, not "
                f"'{self.axes}' (--axes)"
            )
        if self.axes is not None and self.channel_axis is not None:
            raise InputError("give either the axes or the channel axis (--axes, --channel-axis)")
        check_plane(self.plane)
        check_precision(self.precision, resolve_device(self.device)[0])
        check_scaling(self.object_diameter, self.resample, model.plan if model else None)
        as_trained = model.plan.numbers_objects if model else None
        self.object_rules.check(as_trained if self.objects is None else self.objects)
        if self.resample and model is not None and model.plan.spacing is None:
            raise InputError(
                f"the model '{model.name}' does not say how large the pixels of its training "
                "images were, so that no image can be brought to that size (--resample)"
            )


class _DiskFull(InputError):
    """No file can be written any more."""


def run_batch(
    batch: Batch,
    model: Model,
    options: BatchOptions | None = None,
    on_event: OnEvent | None = None,
    should_stop: StopRequest | None = None,
) -> BatchSummary:
    """Segment the files of a batch.

    A file that cannot be segmented is reported, and the next one is taken. When the disk is full
    the batch ends: the others would fail as well. Whatever ends it, what was finished stays.

    Parameters
    ----------
    batch
        Of :func:`~napari_swin_umamba.segmentation.batch_planning.plan_batch`.
    model
        Segments all files.
    options
        How; by default as the model was trained.
    on_event
        Called with ``FileStarted``, ``TileDone`` and, for every file that was begun and not
        cancelled, ``FileReport``.
    should_stop
        Asked before every file and every tile; True ends the batch, without an exception.

    Returns
    -------
    BatchSummary
        With one report for each file that was done or failed.

    Raises
    ------
    InputError
        An option is wrong for every file, or the folder cannot be written to. Nothing was begun.
    """
    options = options or BatchOptions()
    options.check(model)
    check_writable(batch)
    emit: OnEvent = on_event or (lambda event: None)
    summary = BatchSummary(len(batch.jobs), ())
    try:
        for index, job in enumerate(batch.jobs):
            if should_stop is not None and should_stop():
                summary = replace(summary, cancelled=True)
                break
            emit(FileStarted(job, index, len(batch.jobs)))
            started, full = perf_counter(), False
            try:
                report = _segment_file(job, batch, model, options, emit, should_stop)
            except Cancelled:
                summary = replace(summary, cancelled=True)
                break
            except (InputError, MemoryError, RuntimeError) as error:
                full = isinstance(error, _DiskFull)
                message = _message(job.input, error)
                if full and index + 1 < len(batch.jobs):
                    rest = len(batch.jobs) - index
                    message += f"; {rest} of {len(batch.jobs)} images were not segmented"
                report = FileReport(job.input, job.output, 0, message)
            report = replace(report, seconds=perf_counter() - started)
            summary = replace(summary, reports=(*summary.reports, report))
            emit(report)
            if full:
                break
    finally:  # also after Ctrl-C: hours of work may be in that table
        summary = _write_table(summary, batch)
    return summary


def _segment_file(
    job: Job,
    batch: Batch,
    model: Model,
    options: BatchOptions,
    emit: OnEvent,
    should_stop: StopRequest | None,
) -> FileReport:
    image = read_case(job.files, options.axes, options.channel_axis, options.series)
    try:
        result = segment(
            image,
            model,
            None if job.channels else options.axes,
            device=options.device,
            mirror=options.mirror,
            overlap=options.overlap,
            on_progress=lambda done, total: emit(TileDone(job, done, total)),
            should_stop=should_stop,
            plane=options.plane,
            objects=options.objects,
            resample=options.resample,
            object_diameter=options.object_diameter,
            object_rules=options.object_rules,
            precision=options.precision,
        )
    except InputError as error:
        if not image.notes:
            raise
        raise InputError(f"{error} ({'; '.join(image.notes)})") from error
    measurements = measure_labels(
        result.labels,
        pixel_size=image.pixel_size,
        unit=image.unit,
        classes=result.classes,
        instances=result.instances,
        axes=image.axes.replace("C", ""),
    )
    classes = () if result.instances else result.classes
    _write(job.output, result.labels, image, batch.overwrite, classes)
    flicker = result.flicker
    return FileReport(
        job.input,
        job.output,
        seconds=0,
        shape=result.labels.shape,
        notes=result.notes,
        measurements=measurements,
        flicker=None if flicker is None else flicker.share,
    )


def _write(
    path: Path,
    labels: np.ndarray,
    image: Image,
    overwrite: bool,
    classes: tuple[SegmentationClass, ...],
) -> None:
    try:
        write_labels(path, labels, image, overwrite, classes)
    except InputError as error:
        cause = error.__cause__
        if not isinstance(cause, OSError):
            raise
        # SimpleITK says that it could not write, but not why.
        full = cause.errno is None and shutil.disk_usage(path.parent).free < _ALMOST_NOTHING
        if full or cause.errno in _NO_DISK:
            raise _DiskFull(str(error)) from error
        raise


def _message(file: Path, error: Exception) -> str:
    """Say what is wrong with a file; raise the error again if it is nobody's fault but ours."""
    if isinstance(error, InputError):
        return str(error) if str(file) in str(error) else f"{file}: {error}"
    if is_out_of_memory(error):
        return f"{file} takes more memory to segment than there is; close other programs"
    raise error


def _write_table(summary: BatchSummary, batch: Batch) -> BatchSummary:
    if batch.measurements is None or not summary.done:
        return summary
    try:
        summary.table.to_csv(batch.measurements, batch.overwrite)
    except InputError as error:
        return replace(summary, problem=str(error))
    return replace(summary, measurements=batch.measurements)
