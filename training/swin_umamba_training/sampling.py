"""Training patches, each a pure function of (seed, step, sample).

Whatever the number of loader processes, wherever a run was stopped and resumed: patch `sample`
of step `step` is always the same (docs/decisions/0020-steps-not-epochs.md).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from napari_swin_umamba.plan import Plan
from swin_umamba_training.augmentation import augment_intensity, cut_patch, mirror
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.data.slice_store import ImageStore
from swin_umamba_training.painted import PaintedPixels, find_painted
from swin_umamba_training.targets import make_target

__all__ = ["ImageStore", "PatchDataset", "choose_centre", "patch_loader"]

_REMEMBERED = 2000
"""Images whose painted pixels are remembered: up to 160 kB each."""

_PATCH, _ORDER = 1, 2  # keep the random streams of patches and of the order of images apart


class PatchDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """All patches of a run: item ``step * batch + sample``.

    Parameters
    ----------
    store
        Training images.
    plan
        Patch size, and what the targets are.
    config
        Seed, batch (settled) and augmentation.
    """

    def __init__(self, store: ImageStore, plan: Plan, config: TrainConfig) -> None:
        self._store = store
        self._plan = plan
        self._seed = config.seed
        self._sampling = config.recipe.sampling
        self._batch = config.batch
        self._augmentation = config.recipe.augmentation
        self._steps = config.max_steps
        self._painted: OrderedDict[int, PaintedPixels] = OrderedDict()

    def __len__(self) -> int:
        return self._steps * self._batch

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Image ``(C, h, w)`` float32 and target ``(h, w)`` int64."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        step, sample = divmod(index, self._batch)
        rng = np.random.default_rng([self._seed, _PATCH, step, sample])
        number = self._choose_image(index)
        image, labels = self._store[number]
        size = self._plan.patch
        centre = choose_centre(
            self._painted_in(number, labels),
            labels.shape,
            size,
            self._seeks_foreground(sample, rng),
            rng,
        )
        image, labels = cut_patch(image, labels, centre, size, self._augmentation, rng)
        image = augment_intensity(image, self._augmentation, rng)
        image, labels = mirror(image, labels, self._augmentation, rng)
        # After turning and scaling, so that boundaries are equally wide in every patch.
        target = make_target(labels, self._plan.output)
        return torch.from_numpy(image), torch.from_numpy(target.astype(np.int64))

    def _painted_in(self, number: int, labels: NDArray[np.int32]) -> PaintedPixels:
        if number not in self._painted:
            self._painted[number] = find_painted(labels)
            if len(self._painted) > _REMEMBERED:
                self._painted.popitem(last=False)
        self._painted.move_to_end(number)
        return self._painted[number]

    def _seeks_foreground(self, sample: int, rng: Generator) -> bool:
        """Whether a patch's middle is to be foreground: the last of a batch, or any by chance."""
        chance = rng.random()
        if not self._sampling.exact_share:
            return bool(chance < self._sampling.foreground)
        return sample >= round(self._batch * (1 - self._sampling.foreground))

    def _choose_image(self, index: int) -> int:
        """Every image once, in a new order, before any comes again."""
        turn, position = divmod(index, len(self._store))
        order = np.random.default_rng([self._seed, _ORDER, turn])
        return int(order.permutation(len(self._store))[position])


def choose_centre(
    painted: PaintedPixels,
    shape: tuple[int, ...],
    size: tuple[int, int],
    foreground: bool,
    rng: Generator,
) -> tuple[float, float]:
    """Middle of a patch.

    Parameters
    ----------
    painted
        Where the image was painted.
    shape
        Of the image.
    size
        Of the patch.
    foreground
        Whether to seek a class or object. Otherwise it is a painted pixel, or anywhere in an image
        that is painted all over.
    rng
        Source of chance.
    """
    pixel = painted.draw_foreground(rng) if foreground else None
    if pixel is None:
        pixel = painted.draw_known(rng)
    if pixel is not None:
        return _inside(divmod(pixel, shape[1]), shape, size)
    return _inside([rng.uniform(0, extent) for extent in shape], shape, size)


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


class _StepSampler:
    """The samples of each step that a process prepares, from a step on.

    Parameters
    ----------
    first, last
        Steps, the last one left out.
    batch
        Samples of a step, over all processes.
    rank, ranks
        This process, and how many there are. Each takes a row of neighbouring samples.
    """

    def __init__(self, first: int, last: int, batch: int, rank: int, ranks: int) -> None:
        self._steps = range(first, last)
        self._batch = batch
        share = batch // ranks
        self._mine = range(rank * share, (rank + 1) * share)

    def __len__(self) -> int:
        return len(self._steps)

    def __iter__(self) -> Iterator[list[int]]:
        for step in self._steps:
            yield [step * self._batch + sample for sample in self._mine]


def patch_loader(
    store: ImageStore,
    plan: Plan,
    config: TrainConfig,
    first_step: int = 0,
    rank: int = 0,
) -> DataLoader[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of the steps from `first_step` on: images ``(B, C, h, w)``, targets ``(B, h, w)``.

    Parameters
    ----------
    store, plan, config
        As in :class:`PatchDataset`.
    first_step
        Steps that were made already.
    rank
        Of this process; it gets its share of each batch.
    """
    patches = PatchDataset(store, plan, config)
    sampler = _StepSampler(first_step, config.max_steps, config.batch, rank, config.world_size)
    return DataLoader(
        patches,
        batch_sampler=sampler,  # an iterable of lists is enough
        num_workers=config.workers,
        persistent_workers=config.workers > 0,
    )
