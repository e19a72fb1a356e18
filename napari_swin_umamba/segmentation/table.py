"""A table of measurements: what it says, as a file, for the clipboard, and in one line."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Literal

from napari_swin_umamba.files import atomic_path

__all__ = ["Cell", "Column", "Measurements"]

Cell = str | int | float | None
"""None: not known, or not defined."""

_PLURALS = {"nucleus": "nuclei", "mitochondrion": "mitochondria"}


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    """``"class"``, ``"area"``, ``"centroid Y"``."""
    unit: str | None = None
    """``"µm²"``, ``"%"``; None for names and numbers without a unit."""
    kind: Literal["text", "whole", "number"] = "text"
    """Of its cells: str, int or float."""

    @property
    def header(self) -> str:
        """Name with unit: ``"area (µm²)"``."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True, eq=False)
class Measurements:
    """What label images hold: a row for each class, or for each object."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    """One cell for each column."""
    noun: str | None = None
    """What an object is called (``"nucleus"``); None where rows are classes."""

    def column(self, name: str) -> tuple[Cell, ...] | None:
        """Return the cells of the first column of this name, or None if there is none."""
        for index, column in enumerate(self.columns):
            if column.name == name:
                return tuple(row[index] for row in self.rows)
        return None

    def pixels_by_class(self) -> dict[str, int] | None:
        """Return the pixels of each class, of all time points, or None if rows are objects."""
        names, counts = self.column("class"), self.column("pixels") or self.column("voxels")
        if names is None:
            return None
        pixels: dict[str, int] = {}
        for name, count in zip(names, counts or (), strict=True):
            pixels[str(name)] = pixels.get(str(name), 0) + int(count or 0)
        return pixels

    @classmethod
    def of_files(cls, tables: Sequence[tuple[str, Measurements]]) -> Measurements:
        """Put the tables of several images into one that begins with a column ``file``.

        Images may differ in what is known of them: a size in µm² and one in mm² are two columns,
        and a cell is empty where an image has no such column.

        Parameters
        ----------
        tables
            Name of each file, and what was measured in its labels.
        """
        columns: dict[Column, None] = {}
        for _, table in tables:
            columns.update(dict.fromkeys(table.columns))
        rows: list[tuple[Cell, ...]] = []
        for name, table in tables:
            for row in table.rows:
                cells = dict(zip(table.columns, row, strict=True))
                rows.append((name, *(cells.get(column) for column in columns)))
        noun = next((table.noun for _, table in tables), None)
        return cls((Column("file"), *columns), tuple(rows), noun)

    def to_csv(self, path: str | os.PathLike[str], overwrite: bool = False) -> Path:
        """Write a comma-separated file with decimal points, whole or not at all.

        It begins with a byte order mark: without one, Excel takes UTF-8 for the system's old code
        page and shows ``Âµm²``. pandas skips the mark; so does R with
        ``fileEncoding = "UTF-8-BOM"``.

        Parameters
        ----------
        path
            The file. Missing folders are made.
        overwrite
            Whether an existing file may be replaced.

        Raises
        ------
        InputError
            The path exists or cannot be written.
        """
        path = Path(path)
        with (
            atomic_path(path, overwrite) as temporary,
            open(temporary, "w", encoding="utf-8-sig", newline="") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(column.header for column in self.columns)
            writer.writerows([_text(cell) for cell in row] for row in self.rows)
        return path

    def to_text(self) -> str:
        """Tab-separated lines that paste into the cells of a spreadsheet."""
        lines = [[column.header for column in self.columns]]
        lines += [[" ".join(_text(cell).split()) for cell in row] for row in self.rows]
        return "\n".join("\t".join(line) for line in lines)

    def summary(self) -> str:
        """Say the most important in one line; made once.

        Examples
        --------
        ``124 nuclei, median 84.2 µm²``; ``liver 84.2 mm³, spleen 0 mm³``.
        """
        return self._summary

    @cached_property
    def _summary(self) -> str:
        unit, sizes = self._sizes()
        if self.noun is not None:
            what = self.noun if len(self.rows) == 1 else _plural(self.noun)
            text = f"{len(self.rows):,} {what}"
            return f"{text}, median {_figure(median(sizes))} {unit}" if sizes else text
        if not sizes:
            return ""
        by_class: dict[Cell, list[float]] = {}
        names, ids = self.column("class") or (), self.column("id") or ()
        for name, number, size in zip(names, ids, sizes, strict=True):
            if number != 0:  # how large the background is, nobody asks
                by_class.setdefault(name, []).append(size)
        several = max(map(len, by_class.values()), default=0)
        ending = f" (means of {several})" if several > 1 else ""
        means = {name: sum(values) / len(values) for name, values in by_class.items()}
        return ", ".join(f"{name} {_figure(size)} {unit}" for name, size in means.items()) + ending

    def _sizes(self) -> tuple[str, list[float]]:
        """Unit and values of the one column of sizes that has a cell in every row."""
        for name in ("area", "volume", "pixels", "voxels"):
            for index, column in enumerate(self.columns):
                cells = [row[index] for row in self.rows]
                sizes = [float(cell) for cell in cells if isinstance(cell, int | float)]
                if column.name == name and len(sizes) == len(cells):
                    return column.unit or name, sizes
        return "pixels", []


def _text(cell: Cell) -> str:
    """Write a cell: nine digits, more than any size is known to; no ``84.20000000001``."""
    if cell is None:
        return ""
    return f"{cell:.9g}" if isinstance(cell, float) else str(cell)


def _figure(value: float) -> str:
    """Write a number for people: three digits at least, thousands apart."""
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"


def _plural(noun: str) -> str:
    first, _, last = noun.rpartition(" ")
    ending = "es" if last.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{first} {_PLURALS.get(last, last + ending)}".strip()
