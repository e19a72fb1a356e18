"""What a training run can be told. Saved as ``config.json`` beside the run's model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from napari_swin_umamba.errors import InputError, shown
from swin_umamba_training.recipe import MAX_STEPS, AugmentationConfig, Recipe
from swin_umamba_training.recipe_files import build_recipe, load_recipe

__all__ = ["AugmentationConfig", "TrainConfig", "make_config"]

EXECUTION_FIELDS = (
    "dataset",
    "run",
    "overwrite",
    "resume",
    "device",
    "devices",
    "nodes",
    "workers",
)
"""What may differ when a run is resumed: where its data lie and where it computes, not what."""


class TrainConfig(BaseModel):
    """One training run, complete: with the data, this is all it depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: Path
    """Folder with ``images/`` and ``masks/``, nnU-Net raw folder, or annotation project."""
    run: Path
    """Folder for the model, its curves and its events."""
    overwrite: bool = Field(False, exclude=True)
    """Replace a run that `run` holds already."""
    resume: bool = Field(False, exclude=True)
    """Go on with the run that `run` holds."""

    arch: str | None = None
    """Network; by default that of `init`, or ``swin-umamba-d``."""
    init: str = "none"
    """Start weights: ``none`` (drawn from the seed), ``imagenet`` (downloaded at first use),
    ``project`` (the current model of the project that is trained), a bundled model's name, or a
    model file."""
    accept_hash: bool = False
    """Take downloaded weights of the exact tensors that are not the published file."""
    seed: int = Field(0, ge=0, lt=2**64)
    """Decides start weights, validation images, patches and augmentation."""
    recipe: Recipe = Recipe()
    """How the network is trained."""

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

    device: str = "auto"
    """``auto``, ``cpu``, ``cuda`` or ``mps``."""
    devices: int = Field(1, ge=1, le=1024)
    """Processes on this computer, each with a GPU of its own (or a share of the CPU)."""
    nodes: int = Field(1, ge=1, le=1024)
    """Computers, each of which runs the same command."""
    workers: int = Field(0, ge=0, le=256)
    """Processes that prepare patches; 0: in the training process. Does not change the result."""

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
        if self.batch % self.world_size:
            raise ValueError(
                f"--batch: {self.batch} patches cannot be shared out equally among "
                f"{self.world_size} devices; give a multiple"
            )
        return self

    @property
    def world_size(self) -> int:
        """Processes that train together."""
        return self.devices * self.nodes

    @property
    def batch(self) -> int:
        """Patches in a step, over all devices together; 0: not settled, see :meth:`with_batch`."""
        return self.recipe.sampling.batch or 0

    @property
    def patch(self) -> tuple[int, int] | None:
        """Height and width of training patches, if given."""
        return self.recipe.sampling.patch

    @property
    def minutes(self) -> float | None:
        """Time for training, if given."""
        return self.recipe.length.minutes

    @property
    def max_steps(self) -> int:
        """Number of steps after which the run ends at the latest."""
        return self.recipe.length.steps or MAX_STEPS

    def with_batch(self, batch: int) -> TrainConfig:
        """The same run with so many patches in a step.

        Parameters
        ----------
        batch
            A multiple of the number of processes.
        """
        sampling = self.recipe.sampling.model_copy(update={"batch": batch})
        recipe = self.recipe.model_copy(update={"sampling": sampling})
        return self.model_copy(update={"recipe": recipe})

    def with_orientation(self, orientation: Literal["any", "fixed"]) -> TrainConfig:
        """The same run, knowing whether all images lie the same way.

        Parameters
        ----------
        orientation
            As :class:`~swin_umamba_training.recipe.AugmentationConfig` has it.
        """
        augmentation = self.recipe.augmentation.model_copy(update={"orientation": orientation})
        recipe = self.recipe.model_copy(update={"augmentation": augmentation})
        return self.model_copy(update={"recipe": recipe})

    def peak_learning_rate(self, architecture: str) -> float:
        """Learning rate at the top of the schedule.

        Parameters
        ----------
        architecture
            The network that is trained.
        """
        if self.recipe.optimizer.lr is not None:
            return self.recipe.optimizer.lr
        drawn, tiny = self.init == "none", architecture.endswith("-tiny")
        if tiny:
            return 1e-3 if drawn else 5e-4
        return 5e-4 if drawn else 1e-4


_RECIPE_FLAGS = {
    "steps": "length.steps",
    "minutes": "length.minutes",
    "batch": "sampling.batch",
    "patch": "sampling.patch",
    "val_every": "validation.every",
    "learning_rate": "optimizer.lr",
}
"""Values of :func:`make_config` that are fields of the recipe."""


def make_config(
    recipe: str | Path | Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    **values: Any,
) -> TrainConfig:
    """Build a configuration, turning pydantic's complaints into one line.

    Parameters
    ----------
    recipe
        Name of a bundled recipe, a YAML file, or nested fields; by default ``quick``, or
        ``finetune`` with start weights.
    overrides
        Single fields of the recipe, ``{"optimizer.eps": 1e-8}``.
    **values
        Fields of :class:`TrainConfig`, and of the recipe: ``steps``, ``minutes``, ``batch``,
        ``patch``, ``val_every``, ``learning_rate``.

    Raises
    ------
    InputError
        A value is out of range; names the field as the flag of ``swin-umamba train``.
    """
    changed = dict(overrides or {})
    for flag, field in _RECIPE_FLAGS.items():
        if (value := values.pop(flag, None)) is not None:
            changed[field] = value
    if "length.minutes" in changed:
        changed.setdefault("length.steps", None)
    if isinstance(recipe, Mapping):
        values["recipe"] = build_recipe(recipe, changed)
    else:
        default = "quick" if values.get("init", "none") == "none" else "finetune"
        values["recipe"] = load_recipe(recipe or default, changed)
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = str(problem["loc"][0]) if problem["loc"] else ""
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] != "value_error":  # pydantic's own words do not say what was received
            message = f"{message[0].lower()}{message[1:]}, not {shown(str(problem['input']))}"
        raise InputError(f"--{field.replace('_', '-')}: {message}" if field else message) from error
