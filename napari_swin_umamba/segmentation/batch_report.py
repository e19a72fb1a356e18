"""What a batch tells while it runs, and at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from napari_swin_umamba.segmentation.batch_planning import Job
from napari_swin_umamba.segmentation.table import Measurements

__all__ = ["BatchEvent", "BatchSummary", "FileReport", "FileStarted", "OnEvent", "TileDone"]


@dataclass(frozen=True)
class FileStarted:
    """A file is about to be read."""

    job: Job
    index: int
    """From 0."""
    total: int
    """Files of the batch."""


@dataclass(frozen=True)
class TileDone:
    """A tile of a file has been predicted."""

    job: Job
    done: int
    total: int
    """Tiles of this file, of all its slices."""


@dataclass(frozen=True, eq=False)
class FileReport:
    """What became of a file."""

    input: Path
    output: Path
    seconds: float
    error: str | None = None
    """Why there is no output; None if there is."""
    shape: tuple[int, ...] = ()
    """Of the labels."""
    notes: tuple[str, ...] = ()
    """What was assumed about the image, for people."""
    measurements: Measurements | None = None
    """What the labels hold; None if it failed."""
    flicker: float | None = None
    """Share of the labelled voxels that blink from slice to slice
    (:func:`~napari_swin_umamba.segmentation.measure_flicker`); None without slices or labels."""

    @property
    def objects(self) -> int | None:
        """Number of objects; None if the labels are class ids."""
        numbers = self.measurements.column("object") if self.measurements else None
        # In a film, an object has a row for each point in time.
        return None if numbers is None else len(set(numbers))

    @property
    def pixels(self) -> dict[str, int] | None:
        """Pixels or voxels of each class; None if the labels number objects."""
        return self.measurements.pixels_by_class() if self.measurements else None

    def as_json(self) -> dict[str, Any]:
        """Return what programs want to know, in types that JSON has."""
        report: dict[str, Any] = {"input": str(self.input), "output": str(self.output)}
        if self.error is not None:
            report["error"] = self.error
        else:
            report |= {"shape": list(self.shape), "notes": list(self.notes)}
            found = {"objects": self.objects, "pixels": self.pixels, "flicker": self.flicker}
            report |= {name: value for name, value in found.items() if value is not None}
        return {**report, "seconds": round(self.seconds, 3)}


BatchEvent = FileStarted | TileDone | FileReport
OnEvent = Callable[[BatchEvent], object]


@dataclass(frozen=True, eq=False)
class BatchSummary:
    """What became of a batch."""

    total: int
    """Files of the batch."""
    reports: tuple[FileReport, ...]
    """Of the files that were done or failed, in order."""
    cancelled: bool = False
    """Whether ``should_stop()`` ended it."""
    measurements: Path | None = None
    """The table that was written."""
    problem: str | None = None
    """Why the table could not be written."""

    @property
    def failed(self) -> tuple[FileReport, ...]:
        """Reports of the files that have no output."""
        return tuple(report for report in self.reports if report.error is not None)

    @property
    def done(self) -> int:
        """Number of files that have an output."""
        return len(self.reports) - len(self.failed)

    @property
    def stopped(self) -> bool:
        """Whether it ended early because nothing could be written; the last report says why."""
        return not self.cancelled and len(self.reports) < self.total

    @cached_property
    def table(self) -> Measurements:
        """What all labels hold, in one table that begins with a column ``file``."""
        return Measurements.of_files(
            [
                (report.input.name, report.measurements)
                for report in self.reports
                if report.measurements is not None
            ]
        )
