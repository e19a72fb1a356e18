"""Patches are cut, turned and changed as asked for, and only by the generator given."""

from __future__ import annotations

import numpy as np
import pytest

from swin_umamba_training.augmentation import augment_intensity, cut_patch, mirror
from swin_umamba_training.config import AugmentationConfig
from swin_umamba_training.targets import IGNORE

NOTHING = dict.fromkeys(
    [name for name in AugmentationConfig.model_fields if name.endswith("probability")], 0.0
)


def config(**values: object) -> AugmentationConfig:
    return AugmentationConfig.model_validate(NOTHING | values)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 40, 48)).astype(np.float32)


@pytest.fixture
def labels() -> np.ndarray:
    return np.arange(40 * 48, dtype=np.int32).reshape(40, 48)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_plain_crop_is_exact(image: np.ndarray, labels: np.ndarray) -> None:
    patch, target = cut_patch(image, labels, (19.5, 20.5), (16, 8), config(), rng())
    assert np.array_equal(patch, image[:, 12:28, 17:25])
    assert np.array_equal(target, labels[12:28, 17:25])


def test_beyond_the_image_is_zero_and_unknown(image: np.ndarray, labels: np.ndarray) -> None:
    patch, target = cut_patch(image, labels, (19.5, 23.5), (64, 64), config(), rng())
    assert np.array_equal(patch[:, 12:52, 8:56], image)
    assert np.array_equal(target[12:52, 8:56], labels)
    assert (target[:12] == IGNORE).all()
    assert (patch[:, :, 56:] == 0).all()


def test_quarter_turn_about_the_centre(image: np.ndarray, labels: np.ndarray) -> None:
    class Quarter(np.random.Generator):
        def uniform(self, *_: float) -> float:
            return 90.0

    turned, target = cut_patch(
        *(image, labels, (15.5, 15.5), (16, 16)),
        config(rotation_probability=1.0),
        Quarter(np.random.PCG64(0)),
    )
    square = labels[8:24, 8:24]
    assert any(np.array_equal(target, np.rot90(square, k)) for k in (1, 3))
    k = 1 if np.array_equal(target, np.rot90(square)) else 3
    assert np.allclose(turned, np.rot90(image[:, 8:24, 8:24], k, axes=(1, 2)), atol=1e-5)


def test_scaling_makes_objects_larger() -> None:
    labels = np.zeros((64, 64), np.int32)
    labels[28:36, 28:36] = 1
    image = labels[None].astype(np.float32)
    patch, target = cut_patch(
        image, labels, (31.5, 31.5), (64, 64), config(scale_probability=1.0, scale=(2, 2)), rng()
    )
    assert target.clip(0).sum() == pytest.approx(256, abs=40)
    assert patch.sum() == pytest.approx(256, rel=0.1)


def test_mirror_moves_image_and_labels_alike_in_all_eight_ways() -> None:
    labels = np.arange(36, dtype=np.int32).reshape(6, 6)
    seen = set()
    for seed in range(60):
        patch, target = mirror(labels[None].astype(np.float32), labels, config(), rng(seed))
        assert np.array_equal(patch[0], target)
        assert sorted(target.ravel()) == list(range(36))
        seen.add(target.tobytes())
    assert len(seen) == 8


@pytest.mark.parametrize("name", [name for name in NOTHING if name[:3] not in ("rot", "sca")])
def test_each_intensity_change_changes_the_image_and_not_its_input(
    name: str, image: np.ndarray
) -> None:
    before = image.copy()
    changed = augment_intensity(image, config(**{name: 1.0}), rng(1))
    assert changed.shape == image.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert not np.allclose(changed, before)
    assert np.array_equal(image, before)


def test_constant_patches_stay_finite() -> None:
    everything = AugmentationConfig.model_validate(dict.fromkeys(NOTHING, 1.0))
    changed = augment_intensity(np.zeros((1, 32, 32), np.float32), everything, rng())
    assert np.isfinite(changed).all()


def test_nothing_is_changed_when_nothing_is_asked_for(image: np.ndarray) -> None:
    assert augment_intensity(image, config(), rng()) is image


def test_images_that_lie_the_same_way_are_turned_a_little_and_not_mirrored() -> None:
    labels = np.arange(64 * 64, dtype=np.int32).reshape(64, 64)
    image = np.zeros((1, 64, 64), np.float32)
    fixed = config(orientation="fixed", rotation_probability=1.0)
    turned = set()
    for seed in range(40):
        source = rng(seed)
        patch, target = cut_patch(image, labels, (31.5, 31.5), (16, 16), fixed, source)
        _, target = mirror(patch, target, fixed, source)
        rows, columns = np.divmod(target, 64)
        right, down = target[8, 15] - target[8, 0], rows[15, 8] - rows[0, 8]
        assert columns[8, 15] - columns[8, 0] >= 13  # cos 15° of fifteen pixels, rounded
        assert down >= 13
        turned.add(int(right))
    assert len(turned) > 5
