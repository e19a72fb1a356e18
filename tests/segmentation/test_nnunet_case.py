"""The official pipeline's own output, and each of its steps against a plain computation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy.ndimage import binary_fill_holes, zoom
from skimage.transform import resize

from napari_swin_umamba import Cancelled, InputError, Model, load_model, segment
from napari_swin_umamba.images import Image, read_image, write_labels
from napari_swin_umamba.images.image import StoredGrid
from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass, VolumePlan
from napari_swin_umamba.segmentation.volume import VolumeSegmenter
from napari_swin_umamba.segmentation.volume_frame import frame_of
from napari_swin_umamba.segmentation.volume_preparation import prepare_volume
from napari_swin_umamba.segmentation.volume_resampling import (
    SliceResampling,
    apart_axis,
    limits_of,
)
from napari_swin_umamba.segmentation.volume_run import _as_nnunet_reads


def make_plan(schemes: list[Normalization], outputs: int = 3, **fields: Any) -> Plan:
    volume = {"spacing": (1.0, 1.0), **fields.pop("volume", {})}
    return Plan(
        architecture="swin-umamba-d-tiny",
        channels=tuple(Channel(name=f"c{i}", normalization=s) for i, s in enumerate(schemes)),
        classes=tuple(SegmentationClass(id=i, name=f"class {i}") for i in range(outputs)),
        patch=(32, 64),
        pad_to_patch=True,
        spacing=volume["spacing"],
        unit="millimeter",
        volume=VolumePlan(**volume),
        **fields,
    )


ZSCORE = Normalization(scheme="zscore")


class PerPixel(torch.nn.Module):
    """Logits that depend on the pixel alone: value, 0.2 and -value."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        value = image[:, :1]
        return torch.cat([value, torch.full_like(value, 0.2), -value], dim=1)


