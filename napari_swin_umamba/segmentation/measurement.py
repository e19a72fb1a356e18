"""Measure what labels hold: the sizes of classes, or of every object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import pi, prod
from typing import Protocol

import numpy as np

from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.images.units import known_spacing, unit_name
from napari_swin_umamba.plan import SegmentationClass
from napari_swin_umamba.segmentation.runs import PieceCounter, runs_by_slab
from napari_swin_umamba.segmentation.table import Cell, Column, Measurements

__all__ = ["measure_labels"]

_SYMBOLS = {
    "nanometer": "nm",
    "micrometer": "µm",
    "millimeter": "mm",
    "centimeter": "cm",
    "inch": "in",
    "meter": "m",
}
_DEFAULT_AXES = {2: "YX", 3: "ZYX", 4: "TZYX"}


def measure_labels(
    labels: np.ndarray,
    *,
    spacing: Sequence[float] | None = None,
    unit: str | None = None,
    classes: Sequence[SegmentationClass] | None = None,
    instances: bool = False,
    axes: str | None = None,
    pixel_size: float | None = None,
) -> Measurements:
    """Measure the classes or the objects of a label image.

    Parameters
    ----------
    labels
        ``(Y, X)``, ``(Z, Y, X)`` or ``(T, Z, Y, X)``, whole numbers; 0 is the background.
    spacing
        Distance of neighbouring pixels along each spatial axis of `labels`, in `unit`.
    unit
        A length: ``"micrometer"``, ``"mm"``, ... Without it or the spacing there are no sizes.
    classes
        What class ids mean. Each gets a row, also if no pixel has it. With `instances`, the second
        gives objects their name if there are two.
    instances
        Whether labels number objects.
    axes
        One letter of T, Z, Y, X for each axis; None for the last ones of ``TZYX``.
    pixel_size
        Area or volume of a pixel in squares or cubes of `unit`, instead of `spacing`: needed where
        axes are not at right angles, see :attr:`~napari_swin_umamba.images.Image.pixel_size`.

    Returns
    -------
    Measurements
        A row for each class (name, id, pixels, size, share of the image in percent, number of
        connected pieces) or object (number, pixels, size, diameter of the circle or sphere of this
        size, mean pixel coordinate along each axis, counted from 0). With a time axis first by
        time point, counted from 0.

    Raises
    ------
    InputError
        The labels are no whole numbers, or the axes or the spacing do not fit them.

    Notes
    -----
    Pixels of a piece share a side. Memory beside the labels: some 20 MB, however large they are,
    unless they are noise; 100 million voxels take about a second.
    """
    labels = np.asarray(labels)
    axes = _checked_axes(labels, axes)
    spatial = axes.replace("T", "")
    size = _size_of_pixel(spacing, unit, len(spatial))
    if pixel_size is not None and unit_name(unit) is not None:
        size = pixel_size
    symbol = _SYMBOLS.get(unit_name(unit) or "", "")
    times = np.moveaxis(labels, axes.index("T"), 0) if "T" in axes else labels[np.newaxis]
    table: _Table
    if instances:
        noun = classes[1].name if classes is not None and len(classes) == 2 else "object"
        table = _ObjectTable(spatial, size, symbol)
    else:
        noun = None
        table = _ClassTable(spatial, size, symbol, classes)
    columns, rows = table.columns(), []
    for time, frame in enumerate(times):
        for row in table.rows(frame):
            rows.append((time, *row) if "T" in axes else row)
    if "T" in axes:
        columns = (Column("time", kind="whole"), *columns)
    return Measurements(columns, tuple(rows), noun)


class _Table(Protocol):
    def columns(self) -> tuple[Column, ...]: ...

    def rows(self, labels: np.ndarray) -> Iterator[tuple[Cell, ...]]: ...


class _ClassTable:
    def __init__(
        self,
        axes: str,
        size: float | None,
        symbol: str,
        classes: Sequence[SegmentationClass] | None,
    ) -> None:
        self._axes, self._size, self._symbol = axes, size, symbol
        self._names = {item.id: item.name for item in classes or ()}

    def columns(self) -> tuple[Column, ...]:
        return (
            Column("class"),
            Column("id", kind="whole"),
            *_size_columns(self._axes, self._size, self._symbol),
            Column("share", "%", "number"),
            Column("count", kind="whole"),
        )

    def rows(self, labels: np.ndarray) -> Iterator[tuple[Cell, ...]]:
        pixels: dict[int, int] = {}
        counter = PieceCounter()
        for runs in runs_by_slab(labels):
            counter.add(runs)
            values, inverse = np.unique(runs.values, return_inverse=True)
            lengths = np.bincount(inverse, runs.lengths, len(values))
            for value, length in zip(values.tolist(), lengths.tolist(), strict=True):
                pixels[value] = pixels.get(value, 0) + int(length)
        if not self._names or 0 in self._names:
            pixels[0] = labels.size - sum(pixels.values())
        # Ids without a class can be painted into labels: the shares must still add up.
        for number in sorted(pixels.keys() | self._names.keys()):
            count = pixels.get(number, 0)
            yield (
                self._names.get(number, f"class {number}" if number else "background"),
                number,
                count,
                *([] if self._size is None else [count * self._size]),
                100 * count / labels.size,
                None if number == 0 else counter.pieces[number],
            )


class _ObjectTable:
    def __init__(self, axes: str, size: float | None, symbol: str) -> None:
        self._axes, self._size, self._symbol = axes, size, symbol

    def columns(self) -> tuple[Column, ...]:
        diameter = [Column("equivalent diameter", self._symbol, "number")]
        return (
            Column("object", kind="whole"),
            *_size_columns(self._axes, self._size, self._symbol),
            *([] if self._size is None else diameter),
            *(Column(f"centroid {axis}", "pixels", "number") for axis in self._axes),
        )

    def rows(self, labels: np.ndarray) -> Iterator[tuple[Cell, ...]]:
        # Objects of each slab; one that reaches over several is added up at the end.
        numbers, sums = [np.zeros(0, labels.dtype)], [np.zeros((1 + labels.ndim, 0))]
        for runs in runs_by_slab(labels):
            present, weighted = _added_up(
                runs.values, np.stack([runs.lengths.astype(float), *runs.coordinate_sums()])
            )
            numbers.append(present)
            sums.append(weighted)
        objects, totals = _added_up(np.concatenate(numbers), np.concatenate(sums, axis=1))
        for number, (count, *coordinates) in zip(objects.tolist(), totals.T.tolist(), strict=True):
            sizes = [] if self._size is None else [count * self._size]
            yield (
                number,
                int(count),
                *sizes,
                *(_diameter(size, len(self._axes)) for size in sizes),
                *(coordinate / count for coordinate in coordinates),
            )


def _added_up(numbers: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add up the weights ``(k, n)`` of equal numbers ``(n,)``: ``(m,)`` and ``(k, m)``."""
    present, inverse = np.unique(numbers, return_inverse=True)
    return present, np.stack([np.bincount(inverse, row, len(present)) for row in weights])


