"""What a data set says about itself: its cases, and what their labels mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_swin_umamba.project import Annotation
from swin_umamba_training.data.problems import Problem
from swin_umamba_training.targets import IGNORE

__all__ = ["Case", "ClassSpec", "LabelRule", "Source"]

Kind = Literal["pairs", "nnunet", "project"]


@dataclass(frozen=True)
class Case:
    """An image or a volume and what is known about its pixels."""

    name: str
    images: tuple[Path, ...]
    """One file, or one for each channel."""
    labels: Path | Annotation
    """A label image, or what was painted in a project."""
    sha256: tuple[str, ...] = ()
    """Projects: what the content of the image files was."""

    @property
    def labels_name(self) -> str:
        """Where its labels are, for messages."""
        return str(self.labels if isinstance(self.labels, Path) else self.labels.folder)


@dataclass(frozen=True)
class ClassSpec:
    """A class as a data set declares it."""

    value: int
    """In label images or annotations."""
    name: str
    color: str = ""


@dataclass(frozen=True)
class LabelRule:
    """From values of label images to what is trained on: classes 0, 1, ... or object numbers."""

    values: tuple[int, ...]
    """Position i holds the value of class i, ascending; empty where objects are numbered."""
    background: int = 0
    """Value of the background."""
    unknown: int | None = None
    """Value of pixels that nobody labelled."""

    def apply(self, raw: NDArray[np.integer]) -> NDArray[np.int32]:
        """Translate labels of any shape; unknown pixels become :data:`targets.IGNORE`."""
        if self.values:
            table = np.asarray(self.values)
            # What is not declared was refused before; the clip keeps the unknown value in range.
            labels = np.searchsorted(table, raw).clip(0, len(table) - 1).astype(np.int32)
        else:
            labels = np.asarray(raw).astype(np.int32)
            labels[raw == self.background] = 0
        if self.unknown is not None:
            labels[raw == self.unknown] = IGNORE
        return labels

    def known(self, value: int) -> bool:
        """Whether a value says anything about a pixel."""
        return self.unknown is None or value != self.unknown


@dataclass(frozen=True)
class Source:
    """A data set as its folder and its description tell."""

    path: Path
    kind: Kind
    cases: tuple[Case, ...] = ()
    classes: tuple[ClassSpec, ...] | None = None
    """Declared classes, background first, in the order of their values; None: as painted."""
    instances: bool | None = None
    """Whether labels number objects; None: to be seen from them."""
    background: int = 0
    unknown: int | None = None
    """Values of background and unlabelled pixels."""
    channel_names: tuple[str, ...] | None = None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    """What was assumed or left out, for people."""