class Where(torch.nn.Module):
    """Class 1 in the upper left quarter of what it sees, else class 0: knows where is up."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        mark = torch.zeros_like(image[:, :1])
        mark[:, :, : image.shape[2] // 2, : image.shape[3] // 2] = 1
        return torch.cat([0.5 - mark, mark - 0.5, torch.full_like(mark, -9)], dim=1)


def make_model(plan: Plan, network: torch.nn.Module | None = None) -> Model:
    return Model(network or PerPixel(), plan, "test")


def test_the_golden_case(nnunet_folder: Path, nnunet_case: Path, tmp_path: Path) -> None:
    model = load_model(nnunet_folder, folds=["all"])
    image = read_image(nnunet_case / "case_0000.nii.gz")
    expected = np.load(nnunet_case / "expected.npz")

    segmenter = VolumeSegmenter(model)
    frame, _ = segmenter.frame(image, image.axes)
    volume = segmenter.prepare(image.array, "YX", "ZYX", frame, image.spacing, image.unit)
    prepared = np.stack([volume.prepared.slice_at(index) for index in range(5)], axis=1)
    assert prepared.shape == expected["preprocessed"].shape
    assert np.abs(prepared - expected["preprocessed"]).max() < 1e-4

    slices: dict[tuple[int, ...], np.ndarray] = {}
    progress: list[tuple[int, int]] = []
    result = segment(
        image,
        model,
        probabilities=True,
        on_slice=slices.__setitem__,
        on_progress=lambda done, total: progress.append((done, total)),
    )
    wanted = nib.load(nnunet_case / "expected.nii.gz")
    labels = np.asarray(wanted.dataobj).T
    assert (result.labels == labels).mean() >= 0.999
    assert np.abs(result.probabilities - expected["probabilities"]).max() < 0.005
    assert np.array_equal(np.stack([slices[index,] for index in range(5)]), result.labels)
    assert progress == [(done, 15) for done in range(1, 16)]

    path = write_labels(tmp_path / "labels.nii.gz", result.labels, image) or (
        tmp_path / "labels.nii.gz"
    )
    written = nib.load(path)
    assert np.array_equal(written.affine, wanted.affine)
    assert written.shape == wanted.shape
    assert written.get_data_dtype() == wanted.get_data_dtype()

    imported = load_model(model.save(tmp_path / "imported.safetensors"))
    again = segment(image, imported)
    assert np.array_equal(again.labels, result.labels)


def volume_with_border(seed: int = 0, channels: int = 1) -> np.ndarray:
    """``(C, 4, 20, 30)`` of which a part is zero all around."""
    rng = np.random.default_rng(seed)
    volume = np.zeros((channels, 4, 20, 30), np.float32)
    volume[:, 1:, 3:18, 5:28] = rng.uniform(5, 250, (channels, 3, 15, 23))
    volume[:, 2, 8:12, 10:15] = 0  # a hole
    return volume


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        (ZSCORE, lambda v: (v - v.mean()) / v.std()),
        (
            Normalization(scheme="ct", lower=20, upper=200, mean=100, std=30),
            lambda v: (np.clip(v, 20, 200) - 100) / 30,
        ),
        (
            Normalization(scheme="rescale_to_01"),
            lambda v: (v - v.min()) / (v.max() - v.min()),
        ),
        (Normalization(scheme="rgb_to_01"), lambda v: v / 255),
        (Normalization(scheme="none"), lambda v: v),
    ],
    ids=lambda item: item.scheme if isinstance(item, Normalization) else "",
)
def test_each_normalization_is_of_the_cropped_volume(
    norm: Normalization, expected: Callable[[np.ndarray], np.ndarray]
) -> None:
    volume = volume_with_border()
    wanted = expected(volume[0, 1:, 3:18, 5:28].astype(float))
    got = prepare_volume(volume.copy(), (5, 1, 1), make_plan([norm]))
    assert got.crop == (slice(1, 4), slice(3, 18), slice(5, 28))
    np.testing.assert_allclose(got.values[0], wanted, atol=2e-5)


def test_the_crop_is_of_all_channels_and_zscore_of_each() -> None:
    volume = np.zeros((2, 2, 8, 8), np.float32)
    volume[0, 0, 1:3, 1:3] = [[1, 2], [3, 4]]
    volume[1, 0, 5, 6] = 7
    got = prepare_volume(volume, (5, 1, 1), make_plan([ZSCORE, ZSCORE]))
    assert got.crop == (slice(0, 1), slice(1, 6), slice(1, 7))
    np.testing.assert_allclose(got.values.mean(axis=(1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(got.values.std(axis=(1, 2, 3)), 1, atol=1e-6)


def test_zscore_inside_the_mask() -> None:
    """``use_mask_for_norm``: statistics of the non-zero region, holes filled; 0 around it."""
    volume = volume_with_border()
    volume[0, 1, :5, :9] = 0  # a corner: outside
    plan = make_plan([ZSCORE], volume={"mask_channels": (0,)})
    got = prepare_volume(volume.copy(), (5, 1, 1), plan)
    crop = volume[0][got.crop].astype(float)
    inside = binary_fill_holes(volume[0] != 0)[got.crop]
    assert 0 < (~inside).sum() < inside.sum()
    wanted = np.where(inside, (crop - crop[inside].mean()) / crop[inside].std(), 0)
    np.testing.assert_allclose(got.values[0], wanted, atol=2e-5)


def test_an_empty_volume_is_segmented_too() -> None:
    result = segment(np.zeros((3, 20, 30)), make_model(make_plan([ZSCORE])), axes="ZYX")
    assert result.labels.shape == (3, 20, 30)
    assert set(np.unique(result.labels)) == {1}  # 0.2 is the largest logit


def test_colours_beyond_8_bits_are_refused() -> None:
    plan = make_plan([Normalization(scheme="rgb_to_01")])
    with pytest.raises(InputError, match="takes colours from 0 to 255"):
        segment(np.full((20, 20), 300), make_model(plan))


@pytest.mark.parametrize(
    ("separate", "before", "after", "axis"),
    [
        (None, (5, 1, 1), (5, 2, 2), 0),
        (None, (1, 1, 1), (1, 2, 2), None),
        (None, (1, 1, 3), (1, 1, 1), None),  # exactly three times is not more
        (None, (1, 1, 3.1), (1, 1, 1), 2),
        (None, (1, 1, 1), (1, 4, 1), 1),
        (None, (0.2, 1, 1), (0.2, 1, 1), None),  # two axes are the coarsest
        (False, (9, 1, 1), (9, 2, 2), None),
        (True, (1, 2, 1), (9, 1, 1), 1),
    ],
)
def test_which_slices_are_resampled_apart(
    separate: bool | None, before: tuple, after: tuple, axis: int | None
) -> None:
    assert apart_axis(separate, before, after) == axis


def official(volume: np.ndarray, shape: tuple[int, int], apart: int | None) -> np.ndarray:
    """Resample a volume ``(Z, Y, X)`` as ``default_resampling.py`` describes, all at once."""
    new = (len(volume), *shape)
    if apart is None:
        return resize(volume, new, 3, mode="edge", anti_aliasing=False)
    kept = [size for axis, size in enumerate(new) if axis != apart]
    planes = np.moveaxis(volume, apart, 0)
    resized = [resize(plane, kept, 3, mode="edge", anti_aliasing=False) for plane in planes]
    factor = new[apart] / volume.shape[apart]
    index = np.floor((np.arange(new[apart]) + 0.5) / factor - 0.5 + 0.5).astype(int)
    index = np.clip(index, 0, volume.shape[apart] - 1)
    return np.moveaxis(np.stack(resized)[index], 0, apart)


@pytest.mark.parametrize("apart", [None, 0, 1, 2])
@pytest.mark.parametrize("shape", [(30, 17), (11, 40), (20, 25)])
def test_slices_are_interpolated_as_in_the_volume(
    apart: int | None, shape: tuple[int, int]
) -> None:
    volume = np.random.default_rng(3).normal(size=(6, 20, 25)).astype(np.float32)
    wanted = official(volume.astype(float), shape, apart)
    limits = limits_of(volume[np.newaxis], apart)
    resample = SliceResampling((20, 25), shape, apart, 3, 0)
    got = np.stack([resample(plane[np.newaxis], limits)[0] for plane in volume])
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_labels_come_back_on_the_grid() -> None:
    """A ramp, zoomed by the spacing and back: the borders between classes stay where they were."""
    ramp = np.tile(np.linspace(1, 9, 40, dtype=np.float32), (3, 24, 1))
    plan = make_plan([ZSCORE], volume={"spacing": (1.5, 0.5)})
    result = segment(ramp, make_model(plan), axes="ZYX", spacing=(4, 0.75, 1))
    score = (ramp - ramp.mean()) / ramp.std()
    wanted = np.where(score > 0.2, 0, np.where(score < -0.2, 2, 1))
    assert (result.labels == wanted).mean() > 0.96
    assert result.labels.shape == ramp.shape


def test_half_pixels_of_nifti_files(tmp_path: Path) -> None:
    """35 rows of 1.3 mm are 45.5 of 1 mm; nnU-Net reads 1.2999999523 and makes 45 of them."""
    nib.save(nib.Nifti1Image(np.ones((20, 35, 2)), np.diag([1, 1.3, 6, 1])), tmp_path / "a.nii")
    image = read_image(tmp_path / "a.nii")
    assert image.spacing == (6, 1.3, 1)
    seen: list[tuple[int, ...]] = []

    class Watch(PerPixel):
        def forward(self, tile: torch.Tensor) -> torch.Tensor:
            seen.append(tuple((tile[0, 0] != 0).sum(dim=axis).max().item() for axis in (0, 1)))
            return super().forward(tile)

    plan = make_plan([Normalization(scheme="none")])
    segment(image, make_model(plan.model_copy(update={"patch": (64, 64)}), Watch()))
    segment(
        np.asarray(image.array),
        make_model(plan.model_copy(update={"patch": (64, 64)}), Watch()),
        axes="ZYX",
        spacing=(6, 1.3, 1),
    )
    assert seen == [(45, 20)] * 2 + [(46, 20)] * 2


def test_logits_go_back_by_the_official_rule() -> None:
    """``export_prediction.py`` of commit 2c1f72e: spacings in the file's order of axes."""
    volume = np.ones((1, 4, 10, 12), np.float32)
    plan = make_plan([ZSCORE], volume={"transpose": (2, 0, 1)})
    prepared = prepare_volume(volume, (0.9, 6, 1.3), plan)
    assert prepared._to_network.apart == 1
    assert prepared._to_grid.apart == 0  # (6, 1, 1) and (6, 1.3, 0.9)
    straight = prepare_volume(volume, (0.9, 6, 1.3), make_plan([ZSCORE]))
    assert straight._to_grid.apart == 1