def _size_columns(axes: str, size: float | None, symbol: str) -> list[Column]:
    flat = len(axes) == 2
    columns = [Column("pixels" if flat else "voxels", kind="whole")]
    if size is not None:
        name, power = ("area", "²") if flat else ("volume", "³")
        columns.append(Column(name, symbol + power, "number"))
    return columns


def _diameter(size: float, dimensions: int) -> float:
    """Diameter of the circle or sphere of an area or volume."""
    return 2 * (size / pi) ** 0.5 if dimensions == 2 else (6 * size / pi) ** (1 / 3)


def _checked_axes(labels: np.ndarray, axes: str | None) -> str:
    if labels.dtype.kind not in "bui" or labels.size == 0:
        raise InputError(
            f"labels to measure must be whole numbers, not {labels.dtype} of shape {labels.shape}"
        )
    known = _DEFAULT_AXES.get(labels.ndim) if axes is None else axes.upper()
    if (
        known is None
        or len(known) != labels.ndim
        or sorted(known.replace("T", ""))
        not in (
            ["X", "Y"],
            ["X", "Y", "Z"],
        )
    ):
        raise InputError(
            f"axes {shown(axes)} do not fit labels of shape {labels.shape}: give Y and X, "
            "perhaps with Z and T, one letter for each axis"
        )
    return known


def _size_of_pixel(
    spacing: Sequence[float] | None, unit: str | None, dimensions: int
) -> float | None:
    """Area or volume of a pixel, or None if it is not known."""
    if spacing is None or unit_name(unit) is None:
        return None
    if len(spacing) != dimensions:
        raise InputError(
            f"spacing {shown(tuple(spacing))} does not fit labels of {dimensions} spatial axes"
        )
    known = known_spacing(spacing, dimensions)
    return None if known is None else prod(known)
