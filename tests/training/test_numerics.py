"""What is done about numbers that are none."""

from __future__ import annotations

import math

import pytest
import torch

from napari_swin_umamba.network.blocks import DropPath
from swin_umamba_training.numerics import NumberGuard, choose_format
from swin_umamba_training.recipe import PrecisionConfig

CPU = torch.device("cpu")


def guard(number_format: str = "fp32", **values: object) -> NumberGuard:
    return NumberGuard(PrecisionConfig(format=number_format, **values), CPU)


def test_automatic_format_of_a_cpu() -> None:
    assert choose_format(PrecisionConfig(), CPU) == "fp32"


@pytest.mark.parametrize("loss", [math.nan, math.inf, 100.0])
def test_accidents_are_left_out_until_they_go_on(loss: float) -> None:
    it = guard()
    for _ in range(10):
        assert it.judge(1.0, 2.0) == "good"
    assert [it.judge(loss, 1.0) for _ in range(2)] == ["skip", "skip"]
    assert it.judge(1.0, 1.0) == "good"
    assert [it.judge(loss, 1.0) for _ in range(3)] == ["skip", "skip", "rollback"]
    assert it.rate == pytest.approx(0.1)
    assert it.skipped == 5


def test_a_hard_patch_near_the_end_is_no_accident() -> None:
    it = guard()
    for _ in range(50):
        it.judge(0.01, 1.0)
    assert it.judge(1.5, 1.0) == "good"


def test_a_high_loss_at_the_start_is_no_accident() -> None:
    it = guard()
    assert it.judge(500.0, 1.0) == "good"


def test_precision_is_raised_before_weights_go_back() -> None:
    it = guard("fp16", patience=1)
    answers = [it.judge(math.nan, 1.0) for _ in range(7)]
    assert answers == ["raise", "raise", *["rollback"] * 4, "diverged"]
    assert it.format == "fp32"


def test_fp16_overflows_lower_the_scale_and_are_routine() -> None:
    it = guard("fp16")
    before = it.scale
    assert [it.judge(1.0, math.inf) for _ in range(5)] == ["skip"] * 5
    assert it.scale == before / 32
    for _ in range(2000):
        it.judge(1.0, 1.0)
    assert it.scale == before / 16
    assert it.format == "fp16"


def test_state_is_restored() -> None:
    first, second = guard("fp16"), guard("fp16")
    for loss in (1.0, math.nan, 2.0, math.nan, math.nan):
        first.judge(loss, 1.0)
    second.load_state_dict(first.state_dict())
    losses = (math.nan, 1.0, 30.0, math.inf)
    assert [first.judge(x, 1.0) for x in losses] == [second.judge(x, 1.0) for x in losses]
    assert first.state_dict() == second.state_dict()


def test_drop_path_follows_the_numbers_it_is_given() -> None:
    module = DropPath(0.25).train()
    module.draws = torch.tensor([0.1, 0.74, 0.75, 0.99])
    kept = module(torch.ones(4, 2, 2, 3))
    assert kept[:, 0, 0, 0].tolist() == pytest.approx([4 / 3, 4 / 3, 0, 0])
    assert torch.equal(module.eval()(torch.ones(4, 1)), torch.ones(4, 1))
