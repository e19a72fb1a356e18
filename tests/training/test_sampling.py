"""Every patch depends on (seed, step, sample) alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from swin_umamba_training.config import TrainConfig, make_config
from swin_umamba_training.dataset import scan_dataset
from swin_umamba_training.painted import find_painted
from swin_umamba_training.planning import make_plan
from swin_umamba_training.sampling import (
    ImageStore,
    PatchDataset,
    choose_centre,
    patch_loader,
)
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
    plain = {"augmentation.rotation_probability": 0.0, "augmentation.scale_probability": 0.0}
    store, plan, config = prepare(folder, steps=60, batch=1, overrides=plain)
    hits = np.mean([bool((target == 1).any()) for _, target in PatchDataset(store, plan, config)])
    assert hits > 0.3


@pytest.mark.parametrize("patch", [(30, 32), (0, 32)])
def test_patch_must_be_multiples_of_32(make_dataset, patch: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="--patch: must be multiples of 32"):
        prepare(make_dataset(), patch=patch)


def test_strokes_are_sought_where_they_were_painted() -> None:
    """A few strokes on a large image: every patch holds some, whatever else is unpainted."""
    labels = np.full((400, 500), IGNORE, np.int32)
    labels[20, 30:60] = 0
    labels[350, 400:420] = 1
    labels[10:12, 480] = 2
    painted = find_painted(labels)
    middles = {True: [], False: []}
    for foreground, found in middles.items():
        for seed in range(200):
            rng = np.random.default_rng(seed)
            row, column = choose_centre(painted, labels.shape, (32, 32), foreground, rng)
            patch = labels[int(row - 15) : int(row + 17), int(column - 15) : int(column + 17)]
            assert (patch != IGNORE).any()
            found.append(patch.max())
    # Foreground: each class as often, though one has a tenth of the other's pixels.
    assert 0.4 < np.mean(np.array(middles[True]) == 2) < 0.6
    assert 0 not in middles[True]
    assert 0 in middles[False]


def test_painted_pixels_are_few_and_the_same_every_time() -> None:
    labels = np.random.default_rng(0).integers(0, 4, (300, 300)).astype(np.int32)
    first, second = find_painted(labels, kept=300), find_painted(labels, kept=300)
    assert [len(part) for part in first.foreground] == [100, 100, 100]
    for part, other, value in zip(first.foreground, second.foreground, (1, 2, 3), strict=True):
        assert np.array_equal(part, other)
        assert (labels.ravel()[part] == value).all()
    assert first.known is None
    nothing = find_painted(np.full((8, 8), IGNORE, np.int32))
    rng = np.random.default_rng(0)
    assert nothing.draw_foreground(rng) is nothing.draw_known(rng) is None


def test_an_exact_share_of_a_batch_is_foreground(make_dataset) -> None:
    store, plan, config = prepare(
        *(make_dataset(),),
        batch=10,
        overrides={"sampling.exact_share": True, "sampling.foreground": 0.33},
    )
    patches = PatchDataset(store, plan, config)
    rng = np.random.default_rng(0)
    assert [patches._seeks_foreground(i, rng) for i in range(10)] == [False] * 7 + [True] * 3


def test_processes_share_a_batch_out(make_dataset) -> None:
    store, plan, config = prepare(make_dataset(), batch=4, devices=2)
    whole = config.model_copy(update={"devices": 1})
    for rank in (0, 1):
        parts = patch_loader(store, plan, config, rank=rank)
        for (image, target), (all_images, all_targets) in zip(
            parts, patch_loader(store, plan, whole), strict=True
        ):
            assert torch.equal(image, all_images[2 * rank : 2 * rank + 2])
            assert torch.equal(target, all_targets[2 * rank : 2 * rank + 2])
