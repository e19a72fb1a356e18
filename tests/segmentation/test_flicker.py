"""The flicker of labels from slice to slice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.segmentation import Model, measure_flicker, segment


def test_growing_and_ending_is_no_flicker() -> None:
    labels = np.zeros((6, 8, 8), np.uint8)
    for z in range(4):  # grows, then ends
        labels[z, : 2 + min(z, 2), :4] = 1
    assert measure_flicker(labels).share == 0


def test_what_appears_or_vanishes_for_one_slice_is() -> None:
    labels = np.zeros((5, 4, 4), np.uint8)
    labels[:, :2] = 2
    labels[2, 0] = 0  # four voxels vanish
    labels[3, 1, 0] = 1  # one is another class
    labels[1, 3, 3] = 1  # one appears
    found = measure_flicker(labels)
    assert found.blinking.tolist() == [0, 1, 4, 1, 0]
    assert found.labelled.tolist() == [0, 9, 9, 8, 0]
    assert found.share == 6 / 26


def test_volumes_have_one_and_planes_and_films_have_none(make_model: Callable[..., Model]) -> None:
    model = make_model()
    volume = np.random.default_rng(0).integers(0, 255, (4, 40, 33)).astype(np.uint8)
    result = segment(volume, model, axes="ZYX", plane="Y", device="cpu")
    assert result.slice_axis == 1
    assert result.flicker is not None
    assert result.flicker.share == measure_flicker(result.labels, 1).share
    assert segment(volume, model, axes="TYX", device="cpu").flicker is None
    assert segment(volume[0], model, axes="YX", device="cpu").flicker is None


def test_without_labels_there_is_no_share() -> None:
    assert measure_flicker(np.zeros((5, 4, 4), int)).share is None
    assert measure_flicker(np.ones((2, 4, 4), int)).share is None  # no slice has two neighbours
    with pytest.raises(InputError, match=r"no axis 3"):
        measure_flicker(np.zeros((5, 4, 4), int), 3)


@given(arrays(np.int32, (4, 3, 5), elements=st.integers(0, 2)), st.integers(0, 2))
def test_like_counting_voxel_by_voxel(labels: np.ndarray, axis: int) -> None:
    found = measure_flicker(labels, axis)
    turned = np.moveaxis(labels, axis, -1)
    blinking = labelled = 0
    for line in turned.reshape(-1, turned.shape[-1]).tolist():
        for before, here, after in zip(line, line[1:], line[2:], strict=False):
            blinking += before == after and here != before
            labelled += any((before, here, after))
    assert (found.blinking.sum(), found.labelled.sum()) == (blinking, labelled)
    assert (found.share or 0) <= 1
