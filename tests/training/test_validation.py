"""Scores of whole validation images: what counts, and what says nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass
from swin_umamba_training.config import make_config
from swin_umamba_training.dataset import scan_dataset
from swin_umamba_training.planning import make_plan
from swin_umamba_training.recipe import LossConfig
from swin_umamba_training.sampling import ImageStore
from swin_umamba_training.validation import ImageScore, ValidationScores, validate

PLAN = Plan(
    architecture="swin-umamba-d-tiny",
    channels=(Channel(name="intensity", normalization=Normalization(scheme="percentile")),),
    classes=tuple(
        SegmentationClass(id=index, name=name)
        for index, name in enumerate(("background", "common", "rare", "nowhere"))
    ),
    patch=(32, 32),
)


def image(
    name: str, common: tuple[int, int, int], rare: tuple[int, int, int], wrong: int = 0
) -> ImageScore:
    """Overlap, true and found pixels of two classes; `wrong` pixels of one that is nowhere."""
    counts = ((100, 100, 100), common, rare, (0, 0, wrong))
    overlap, true, found = zip(*counts, strict=True)
    size = tuple(a + b for a, b in zip(true, found, strict=True))
    return ImageScore(name, 0.5, overlap, size, true)


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_class_that_no_image_holds_has_no_score(wrong: int) -> None:
    """Whether the network found a pixel of it would otherwise move the mean by a third."""
    scores = ValidationScores(
        PLAN, (image("a", (8, 10, 10), (0, 0, 0), wrong), image("b", (8, 10, 10), (4, 10, 10)))
    )
    assert scores.dice == {"common": pytest.approx(0.8), "rare": pytest.approx(0.4)}
    assert scores.score == pytest.approx(0.6)


def test_intervals_come_from_images_that_hold_the_class() -> None:
    """One image of six holds the rare class, so a third of the draws has none of it."""
    images = [image(str(index), (8, 10, 10), (0, 0, 0)) for index in range(5)]
    intervals = ValidationScores(PLAN, (*images, image("5", (8, 10, 10), (4, 10, 10)))).intervals()
    assert set(intervals) == {"common", "rare"}
    assert intervals["rare"] == pytest.approx((0.4, 0.4))


def test_images_of_background_alone_have_a_score() -> None:
    clean = image("a", (0, 0, 0), (0, 0, 0))
    assert ValidationScores(PLAN, (clean,)).score == 1.0
    found = image("b", (0, 0, 7), (0, 0, 0))
    assert ValidationScores(PLAN, (clean, found)).score == pytest.approx(2 / 3)


class Counting(torch.nn.Module):
    """Background everywhere; counts the tiles that it sees."""

    tiles = 0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.tiles += len(image)
        background = torch.ones_like(image[:, :1])
        return torch.cat([background, -background], dim=1)


@pytest.mark.parametrize(("overlap", "tiles"), [(0.5, 12), (0.0, 6)])
def test_images_are_validated_with_the_overlap_of_the_plan(
    make_dataset: Callable[..., Path], overlap: float, tiles: int
) -> None:
    """As they are predicted later: of images of 64 x 72 pixels in tiles of 32."""
    folder = make_dataset(images=2)
    dataset = scan_dataset(folder)
    config = make_config(dataset=folder, run=folder / "run", patch=(32, 32))
    plan = make_plan(dataset, config).model_copy(update={"overlap": overlap})
    store, network = ImageStore(dataset.samples, dataset, plan), Counting()
    assert store[0][0].shape == (1, 64, 72)
    validate(network, store, plan, torch.device("cpu"), LossConfig())
    assert network.tiles == 2 * tiles