def test_units_are_converted() -> None:
    plan = make_plan([ZSCORE], volume={"spacing": (0.5, 0.5)})
    sizes = []
    for unit, spacing in (("micrometer", (5000.0, 1000.0, 1000.0)), ("millimeter", (5, 1, 1))):
        segmenter = VolumeSegmenter(make_model(plan))
        image = Image(np.ones((2, 40, 60)), "ZYX", spacing, unit)
        frame, _ = segmenter.frame(image, "ZYX")
        volume = segmenter.prepare(image.array, "YX", "ZYX", frame, spacing, unit)
        sizes.append(volume.prepared.network_shape)
    assert sizes == [(80, 120), (80, 120)]


def test_unknown_spacing_is_said() -> None:
    plan = make_plan([ZSCORE], volume={"spacing": (0.5, 0.5)})
    result = segment(np.ones((2, 40, 60)), make_model(plan), axes="ZYX")
    assert any("not known: taken as 1 x 1" in note for note in result.notes)
    plan = make_plan([ZSCORE], volume={"ignore_spacing": True})
    assert not segment(np.ones((40, 60)), make_model(plan)).notes


@pytest.mark.parametrize("transpose", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 2, 1), (1, 2, 0)])
def test_transposed_plans(transpose: tuple[int, int, int]) -> None:
    """The network's upper left is where the plan's axes put it, whatever the image's order."""
    plan = make_plan([Normalization(scheme="none")], volume={"transpose": transpose})
    shape = [0, 0, 0]
    for axis, size in zip(transpose, (3, 32, 64), strict=True):
        shape[axis] = size
    volume = np.ones(shape, np.float32)
    result = segment(volume, make_model(plan, Where()), axes="ZYX")
    seen = result.labels.transpose(transpose)
    assert seen[:, :16, :32].all()
    assert seen.mean() == 0.25
    other = segment(np.moveaxis(volume, 0, 2), make_model(plan, Where()), axes="YXZ")
    assert np.array_equal(np.moveaxis(other.labels, 2, 0), result.labels)


