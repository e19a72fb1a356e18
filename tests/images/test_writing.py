"""Labels survive writing and reading, whatever their number, and nothing is overwritten."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import Image, read_image, read_labels, write_labels

LABELS = np.arange(12, dtype=np.int32).reshape(3, 4)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    labels=hnp.arrays(
        st.sampled_from([np.uint8, np.uint16, np.int32, np.int64, np.bool_]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
    ),
    suffix=st.sampled_from([".tif", ".TIFF", ".png"]),
)
def test_round_trip(tmp_path: Path, labels: np.ndarray, suffix: str) -> None:
    highest = 65535 if suffix == ".png" else 2**31 - 1
    labels = np.abs(np.clip(labels.astype(np.int64), -highest, highest))
    path = write_labels(tmp_path / f"a{suffix}", labels, overwrite=True)
    assert np.array_equal(read_labels(path), labels)
    assert not list(tmp_path.glob(".*"))  # no temporary file


@pytest.mark.parametrize(
    ("highest", "dtype"), [(1, np.uint8), (255, np.uint8), (256, np.uint16), (65536, np.uint32)]
)
def test_the_smallest_dtype_is_used_and_the_spacing_kept(
    tmp_path: Path, highest: int, dtype: type
) -> None:
    labels = np.where(LABELS == 11, highest, 0)
    like = Image(LABELS, "YX", (0.5, 0.25), "micrometer")
    image = read_image(write_labels(tmp_path / "a.tif", labels, like))
    assert image.array.dtype == dtype
    assert (image.spacing, image.unit) == ((0.5, 0.25), "micrometer")


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "a.tif", LABELS)
    with pytest.raises(InputError, match="exists already.*--overwrite"):
        write_labels(path, LABELS * 0)
    assert np.array_equal(read_labels(path), LABELS)


@pytest.mark.parametrize(
    ("name", "labels", "words"),
    [
        ("a.jpg", LABELS, r"\.tif or \.png"),
        ("a.png", LABELS + 65536, "PNG holds up to 65535"),
        ("a.tif", LABELS - 1, "must lie in 0"),
        ("a.tif", LABELS.astype(float), "array of integers"),
        ("a.png", LABELS[None], "one 2D image, not ZYX"),
        ("a.tif", LABELS[0], "2 to 4 dimensions"),
        ("a.nii", LABELS.astype(np.int64) + 2**31, r"up to 2\^31-1"),
        ("a.txt", LABELS, r"\.nii\.gz"),
        ("a.tif", LABELS[:0], "non-empty"),
    ],
)
def test_refused(tmp_path: Path, name: str, labels: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        write_labels(tmp_path / name, labels)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spacing", [(0, 0), (0.0, 1.0), (float("nan"), 1.0), (1.0,)])
def test_a_spacing_that_no_image_has_is_not_written(
    tmp_path: Path, spacing: tuple[float, ...]
) -> None:
    like = Image(np.zeros((4, 5)), "YX", spacing, "micrometer")
    path = write_labels(tmp_path / "a.tif", np.ones((4, 5), np.uint8), like)
    assert read_image(path).spacing is None
