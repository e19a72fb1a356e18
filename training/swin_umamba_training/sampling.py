"""Training patches, each a pure function of (seed, step, sample).

Whatever the number of loader processes, wherever a run was stopped and resumed: patch `sample`
of step `step` is always the same (docs/decisions/0020-steps-not-epochs.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from napari_swin_umamba.plan import Plan
from swin_umamba_training.augmentation import augment_intensity, cut_patch, mirror
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.data.slice_store import ImageStore
from swin_umamba_training.targets import boundary_target

__all__ = ["ImageStore", "PatchDataset", "patch_loader"]

FOREGROUND_SHARE = 1 / 3
"""Share of the patches whose middle is a painted object or class."""

_PATCH, _ORDER = 1, 2  # keep the random streams of patches and of the order of images apart


class PatchDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """All patches of a run: item ``step * batch + sample``.

    Parameters
    ----------
    store
        Training images.
    plan
        Patch size, and whether targets are classes or interior and boundary.
    config
        Seed, batch and augmentation.
    """

    def __init__(self, store: ImageStore, plan: Plan, config: TrainConfig) -> None:
        self._store = store
        self._plan = plan
        self._config = config

    def __len__(self) -> int:
        return self._config.max_steps * self._config.batch

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Image ``(C, h, w)`` float32 and target classes ``(h, w)`` int64."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        step, sample = divmod(index, self._config.batch)
        rng = np.random.default_rng([self._config.seed, _PATCH, step, sample])
        image, labels = self._store[self._choose_image(index)]
        augmentation, size = self._config.augmentation, self._plan.patch
        centre = _choose_centre(labels, size, rng)
        image, labels = cut_patch(image, labels, centre, size, augmentation, rng)
        if augmentation.mirror:
            image, labels = mirror(image, labels, rng)
        image = augment_intensity(image, augmentation, rng)
        # After turning and scaling, so that boundaries are equally wide in every patch.
        target = boundary_target(labels) if self._plan.output == "boundary" else labels
        return torch.from_numpy(image), torch.from_numpy(target.astype(np.int64))

    def _choose_image(self, index: int) -> int:
        """Every image once, in a new order, before any comes again."""
        turn, position = divmod(index, len(self._store))
        order = np.random.default_rng([self._config.seed, _ORDER, turn])
        return int(order.permutation(len(self._store))[position])


def _choose_centre(
    labels: NDArray[np.int32], size: tuple[int, int], rng: Generator
) -> tuple[float, float]:
    """Middle of a patch: on a foreground pixel in a third of the cases, else anywhere."""
    on_foreground = rng.random() < FOREGROUND_SHARE
    if on_foreground:
        present = np.unique(labels)
        present = present[present > 0]
        if len(present):
            pixels = np.flatnonzero(labels == rng.choice(present))
            centre = np.unravel_index(rng.choice(pixels), labels.shape)
            return _inside(centre, labels.shape, size)
    return _inside([rng.uniform(0, extent) for extent in labels.shape], labels.shape, size)


def _inside(
    centre: Sequence[float], shape: Sequence[int], size: Sequence[int]
) -> tuple[float, float]:
    """The nearest middle of a patch that lies within the image, or the image's own middle."""
    row, column = (
        float(np.clip(middle, (length - 1) / 2, extent - 1 - (length - 1) / 2))
        if extent > length
        else (extent - 1) / 2
        for middle, length, extent in zip(centre, size, shape, strict=True)
    )
    return row, column


def patch_loader(
    store: ImageStore, plan: Plan, config: TrainConfig, first_step: int = 0
) -> DataLoader[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of the steps from `first_step` on: images ``(B, C, h, w)``, targets ``(B, h, w)``.

    Parameters
    ----------
    store, plan, config
        As in :class:`PatchDataset`.
    first_step
        Steps that were made already.
    """
    patches = PatchDataset(store, plan, config)
    return DataLoader(
        patches,
        batch_size=config.batch,
        sampler=range(first_step * config.batch, len(patches)),
        num_workers=config.workers,
        persistent_workers=config.workers > 0,
    )
