"""The models of a project: every one is kept, one of them is the current one.

::

    PROJECT/models/
      models.json          which there are, how they were judged, which one is current since when
      v0001.safetensors    a model file; never changed, never removed

Training adds to it while napari chooses from it, so each change is read, made and written under a
lock of a moment.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import atomic_path, hash_file
from napari_swin_umamba.project.comparison import Comparison
from napari_swin_umamba.project.json_file import now, read_json, write_json
from napari_swin_umamba.project.lock import FolderLock

__all__ = ["Choice", "JudgedBeside", "ModelList", "ModelRecord", "ProjectModels"]

_PATIENCE = 10.0
"""Seconds to wait for another program that changes the list."""


class _Frozen(BaseModel):
    """Immutable; fields that a newer version of format 1 added are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ModelRecord(_Frozen):
    """A model that was trained on the project."""

    number: int = Field(ge=1)
    sha256: str
    created: str
    """ISO 8601, UTC."""
    start: str
    """What it was trained from, for people: ``v2``, ``nuclei``, ``none``."""
    run: str = ""
    """Where the run was."""
    comparison: Comparison | None = None
    """Beside the model before it; None: it was not judged."""
    overtaken: str = ""
    """Trained elsewhere, and judged beside another model than the project had when it came back:
    the name of that one, or ``none``."""

    @property
    def name(self) -> str:
        """``v3``."""
        return f"v{self.number}"


@dataclass(frozen=True)
class JudgedBeside:
    """What a model that was trained elsewhere was compared with."""

    sha256: str | None
    """Of the project's model at that time; None: it had none."""


class Choice(_Frozen):
    """A change of the current model."""

    number: int | None
    """The model; None: the project has none from then on."""
    time: str
    """ISO 8601, UTC."""
    why: Literal["better", "first", "chosen"]
    """``chosen``: by a person."""


class ModelList(_Frozen):
    """The whole of ``models.json``."""

    format: Literal[1] = 1
    models: tuple[ModelRecord, ...] = ()
    """In the order of their numbers."""
    choices: tuple[Choice, ...] = ()
    """Every change of the current model, oldest first."""

    @property
    def current(self) -> ModelRecord | None:
        """The project's model; None if it has none yet."""
        number = self.choices[-1].number if self.choices else None
        return next((item for item in self.models if item.number == number), None)

    @property
    def newest(self) -> ModelRecord | None:
        """The model that was added last."""
        return self.models[-1] if self.models else None

    @property
    def before_last_choice(self) -> int | None:
        """What was current before the last change; None if there was none."""
        return self.choices[-2].number if len(self.choices) > 1 else None

    def record(self, number: int) -> ModelRecord:
        """Return a model by its number.

        Raises
        ------
        InputError
            There is none.
        """
        for item in self.models:
            if item.number == number:
                return item
        known = ", ".join(item.name for item in self.models) or "none"
        raise InputError(f"the project has no model v{number}; there are: {known}")


class ProjectModels:
    """The models of one project.

    Parameters
    ----------
    project_folder
        Of the project.
    """

    def __init__(self, project_folder: Path) -> None:
        self._project = project_folder
        self.folder = project_folder / "models"
        self._file = self.folder / "models.json"

    def read(self) -> ModelList:
        """Read what is known; without a file, there are no models.

        Raises
        ------
        InputError
            The file is damaged, or of a newer version.
        """
        remedy = "restore it from a copy (the models beside it are whole)"
        return read_json(self._file, ModelList, remedy)

    def path(self, record: ModelRecord) -> Path:
        """The file of a model."""
        return self.folder / f"v{record.number:04d}.safetensors"

    def current_path(self) -> Path | None:
        """The file of the current model; None if there is none.

        Raises
        ------
        InputError
            The list cannot be read.
        """
        current = self.read().current
        return None if current is None else self.path(current)

    def add(
        self,
        file: Path,
        start: str,
        run: str = "",
        comparison: Comparison | None = None,
        beside: JudgedBeside | None = None,
    ) -> ModelRecord:
        """Copy a model into the project; it becomes the current one if it was found better.

        Parameters
        ----------
        file
            The model. If the project has this very file already, that one is returned.
        start
            What it was trained from.
        run
            Where it was trained.
        comparison
            How it was judged; None: it was not, and is a candidate.
        beside
            Where it was judged elsewhere: beside what. If the project's model is another one by
            now, the new one is a candidate, however it was judged. None: beside the project's.

        Raises
        ------
        InputError
            It cannot be read or written; nothing has changed.
        """
        digest = hash_file(file)
        with self._changing() as known:
            for item in known.models:
                if item.sha256 == digest:
                    return item
            current = known.current
            overtaken = ""
            if beside is not None and beside.sha256 != (current.sha256 if current else None):
                overtaken = current.name if current else "none"
            record = ModelRecord(
                number=max((item.number for item in known.models), default=0) + 1,
                sha256=digest,
                created=now(),
                start=start,
                run=run,
                comparison=comparison,
                overtaken=overtaken,
            )
            with atomic_path(self.path(record), overwrite=True) as temporary:
                shutil.copyfile(file, temporary)
            choices = known.choices
            if comparison is not None and comparison.adopted and not overtaken:
                why: Literal["better", "first"] = (
                    "first" if comparison.outcome == "first" else "better"
                )
                choices = (*choices, Choice(number=record.number, time=now(), why=why))
            changed = ModelList(models=(*known.models, record), choices=choices)
            write_json(self._file, changed)
        return record

    def choose(self, number: int | None) -> ModelList:
        """Make another model the current one, because a person says so.

        Parameters
        ----------
        number
            Which; None: none, as before the first.

        Raises
        ------
        InputError
            There is no such model, or the disk refuses.
        """
        with self._changing() as known:
            if number is not None:
                known.record(number)
            current = known.current
            if number == (current.number if current else None):
                return known
            choice = Choice(number=number, time=now(), why="chosen")
            changed = known.model_copy(update={"choices": (*known.choices, choice)})
            write_json(self._file, changed)
        return changed

    @contextmanager
    def _changing(self) -> Iterator[ModelList]:
        """Read the list while nobody else changes it."""
        lock = FolderLock(self._project, "models", "being given a model", "try again in a moment")
        lock.acquire(_PATIENCE)
        with lock:
            yield self.read()
