"""What ``project.yaml`` holds."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from napari_swin_umamba.plan import default_color

__all__ = [
    "BACKGROUND",
    "FIRST_CLASS",
    "FORMAT",
    "UNLABELLED",
    "FileReference",
    "ImageReference",
    "ProjectClass",
    "Settings",
]

FORMAT = 1
"""Version of the project format; a newer one is refused."""
UNLABELLED, BACKGROUND, FIRST_CLASS = 0, 1, 2
"""Values of annotations. From :data:`FIRST_CLASS` on: ids of classes, or numbers of objects."""

_AXES = "TCZYX"


class _Strict(BaseModel):
    """Immutable, and strict about unknown fields: a typo must not pass for a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ProjectClass(_Strict):
    """A class that can be painted. Background is no class of the list: its value is 1."""

    id: int = Field(ge=FIRST_CLASS, le=65535)
    """Value in annotations. Never given to another class, not even after this one is removed."""
    name: str = Field(min_length=1, max_length=100)
    color: str = Field(default="", pattern=r"^#[0-9a-fA-F]{6}$")
    """``#rrggbb``; by default that of the class in a model."""

    @model_validator(mode="before")
    @classmethod
    def _fill_color(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("color") and isinstance(data.get("id"), int):
            return {**data, "color": default_color(data["id"] - BACKGROUND)}
        return data


class FileReference(_Strict):
    """A file of an image, known by its content."""

    path: str = Field(min_length=1)
    """With ``/``; relative to the project's folder if it lies in it, otherwise absolute."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)
    """Bytes."""

    @property
    def inside(self) -> bool:
        """Whether the file lies in the project's folder."""
        return not (PurePosixPath(self.path).is_absolute() or re.match(r"[A-Za-z]:", self.path))

    @field_validator("path")
    @classmethod
    def _stay_inside(cls, path: str) -> str:
        relative = not (PurePosixPath(path).is_absolute() or re.match(r"[A-Za-z]:", path))
        if "\\" in path or "\0" in path or (relative and ".." in PurePosixPath(path).parts):
            raise ValueError(f"'{path}' must have / between folders, and no ..")
        return path


class ImageReference(_Strict):
    """An image that is annotated: where its files are, and the grid of its annotation."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")
    """Name of its folder in ``annotations/``. Never changes."""
    name: str = Field(min_length=1)
    """For people; may change."""
    files: tuple[FileReference, ...] = Field(min_length=1)
    """One file, or one for each channel, in their order."""
    axes: str
    """Axes of a file, as :class:`napari_swin_umamba.images.Image` has them."""
    shape: tuple[int, ...]
    """Size of a file along these axes."""
    slice_axis: Literal["Z", "Y", "X"] | None = None
    """Volumes: the axis whose slices are painted and kept one by one. Never changes."""
    spacing: tuple[float, ...] | None = None
    """Distance of neighbours along the spatial axes, in `unit`."""
    unit: str | None = None

    @property
    def label_axes(self) -> str:
        """Axes of the annotation: all but the channels."""
        return self.axes.replace("C", "")

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Size of the annotation along its axes."""
        return tuple(n for axis, n in zip(self.axes, self.shape, strict=True) if axis != "C")

    @property
    def fixed_axes(self) -> str:
        """Axes that a slice has one place along: ``"Z"``, ``"TZ"``; empty for a 2D image."""
        return "".join(axis for axis in self.label_axes if axis not in self.plane_axes)

    @property
    def plane_axes(self) -> str:
        """Axes of rows and columns of a slice."""
        return "".join(a for a in self.label_axes if a in "ZYX" and a != self.slice_axis)

    @property
    def block_axis(self) -> str | None:
        """Axis along which neighbouring slices look alike: the slice axis, else time."""
        return self.slice_axis or ("T" if "T" in self.axes else None)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.axes)) < len(self.axes) or set(self.axes) - set(_AXES):
            raise ValueError(f"axes '{self.axes}' must be different letters of {_AXES}")
        if len(self.axes) != len(self.shape) or min(self.shape, default=0) < 1:
            raise ValueError(f"shape {self.shape} does not fit axes '{self.axes}'")
        if len(self.plane_axes) != 2:
            raise ValueError(
                f"axes '{self.axes}' with slice_axis {self.slice_axis} leave no plane; volumes "
                "need a slice_axis of Z, Y or X, 2D images none"
            )
        spatial = sum(axis in "ZYX" for axis in self.axes)
        if self.spacing is not None and (len(self.spacing) != spatial or min(self.spacing) <= 0):
            raise ValueError(f"spacing {self.spacing} must be {spatial} positive numbers")
        return self


class Settings(_Strict):
    """The whole of ``project.yaml``."""

    format: Literal[1] = 1
    uid: str = Field(default="", pattern=r"^[0-9a-f]{0,32}$")
    """Drawn when the project is made; copies keep it. A model says by it whose class ids it has."""
    kind: Literal["semantic", "instances"]
    """Annotations hold classes, or number objects of one class."""
    classes: tuple[ProjectClass, ...]
    next_class_id: int = Field(default=FIRST_CLASS, ge=FIRST_CLASS)
    """Id of the next new class; larger than any id that there ever was."""
    channel_names: tuple[str, ...] = ()
    """What the channels of all images show, such as ``CT``; empty: nobody said."""
    images: tuple[ImageReference, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        named: tuple[tuple[str, list[int | str]], ...] = (
            ("class ids", [item.id for item in self.classes]),
            ("class names", [item.name for item in self.classes]),
            ("image ids", [image.id.casefold() for image in self.images]),
        )
        for what, values in named:
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"{what} must differ: {twice[0]!r} comes twice")
        if any(item.name.casefold() == "background" for item in self.classes):
            raise ValueError("no class may be named background: that is value 1 of annotations")
        if any(item.id >= self.next_class_id for item in self.classes):
            raise ValueError(f"next_class_id {self.next_class_id} must be above all class ids")
        if self.kind == "instances" and len(self.classes) != 1:
            raise ValueError("a project whose annotations number objects has exactly one class")
        return self
