"""How a network is trained: every number of it, in one YAML file that a person can read.

Three recipes come with the package (``recipes/*.yaml``): ``paper``, ``finetune`` and ``quick``. A
file holds what differs from the defaults below; the resolved recipe of a run, complete and with
these explanations, is its ``recipe.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.plan import PATCH_MULTIPLE

__all__ = [
    "MAX_STEPS",
    "AugmentationConfig",
    "Recipe",
    "apply_overrides",
    "bundled_recipes",
    "load_recipe",
    "recipe_fields",
    "recipe_to_yaml",
]

MAX_STEPS = 10_000_000
"""Upper bound of a run that is limited by time alone."""
MAX_PATCH = 4096
"""Edge of the largest patch: training on one takes tens of gigabytes even in the tiny network."""
_FOLDER = Path(__file__).with_name("recipes")


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
    """Peak learning rate; null: 1e-4 from trained weights, else 1e-3 for tiny networks and 5e-4
    for the others."""
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


def bundled_recipes() -> dict[str, Path]:
    """Recipes that come with the package, by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.yaml"))}


def load_recipe(source: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe and change single fields of it.

    Parameters
    ----------
    source
        Name of a bundled recipe, or path of a YAML file.
    overrides
        Values by field, ``{"optimizer.lr": 1e-4}``.

    Raises
    ------
    InputError
        There is no such recipe, it is no YAML, or a field is unknown or out of range.
    """
    bundled = bundled_recipes()
    path = bundled.get(str(source)) or Path(source).expanduser()
    if not path.is_file():
        raise InputError(
            f"unknown recipe {shown(str(source))}: give one of {', '.join(bundled)}, or a YAML "
            "file (--recipe)"
        )
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read the recipe {path}: {reason} (--recipe)") from error
    if not isinstance(data, dict):
        raise InputError(f"the recipe {path} holds no fields (--recipe)")
    if path in bundled.values():
        data = {"name": path.stem, **data}
    return build_recipe(data, overrides or {}, f"the recipe {path}: ")


def build_recipe(data: Mapping[str, Any], overrides: Mapping[str, Any], where: str = "") -> Recipe:
    """Validate nested fields with some of them replaced; see :func:`load_recipe`."""
    merged: dict[str, Any] = {
        key: dict(value) if isinstance(value, dict) else value for key, value in data.items()
    }
    for name, value in overrides.items():
        _check_field(name)
        section, _, key = name.rpartition(".")
        if not section:
            merged[key] = value
            continue
        if not isinstance(merged.setdefault(section, {}), dict):
            raise InputError(f"{where}{section} must hold fields, not {shown(merged[section])}")
        merged[section][key] = value
    try:
        return Recipe.model_validate(merged)
    except ValidationError as error:
        raise InputError(_complaint(error, set(overrides), where)) from error


_FLAGS = {
    "length.steps": "--steps",
    "length.minutes": "--minutes",
    "optimizer.lr": "--learning-rate",
    "sampling.batch": "--batch",
    "sampling.patch": "--patch",
    "validation.every": "--val-every",
}
"""Fields that have a flag of their own."""


def _complaint(error: ValidationError, overrides: set[str], where: str) -> str:
    problem = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in problem["loc"][:2] if not isinstance(part, int))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] != "value_error":  # pydantic's own words do not say what was received
        message = f"{message[0].lower()}{message[1:]}, not {shown(str(problem['input']))}"
    if field not in overrides:
        return f"{where}{field or 'recipe'}: {message}"
    return f"{_FLAGS.get(field, f'--set {field}')}: {message}"


def _check_field(name: str) -> None:
    known = [field for field, _, _ in recipe_fields()]
    if name not in known:
        alike = [field for field in known if name.rpartition(".")[2] in field][:3]
        hint = f"did you mean {' or '.join(alike)}?" if alike else "see 'swin-umamba recipes show'"
        raise InputError(f"--set {shown(name)}: no such field of a recipe; {hint}")


def apply_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """Take ``optimizer.lr=1e-4`` apart; values are YAML.

    Parameters
    ----------
    texts
        As given with ``--set``.

    Raises
    ------
    InputError
        One has no ``=``, an unknown field, or a value that is no YAML.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"--set {shown(text)}: give FIELD=VALUE, as optimizer.lr=1e-4")
        _check_field(name.strip())
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--set {shown(text)}: the value cannot be read") from error
        # YAML 1.1 takes 1e-4, without a dot, for text.
        if isinstance(parsed, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", parsed):
            parsed = float(parsed)
        values[name.strip()] = parsed
    return values


def recipe_fields(recipe: Recipe | None = None) -> Iterator[tuple[str, Any, str]]:
    """Every field of a recipe: its full name, its value, and what it means.

    Parameters
    ----------
    recipe
        Whose values; by default the defaults.
    """
    recipe = recipe or Recipe()
    for name, info in Recipe.model_fields.items():
        value = getattr(recipe, name)
        if not isinstance(value, BaseModel):
            yield name, value, info.description or ""
            continue
        for key, inner in type(value).model_fields.items():
            yield f"{name}.{key}", getattr(value, key), inner.description or ""


def recipe_to_yaml(recipe: Recipe) -> str:
    """Write a recipe as YAML that explains itself; :func:`load_recipe` reads it back.

    Parameters
    ----------
    recipe
        All its fields are written, those with default values, too.
    """
    lines: list[str] = []
    section = ""
    for name, value, meaning in recipe_fields(recipe):
        parent, _, key = name.rpartition(".")
        if parent != section:
            section = parent
            doc = type(getattr(recipe, parent)).__doc__ or ""
            lines += ["", f"# {doc.splitlines()[0]}", f"{parent}:"]
        indent = "  " if parent else ""
        lines += [f"{indent}# {line}" for line in meaning.splitlines()]
        lines.append(f"{indent}{key}: {_yaml_value(value)}")
    return "\n".join(lines) + "\n"


def _yaml_value(value: Any) -> str:
    if isinstance(value, float):
        # With a dot: YAML 1.1 takes 1e-05 for text.
        text = repr(value)
        mantissa, e, exponent = text.partition("e")
        return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else text
    if isinstance(value, tuple):
        return f"[{', '.join(_yaml_value(item) for item in value)}]"
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("...").rstrip("\n")
