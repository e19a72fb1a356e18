"""A tiny model with random weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.network import build_network
from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Model]:
    def make(output: str = "semantic", channels: int = 1, **fields: object) -> Model:
        torch.manual_seed(0)
        norm = Normalization(scheme="percentile")
        plan = Plan(
            architecture="swin-umamba-d-tiny",
            channels=tuple(Channel(name=f"c{i}", normalization=norm) for i in range(channels)),
            classes=tuple(
                SegmentationClass(id=i, name=name)
                for i, name in enumerate(["background", "nucleus interior", "boundary"])
            ),
            patch=(64, 64),
            output=output,
            min_object_pixels=4,
        ).model_copy(update=fields)
        return Model(build_network(plan.architecture, channels, 3).eval(), plan, "test")

    return make