def test_files_are_seen_in_their_own_order() -> None:
    """A sagittal file: our reader transposes it to z, y, x; nnU-Net sees it as it is stored."""
    plan = make_plan([ZSCORE])
    assert plan.volume is not None
    # File axes, from the fastest: y, z, x. So arrays of nnU-Net are x, z, y.
    image = Image(np.ones((2, 3, 4)), "ZYX", grid=StoredGrid(order=(1, 0, 2)))
    assert frame_of(plan.volume, "ZYX", image)[0].axes == "XZY"
    assert frame_of(plan.volume, "YX", image)[0].axes == "YX"


def test_reoriented_volumes() -> None:
    """``NibabelIOWithReorient`` has x run to the right, y to anterior, z to superior."""
    plan = make_plan([Normalization(scheme="none")], volume={"reorient": True})
    ones = np.ones((2, 32, 64), np.float32)
    for signs, place in (((1, -1, -1), (0, 0)), ((1, 1, 1), (-1, -1)), ((-1, -1, 1), (0, -1))):
        image = Image(ones, "ZYX", (5.0, 1.0, 1.0), "millimeter", affine=np.diag([*signs, 1.0]))
        labels = segment(image, make_model(plan, Where())).labels
        corners = [labels[0][place], labels[0][tuple(-1 - side for side in place)]]
        assert corners == [1, 0], signs
    notes = segment(ones, make_model(plan, Where()), axes="ZYX").notes
    assert any("right, anterior, superior" in note for note in notes)


