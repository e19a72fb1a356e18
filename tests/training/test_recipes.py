"""Recipes: what they hold, how they are changed, and that ``paper`` is the paper's code."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from napari_swin_umamba import InputError
from napari_swin_umamba.network import build_network
from swin_umamba_training.config import make_config
from swin_umamba_training.losses import DeepSupervisionLoss
from swin_umamba_training.optimization import (
    frozen_steps,
    is_encoder,
    make_optimizer,
    relative_rate,
    set_frozen,
)
from swin_umamba_training.recipe_files import (
    apply_overrides,
    bundled_recipes,
    load_recipe,
    recipe_fields,
    recipe_to_yaml,
)


def config(tmp_path: Path, **values: object):
    return make_config(dataset=tmp_path, run=tmp_path / "run", **values)


@pytest.mark.parametrize("name", ["paper", "finetune", "quick"])
def test_written_recipes_are_read_back(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe_to_yaml(recipe))
    assert load_recipe(file) == recipe
    assert recipe.name == name
    assert recipe.description


def test_every_field_is_explained() -> None:
    for name, _, meaning in recipe_fields():
        assert len(meaning) > 5, name
    assert set(bundled_recipes()) == {"paper", "finetune", "quick"}


def test_fields_are_changed_by_name_and_by_flag(tmp_path: Path) -> None:
    changed = config(
        tmp_path,
        overrides=apply_overrides(["optimizer.lr=1e-4", "sampling.patch=[64, 96]"]),
        steps=7,
    )
    assert changed.recipe.optimizer.lr == 1e-4
    assert changed.patch == (64, 96)
    assert changed.max_steps == 7
    assert config(tmp_path).recipe.name == "quick"
    assert config(tmp_path, init="imagenet").recipe.name == "finetune"
    stored = json.loads(changed.model_dump_json())
    assert make_config(**stored) == changed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["optimizer.lr"], "give FIELD=VALUE"),
        (["optimizer.speed=1"], "no such field"),
        (["lr=1"], "did you mean optimizer.lr"),
        (["optimizer.lr=fast"], "--learning-rate: .*'fast'"),
        (["augmentation.scale=[2, 1]"], "--set augmentation.scale: .*range"),
        (["precision.format=fp8"], "--set precision.format: .*'fp8'"),
        (["loss.deep_supervision=[0, 1]"], "first must be positive"),
        (["loss.dice=0", "loss.cross_entropy=0"], "cannot both be 0"),
        (["optimizer.betas=[0.9, 1]"], "--set optimizer.betas: .*below 1, not 0.9, 1"),
        (["optimizer=3"], "no such field"),
    ],
)
def test_what_cannot_be_changed(tmp_path: Path, changes: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config(tmp_path, overrides=apply_overrides(changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "holds no fields"),
        ("a: [", "cannot read the recipe"),
        ("speed: 3", "speed: .*not '?3"),
        ("optimizer: 3", "optimizer"),
        ("sampling: {batch: 0}", r"sampling\.batch: .*not .0"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        load_recipe(file)
    with pytest.raises(InputError, match="unknown recipe 'nonsense'.*finetune, paper, quick"):
        load_recipe("nonsense")


# The paper's code: JiarunLiu/Swin-UMamba, commit 2c1f72e.


def test_paper_learning_rate() -> None:
    """CosineAnnealingLR(optimizer, T_max=1000, eta_min=1e-6), stepped with the number of the epoch
    (nnUNetTrainerSwinUMamba.configure_optimizers; nnUNetTrainer.on_train_epoch_start), base 1e-4,
    250 iterations an epoch (nnUNetTrainer.num_iterations_per_epoch)."""
    recipe = load_recipe("paper")
    weight = nn.Parameter(torch.zeros(1))
    theirs = torch.optim.AdamW([weight], lr=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, T_max=1000, eta_min=1e-6)
    assert recipe.optimizer.lr == 1e-4
    for epoch in range(350):
        expected = 1e-6 + (1e-4 - 1e-6) * (1 + math.cos(math.pi * epoch / 1000)) / 2
        assert theirs.param_groups[0]["lr"] == pytest.approx(expected, rel=1e-6)
        for step in (250 * epoch, 250 * epoch + 249):
            rate = 1e-4 * relative_rate(step, 25000, recipe.schedule)
            assert rate == pytest.approx(expected, rel=1e-9)
        theirs.step()
        schedule.step()


@pytest.mark.parametrize("arch", ["swin-umamba", "swin-umamba-d"])
def test_paper_frozen_parameters(arch: str) -> None:
    """freeze_encoder: all of ``vssm_encoder`` whose name does not hold ``patch_embed``, in epochs
    0 to 9 (nets/SwinUMamba.py, nets/SwinUMambaD.py; on_train_epoch_start of both trainers)."""
    recipe = load_recipe("paper")
    assert frozen_steps(25000, recipe.freeze) == 10 * 250
    with torch.device("meta"):
        network = build_network(arch, 3, 2, deep_supervision=True)
    names = [name for name, _ in network.named_parameters()]
    expected = {n for n in names if n.startswith("vssm_encoder.") and "patch_embed" not in n}
    assert 150 < len(expected) < len(names)
    set_frozen(network, True, recipe.freeze)
    assert {n for n, p in network.named_parameters() if not p.requires_grad} == expected
    set_frozen(network, False, recipe.freeze)
    assert all(p.requires_grad for p in network.parameters())


def test_paper_optimizer() -> None:
    """AdamW(lr=1e-4, weight_decay=5e-2, eps=1e-5, betas=(0.9, 0.999)) on all weights; clipping
    at 12 (nnUNetTrainer.train_step)."""
    recipe = load_recipe("paper")
    network = build_network("swin-umamba-d-tiny", 1, 2)
    optimizer = make_optimizer(network, recipe.optimizer, 1e-4)
    assert {p for group in optimizer.param_groups for p in group["params"]} == set(
        network.parameters()
    )
    for group in optimizer.param_groups:
        assert (group["lr"], group["factor"]) == (1e-4, 1.0)
        assert (group["weight_decay"], group["eps"], group["betas"]) == (0.05, 1e-5, (0.9, 0.999))
    assert recipe.optimizer.clip == 12


def test_paper_loss() -> None:
    """DC_and_CE_loss(batch_dice, smooth 1e-5, do_bg False, weights 1 and 1) with deep-supervision
    weights 1, 1/2, 1/4, 0 over their sum (nnUNetTrainer._build_loss). nnU-Net's Dice loss is minus
    Dice, which ours adds 1 to: the gradient is the same."""
    recipe = load_recipe("paper")
    generator = torch.Generator().manual_seed(1)
    target = torch.randint(0, 3, (2, 32, 32), generator=generator)
    outputs = [
        torch.randn(2, 3, 32 // s, 32 // s, generator=generator, requires_grad=True)
        for s in (1, 2, 4, 8)
    ]

    def theirs(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
        probabilities = logits.softmax(1)
        dice = []
        for index in (1, 2):
            p, t = probabilities[:, index], (classes == index).float()
            tp, fp, fn = (p * t).sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum()
            dice.append((2 * tp + 1e-5) / (2 * tp + fp + fn + 1e-5))
        return functional.cross_entropy(logits, classes) - sum(dice) / 2

    weights = [1 / 2**i for i in range(4)]
    weights[-1] = 0
    weights = [weight / sum(weights) for weight in weights]
    assert weights == pytest.approx([4 / 7, 2 / 7, 1 / 7, 0])
    expected = sum(
        weight * theirs(logits, target[:, s // 2 :: s, s // 2 :: s])
        for weight, logits, s in zip(weights, outputs, (1, 2, 4, 8), strict=True)
    )
    loss = DeepSupervisionLoss(recipe.loss)(outputs, target)
    assert loss.item() == pytest.approx(expected.item() + 1, abs=1e-5)
    ours = torch.autograd.grad(loss, outputs[:3])
    grads = torch.autograd.grad(expected, outputs[:3])
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(ours, grads, strict=True))


def test_paper_augmentation_and_sampling() -> None:
    """nnUNetTrainer.get_training_transforms, configure_rotation_dummyDA_mirroring_and_inital_patch_
    size, oversample_foreground_percent."""
    recipe = load_recipe("paper")
    augmentation = recipe.augmentation
    assert (augmentation.rotation, augmentation.elongated_rotation) == (180, 15)
    assert augmentation.scale == (0.7, 1.4)
    assert augmentation.blur == (0.5, 1.0)
    assert augmentation.brightness == augmentation.contrast == (0.75, 1.25)
    assert augmentation.zoom == (0.5, 1.0)
    assert augmentation.gamma == (0.7, 1.5)
    probabilities = {
        name: value
        for name, value in augmentation.model_dump().items()
        if name.endswith("probability")
    }
    assert probabilities == {
        "rotation_probability": 0.2,
        "scale_probability": 0.2,
        "noise_probability": 0.1,
        "blur_probability": 0.2,
        "brightness_probability": 0.15,
        "contrast_probability": 0.15,
        "low_resolution_probability": 0.25,
        "gamma_probability": 0.3,
        "inverted_gamma_probability": 0.1,
    }
    assert recipe.sampling.foreground == 0.33
    # nnUNetDataLoaderBase: the last ones of a batch, ``not i < round(batch * (1 - 0.33))``
    forced = [i for i in range(30) if not i < round(30 * (1 - 0.33))]
    assert len(forced) == 10
    assert recipe.sampling.exact_share


def test_finetuning_begins_with_what_is_new(tmp_path: Path) -> None:
    assert frozen_steps(1000, load_recipe("finetune").freeze) == 100
    model = config(tmp_path, init="model.safetensors")
    drawn = config(tmp_path)
    for architecture in ("swin-umamba-d-tiny", "swin-umamba"):
        rate = model.peak_learning_rate(architecture)
        assert rate < drawn.peak_learning_rate(architecture)


def test_the_encoder_may_learn_more_slowly() -> None:
    recipe = load_recipe("finetune", {"optimizer.encoder_lr": 0.1})
    network = build_network("swin-umamba-d-tiny", 1, 2)
    optimizer = make_optimizer(network, recipe.optimizer, 1.0)
    encoder = {p for n, p in network.named_parameters() if is_encoder(n)}
    factors = {
        parameter: group["factor"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert {factors[parameter] for parameter in encoder} == {0.1}
    assert {factors[p] for p in network.parameters() if p not in encoder} == {1.0}
