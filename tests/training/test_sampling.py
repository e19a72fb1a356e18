"""Every patch depends on (seed, step, sample) alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from swin_umamba_training.config import TrainConfig, make_config
from swin_umamba_training.dataset import scan_dataset
from swin_umamba_training.planning import make_plan
from swin_umamba_training.sampling import ImageStore, PatchDataset, patch_loader
from swin_umamba_training.targets import IGNORE


def prepare(folder, **values: object) -> tuple[ImageStore, object, TrainConfig]:
    options = {"patch": (32, 32), "batch": 3, "steps": 4, "arch": "swin-umamba-d-tiny"}
    config = make_config(dataset=folder, run=folder / "run", **(options | values))
    dataset = scan_dataset(folder, config.instances)
    plan = make_plan(dataset, config)
    return ImageStore(dataset.samples, dataset, plan), plan, config


def test_same_patches_whatever_the_workers_and_the_start(make_dataset) -> None:
    store, plan, config = prepare(make_dataset(), instances=False)
    straight = list(patch_loader(store, plan, config))
    assert len(straight) == 4
    resumed = list(patch_loader(store, plan, config, first_step=2))
    forked = list(patch_loader(store, plan, config.model_copy(update={"workers": 2})))
    for other, reference in ((resumed, straight[2:]), (forked, straight)):
        for (image, target), (image_2, target_2) in zip(other, reference, strict=True):
            assert torch.equal(image, image_2)
            assert torch.equal(target, target_2)


def test_seeds_steps_and_samples_differ(make_dataset) -> None:
    store, plan, config = prepare(make_dataset())
    patches = [image for image, _ in PatchDataset(store, plan, config)]
    patches += [i for i, _ in PatchDataset(store, plan, config.model_copy(update={"seed": 1}))]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(patches, 2))


def test_every_image_comes_before_any_comes_again(make_dataset) -> None:
    store, plan, config = prepare(make_dataset(images=4), steps=8, batch=1)
    asked: list[int] = []

    class Spy:
        def __len__(self) -> int:
            return len(store)

        def __getitem__(self, index: int):
            asked.append(index)
            return store[index]

    for _ in PatchDataset(Spy(), plan, config):
        pass
    assert sorted(asked[:4]) == sorted(asked[4:]) == [0, 1, 2, 3]


def test_patches_of_objects_hold_interior_and_boundary(make_dataset) -> None:
    store, plan, config = prepare(make_dataset("instances"), instances=True, steps=10)
    found = set()
    for image, target in PatchDataset(store, plan, config):
        assert image.shape == (1, 32, 32)
        assert image.dtype == torch.float32
        assert target.dtype == torch.int64
        found |= set(target.unique().tolist())
    assert found - {IGNORE} == {0, 1, 2}


def test_images_smaller_than_the_patch_are_padded_with_unknown(make_dataset) -> None:
    store, plan, config = prepare(make_dataset(), patch=(96, 96), steps=2)
    for image, target in PatchDataset(store, plan, config):
        assert image.shape == (1, 96, 96)
        known = target != IGNORE
        assert 0 < known.sum() <= 96 * 96
        assert (~known).any()


def test_rare_classes_are_sought(make_dataset) -> None:
    """A third of the patches has its middle on a foreground pixel, however rare it is."""
    folder = make_dataset(images=1)
    import imageio.v3 as iio

    mask = np.zeros((64, 72), np.uint8)
    mask[1, 2] = 1
    iio.imwrite(folder / "masks" / "cell0.png", mask)
    plain = {"rotation_probability": 0.0, "scale_probability": 0.0}
    store, plan, config = prepare(folder, steps=60, batch=1, augmentation=plain)
    hits = np.mean([bool((target == 1).any()) for _, target in PatchDataset(store, plan, config)])
    assert hits > 0.3


@pytest.mark.parametrize("patch", [(30, 32), (0, 32)])
def test_patch_must_be_multiples_of_32(make_dataset, patch: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="--patch: must be multiples of 32"):
        prepare(make_dataset(), patch=patch)
