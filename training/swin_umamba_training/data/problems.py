"""What is wrong with a data set: everything at once, each with the files it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_swin_umamba.errors import InputError

__all__ = ["DatasetProblems", "Problem", "errors_of", "listed_files", "raise_errors"]

_SHOWN = 4  # names in a message; all are in Problem.files

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong."""

    code: str
    """Which kind of problem, for programs: ``"sizes-differ"``, ..."""
    message: str
    """One line for people: the files, what is wrong, what to change."""
    files: tuple[str, ...] = ()
    """All files it is about."""
    severity: Severity = "error"
    """``error``: training refuses the data set. ``warning``: it goes on and says so."""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "files": list(self.files),
        }


class DatasetProblems(InputError):
    """A data set cannot be trained on.

    Parameters
    ----------
    problems
        All errors, at least one.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        more = len(problems) - 1
        rest = f" (and {more} more: swin-umamba data check lists all)" if more else ""
        super().__init__(problems[0].message + rest)
        self.problems = tuple(problems)


def errors_of(problems: Iterable[Problem]) -> list[Problem]:
    """Those that keep a data set from being trained on."""
    return [problem for problem in problems if problem.severity == "error"]


def raise_errors(problems: Iterable[Problem]) -> None:
    """Refuse a data set with errors.

    Raises
    ------
    DatasetProblems
        There is one.
    """
    if errors := errors_of(problems):
        raise DatasetProblems(errors)


def listed_files(files: Sequence[Path | str]) -> str:
    """Names of files for a message: a few, and how many more."""
    names = [Path(file).name for file in files[:_SHOWN]]
    more = len(files) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
