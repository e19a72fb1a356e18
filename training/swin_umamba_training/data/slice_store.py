"""Slices as the network takes them, written once and mapped into memory.

A case becomes two ``.npy`` files in the cache folder: ``(slices, C, Y, X)`` float32, normalised,
and ``(slices, Y, X)`` int32. Their names are hashes of all that decides their content, so another
run on the same data finds them, whatever it is called, and a correction of the labels leaves the
images alone. Reading a patch reads its part of the file; the operating system keeps what is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from napari_swin_umamba.cache import CACHE_VARIABLE, cache_folder
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import atomic_path
from napari_swin_umamba.images import Image
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.segmentation.preprocessing import normalize, select_channels
from napari_swin_umamba.segmentation.resampling import resize_labels, resize_plane
from swin_umamba_training.data.cases import case_layout, read_case_image, read_case_labels
from swin_umamba_training.data.problems import Problem, raise_errors
from swin_umamba_training.data.reports import CaseReport
from swin_umamba_training.data.samples import Sample
from swin_umamba_training.dataset import Dataset
from swin_umamba_training.targets import IGNORE, drop_small_objects

__all__ = ["ImageStore", "OnCase", "store_folder"]

_VERSION = 1  # of what the files hold
_OPEN = 128  # maps kept: each has a file descriptor, of which systems give a process 256 or 1024
_KEPT_SECONDS = 30 * 24 * 3600
"""Files that no run used for this long are removed."""

ImageAndLabels = tuple[NDArray[np.float32], NDArray[np.int32]]
OnCase = Callable[[int, int, str], None]


def store_folder() -> Path:
    """Folder of the slices: ``slices/`` in the cache folder."""
    return cache_folder() / "slices"


class ImageStore(TorchDataset[ImageAndLabels]):
    """Slices of a data set as the network takes them.

    Parameters
    ----------
    samples
        What can be asked for, by position.
    dataset
        Where they come from.
    plan
        How images are prepared.
    folder
        Where the files are; by default :func:`store_folder`.
    ids
        Of each class of the data set, in the plan; by default its position.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        dataset: Dataset,
        plan: Plan,
        folder: Path | None = None,
        ids: Sequence[int] = (),
    ) -> None:
        self.samples = tuple(samples)
        self._dataset = dataset
        self._plan = plan
        self._folder = folder if folder is not None else store_folder()
        positions = () if dataset.instances else range(len(dataset.values))
        self._ids = tuple(ids) or tuple(positions)
        self._maps: OrderedDict[Path, NDArray[np.float32] | NDArray[np.int32]] = OrderedDict()
        self._rows = {
            name: {item.position: row for row, item in enumerate(report.slices)}
            for name, report in dataset.reports.items()
        }
        self._shapes = {sample.case: sample.shape for sample in dataset.samples}
        self._paths: dict[str, tuple[Path, Path]] = {}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> ImageAndLabels:
        """Image ``(C, Y, X)`` float32, and labels ``(Y, X)`` int32: classes or object numbers.

        Both are mapped from a file, and read-only. Unknown pixels are :data:`targets.IGNORE`.
        """
        sample = self.samples[index]
        images, labels = self._files(sample.case)
        row = self._rows[sample.case][sample.position]
        return self._mapped(images)[row], self._mapped(labels)[row]

    def only(self, index: int) -> ImageStore:
        """A store of one of the images.

        Parameters
        ----------
        index
            Its position.
        """
        return self.part([self.samples[index]])

    def part(self, samples: Sequence[Sample]) -> ImageStore:
        """A store of other samples of the same data set.

        Parameters
        ----------
        samples
            What can be asked for, by position.
        """
        return ImageStore(samples, self._dataset, self._plan, self._folder, self._ids)

    def prepare(self, on_case: OnCase | None = None) -> None:
        """Write what is not there yet, so that training need not wait for it later.

        Parameters
        ----------
        on_case
            Told before each case that has to be written: how many are done, how many there are,
            its name.

        Raises
        ------
        InputError
            There is no room for the files, or the folder cannot be written.
        """
        _remove_unused(self._folder)
        names = list(dict.fromkeys(sample.case for sample in self.samples))
        lacking = [name for name in names if not self._there(name)]
        self._check_room(lacking)
        for index, name in enumerate(lacking):
            if on_case is not None:
                on_case(index, len(lacking), name)
            self._write(name)

    def __getstate__(self) -> dict[str, object]:
        """Without the maps: another process opens its own."""
        return {**self.__dict__, "_maps": OrderedDict()}

    def _files(self, name: str) -> tuple[Path, Path]:
        if not self._there(name):
            self._write(name)
        return self._named(name)

    def _there(self, name: str) -> bool:
        return all(path in self._maps or path.exists() for path in self._named(name))

    def _named(self, name: str) -> tuple[Path, Path]:
        """Paths of a case's images and labels: hashes of what decides their content."""
        if name not in self._paths:
            report = self._dataset.reports[name]
            grid = [_VERSION, report.slice_axis, self._shapes[name]]
            plan, rule = self._plan, self._dataset.rule
            channels = [item.normalization.model_dump() for item in plan.channels]
            images = _key("images", report.image_hash, grid, channels, plan.rgb)
            smallest = plan.min_object_pixels if self._dataset.instances else 0
            meaning = [rule.values, rule.background, rule.unknown, smallest, self._ids]
            labels = _key("labels", report.label_hash, report.shape, grid, meaning)
            self._paths[name] = self._folder / images, self._folder / labels
        return self._paths[name]

    def _mapped(self, path: Path) -> NDArray:
        if path in self._maps:
            self._maps.move_to_end(path)
            return self._maps[path]
        try:
            mapped = np.load(path, mmap_mode="r")
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{path} cannot be read ({reason}); delete it, it will be made again"
            ) from error
        with suppress(OSError):
            os.utime(path)  # it is in use: see _remove_unused
        self._maps[path] = mapped
        if len(self._maps) > _OPEN:
            self._maps.popitem(last=False)
        return mapped

    def _check_room(self, names: Sequence[str]) -> None:
        """Say before any work that the disk is too small."""
        needed = 0
        for name in names:
            height, width = self._shapes[name]
            slices = len(self._dataset.reports[name].slices)
            needed += slices * height * width * 4 * (self._plan.in_channels + 1)
        if not needed:
            return
        above = next(p for p in (self._folder, *self._folder.parents) if p.exists())
        try:
            free = shutil.disk_usage(above).free
        except OSError:
            return
        if needed > free:
            raise InputError(
                f"slices of the data set need {needed / 1e9:.1f} GB in {self._folder}, "
                f"{free / 1e9:.1f} GB are free; make room, or name another folder by the "
                f"environment variable {CACHE_VARIABLE}"
            )

    def _write(self, name: str) -> None:
        report = self._dataset.reports[name]
        images, labels = self._named(name)
        problems: list[Problem] = []
        image = read_case_image(report.case, problems)
        raise_errors(problems)
        assert image is not None
        shape = self._shapes[name]
        if not images.exists():
            planes = self._planes(report, image, shape)
            size = (len(report.slices), self._plan.in_channels, *shape)
            _save_rows(images, planes, size, np.dtype(np.float32))
        if not labels.exists():
            stored = read_case_labels(report.case, image, problems)
            raise_errors(problems)
            assert stored is not None
            rows = self._targets(report, image, stored, shape)
            _save_rows(labels, rows, (len(report.slices), *shape), np.dtype(np.int32))

    def _planes(
        self, report: CaseReport, image: Image, shape: tuple[int, int]
    ) -> Iterator[NDArray[np.float32]]:
        layout, _ = case_layout(image, report.slice_axis)
        for item in report.slices:
            plane = layout.extract(image.array, item.position)
            channels, _ = select_channels(plane, layout.axes, self._plan)
            yield resize_plane(normalize(channels, self._plan), shape, order=3)

    def _targets(
        self, report: CaseReport, image: Image, stored: NDArray, shape: tuple[int, int]
    ) -> Iterator[NDArray[np.int32]]:
        layout, _ = case_layout(image, report.slice_axis)
        ids = np.asarray(self._ids, np.int32)
        for item in report.slices:
            labels = self._dataset.rule.apply(stored[layout.target(item.position)])
            if self._dataset.instances:
                labels = drop_small_objects(labels, self._plan.min_object_pixels)
            else:
                labels = np.where(labels == IGNORE, IGNORE, ids[labels])
            yield resize_labels(labels, shape)


def _key(kind: str, *parts: object) -> Path:
    digest = hashlib.sha256(json.dumps([kind, *parts]).encode()).hexdigest()
    return Path(digest[:2]) / f"{kind}-{digest[2:34]}.npy"


def _save_rows(
    path: Path, rows: Iterator[NDArray], shape: tuple[int, ...], dtype: np.dtype
) -> None:
    """Write a ``.npy`` file row by row, whole or not at all.

    Not through a map: where the disk is full, writing into one ends the process by a signal.
    """
    try:
        with atomic_path(path, overwrite=True) as temporary, temporary.open("wb") as file:
            header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for row in rows:
                file.write(np.ascontiguousarray(row, dtype).data)
    except InputError as error:
        if "cannot write" not in str(error):
            raise
        raise InputError(
            f"{error} (slices of the data set go there; the environment variable {CACHE_VARIABLE} "
            "names another folder)"
        ) from error


def _remove_unused(folder: Path) -> None:
    """Remove files that no run used for a month, and what killed runs left."""
    limit = time.time() - _KEPT_SECONDS
    with suppress(OSError):
        for path in folder.glob("*/*.npy"):
            with suppress(OSError):
                if path.stat().st_mtime < limit:
                    path.unlink()