def test_flipped_slices_keep_their_places() -> None:
    plan = make_plan([Normalization(scheme="none")], volume={"reorient": True})
    volume = np.zeros((3, 32, 64), np.float32)
    volume[0], volume[2] = 1, -1
    image = Image(volume, "ZYX", (5.0, 1.0, 1.0), "millimeter", affine=np.diag([-1.0, 1, 1, 1]))
    labels = segment(image, make_model(plan)).labels
    assert [set(np.unique(plane)) for plane in labels] == [{0}, {1}, {2}]


def test_regions_are_painted_in_their_order() -> None:
    plan = make_plan([Normalization(scheme="none")], outputs=4, regions=(1, 3, 2))
    image = np.zeros((1, 32, 64), np.float32)
    image[0, :, 20:40] = 0.5
    image[0, :, 40:] = -0.5
    result = segment(image, make_model(plan), axes="ZYX")
    # Logits (v, 0.2, -v): labels 1, then 3 where v > 0; 3, then 2 where v < 0; zeros are cropped.
    assert [set(np.unique(part)) for part in np.split(result.labels, [20, 40], axis=2)] == [
        {0},
        {3},
        {2},
    ]
    with pytest.raises(InputError, match="leave probabilities out"):
        segment(image, make_model(plan), axes="ZYX", probabilities=True)


