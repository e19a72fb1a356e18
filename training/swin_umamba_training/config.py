"""What a training run can be told. Saved as ``config.json`` beside the run's model."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plan import PATCH_MULTIPLE

__all__ = ["AugmentationConfig", "TrainConfig", "make_config"]

DEFAULT_STEPS = 1000
"""Length of a run that is given neither steps nor minutes."""
MAX_STEPS = 10_000_000
"""Upper bound of a run that is limited by time alone."""
MAX_PATCH = 4096
"""Edge of the largest patch: training on one takes tens of gigabytes even in the tiny network."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AugmentationConfig(_Settings):
    """How often and how far a patch is changed. Defaults: nnU-Net's, as the paper used them."""

    mirror: bool = True
    """Flip along each axis with probability 1/2; square patches also turn by right angles."""
    rotation: float = Field(180.0, ge=0)
    """Largest rotation in degrees, either way."""
    rotation_probability: float = Field(0.2, ge=0, le=1)
    scale: tuple[float, float] = (0.7, 1.4)
    """Factors by which objects shrink or grow."""
    scale_probability: float = Field(0.2, ge=0, le=1)
    noise_probability: float = Field(0.1, ge=0, le=1)
    blur_probability: float = Field(0.2, ge=0, le=1)
    brightness_probability: float = Field(0.15, ge=0, le=1)
    contrast_probability: float = Field(0.15, ge=0, le=1)
    low_resolution_probability: float = Field(0.25, ge=0, le=1)
    gamma_probability: float = Field(0.3, ge=0, le=1)
    inverted_gamma_probability: float = Field(0.1, ge=0, le=1)


class TrainConfig(_Settings):
    """One training run, complete: with the data, this is all it depends on."""

    dataset: Path
    """Folder with ``images/`` and ``masks/``, nnU-Net raw folder, or annotation project."""
    run: Path
    """Folder for the model, its curves and its events."""
    overwrite: bool = False
    """Replace a run that `run` holds already."""

    arch: str | None = None
    """Network; by default that of `init`, or ``swin-umamba-d``."""
    init: str = "none"
    """Start weights: ``none`` (drawn from the seed), ``imagenet`` (downloaded at first use), a
    bundled model's name, or a model file."""
    accept_hash: bool = False
    """Take downloaded weights of the exact tensors that are not the published file."""
    steps: int | None = Field(None, ge=1, le=MAX_STEPS)
    """Optimiser steps; by default 1000, or as many as fit into `minutes`."""
    minutes: float | None = Field(None, gt=0)
    """Stop after this time, whatever the number of steps."""
    patch: tuple[int, int] | None = None
    """Height and width of training patches in pixels; by default up to 256, by image size."""
    batch: int = Field(0, ge=0, le=4096)
    """Patches in a step; 0: by the size of the patch."""
    seed: int = Field(0, ge=0, lt=2**64)
    """Decides start weights, validation images, patches and augmentation."""

    instances: bool | None = None
    """Masks number objects (True) or hold classes (False); None: decide from the masks."""
    class_names: tuple[str, ...] = ()
    """Names of the foreground classes in the order of their values, or of the one object kind."""
    normalization: Literal["auto", "percentile", "zscore", "ct", "rgb_to_01", "none"] = "auto"
    """How intensities are scaled, each channel of each image by itself; ``ct``: all images alike,
    from the foreground's intensities. ``auto``: as the channel's name says, else percentile."""
    plane: Literal["Z", "Y", "X"] | None = None
    """Axis that volumes are cut along; by default the coarsest of most of them."""
    spacing: tuple[float, float] | None = None
    """Row and column spacing that slices are resampled to; by default they stay as they are."""
    ignore: int | None = Field(None, ge=1)
    """Image/mask pairs: mask value of pixels that nobody labelled."""
    fold: int | None = Field(None, ge=0)
    """Cross-validation: which of `folds` parts is held out, from 0."""
    folds: int = Field(5, ge=2, le=1000)
    """Cross-validation: number of parts."""
    val: tuple[str, ...] = ()
    """Names of validation images, or a text file with one per line; by default drawn."""
    val_fraction: float = Field(0.2, ge=0, lt=1)
    """Share of the images drawn for validation; 0 for none."""
    val_every: int | None = Field(None, ge=1)
    """Steps between validations; by default a tenth of the run, at most 250."""

    learning_rate: float | None = Field(None, gt=0)
    """Peak of the cosine schedule; by default 1e-4 from trained weights, else 1e-3 for the tiny
    network and 5e-4 for the others."""
    weight_decay: float = Field(0.05, ge=0)
    """AdamW's, on all weights."""
    warmup: float = Field(0.05, ge=0, le=1)
    """Share of the run in which the learning rate rises."""
    augmentation: AugmentationConfig = AugmentationConfig()
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda`` or ``mps``."""
    workers: int = Field(0, ge=0, le=256)
    """Processes that prepare patches; 0: in the training process. Does not change the result."""

    @field_validator("patch")
    @classmethod
    def _check_patch(cls, patch: tuple[int, int] | None) -> tuple[int, int] | None:
        if patch and any(size < PATCH_MULTIPLE or size % PATCH_MULTIPLE for size in patch):
            raise ValueError(f"must be multiples of {PATCH_MULTIPLE}, not {patch[0]}x{patch[1]}")
        if patch and max(patch) > MAX_PATCH:
            raise ValueError(f"must be at most {MAX_PATCH} pixels, not {patch[0]}x{patch[1]}")
        return patch

    @field_validator("spacing")
    @classmethod
    def _check_spacing(cls, spacing: tuple[float, float] | None) -> tuple[float, float] | None:
        if spacing and min(spacing) <= 0:
            raise ValueError(f"must be above 0, not {spacing[0]:g}x{spacing[1]:g}")
        return spacing

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.fold is not None and self.fold >= self.folds:
            raise ValueError(f"--fold counts from 0: it must be below --folds {self.folds}")
        if self.fold is not None and self.val:
            raise ValueError("--fold and --val both choose what is held out: leave one out")
        if self.accept_hash and self.init != "imagenet":
            raise ValueError("--accept-hash is about downloaded weights: use it with imagenet")
        return self

    @property
    def max_steps(self) -> int:
        """Number of steps after which the run ends at the latest."""
        if self.steps is not None:
            return self.steps
        return DEFAULT_STEPS if self.minutes is None else MAX_STEPS

    def peak_learning_rate(self, architecture: str) -> float:
        """Learning rate at the top of the schedule.

        Parameters
        ----------
        architecture
            The network that is trained.
        """
        if self.learning_rate is not None:
            return self.learning_rate
        if self.init != "none":
            return 1e-4
        return 1e-3 if architecture.endswith("-tiny") else 5e-4

    @property
    def steps_between_validations(self) -> int:
        """Steps from one validation to the next."""
        if self.val_every is not None:
            return self.val_every
        return 50 if self.steps is None and self.minutes else max(1, min(250, self.max_steps // 10))


def make_config(**values: object) -> TrainConfig:
    """Build a configuration, turning pydantic's complaints into one line.

    Parameters
    ----------
    **values
        Fields of :class:`TrainConfig`.

    Raises
    ------
    InputError
        A value is out of range; names the field as the flag of ``swin-umamba train``.
    """
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = str(problem["loc"][0]) if problem["loc"] else "init"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] != "value_error":  # pydantic's own words do not say what was received
            message = f"{message[0].lower()}{message[1:]}, not '{problem['input']}'"
        raise InputError(f"--{field.replace('_', '-')}: {message}") from error
