"""Volumes and films, slice by slice: each slice as if it were alone, placed where it belongs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_swin_umamba
from napari_swin_umamba import Cancelled, InputError, segment
from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.images import Image, read_image, read_labels
from napari_swin_umamba.images.slices import SliceLayout
from napari_swin_umamba.segmentation.layout import resolve_layout
from napari_swin_umamba.segmentation.linking import ObjectLinker
from napari_swin_umamba.segmentation.resampling import resize_labels, resize_plane

RNG = np.random.default_rng(1)
VOLUME = RNG.integers(0, 256, (3, 40, 36), dtype=np.uint8)


@pytest.fixture(scope="module")
def semantic(make_model: Callable[..., Model]) -> Model:
    return make_model()


@pytest.mark.parametrize("slice_axis", ["Z", "Y", "X"])
def test_each_slice_is_as_if_alone(semantic: Model, slice_axis: str) -> None:
    volume = VOLUME[:, :5, :4] if slice_axis != "Z" else VOLUME
    result = segment(volume, semantic, axes="ZYX", plane=slice_axis, device="cpu")
    assert result.labels.shape == volume.shape
    axis = "ZYX".index(slice_axis)
    for number in range(volume.shape[axis]):
        alone = segment(volume.take(number, axis), semantic, device="cpu").labels
        np.testing.assert_array_equal(result.labels.take(number, axis), alone)


def test_coarsest_axis_is_the_slice_axis(semantic: Model) -> None:
    seen: list[tuple[int, ...]] = []
    image = Image(VOLUME[:, :4], "ZYX", spacing=(1.0, 3.0, 1.0), unit="millimeter")
    segment(image, semantic, device="cpu", on_slice=lambda _, labels: seen.append(labels.shape))
    assert seen == [(3, 36)] * 4


def test_time_channels_and_colours(make_model: Callable[..., Model]) -> None:
    two = make_model(channels=2)
    series = RNG.random((2, 3, 2, 32, 33), dtype=np.float32)  # T Z C Y X
    result = segment(series, two, axes="TZCYX", device="cpu")
    assert result.labels.shape == (2, 3, 32, 33)
    alone = segment(series[1, 2], two, axes="CYX", device="cpu").labels
    np.testing.assert_array_equal(result.labels[1, 2], alone)
    grey = make_model()
    colours = RNG.integers(0, 256, (2, 32, 33, 4), dtype=np.uint8)
    result = segment(colours, grey, axes="ZYXC", device="cpu")
    alone = segment(colours[1], grey, axes="YXC", device="cpu").labels
    np.testing.assert_array_equal(result.labels[1], alone)
    assert "transparency (alpha channel) ignored" in result.notes


def test_lazy_volume_is_read_slice_by_slice(semantic: Model) -> None:
    da = pytest.importorskip("dask.array")
    lazy = da.from_array(VOLUME, chunks=(1, 40, 36))
    result = segment(lazy, semantic, axes="ZYX", device="cpu")
    expected = segment(VOLUME, semantic, axes="ZYX", device="cpu")
    np.testing.assert_array_equal(result.labels, expected.labels)


def test_progress_counts_all_tiles_and_slices_stay_after_a_stop(semantic: Model) -> None:
    said: list[tuple[int, int]] = []
    segment(VOLUME, semantic, axes="ZYX", device="cpu", on_progress=lambda *now: said.append(now))
    assert said == [(1, 3), (2, 3), (3, 3)]
    kept: dict[tuple[int, ...], np.ndarray] = {}
    with pytest.raises(Cancelled):
        segment(
            VOLUME,
            semantic,
            axes="ZYX",
            device="cpu",
            on_slice=kept.__setitem__,
            should_stop=lambda: len(kept) == 2,
        )
    assert list(kept) == [(0,), (1,)]


def test_probabilities_of_a_volume(semantic: Model) -> None:
    result = segment(VOLUME, semantic, axes="ZYX", device="cpu", probabilities=True)
    assert result.probabilities is not None
    assert result.probabilities.shape == (3, *VOLUME.shape)
    np.testing.assert_array_equal(result.probabilities.argmax(axis=0), result.labels)


def test_classes_or_objects(make_model: Callable[..., Model]) -> None:
    boundary, semantic = make_model("boundary"), make_model()
    objects = segment(VOLUME[0], boundary, device="cpu")
    classes = segment(VOLUME[0], boundary, device="cpu", objects=False)
    np.testing.assert_array_equal(classes.labels, objects.labels > 0)
    assert [item.name for item in classes.classes] == ["background", "nucleus"]
    assert not classes.instances
    pieces = segment(VOLUME[0], semantic, device="cpu", objects=True)
    ids = segment(VOLUME[0], semantic, device="cpu").labels
    assert pieces.instances
    np.testing.assert_array_equal(pieces.labels > 0, ids > 0)
    for number in range(1, pieces.labels.max() + 1):
        assert len(np.unique(ids[pieces.labels == number])) == 1


def test_resampling_sees_the_training_pixel_size(make_model: Callable[..., Model]) -> None:
    model = make_model(spacing=(1.0, 1.0), unit="micrometer")
    rows, columns = np.mgrid[:64, :64] / 8
    image = (np.sin(rows) * np.cos(columns + rows / 2)).astype(np.float32)
    same = segment(image, model, spacing=(1.0, 1.0), resample=True, device="cpu")
    np.testing.assert_array_equal(same.labels, segment(image, model, device="cpu").labels)
    twice = image.repeat(2, 0).repeat(2, 1)
    for output in (False, True):
        fine = segment(
            twice, model, spacing=(0.5, 0.5), resample=True, objects=output, device="cpu"
        )
        assert fine.labels.shape == twice.shape
        assert fine.notes == ()
    # The network sees what it would see of the coarse image, but for interpolation.
    np.testing.assert_allclose(resize_plane(twice[None], (64, 64), 3)[0], image, atol=0.05)
    plain = segment(image, model, device="cpu").labels.repeat(2, 0).repeat(2, 1)
    fine = segment(twice, model, spacing=(0.5, 0.5), resample=True, device="cpu")
    as_is = segment(twice, model, device="cpu").labels
    # Random weights magnify the rest; a third of the pixels agree by chance.
    assert (fine.labels == plain).mean() > 2 * (as_is == plain).mean()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"axes": "ZYY"}, "'ZYY' are not those of an image"),
        ({"axes": "ZCX"}, "'ZCX' are not those"),
        ({"axes": "TZYX"}, "do not fit an array of shape"),
        ({"axes": "ZYX", "plane": "C"}, "'C' is no axis"),
        ({"axes": "TYX", "plane": "Z"}, "no slices to cut along Z"),
        ({"axes": "ZYX", "spacing": (1, 1)}, "3 spacings: give numbers above 0"),
        ({"axes": "ZYX", "resample": True}, "does not say how large the pixels"),
        ({"axes": "ZYX", "overlap": 2}, "overlap 2"),
    ],
)
def test_refusals(semantic: Model, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        segment(VOLUME, semantic, device="cpu", **options)


def test_models_trained_at_a_pixel_size_resample_by_themselves(
    make_model: Callable[..., Model],
) -> None:
    settings = {"spacing": (1.0, 1.0), "unit": "micrometer"}
    asked, by_itself = make_model(**settings), make_model(**settings, resample=True)
    image = RNG.random((64, 48), dtype=np.float32)
    for spacing, resample in (((0.5, 0.5), True), ((0.5, 0.5), False), (None, False)):
        options = {"spacing": spacing, "device": "cpu"}
        expected = segment(image, asked, resample=resample, **options).labels
        given = None if resample or spacing is None else False
        found = segment(image, by_itself, resample=given, **options)
        np.testing.assert_array_equal(found.labels, expected)
        assert any("taken to be as large" in note for note in found.notes) == (spacing is None)


@pytest.mark.parametrize("voxel", [(1.0, 1.0), (2.0, 2.0), (0.6, 1.5)])
def test_the_bundled_hippocampus_model_takes_any_voxels(voxel: tuple[float, float]) -> None:
    samples = Path(napari_swin_umamba.__file__).parent / "plugin" / "samples"
    image = read_image(samples / "hippocampus_mri.nii.gz")
    truth = read_labels(samples / "hippocampus_labels.nii.gz")
    rows, columns = (round(n / v) for n, v in zip(truth.shape[1:], voxel, strict=True))
    array = resize_plane(image.array.astype(np.float32), (rows, columns), order=3)
    spacing = (1.0, truth.shape[1] / rows, truth.shape[2] / columns)
    found = segment(array, "hippocampus", axes="ZYX", spacing=spacing, device="cpu")
    assert found.slice_axis == 0
    expected = np.stack([resize_labels(plane, (rows, columns)) for plane in truth])
    for number in (1, 2):
        here, there = found.labels == number, expected == number
        assert 2 * (here & there).sum() / (here.sum() + there.sum()) > 0.75


def test_resampling_refuses_what_it_does_not_know(make_model: Callable[..., Model]) -> None:
    model = make_model(spacing=(1.0, 1.0), unit="micrometer")
    with pytest.raises(InputError, match="pixels is not known"):
        segment(VOLUME[0], model, resample=True, device="cpu")
    with pytest.raises(InputError, match="is the spacing right"):
        segment(VOLUME[0], model, spacing=(1e6, 1e6), resample=True, device="cpu")


def test_objects_are_brought_to_the_size_of_training(make_model: Callable[..., Model]) -> None:
    plain = make_model("boundary")
    model = make_model("boundary", object_diameter=10.0)
    image = VOLUME[0].repeat(2, 0).repeat(2, 1)
    same = segment(image, model, object_diameter=10.0, device="cpu")
    np.testing.assert_array_equal(same.labels, segment(image, model, device="cpu").labels)
    half = segment(image, model, object_diameter=20.0, device="cpu")
    by_spacing = make_model("boundary", spacing=(1.0, 1.0), unit="micrometer")
    expected = segment(image, by_spacing, spacing=(0.5, 0.5), resample=True, device="cpu")
    np.testing.assert_array_equal(half.labels, expected.labels)
    assert half.labels.shape == image.shape
    for options, words in (
        ({"model": model, "object_diameter": 0.0}, "positive number of pixels, not 0"),
        ({"model": model, "object_diameter": float("nan")}, "not nan"),
        ({"model": model, "object_diameter": 1e-4}, "is the diameter right"),
        ({"model": model, "object_diameter": 9.0, "resample": True}, "either"),
        ({"model": plain, "object_diameter": 9.0}, "does not say how large its training objects"),
    ):
        with pytest.raises(InputError, match=words):
            segment(image, device="cpu", **options)


def test_an_empty_volume(semantic: Model) -> None:
    with pytest.raises(InputError, match="empty"):
        segment(np.zeros((0, 40, 36)), semantic, axes="ZYX")


@given(
    shape=st.tuples(*[st.integers(1, 4)] * 4),
    letters=st.permutations("TZYX"),
    slice_axis=st.sampled_from(["Z", "Y", "X"]),
)
@settings(max_examples=50, deadline=None)
def test_planes_cover_the_array_once(
    shape: tuple[int, ...], letters: list[str], slice_axis: str
) -> None:
    data = np.arange(np.prod(shape)).reshape(shape)
    layout, _ = resolve_layout(shape, "".join(letters), None, slice_axis)
    out = np.full(layout.labels_shape, -1)
    for position in layout.positions():
        plane = layout.extract(data, position)
        assert plane.shape == layout.plane_shape
        out[layout.target(position)] = plane
    np.testing.assert_array_equal(out, data)
    assert layout.count == len(list(layout.positions()))


def test_a_window_of_each_plane() -> None:
    data = np.arange(2 * 5 * 6).reshape(2, 5, 6)
    layout = SliceLayout((2, 5, 6), (1, 2), window=((1, 4), (2, 6)))
    np.testing.assert_array_equal(layout.extract(data, (1,)), data[1, 1:4, 2:6])
    assert layout.plane_shape == (3, 4)
    np.testing.assert_array_equal(data[layout.target((1,))], data[1, 1:4, 2:6])


# --- objects through a volume ------------------------------------------------------------------


def block(*spans: tuple[int, int]) -> np.ndarray:
    """A slice with one object per span of columns."""
    labels = np.zeros((4, 40), np.int32)
    for number, (start, stop) in enumerate(spans, 1):
        labels[:, start:stop] = number
    return labels


def test_objects_keep_their_number_from_slice_to_slice() -> None:
    linker = ObjectLinker()
    first = linker.link(block((0, 10), (20, 30)), (0,))
    second = linker.link(block((21, 31), (35, 40)), (1,))  # the first is gone, one is new
    third = linker.link(block((0, 10), (22, 32)), (2,))
    assert [first[0, 5], first[0, 25]] == [1, 2]
    assert [second[0, 25], second[0, 37]] == [2, 3]
    assert [third[0, 5], third[0, 25]] == [4, 2]


def test_two_pieces_over_one_object_do_not_become_one() -> None:
    linker = ObjectLinker()
    linker.link(block((0, 20)), (0,))
    halves = linker.link(block((0, 12), (12, 20)), (1,))
    assert [halves[0, 5], halves[0, 15]] == [1, 2]


def test_numbers_start_anew_at_a_gap_but_are_never_reused() -> None:
    linker = ObjectLinker()
    linker.link(block((0, 10)), (0, 0))
    assert linker.link(block((0, 10)), (1, 0))[0, 0] == 2  # another point in time
    assert linker.link(block((0, 10)), (1, 2))[0, 0] == 3  # a slice was left out
    empty = linker.link(block(), (1, 3))
    assert not empty.any()
    assert linker.link(block((0, 10)), (1, 4))[0, 0] == 4


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_linking_renames_and_nothing_else(seed: int) -> None:
    rng = np.random.default_rng(seed)
    linker, seen = ObjectLinker(), []
    for z, labels in enumerate(rng.integers(0, 5, (4, 6, 6))):
        linked = linker.link(labels, (z,))
        pairs = set(zip(labels.ravel(), linked.ravel(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
        assert (0, 0) in pairs or 0 not in labels
        seen.append(set(np.unique(linked)) - {0})
    for a, b in product(range(4), range(4)):
        if b > a + 1:  # a number that ended does not come back
            assert not (seen[a] & seen[b]) - seen[b - 1]


def test_objects_of_a_film_are_not_linked(make_model: Callable[..., Model]) -> None:
    boundary = make_model("boundary")
    film = np.stack([VOLUME[0], VOLUME[0]])
    linked = segment(film, boundary, axes="ZYX", device="cpu").labels
    np.testing.assert_array_equal(linked[0], linked[1])
    apart = segment(film, boundary, axes="TYX", device="cpu").labels
    assert linked.any()
    assert not set(np.unique(apart[0])) & set(np.unique(apart[1])) - {0}
