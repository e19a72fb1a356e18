"""How a network is trained: every number of it, with its meaning.

Recipes are read from files and written to them by :mod:`swin_umamba_training.recipe_files`.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from napari_swin_umamba.plan import PATCH_MULTIPLE

__all__ = [
    "MAX_PATCH",
    "MAX_STEPS",
    "AugmentationConfig",
    "Recipe",
]

MAX_STEPS = 10_000_000
"""Upper bound of a run that is limited by time alone."""
MAX_PATCH = 4096
"""Edge of the largest patch: training on one takes tens of gigabytes even in the tiny network."""


class _Settings(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class LengthConfig(_Settings):
    """How long a run is."""

    steps: int | None = Field(1000, ge=1, le=MAX_STEPS)
    """Optimiser steps; null with `minutes`: as many as fit into them."""
    minutes: float | None = Field(None, gt=0)
    """Time for training. Turned into steps once the first steps were timed; whichever of steps
    and minutes is less counts."""
    early_stop: int | None = Field(None, ge=1)
    """End after so many validations in a row without a better score; null: never."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.steps is None and self.minutes is None:
            raise ValueError("give steps or minutes")
        return self


class OptimizerConfig(_Settings):
    """AdamW."""

    lr: float | None = Field(None, gt=0)
    """Peak learning rate; null: 1e-3 for tiny networks, 5e-4 for the others; from trained weights
    5e-4 and 1e-4."""
    encoder_lr: float = Field(1.0, gt=0, le=1)
    """Factor on the learning rate of the encoder."""
    weight_decay: float = Field(0.05, ge=0)
    """On all weights."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the first and second moments."""
    eps: float = Field(1e-5, gt=0)
    """Added to the denominator."""
    clip: float | None = Field(12.0, gt=0)
    """Largest norm of the gradient; null: any."""

    @field_validator("betas")
    @classmethod
    def _check_betas(cls, betas: tuple[float, float]) -> tuple[float, float]:
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f"must be two numbers from 0 to below 1, not {betas[0]:g}, {betas[1]:g}"
            )
        return betas


class ScheduleConfig(_Settings):
    """Learning rate over the run: a linear rise, then half a cosine."""

    warmup: float = Field(0.05, ge=0, le=1)
    """Share of the cosine's length in which the rate rises."""
    floor: float = Field(0.01, ge=0, le=1)
    """Rate at the end of the cosine, relative to its peak."""
    length: int | None = Field(None, ge=1)
    """Steps of the whole schedule; null: those of the run. Where it is longer than the run, the
    run ends on the way down."""
    every: int = Field(1, ge=1)
    """Steps for which a rate is kept: 250 changes it once in an epoch of 250 steps."""


class FreezeConfig(_Settings):
    """Weights that are not trained at first."""

    steps: int | float = Field(0, ge=0)
    """Steps in which the encoder keeps its weights; below 1: share of the run."""
    except_for: tuple[str, ...] = ("patch_embed",)
    """Parts of the encoder that are trained from the start: names that hold one of these."""


class LossConfig(_Settings):
    """Dice and cross-entropy."""

    dice: float = Field(1.0, ge=0)
    """Weight of the Dice loss: over all pixels of a batch, without the background."""
    cross_entropy: float = Field(1.0, ge=0)
    """Weight of the cross-entropy."""
    smooth: float = Field(1e-5, ge=0)
    """Added to numerator and denominator of Dice."""
    deep_supervision: tuple[float, ...] = Field((4.0, 2.0, 1.0, 0.0), min_length=1)
    """Weights of the outputs, finest first; divided by their sum."""
    distance: float = Field(1.0, ge=0)
    """Weight of the error of distances, where the targets are distances."""

    @field_validator("deep_supervision")
    @classmethod
    def _check_weights(cls, weights: tuple[float, ...]) -> tuple[float, ...]:
        if min(weights) < 0 or weights[0] <= 0:
            raise ValueError("no weight may be negative, and the first must be positive")
        return weights

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.dice and not self.cross_entropy:
            raise ValueError("dice and cross_entropy cannot both be 0: nothing would be learned")
        return self


class SamplingConfig(_Settings):
    """Which patches are drawn."""

    batch: int | None = Field(None, ge=1, le=4096)
    """Patches in a step, over all devices together; null: as many as make four of 256 x 256, from
    2 to 16."""
    patch: tuple[int, int] | None = None
    """Height and width in pixels, multiples of 32; null: from the image sizes, up to 256."""
    foreground: float = Field(1 / 3, ge=0, le=1)
    """Share of the patches whose middle is a painted pixel of a foreground class."""
    exact_share: bool = False
    """The last patches of each batch are the ones on foreground (as nnU-Net has it), instead of
    each by chance."""

    @field_validator("patch")
    @classmethod
    def _check_patch(cls, patch: tuple[int, int] | None) -> tuple[int, int] | None:
        if patch and any(size < PATCH_MULTIPLE or size % PATCH_MULTIPLE for size in patch):
            raise ValueError(f"must be multiples of {PATCH_MULTIPLE}, not {patch[0]}x{patch[1]}")
        if patch and max(patch) > MAX_PATCH:
            raise ValueError(f"must be at most {MAX_PATCH} pixels, not {patch[0]}x{patch[1]}")
        return patch


