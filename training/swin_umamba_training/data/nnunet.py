"""nnU-Net raw folders: ``dataset.json``, ``imagesTr/CASE_0000.nii.gz``, ``labelsTr/CASE.nii.gz``.

Format: ``documentation/dataset_format.md`` and ``ignore_label.md`` of nnU-Net v2. Also taken: the
``dataset`` field with explicit paths, and the label table of Decathlon files (``{"0": "name"}``,
``modality``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_swin_umamba.errors import shown
from swin_umamba_training.data.problems import Problem, listed_files
from swin_umamba_training.data.source import Case, ClassSpec, Source

__all__ = ["nnunet_source"]

_IGNORE = "ignore"


def nnunet_source(path: Path) -> Source:
    """Read what ``dataset.json`` declares, and look which files there are.

    Parameters
    ----------
    path
        The folder that holds ``dataset.json``.
    """
    file = path / "dataset.json"
    description, problem = _read(file)
    if problem is not None:
        return Source(path, "nnunet", problems=(problem,))
    reader = _Description(file, description)
    classes, unknown = reader.classes()
    channels = reader.channels()
    cases = reader.cases(path, len(channels)) if channels else ()
    return Source(
        path,
        "nnunet",
        cases,
        classes,
        instances=False,
        unknown=unknown,
        channel_names=channels,
        problems=tuple(reader.problems),
    )


def _read(file: Path) -> tuple[dict[str, Any], Problem | None]:
    try:
        description = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        message = f"{file} is missing: it declares channels and labels of a nnU-Net data set"
        return {}, Problem("dataset-json", message, (str(file),))
    except (OSError, ValueError, RecursionError) as error:
        message = f"{file} is not JSON: {' '.join(str(error).split())}"
        return {}, Problem("dataset-json", message, (str(file),))
    if not isinstance(description, dict):
        message = f"{file} does not describe a data set: {shown(description)}"
        return {}, Problem("dataset-json", message, (str(file),))
    return description, None


class _Description:
    """Reads the fields of a ``dataset.json``, gathering what is wrong."""

    def __init__(self, file: Path, fields: Mapping[str, Any]) -> None:
        self.file = file
        self.fields = fields
        self.problems: list[Problem] = []

    def _complain(self, code: str, message: str) -> None:
        self.problems.append(Problem(code, f"{self.file}: {message}", (str(self.file),)))

    def channels(self) -> tuple[str, ...]:
        """Names of the channels by number; empty after a complaint."""
        table = self.fields.get("channel_names", self.fields.get("modality"))
        if not isinstance(table, dict) or not table:
            self._complain(
                "dataset-json",
                f'channel_names must be a table such as {{"0": "MR"}}, not {shown(table)}',
            )
            return ()
        numbers = [str(index) for index in range(len(table))]
        if sorted(table) != sorted(numbers):
            self._complain(
                "dataset-json",
                f"channel_names must be numbered 0…{len(table) - 1}, not {', '.join(table)}",
            )
            return ()
        names = [str(table[number]) for number in numbers]
        if len(set(names)) < len(names):
            names = [f"{name} {number}" for number, name in zip(numbers, names, strict=True)]
        return tuple(names)

    def classes(self) -> tuple[tuple[ClassSpec, ...] | None, int | None]:
        """Classes in the order of their values, and the value of unlabelled pixels."""
        table = self.fields.get("labels")
        if not isinstance(table, dict) or not table:
            message = f"labels must be a table of names and values, not {shown(table)}"
            self._complain("dataset-json", message)
            return None, None
        if all(str(key).isdigit() for key in table):  # Decathlon's own files
            table = {str(name): int(value) for value, name in table.items()}
        regions = [name for name, value in table.items() if isinstance(value, list | tuple)]
        if regions:
            self._complain(
                "regions",
                f"labels {', '.join(regions)} are regions (several values each), which cannot be "
                "trained; give each class one value",
            )
            return None, None
        wrong = [
            name
            for name, value in table.items()
            if not isinstance(value, int) or isinstance(value, bool) or value < 0
        ]
        if wrong:
            values = ", ".join(f"{name}: {shown(table[name])}" for name in wrong)
            self._complain("dataset-json", f"labels must be whole numbers from 0, not {values}")
            return None, None
        unknown = table.get(_IGNORE)
        named = sorted((value, name) for name, value in table.items() if name != _IGNORE)
        numbers: list[int] = [value for value, _ in named]
        if unknown is not None and numbers and unknown <= numbers[-1]:
            self._complain(
                "ignore-label",
                f"the label 'ignore' must have the highest value, not {unknown} of {numbers[-1]}",
            )
        if numbers != list(range(len(numbers))) or len(numbers) < 2:
            self._complain(
                "labels-not-consecutive",
                "labels must be 0 (background), 1, 2, … without gaps, each once, and at least one "
                f"beside the background; these are {', '.join(map(str, numbers))}",
            )
        return tuple(ClassSpec(value, name) for value, name in named), unknown

    def cases(self, path: Path, channels: int) -> tuple[Case, ...]:
        """Cases of which all files are there."""
        explicit = self.fields.get("dataset")
        if isinstance(explicit, dict) and explicit:
            return self._explicit_cases(path, explicit)
        ending = self.fields.get("file_ending")
        if not isinstance(ending, str) or not ending.startswith("."):
            self._complain(
                "dataset-json", f'file_ending must be one such as ".nii.gz", not {shown(ending)}'
            )
            return ()
        lacking = [part for part in ("imagesTr", "labelsTr") if not (path / part).is_dir()]
        for part in lacking:
            message = f"the data set {path} has no folder {part}/"
            self.problems.append(Problem("no-folder", message, (str(path / part),)))
        if lacking:
            return ()
        images = self._channel_files(path / "imagesTr", ending)
        labels = self._labels(path / "labelsTr", ending)
        self._unpaired(path, images, labels, ending)
        return self._complete_cases(images, labels, channels, ending)

    def _channel_files(self, folder: Path, ending: str) -> dict[str, dict[int, Path]]:
        found: dict[str, dict[int, Path]] = {}
        strays = []
        for file in _files(folder):
            stem = file.name.removesuffix(ending)
            name, underscore, number = stem.rpartition("_")
            if not file.name.endswith(ending) or not underscore or not _is_channel(number):
                strays.append(file)
            else:
                found.setdefault(name, {})[int(number)] = file
        if strays:
            self.problems.append(
                Problem(
                    "name-not-understood",
                    f"{folder}: names must be CASE_0000{ending} (_0001 for the next channel); not "
                    f"so: {listed_files(strays)}",
                    tuple(map(str, strays)),
                )
            )
        return found

    def _labels(self, folder: Path, ending: str) -> dict[str, Path]:
        files = list(_files(folder))
        strays = [file for file in files if not file.name.endswith(ending)]
        if strays:
            self.problems.append(
                Problem(
                    "name-not-understood",
                    f"{folder}: names must end in {ending}, as dataset.json says; not so: "
                    f"{listed_files(strays)}",
                    tuple(map(str, strays)),
                )
            )
        return {
            file.name.removesuffix(ending): file for file in files if file.name.endswith(ending)
        }

    def _unpaired(
        self,
        path: Path,
        images: Mapping[str, Mapping[int, Path]],
        labels: Mapping[str, Path],
        ending: str,
    ) -> None:
        for name in sorted(labels.keys() - images.keys()):
            message = f"{labels[name]} has no image {name}_0000{ending} in {path / 'imagesTr'}"
            self.problems.append(Problem("missing-image", message, (str(labels[name]),)))
        for name in sorted(images.keys() - labels.keys()):
            files = [images[name][number] for number in sorted(images[name])]
            message = f"{files[0]} has no labels {name}{ending} in {path / 'labelsTr'}"
            self.problems.append(Problem("missing-mask", message, tuple(map(str, files))))
        if not images and not labels:
            message = f"the data set {path} holds no case: imagesTr/ and labelsTr/ are empty"
            self.problems.append(Problem("no-masks", message, (str(path),)))

    def _complete_cases(
        self,
        images: Mapping[str, Mapping[int, Path]],
        labels: Mapping[str, Path],
        channels: int,
        ending: str,
    ) -> tuple[Case, ...]:
        cases = []
        for name in sorted(images.keys() & labels.keys()):
            files = images[name]
            # A colour picture holds its three channels in one file.
            whole = set(files) == {0} and channels in (3, 4) and ending in _COLOUR_ENDINGS
            for number in sorted(set(range(channels)) - files.keys() if not whole else ()):
                message = (
                    f"{name}_{number:04d}{ending} is missing: the case {name} lacks channel "
                    f"{number} of {channels}"
                )
                self.problems.append(Problem("missing-channel", message, (str(labels[name]),)))
            for number in sorted(number for number in files if number >= channels):
                message = (
                    f"{files[number]} is channel {number}, but dataset.json declares {channels} "
                    "(0 is the first); remove it or declare it"
                )
                self.problems.append(Problem("extra-channel", message, (str(files[number]),)))
            if whole or set(files) == set(range(channels)):
                ordered = tuple(files[number] for number in sorted(files))
                cases.append(Case(name, ordered, labels[name]))
        return tuple(cases)

    def _explicit_cases(self, path: Path, table: Mapping[str, Any]) -> tuple[Case, ...]:
        cases = []
        for name, entry in table.items():
            images = entry.get("images") if isinstance(entry, dict) else None
            label = entry.get("label") if isinstance(entry, dict) else None
            if not isinstance(images, list) or not images or not isinstance(label, str):
                self._complain(
                    "dataset-json", f"dataset.{name} must have images (a list) and label"
                )
                continue
            files = tuple(path / str(image) for image in images)
            lacking = [file for file in (*files, path / label) if not file.is_file()]
            for file in lacking:
                message = f"{file} is missing; dataset.json names it for the case {name}"
                self.problems.append(Problem("missing-image", message, (str(file),)))
            if not lacking:
                cases.append(Case(str(name), files, path / label))
        return tuple(cases)


_COLOUR_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


def _is_channel(number: str) -> bool:
    return len(number) == 4 and number.isascii() and number.isdigit()


def _files(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted(folder.iterdir())
        if not file.name.startswith(".") and file.is_file() and file.suffix != ".json"
    ]
