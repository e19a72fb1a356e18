"""Training and validation: whole cases, or blocks of slices that are not neighbours.

Slices beside each other look alike. If one is trained on, the other says little about images that
the network never saw. So cases stay whole where there are enough of them; where there are few,
volumes are cut into blocks, and training leaves out the slices next to a validation block.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import stem_of
from napari_swin_umamba.project.roles import BLOCK, Block, Roles
from swin_umamba_training.data.samples import Sample

__all__ = ["Parts", "split", "split_by_roles", "split_folds"]

ENOUGH_CASES = 5
"""From this many cases on, none is cut into blocks."""
GAP = 1
"""Slices on either side of a validation slice that are not trained on."""

Parts = tuple[tuple["Sample", ...], tuple["Sample", ...]]
"""Training and validation samples, in the data set's order."""


def split(samples: Sequence[Sample], val: Sequence[str], fraction: float, seed: int) -> Parts:
    """Part a data set into training and validation.

    Parameters
    ----------
    samples
        All slices and images.
    val
        What is held out: names of cases, slices of one (``CASE:FIRST-LAST``), or text files that
        list one name per line. If empty, cases or blocks are drawn.
    fraction
        Share to draw, at least one; 0 for none.
    seed
        Decides which are drawn.

    Raises
    ------
    InputError
        A name is unknown, or nothing is left to train on.
    """
    if val:
        chosen = _named(samples, val)
    elif fraction > 0:
        groups = _groups(samples)
        if len(groups) < 2:
            raise InputError(
                "one image cannot be split into training and validation; add a second one, "
                "or train without validation (--val-fraction 0)"
            )
        count = min(max(1, round(fraction * len(groups))), len(groups) - 1)
        drawn = np.random.default_rng([seed, 0]).choice(len(groups), count, replace=False)
        chosen = {sample for index in drawn for sample in groups[index]}
    else:
        chosen = set()
    return _parted(samples, chosen)


def split_folds(samples: Sequence[Sample], fold: int, folds: int, seed: int) -> Parts:
    """Cross-validation: part the data set into `folds`, of which one is held out.

    Parameters
    ----------
    samples
        All slices and images.
    fold
        Which one, from 0.
    folds
        How many.
    seed
        Decides which cases or blocks go together; the same for all folds.

    Raises
    ------
    InputError
        There are fewer cases or blocks than folds.
    """
    groups = _groups(samples)
    if len(groups) < folds:
        raise InputError(
            f"{len(groups)} cases or blocks of slices cannot be parted into {folds} folds (--folds)"
        )
    order = np.random.default_rng([seed, 0]).permutation(len(groups))
    chosen = {sample for index in order[fold::folds] for sample in groups[index]}
    return _parted(samples, chosen)


def split_by_roles(
    samples: Sequence[Sample],
    images: Mapping[str, str],
    roles: Roles,
    fraction: float,
    seed: int,
) -> tuple[Parts, Roles]:
    """Part a project: blocks that have a role keep it, new ones get one.

    Parameters
    ----------
    samples
        All annotated slices.
    images
        Id of the project's image for each case.
    roles
        As kept in the project.
    fraction
        Share of blocks that should be held out; 0 gives new ones to training.
    seed
        Decides which new blocks are held out.

    Returns
    -------
    parts
        Training and validation.
    roles
        With those of the new blocks, to be kept.

    Raises
    ------
    InputError
        Nothing is left to train on.
    """
    blocks: dict[Block, list[Sample]] = {}
    for sample in samples:
        blocks.setdefault(roles.block_of(images[sample.case], sample.place), []).append(sample)
    roles = roles.drawn(blocks, fraction, seed)
    chosen = {
        sample
        for block, members in blocks.items()
        if roles.role(block) == "held_out"
        for sample in members
    }
    return _parted(samples, chosen), roles


def _groups(samples: Sequence[Sample]) -> list[list[Sample]]:
    """What is held out together: cases, or blocks of slices where there are few cases."""
    cases: dict[str, list[Sample]] = {}
    for sample in samples:
        cases.setdefault(sample.case, []).append(sample)
    if len(cases) >= ENOUGH_CASES:
        return list(cases.values())
    blocks: dict[tuple[str, int], list[Sample]] = {}
    for sample in samples:
        blocks.setdefault((sample.case, (sample.place or 0) // BLOCK), []).append(sample)
    return list(blocks.values())


def _parted(samples: Sequence[Sample], chosen: set[Sample]) -> Parts:
    """Validation is what was chosen; training the rest, without neighbours of validation."""
    near = {
        (sample.case, sample.place + step)
        for sample in chosen
        if sample.place is not None
        for step in range(-GAP, GAP + 1)
    }
    training = tuple(
        sample
        for sample in samples
        if sample not in chosen and (sample.case, sample.place) not in near
    )
    if not training:
        raise InputError("all images are held out for validation, none is left to train on (--val)")
    return training, tuple(sample for sample in samples if sample in chosen)


def _named(samples: Sequence[Sample], val: Sequence[str]) -> set[Sample]:
    cases: dict[str, list[Sample]] = {}
    for sample in samples:
        cases.setdefault(sample.case, []).append(sample)
    chosen: set[Sample] = set()
    for name in sorted(_listed_names(val)):
        # "a3.png" is as clear as "a3", "a3.nii.gz" too
        case = next((known for known in (name, stem_of(Path(name))) if known in cases), None)
        span = re.fullmatch(r"(.+):(\d+)(?:-(\d+))?", name)
        if case is not None:
            chosen.update(cases[case])
        elif span is not None and span[1] in cases:
            first, last = int(span[2]), int(span[3] or span[2])
            found = [s for s in cases[span[1]] if s.place is not None and first <= s.place <= last]
            if not found:
                raise InputError(f"'{name}' holds no labelled slice (--val)")
            chosen.update(found)
        else:
            raise InputError(f"no image named '{name}' in the data set (--val)")
    return chosen


def _listed_names(val: Sequence[str]) -> set[str]:
    names: set[str] = set()
    for entry in val:
        if entry.endswith(".txt"):
            try:
                lines = Path(entry).read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"cannot read the list {entry} (--val): {error}") from error
            names.update(line.strip() for line in lines if line.strip())
        else:
            names.add(entry)
    return names
