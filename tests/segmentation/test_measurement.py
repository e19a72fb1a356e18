"""Sizes and pieces, against a computation that takes the array as it is."""

from __future__ import annotations

import csv
from math import pi
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plan import SegmentationClass
from napari_swin_umamba.segmentation import Measurements, measure_labels, runs

CLASSES = tuple(
    SegmentationClass(id=number, name=name)
    for number, name in enumerate(("background", "liver", "spleen", "vessel"))
)
NUCLEI = (SegmentationClass(id=0, name="background"), SegmentationClass(id=1, name="nucleus"))


def label_images(low: int, high: int, top: int) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(
        st.sampled_from([np.uint8, np.int32, np.uint16]),
        hnp.array_shapes(min_dims=low, max_dims=high, max_side=6),
        elements=st.integers(0, top),
    )


@settings(max_examples=150, deadline=None)
@given(label_images(2, 3, 3), st.integers(1, 40))
def test_classes_are_counted_and_their_pieces(labels: np.ndarray, slab: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_SLAB_PIXELS", slab)  # what spans slabs is one piece all the same
        table = measure_labels(labels, classes=CLASSES)
    whole = "pixels" if labels.ndim == 2 else "voxels"
    assert [column.header for column in table.columns] == [
        *("class", "id", whole, "share (%)", "count")
    ]
    for row, item in zip(table.rows, CLASSES, strict=True):
        mask = labels == item.id
        pieces = ndimage.label(mask)[1] if item.id else None
        assert row == (item.name, item.id, mask.sum(), pytest.approx(100 * mask.mean()), pieces)


@settings(max_examples=150, deadline=None)
@given(label_images(2, 3, 5), st.integers(1, 40), st.floats(0.1, 9))
def test_objects_are_measured(labels: np.ndarray, slab: int, step: float) -> None:
    spacing = (2 * step, step, step)[-labels.ndim :]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_SLAB_PIXELS", slab)
        table = measure_labels(labels, spacing=spacing, unit="mm", instances=True)
    numbers = [number for number in np.unique(labels) if number]
    assert [row[0] for row in table.rows] == numbers
    for number, row in zip(numbers, table.rows, strict=True):
        mask = labels == number
        size = mask.sum() * np.prod(spacing)
        power = labels.ndim
        diameter = (size * (4 if power == 2 else 6) / pi) ** (1 / power)
        center = ndimage.center_of_mass(mask)
        assert row[1] == mask.sum()
        assert row[2:4] == pytest.approx((size, diameter))
        assert row[4:] == pytest.approx(center)


@settings(max_examples=50, deadline=None)
@given(label_images(4, 4, 3), st.booleans())
def test_time_points_have_their_own_rows(labels: np.ndarray, instances: bool) -> None:
    table = measure_labels(labels, classes=CLASSES, instances=instances)
    assert table.columns[0].name == "time"
    expected = []
    for time, volume in enumerate(labels):
        single = measure_labels(volume, classes=CLASSES, instances=instances)
        expected += [(time, *row) for row in single.rows]
    assert table.rows == tuple(expected)


def test_axes_say_what_is_time() -> None:
    labels = np.zeros((2, 3, 4), np.uint8)
    labels[1, 2, 3] = 1
    film = measure_labels(labels, spacing=(2, 2), unit="µm", axes="TYX", instances=True)
    assert film.rows == ((1, 1, 1, 4.0, pytest.approx(2 * (4 / pi) ** 0.5), 2.0, 3.0),)
    stack = measure_labels(labels, instances=True)
    assert [column.header for column in stack.columns] == [
        *("object", "voxels"),
        *(f"centroid {axis} (pixels)" for axis in "ZYX"),
    ]
    last = measure_labels(np.moveaxis(labels, 0, -1), axes="YXT", instances=True)
    assert last.rows == ((1, 1, 1, 2.0, 3.0),)


def test_numbers_may_be_huge_and_views_strided() -> None:
    labels = np.zeros((30, 40), np.uint32)
    labels[3:5, 3:5] = 2**32 - 1
    table = measure_labels(labels[::-1].T, instances=True)
    assert table.rows == ((2**32 - 1, 4, 3.5, 25.5),)
    assert measure_labels(labels).rows[-1][:3] == ("class 4294967295", 2**32 - 1, 4)


def test_many_voxels_take_little_memory() -> None:
    import tracemalloc

    labels = np.zeros((40, 500, 500), np.uint8)
    labels[:, 100:400, 100:300] = 1
    tracemalloc.start()
    rows = measure_labels(labels, classes=NUCLEI).rows
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows[1][2:] == (2_400_000, 24.0, 1)
    assert peak < labels.nbytes


def test_sizes_only_if_the_spacing_is_known() -> None:
    labels = np.ones((4, 5), np.uint8)

    def units(**known: object) -> list[str | None]:
        return [column.unit for column in measure_labels(labels, **known).columns]  # type: ignore[arg-type]

    assert "µm²" in units(spacing=(0.5, 0.5), unit="micrometer")
    assert "mm²" in units(spacing=(0.5, 0.5), unit="mm")
    for unknown in ({}, {"spacing": (1, 1)}, {"unit": "mm"}, {"spacing": (1, 1), "unit": "pixel"}):
        assert units(**unknown) == [None, None, None, "%", None]
    assert units(spacing=(0, 1), unit="mm") == [None, None, None, "%", None]


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (np.zeros((2, 2)), {}, "whole numbers, not float64"),
        (np.zeros((0, 2), np.uint8), {}, r"\(0, 2\)"),
        (np.zeros(3, np.uint8), {}, "do not fit"),
        (np.zeros((2, 2), np.uint8), {"axes": "ZYX"}, "'ZYX' do not fit"),
        (np.zeros((2, 2, 2), np.uint8), {"axes": "CYX"}, "'CYX' do not fit"),
        (
            np.zeros((2, 2), np.uint8),
            {"spacing": (1, 1, 1), "unit": "mm"},
            r"\(1, 1, 1\) does not fit",
        ),
    ],
)
def test_refusals(labels: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        measure_labels(labels, **options)


def squares(*sides: int) -> np.ndarray:
    labels = np.zeros((20 * len(sides), 20), np.int32)
    for number, side in enumerate(sides, start=1):
        labels[20 * number - 20 :][:side, :side] = number
    return labels


def test_summary_in_one_line() -> None:
    def objects(*sides: int, **known: object) -> str:
        table = measure_labels(squares(*sides), instances=True, classes=NUCLEI, **known)  # type: ignore[arg-type]
        return table.summary()

    assert objects(3, 4, 5, spacing=(1.5, 1.5), unit="um") == "3 nuclei, median 36 µm²"
    assert objects(3) == "1 nucleus, median 9 pixels"
    assert objects(0) == "0 nuclei"
    assert measure_labels(squares(3, 4), instances=True).summary() == (
        "2 objects, median 12.5 pixels"
    )
    classes = measure_labels(squares(10, 3), classes=CLASSES, spacing=(0.1, 0.1), unit="mm")
    assert classes.summary() == "liver 1 mm², spleen 0.09 mm², vessel 0 mm²"
    film = np.stack([squares(10), squares(12)])
    assert measure_labels(film, classes=NUCLEI, axes="TYX").summary() == (
        "nucleus 122 pixels (means of 2)"
    )


def test_csv_opens_in_spreadsheets_and_programs(tmp_path: Path) -> None:
    table = measure_labels(squares(10), classes=NUCLEI, spacing=(0.1, 0.1), unit="micrometer")
    path = table.to_csv(tmp_path / "table.csv")
    assert path.read_bytes().startswith(b"\xef\xbb\xbfclass,id,pixels,area (\xc2\xb5m\xc2\xb2),")
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "class": "nucleus",
        "id": "1",
        "pixels": "100",
        "area (µm²)": "1",
        "share (%)": "25",
        "count": "1",
    }
    assert rows[0]["count"] == ""
    with pytest.raises(InputError, match="exists already"):
        table.to_csv(path)
    table.to_csv(path, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_text_pastes_into_cells() -> None:
    classes = (NUCLEI[0], SegmentationClass(id=1, name="cell\tbody"))
    lines = measure_labels(squares(10), classes=classes).to_text().split("\n")
    assert [line.split("\t") for line in lines] == [
        ["class", "id", "pixels", "share (%)", "count"],
        ["background", "0", "300", "75", ""],
        ["cell body", "1", "100", "25", "1"],
    ]


def test_tables_of_files_that_differ(tmp_path: Path) -> None:
    known = measure_labels(squares(3), instances=True, spacing=(1, 1), unit="mm")
    volume = measure_labels(squares(3)[None], instances=True)
    both = Measurements.of_files([("a.tif", known), ("b.tif", volume)])
    headers = [column.header for column in both.columns]
    assert headers[:4] == ["file", "object", "pixels", "area (mm²)"]
    cells = dict(zip(headers, both.rows[1], strict=True))
    assert (cells["file"], cells["voxels"], cells["pixels"]) == ("b.tif", 9, None)
    assert both.summary() == "2 objects"
    assert Measurements.of_files([]).rows == ()


def test_pixels_of_a_size_of_their_own() -> None:
    table = measure_labels(squares(2), instances=True, spacing=(9, 9), unit="mm", pixel_size=3.0)
    assert table.column("area") == (12.0,)
    unknown = measure_labels(squares(2), instances=True, pixel_size=3.0)
    assert [column.name for column in unknown.columns][1:] == ["pixels", "centroid Y", "centroid X"]