def test_outside_the_crop_is_background() -> None:
    volume = volume_with_border()[0]
    result = segment(volume, make_model(make_plan([ZSCORE])), axes="ZYX", probabilities=True)
    outside = np.ones(volume.shape, bool)
    outside[1:, 3:18, 5:28] = False
    assert not result.labels[outside].any()
    assert (result.probabilities[0][outside] == 1).all()
    np.testing.assert_allclose(result.probabilities.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize("axes", ["TZYX", "ZTYX", "TCZYX"])
def test_each_time_point_is_a_volume(axes: str) -> None:
    parts = [volume_with_border(seed)[0] * (seed + 1) for seed in range(2)]
    alone = [segment(p, make_model(make_plan([ZSCORE])), axes="ZYX").labels for p in parts]
    stack = np.stack(parts, axis=axes.index("T"))
    stack = stack[:, np.newaxis] if "C" in axes else stack
    seen: dict[tuple[int, ...], np.ndarray] = {}
    progress: list[tuple[int, int]] = []
    result = segment(
        stack,
        make_model(make_plan([ZSCORE])),
        axes=axes,
        on_slice=seen.__setitem__,
        on_progress=lambda done, total: progress.append((done, total)),
    )
    assert np.array_equal(result.labels, np.stack(alone, axis=axes.index("T")))
    assert len(seen) == 8
    assert all(np.array_equal(result.labels[place], labels) for place, labels in seen.items())
    assert progress[-1][0] == progress[-1][1] == len(progress)


def test_the_overlap_of_volumes_is_the_models_unless_somebody_says_otherwise() -> None:
    volume = np.random.default_rng(0).random((2, 70, 64)).astype(np.float32)
    model = make_model(make_plan([ZSCORE], overlap=0.0))

    def tiles(**options: float) -> int:
        told: list[int] = []
        segment(volume, model, axes="ZYX", on_progress=lambda _, n: told.append(n), **options)
        return told[-1]

    assert tiles() == 2 * 3  # 70 rows, tiles of 32
    assert tiles(overlap=0.5) == 2 * 4


def test_planes_and_films() -> None:
    rng = np.random.default_rng(0)
    film = rng.uniform(0, 255, (3, 40, 50)).astype(np.uint8)
    model = make_model(make_plan([ZSCORE]))
    alone = [segment(frame, model).labels for frame in film]
    assert np.array_equal(segment(film, model, axes="TYX").labels, np.stack(alone))
    score = (film[0].astype(float) - film[0].mean()) / film[0].std()
    inside = np.abs(np.abs(score) - 0.2) > 1e-3
    wanted = np.where(score > 0.2, 0, np.where(score < -0.2, 2, 1))
    assert np.array_equal(alone[0][inside], wanted[inside])


def test_colours_for_natural_images() -> None:
    scheme = Normalization(scheme="rgb_to_01")
    plan = make_plan([scheme] * 3, rgb=True, volume={"ignore_spacing": True})
    image = np.random.default_rng(0).integers(0, 255, (40, 50, 4), np.uint8)
    image[image == 51] = 52  # 0.2, where rounding decides
    labels = segment(image, make_model(plan), axes="YXC").labels
    assert np.array_equal(labels, np.where(image[..., 0] > 51, 0, 1))


def test_objects_are_linked_through_the_slices() -> None:
    volume = np.ones((3, 32, 64), np.float32)
    volume[:, 4:12, 4:20] = volume[:, 20:30, 40:60] = -1
    model = make_model(make_plan([Normalization(scheme="none")]))
    labels = segment(volume, model, axes="ZYX", objects=True).labels
    assert labels.dtype == np.int32
    assert [set(np.unique(plane)) for plane in labels] == [{0, 1, 2}] * 3


def test_stop_and_refusals() -> None:
    model = make_model(make_plan([ZSCORE]))
    volume = volume_with_border()[0]
    calls = iter([False] * 6 + [True] * 100)
    with pytest.raises(Cancelled):
        segment(volume, model, axes="ZYX", should_stop=lambda: next(calls))
    with pytest.raises(InputError, match="trained on slices along Z.*leave the slice axis out"):
        segment(volume, model, axes="ZYX", plane="Y")
    with pytest.raises(InputError, match="axes"):
        segment(volume, model)
    with pytest.raises(InputError, match="the model takes 1"):
        segment(np.ones((2, 3, 20, 20)), model, axes="CZYX")
    with pytest.raises(InputError, match="NaN"):
        segment(np.full((2, 20, 20), np.nan), model, axes="ZYX")
    with pytest.raises(InputError, match="is the spacing of the image right"):
        segment(volume, model, axes="ZYX", spacing=(1, 1e6, 1e6))
    assert segment(volume, model, axes="ZYX", plane="z", resample=True).labels.any()


def test_mirrored_along_the_allowed_axes() -> None:
    """Where the network knows the place, the mean over mirrors tells which flips were made."""
    image = np.ones((1, 32, 64), np.float32)
    for axes, fraction in (((), 0.25), ((0,), 0.5), ((1,), 0.5), ((0, 1), 0.0)):
        plan = make_plan([Normalization(scheme="none")], mirror_axes=axes)
        labels = segment(image, make_model(plan, Ties()), axes="ZYX", mirror=True).labels
        assert (labels == 1).mean() == fraction, axes


class Ties(Where):
    """As Where, a little in favour of class 1, so that a mean over two mirrors is class 1."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return super().forward(image) + torch.tensor([0, 0.1, 0]).reshape(1, 3, 1, 1)


def test_zoom_is_not_needed() -> None:
    """nnU-Net's own resampling of a plane is scipy's zoom on the pixel grid."""
    plane = np.random.default_rng(0).normal(size=(1, 20, 30)).astype(np.float32)
    wanted = zoom(plane[0].astype(float), (1.5, 0.5), order=3, mode="nearest", grid_mode=True)
    got = SliceResampling((20, 30), (30, 15), 0, 3, 0)(plane)[0]
    np.testing.assert_allclose(got, np.clip(wanted, plane.min(), plane.max()), atol=1e-5)


def test_pixdim_decides_where_a_nifti_says_two_sizes(tmp_path: Path) -> None:
    picture = nib.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.diag([2, 2, 2, 1]))
    picture.header["pixdim"][1:4] = (1, 1.5, 3)
    nib.save(picture, tmp_path / "two.nii")
    assert nib.load(tmp_path / "two.nii").header.get_zooms() == (1, 1.5, 3)
    image = read_image(tmp_path / "two.nii")
    assert image.spacing == (2, 2, 2)
    assert image.grid is not None
    spacing, note = _as_nnunet_reads(image.spacing, image.grid)
    assert spacing == (3, 1.5, 1)
    assert "2 x 2 x 2 by its affine and 3 x 1.5 x 1 by its pixdim" in (note or "")
