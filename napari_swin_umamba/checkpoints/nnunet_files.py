"""Which files of a nnU-Net v2 trained-model folder make up a model.

nnUNetTrainerSwinUMambaD__nnUNetPlans__2d/
    plans.json  dataset.json
    fold_0/checkpoint_final.pth  checkpoint_best.pth  checkpoint_99.pth …
    fold_1/ …                    or fold_all/
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_swin_umamba.errors import InputError, shown

__all__ = ["PICKLES", "NnunetFiles", "find_nnunet_files", "is_nnunet", "read_json_object"]

PICKLES = frozenset({".pth", ".pt", ".ckpt", ".bin", ".pkl"})
"""Endings of files that PyTorch's programs save."""

_LARGEST_JSON = 64 * 2**20
_NUMBERED = re.compile(r"checkpoint_(\d+)\.pth")
_FOLD = re.compile(r"fold_(\d+|all)")


@dataclass(frozen=True)
class NnunetFiles:
    """The files that a model is read from."""

    source: Path
    """The folder, or the single file."""
    checkpoints: tuple[Path, ...]
    """One for each fold, in their order."""
    folds: tuple[str, ...]
    """Names of the folds: ``"0"``, ``"all"``; empty for a single file."""
    plans: dict[str, Any] | None = None
    """Content of ``plans.json``; None for a single file, which carries it."""
    dataset: dict[str, Any] | None = None
    """Content of ``dataset.json``, likewise."""


def is_nnunet(path: Path) -> bool:
    """Whether a path is what this module reads: a folder, or a file with PyTorch's ending."""
    return path.is_dir() or path.suffix.lower() in PICKLES


def find_nnunet_files(
    path: Path, checkpoint: str | None = None, folds: Sequence[str] | None = None
) -> NnunetFiles:
    """Find the checkpoints of a trained-model folder, or take a single one.

    Parameters
    ----------
    path
        The folder with ``plans.json`` and ``fold_…`` in it, or a ``.pth`` file.
    checkpoint
        Name of the file in each fold, with or without ``.pth``; None: ``checkpoint_final``, else
        ``checkpoint_best``, else that with the highest number. Of the choices that all folds have.
    folds
        ``"0"``, ``"1"``, …, ``"all"``; None: all numbered folds, or ``all`` where there are none,
        as nnU-Net takes them.

    Raises
    ------
    InputError
        The folder is none of nnU-Net's, or lacks the fold or the checkpoint; the message names
        those that it has.
    """
    if not path.is_dir():
        if checkpoint is not None or folds is not None:
            flag = "--folds" if checkpoint is None else "--checkpoint"
            raise InputError(
                f"{path} is one checkpoint file; a checkpoint or folds can be chosen of a trained-"
                f"model folder only: leave {flag} out"
            )
        return NnunetFiles(path, (path,), ())
    plans, dataset = (_json_of(path, name) for name in ("plans.json", "dataset.json"))
    chosen = _folds(path, folds)
    name = _checkpoint_name(path, chosen, checkpoint)
    files = tuple(path / f"fold_{fold}" / name for fold in chosen)
    return NnunetFiles(path, files, chosen, plans, dataset)


def _json_of(folder: Path, name: str) -> dict[str, Any]:
    if not (folder / name).is_file():
        inner = sorted(item.parent.name for item in folder.glob("*/plans.json"))
        more = ", …" if len(inner) > 4 else ""
        hint = f": give one of the folders in it ({', '.join(inner[:4])}{more})" if inner else ""
        raise InputError(
            f"{folder} is no trained-model folder of nnU-Net, it has no {name}"
            + (hint or "; give the folder with plans.json, dataset.json and fold_… (--model)")
        )
    return read_json_object(folder / name)


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises
    ------
    InputError
        It cannot be read, or holds something else.
    """
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise InputError(f"{path} is too large to be a file of nnU-Net")
        parsed = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); copy it again") from error
    if not isinstance(parsed, dict):
        raise InputError(f"{path} is damaged: it holds no JSON object; copy it again")
    return parsed


def _folds(folder: Path, wanted: Sequence[str] | None) -> tuple[str, ...]:
    found = sorted(
        (
            match[1]
            for item in folder.iterdir()
            if item.is_dir() and (match := _FOLD.fullmatch(item.name)) and _names([item])
        ),
        key=lambda fold: (fold == "all", int(fold) if fold != "all" else 0),
    )
    if not found:
        raise InputError(f"{folder} has no fold_… with a checkpoint_….pth in it; copy it again")
    if wanted is None:
        return tuple(fold for fold in found if fold != "all") or tuple(found)
    chosen = tuple(dict.fromkeys(fold.removeprefix("fold_") for fold in wanted))
    missing = [fold for fold in chosen if fold not in found]
    if missing or not chosen:
        raise InputError(
            f"{folder} has no fold {shown(', '.join(missing))}; it has {', '.join(found)} (--folds)"
        )
    return chosen


def _names(folds: Sequence[Path]) -> set[str]:
    """Names of the checkpoints that all of some fold folders have."""
    each = [{item.name for item in fold.glob("checkpoint_*.pth")} for fold in folds]
    return set.intersection(*each)


def _checkpoint_name(folder: Path, folds: Sequence[str], wanted: str | None) -> str:
    common = _names([folder / f"fold_{fold}" for fold in folds])
    which = f"fold {folds[0]}" if len(folds) == 1 else f"folds {', '.join(folds)}"
    if wanted is not None:
        name = wanted if wanted.endswith(".pth") else f"{wanted}.pth"
        if name not in common:
            have = ", ".join(sorted(common)) or "none in common"
            raise InputError(
                f"{folder} has no checkpoint {shown(name)} in {which}; it has {have} (--checkpoint)"
            )
        return name
    for name in ("checkpoint_final.pth", "checkpoint_best.pth"):
        if name in common:
            return name
    numbered = {int(match[1]): name for name in common if (match := _NUMBERED.fullmatch(name))}
    if numbered:
        return numbered[max(numbered)]
    if len(common) == 1:
        return common.pop()
    raise InputError(
        f"the {which} of {folder} have no final, best or numbered checkpoint in common; name one "
        f"({', '.join(sorted(common)) or 'there is none that all have'}; --checkpoint, --folds)"
    )
