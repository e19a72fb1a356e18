"""Tiles cover every pixel, lie where nnU-Net puts them and are weighted as nnU-Net does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.segmentation.tiling import Tiling, gaussian_weights, make_tiling

sizes = st.integers(1, 700)
patches = st.integers(1, 8).map(lambda n: 32 * n)


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    shape, patch = (draw(sizes), draw(sizes)), (draw(patches), draw(patches))
    return make_tiling(shape, patch, draw(st.floats(0, 0.9)), draw(st.booleans()))


@given(tilings())
def test_every_pixel_is_covered(tiling: Tiling) -> None:
    for size, tile, starts in zip(
        tiling.padded, tiling.tile, (tiling.rows, tiling.columns), strict=True
    ):
        seen = np.zeros(size, int)
        for start in starts:
            assert 0 <= start <= size - tile
            seen[start : start + tile] += 1
        assert seen.min() >= 1
        assert len(set(starts)) == len(starts)
    assert tiling.count == len(tiling.rows) * len(tiling.columns)


@given(tilings())
def test_the_image_lies_inside_its_padding(tiling: Tiling) -> None:
    image = np.ones((1, *tiling.shape), np.float32)
    padded = tiling.pad(image)
    assert padded.shape == (1, *tiling.padded)
    assert padded.sum() == image.size
    for size, pixels, before in zip(tiling.padded, tiling.shape, tiling.before, strict=True):
        after = size - pixels - before
        assert after - before in (0, 1)  # the extra pixel comes after


@given(tilings(), patches, patches)
def test_tiles_are_what_a_network_takes(tiling: Tiling, height: int, width: int) -> None:
    assert all(side % 32 == 0 for side in tiling.tile)
    whole = make_tiling(tiling.shape, (height, width), 0.5, pad_to_patch=True)
    assert whole.tile == (height, width)
    lean = make_tiling(tiling.shape, (height, width), 0.5)
    for tile, patch, pixels in zip(lean.tile, (height, width), lean.shape, strict=True):
        assert tile <= patch
        assert tile == patch or tile - 32 < pixels <= tile


@given(tilings())
def test_bands_follow_each_other(tiling: Tiling) -> None:
    bands = list(tiling.bands())
    assert bands[0][0] == 0
    assert bands[-1][1] == tiling.padded[0]
    assert all(left[1] == right[0] for left, right in zip(bands, bands[1:], strict=False))
    assert all(stop - start <= tiling.tile[0] for start, stop in bands)


@given(tilings())
def test_weight_sums_are_those_of_the_tiles(tiling: Tiling) -> None:
    rows, columns = tiling.weight_sums()
    height, width = tiling.tile
    weights = np.outer(gaussian_weights(height), gaussian_weights(width))
    total = np.zeros(tiling.padded)
    for y in tiling.rows:
        for x in tiling.columns:
            total[y : y + height, x : x + width] += weights
    np.testing.assert_allclose(np.outer(rows, columns), total, rtol=1e-5)
    assert total.min() > 0


@pytest.mark.parametrize("tile", [(32, 32), (64, 96), (320, 320), (384, 640)])
def test_weights_are_nnunets(tile: tuple[int, int]) -> None:
    # compute_gaussian of nnunetv2/inference/sliding_window_prediction.py, written anew.
    impulse = np.zeros(tile)
    impulse[tile[0] // 2, tile[1] // 2] = 1
    expected = gaussian_filter(impulse, [side / 8 for side in tile], 0, mode="constant", cval=0)
    expected = (expected / expected.max() * 10).astype(np.float32)
    assert expected.min() > 0  # so that there is no zero to replace
    ours = np.outer(gaussian_weights(tile[0]), gaussian_weights(tile[1]))
    np.testing.assert_allclose(ours * 10, expected, rtol=1e-5)


def test_the_figure_in_the_module() -> None:
    tiling = make_tiling((276, 420), (192, 192))
    assert tiling.rows == (0, 84)
    assert tiling.columns == (0, 76, 152, 228)


def test_an_image_one_pixel_larger_than_the_patch_takes_two_tiles() -> None:
    assert make_tiling((65, 64), (64, 64)).rows == (0, 1)


def test_no_copy_where_nothing_is_padded() -> None:
    image = np.zeros((1, 64, 80), np.float32)
    assert make_tiling((64, 80), (64, 64)).pad(image) is image


@pytest.mark.parametrize("overlap", [-0.1, 0.91, 1.0, float("nan")])
def test_bad_overlap(overlap: float) -> None:
    with pytest.raises(InputError, match="--overlap"):
        make_tiling((64, 64), (64, 64), overlap)
