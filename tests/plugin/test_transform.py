"""The Labels layer sits where the image sits."""

import numpy as np
import pytest

pytest.importorskip("napari")

from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image, Labels

from napari_swin_umamba.plugin.layer_view import data_to_world
from napari_swin_umamba.plugin.transform import matrix_of_transform, result_transform


def random_rotation(rng: np.random.Generator, ndim: int) -> np.ndarray:
    q, r = np.linalg.qr(rng.normal(size=(ndim, ndim)))
    q = q * np.sign(np.diag(r))
    if np.linalg.det(q) < 0:
        q[:, 0] *= -1
    return q


def random_layer(seed: int, ndim: int) -> Image:
    rng = np.random.default_rng(seed)
    affine = np.eye(ndim + 1)
    affine[:ndim, :ndim] = rng.normal(size=(ndim, ndim)) + 2 * np.eye(ndim)
    affine[:ndim, ndim] = rng.normal(size=ndim) * 50
    return Image(
        np.zeros((4,) * ndim, np.uint8),
        scale=rng.uniform(0.1, 9, ndim) * rng.choice([1, -1], ndim),
        translate=rng.normal(size=ndim) * 20,
        rotate=random_rotation(rng, ndim),
        shear=rng.normal(size=ndim * (ndim - 1) // 2),
        affine=affine,
        units=("micrometer",) * ndim,
        axis_labels="tzyx"[-ndim:],
    )


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), ndim=st.sampled_from([2, 3, 4]))
def test_same_transform_as_image(seed: int, ndim: int) -> None:
    image = random_layer(seed, ndim)
    transform = result_transform(image, range(ndim))
    labels = Labels(np.zeros((4,) * ndim, np.uint8), **transform)
    np.testing.assert_allclose(
        matrix_of_transform(transform), data_to_world(labels), rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(data_to_world(labels), data_to_world(image), rtol=1e-6, atol=1e-6)
    assert labels.units == image.units
    assert labels.axis_labels == image.axis_labels


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), ndim=st.sampled_from([2, 3]))
def test_offset_moves_first_pixel(seed: int, ndim: int) -> None:
    image = random_layer(seed, ndim)
    offset = np.random.default_rng(seed).integers(0, 100, ndim)
    transform = result_transform(image, range(ndim), offset=offset)
    labels = Labels(np.zeros((4,) * ndim, np.uint8), **transform)
    np.testing.assert_allclose(
        labels.data_to_world(np.zeros(ndim)), image.data_to_world(offset), rtol=1e-5, atol=1e-5
    )


def test_channel_axis_is_dropped_from_everything() -> None:
    channels_first = Image(
        np.zeros((3, 8, 9)),
        scale=(1, 0.5, 0.25),
        translate=(7, 10, 20),
        units=("pixel", "micrometer", "micrometer"),
        axis_labels=("c", "y", "x"),
    )
    labels = Labels(np.zeros((8, 9), int), **result_transform(channels_first, (1, 2)))
    np.testing.assert_allclose(data_to_world(labels), [[0.5, 0, 10], [0, 0.25, 20], [0, 0, 1]])
    assert labels.axis_labels == ("y", "x")
    assert [str(unit) for unit in labels.units] == ["micrometer", "micrometer"]
