"""Dice + cross-entropy and its deep supervision."""

from __future__ import annotations

import pytest
import torch
from monai.losses.dice import DiceCELoss
from torch.nn import functional

from swin_umamba_training.losses import DeepSupervisionLoss, DiceCrossEntropy
from swin_umamba_training.targets import IGNORE


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 4, 16, 24, generator=generator)
    return logits, torch.randint(0, 4, (2, 16, 24), generator=generator)


def test_equals_monai_where_everything_is_known(batch: tuple) -> None:
    logits, target = batch
    monai = DiceCELoss(
        include_background=False,
        to_onehot_y=True,
        softmax=True,
        batch=True,
        smooth_nr=1e-5,
        smooth_dr=1e-5,
    )
    expected = monai(logits, target[:, None])
    assert DiceCrossEntropy()(logits, target).item() == pytest.approx(expected.item(), abs=1e-6)


def test_unknown_pixels_have_no_influence_and_no_gradient(batch: tuple) -> None:
    logits, target = batch
    target[:, 4:9] = IGNORE
    logits.requires_grad_()
    loss = DiceCrossEntropy()(logits, target)
    loss.backward()
    assert logits.grad[:, :, 4:9].abs().max() == 0
    assert logits.grad[:, :, :4].abs().min() > 0
    changed = logits.detach().clone()
    changed[:, :, 4:9] += 5
    assert DiceCrossEntropy()(changed, target).item() == pytest.approx(loss.item())


def test_nothing_known_gives_a_finite_loss_and_no_gradient(batch: tuple) -> None:
    logits, target = batch
    logits.requires_grad_()
    loss = DiceCrossEntropy()(logits, torch.full_like(target, IGNORE))
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad.abs().max() == 0


def test_perfect_prediction_has_no_loss(batch: tuple) -> None:
    _, target = batch
    logits = functional.one_hot(target, 4).movedim(-1, 1) * 50.0
    assert DiceCrossEntropy()(logits, target).item() == pytest.approx(0, abs=1e-4)


def test_gradient_points_to_the_target(batch: tuple) -> None:
    logits, target = batch
    logits.requires_grad_()
    DiceCrossEntropy()(logits, target).backward()
    of_target = logits.grad.gather(1, target[:, None])
    assert (of_target < 0).all()  # more of the right class, less loss


def test_resolutions_weigh_four_two_one_zero(batch: tuple) -> None:
    logits, target = batch
    outputs = [logits, *(functional.avg_pool2d(logits, 2**level) for level in (1, 2, 3))]
    single = DiceCrossEntropy()
    parts = [
        single(out, target[:, 2**k // 2 :: 2**k, 2**k // 2 :: 2**k])
        for k, out in enumerate(outputs)
    ]
    expected = (4 * parts[0] + 2 * parts[1] + parts[2]) / 7
    assert DeepSupervisionLoss()(outputs, target).item() == pytest.approx(expected.item())
    # the coarsest has no weight, and its values do not matter
    outputs[3] = outputs[3] * float("nan")
    assert torch.isfinite(DeepSupervisionLoss()(outputs, target))
