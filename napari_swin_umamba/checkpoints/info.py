"""Where a model comes from and what may be done with it."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

__all__ = ["ModelInfo"]

_RECORDED_PACKAGES = ("napari-swin-umamba", "torch", "numpy", "numba", "lightning", "monai")


class ModelInfo(BaseModel):
    """Provenance of a model: stored in its file, shown by ``models info`` and the widgets.

    Unknown fields are kept, so that a model made by a newer minor version loses nothing when
    an older one copies it.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    description: str = ""
    """One or two sentences for people: what the model segments in what kind of image."""
    version: str = ""
    """Version of this model, as its author counts."""
    licence: str = ""
    """SPDX identifier of the weights' licence, for example ``"CC0-1.0"``."""
    data: str = ""
    """What it was trained on, with source and licence of the data."""
    limits: str = ""
    """What it is not good for, or was never tried on."""
    training: dict[str, JsonValue] = Field(default_factory=dict)
    """How it was trained: steps, seed, recipe, start weights, ..."""
    scores: dict[str, float] = Field(default_factory=dict)
    """Scores on images not trained on, for example ``{"f1@0.5": 0.81, "dsc": 0.93}``."""
    created: str = ""
    """ISO 8601 time in UTC; filled in when the model is saved."""
    software: dict[str, str] = Field(default_factory=dict)
    """Versions of the packages that made it; filled in when the model is saved."""

    def stamped(self) -> Self:
        """Return a copy with `created` and `software` filled in where they are empty."""
        created = self.created or datetime.now(UTC).isoformat(timespec="seconds")
        return self.model_copy(
            update={"created": created, "software": self.software or _software_versions()}
        )


def _software_versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _RECORDED_PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
