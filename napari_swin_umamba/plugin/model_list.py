"""The models a person can choose from, read without torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.words import count, describe_finding, length, sentence
from napari_swin_umamba.segmentation import (
    ModelInfo,
    bundled_models,
    model_files,
    read_model_header,
)

__all__ = ["ModelChoice", "file_stamp", "list_models", "read_choice", "titles"]

_NETWORKS = {
    "swin-umamba": "Swin-UMamba",
    "swin-umamba-d": "Swin-UMamba†",
    "swin-umamba-tiny": "Swin-UMamba tiny",
    "swin-umamba-d-tiny": "Swin-UMamba† tiny",
}


@dataclass(frozen=True)
class ModelChoice:
    """One entry of the model list."""

    name: str
    path: Path
    bundled: bool
    plan: Plan | None = None
    """None if the file cannot be used; then ``problem`` says why."""
    info: ModelInfo = field(default_factory=ModelInfo)
    problem: str = ""
    stamp: tuple[int, int] | None = None
    """Time of change (ns) and size of the file when it was read; None: there was none."""

    def summary(self) -> str:
        """One line: what it finds, channels, pixel size, network, licence."""
        if self.plan is None:
            return self.problem
        names = [channel.name for channel in self.plan.channels]
        channels = count(len(names), "channel") + (
            " (red, green, blue)" if self.plan.rgb else f" ({', '.join(names)})"
        )
        parts = [
            describe_finding(self.plan),
            channels,
            *([_pixel(self.plan)] if self.plan.spacing else []),
            _NETWORKS.get(self.plan.architecture, self.plan.architecture),
            f"licence {self.info.licence}" if self.info.licence else "licence not stated",
        ]
        return " · ".join(parts)

    def details(self) -> str:
        """Several lines for a tooltip: description, training data, scores, date, file."""
        lines = [self.info.description, f"Trained on: {self.info.data}" if self.info.data else ""]
        if self.info.limits:
            lines.append(f"Limits: {self.info.limits}")
        if self.plan is not None and self.plan.volume is not None:
            lines.append("Prepares volumes as a whole, as nnU-Net does, and resamples them.")
        if self.info.scores:
            scores = ", ".join(f"{name} {value:.3g}" for name, value in self.info.scores.items())
            lines.append(f"Scores on images not trained on: {scores}")
        if self.info.created:
            lines.append(f"Made on {self.info.created[:10]}")
        lines.append(str(self.path))
        return "\n".join(line for line in lines if line)


def _pixel(plan: Plan) -> str:
    assert plan.spacing is not None
    rows, columns = (length(size, plan.unit) for size in plan.spacing)
    return f"{rows if rows == columns else f'{rows} × {columns}'} per pixel"


def list_models(imported: Iterable[str | Path]) -> list[ModelChoice]:
    """Return the bundled models, then the imported ones that still exist.

    Parameters
    ----------
    imported
        Files that a person has chosen before.
    """
    choices = [read_choice(path, bundled=True) for path in bundled_models().values()]
    known = {choice.path for choice in choices}
    for path in map(Path, imported):
        if path.exists() and path not in known:
            choices.append(read_choice(path))
            known.add(path)
    return choices


def titles(choices: Sequence[ModelChoice]) -> list[str]:
    """Return what a list shows for each model; files come in where names alone are ambiguous."""
    names = [choice.name for choice in choices]
    return [
        f"{choice.name} (bundled)"
        if choice.bundled
        else choice.name
        if names.count(choice.name) == 1
        else f"{choice.name} ({choice.path.parent.name}/{choice.path.name})"
        for choice in choices
    ]


def read_choice(path: str | Path, bundled: bool = False) -> ModelChoice:
    """Read what a model file says about itself; a bad file yields a choice with a problem."""
    path = Path(path)
    stamp = file_stamp(path)
    try:
        plan, name, info = read_model_header(path)
    except InputError as error:
        name = path.name if path.is_dir() else path.stem
        return ModelChoice(name, path, bundled, problem=sentence(str(error)), stamp=stamp)
    return ModelChoice(name, path, bundled, plan, info, stamp=stamp)


def file_stamp(path: Path) -> tuple[int, int] | None:
    """Time of change (ns) and size, to notice that a model was replaced; None: it is gone.

    Of a folder: the newest time and the sum of the sizes of its model's files.
    """
    try:
        path.stat()
        found = [file.stat() for file in model_files(path)]
    except (OSError, InputError):
        return None
    return max(item.st_mtime_ns for item in found), sum(item.st_size for item in found)