class AugmentationConfig(_Settings):
    """How often and how far a patch is changed. Defaults: nnU-Net's, as the paper used them."""

    orientation: Literal["auto", "any", "fixed"] = "auto"
    """``fixed``: all images lie the same way, as scans of patients do; they are not mirrored, not
    turned by right angles, and otherwise by `elongated_rotation` at most. ``any``: there is no up.
    ``auto``: fixed for volumes, any for 2D images."""
    mirror: bool = True
    """Flip along each axis with probability 1/2."""
    right_angles: bool = True
    """Turn square patches by right angles, too, which costs nothing."""
    rotation: float = Field(180.0, ge=0)
    """Largest rotation in degrees, either way."""
    elongated_rotation: float = Field(15.0, ge=0)
    """The same for patches of which one side is over 1.5 times the other."""
    rotation_probability: float = Field(0.2, ge=0, le=1)
    """How often a patch is rotated."""
    scale: tuple[float, float] = (0.7, 1.4)
    """Factors by which objects shrink or grow."""
    scale_probability: float = Field(0.2, ge=0, le=1)
    """How often a patch is scaled."""
    noise_variance: float = Field(0.1, ge=0)
    """Largest variance of Gaussian noise, on normalised intensities."""
    noise_probability: float = Field(0.1, ge=0, le=1)
    """How often noise is added."""
    blur: tuple[float, float] = (0.5, 1.0)
    """Standard deviation of the blur in pixels."""
    blur_probability: float = Field(0.2, ge=0, le=1)
    """How often a patch is blurred."""
    brightness: tuple[float, float] = (0.75, 1.25)
    """Factors on intensities."""
    brightness_probability: float = Field(0.15, ge=0, le=1)
    """How often intensities are multiplied."""
    contrast: tuple[float, float] = (0.75, 1.25)
    """Factors on the distance of intensities from their mean."""
    contrast_probability: float = Field(0.15, ge=0, le=1)
    """How often contrast is changed."""
    zoom: tuple[float, float] = (0.5, 1.0)
    """Resolution that is simulated, relative to the patch's."""
    low_resolution_probability: float = Field(0.25, ge=0, le=1)
    """How often a low resolution is simulated."""
    gamma: tuple[float, float] = (0.7, 1.5)
    """Exponents of gamma curves."""
    gamma_probability: float = Field(0.3, ge=0, le=1)
    """How often a gamma curve is applied."""
    inverted_gamma_probability: float = Field(0.1, ge=0, le=1)
    """How often one is applied to the inverted patch."""
    per_channel: float = Field(1.0, gt=0, le=1)
    """Blur and low resolution: probability of each channel of a chosen patch."""

    @field_validator("scale", "blur", "brightness", "contrast", "zoom", "gamma")
    @classmethod
    def _check_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError(f"must be a positive range, not {value[0]:g} to {value[1]:g}")
        return value


class ValidationConfig(_Settings):
    """When the model is scored."""

    every: int | None = Field(None, ge=1)
    """Steps between validations; null: a tenth of the run, at most 250. Where `minutes` limit the
    run, validations that would take more than a fifth of them are made less often."""


class PrecisionConfig(_Settings):
    """Number formats, and what is done about numbers that are none. The scan is always fp32."""

    format: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of matrix products; auto: bf16 or fp16 on NVIDIA GPUs, by what these can do, else fp32."""
    explosion: float = Field(10.0, gt=1)
    """A loss so many times the recent mean is taken for an accident, and its step is left out."""
    patience: int = Field(3, ge=1)
    """Accidents in a row after which the precision is raised, or, at fp32, weights go back to the
    last good ones and the learning rate to a tenth."""


class TargetConfig(_Settings):
    """What the network learns of numbered objects."""

    instances: Literal["boundary", "distance"] = "boundary"
    """``boundary``: interior and boundary (the paper's microscopy experiment). ``distance``:
    object or not, and how far a pixel is from the object's edge."""


class Recipe(_Settings):
    """How a network is trained."""

    name: str = "custom"
    """What the recipe is called in reports."""
    description: str = ""
    """What it is for."""
    length: LengthConfig = LengthConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    freeze: FreezeConfig = FreezeConfig()
    loss: LossConfig = LossConfig()
    sampling: SamplingConfig = SamplingConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    validation: ValidationConfig = ValidationConfig()
    precision: PrecisionConfig = PrecisionConfig()
    targets: TargetConfig = TargetConfig()
