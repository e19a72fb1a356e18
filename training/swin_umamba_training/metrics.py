"""How a segmentation is scored: DSC and NSD per class, F1 of matched instances.

The three scores follow the evaluation scripts of the Swin-UMamba paper (arXiv 2402.03302), and
through them those of the NeurIPS 2022 cell segmentation challenge, with one difference that is
documented at :func:`instance_f1`. Arrays in, numbers out: files are the business of
:mod:`swin_umamba_training.evaluate`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from napari_swin_umamba.errors import InputError

BORDER = 2
"""Pixels: an instance that reaches into this rim of the image may be cut off, so is not scored."""
TILE = 2000
"""Edge in pixels of the tiles in which instances of a very large image are matched."""
TILED_ABOVE = 25_000_000
"""Pixels above which an image is matched tile by tile."""


def dice(prediction: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Dice similarity coefficient of two masks.

    Parameters
    ----------
    prediction, truth
        Masks of one shape, any number of axes.

    Returns
    -------
    float
        In [0, 1]. Both masks empty: 1, for nothing was missed. Only one of them: 0.
    """
    _check_shapes(prediction, truth)
    size = int(prediction.sum()) + int(truth.sum())
    if size == 0:
        return 1.0
    return 2.0 * int(np.logical_and(prediction, truth).sum()) / size


def surface_dice(
    prediction: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    tolerance: float,
    spacing: tuple[float, ...] | None = None,
) -> float:
    """Normalised surface Dice (NSD): the share of both surfaces within `tolerance` of the other.

    Surface elements are measured at subvoxel precision (Nikolov et al., arXiv 1809.04430), in
    MONAI's implementation. A 2D mask is scored as a volume of one slice, as the paper's scripts
    do; the slice is as thick as a pixel is high, so scaling spacing and tolerance together does
    not change the score.

    Parameters
    ----------
    prediction, truth
        Masks, ``(Y, X)`` or ``(Z, Y, X)``.
    tolerance
        Largest distance that still counts as agreement, in the unit of `spacing`.
    spacing
        Distance between pixels along each axis; 1 along each if not given.

    Returns
    -------
    float
        In [0, 1]. Both masks empty: 1. Only one of them: 0.
    """
    _check_shapes(prediction, truth)
    spacing = spacing or (1.0,) * truth.ndim
    if truth.ndim not in (2, 3) or len(spacing) != truth.ndim:
        raise InputError(
            f"NSD needs an image of 2 or 3 axes and one spacing for each: "
            f"got {truth.ndim} axes and spacing {spacing}"
        )
    if not prediction.any() or not truth.any():
        return float(prediction.any() == truth.any())

    import torch
    from monai.metrics.surface_dice import compute_surface_dice

    if truth.ndim == 2:
        prediction, truth = prediction[..., None], truth[..., None]
        spacing = (*spacing, spacing[0])
    with warnings.catch_warnings():
        # MONAI warns about an argument that it passes to itself.
        warnings.filterwarnings("ignore", category=FutureWarning, module="monai")
        score = compute_surface_dice(
            torch.from_numpy(prediction[None, None]),
            torch.from_numpy(truth[None, None]),
            class_thresholds=[tolerance],
            include_background=True,
            spacing=list(spacing),
            use_subvoxels=True,
        )
    return float(score)


@dataclass(frozen=True)
class InstanceScore:
    """Counts of matched instances, and what follows from them."""

    tp: int
    """True instances that a predicted one overlaps with at least the threshold's IoU."""
    fp: int
    """Predicted instances left over."""
    fn: int
    """True instances left over."""

    def __add__(self, other: InstanceScore) -> InstanceScore:
        return InstanceScore(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """Share of the predicted instances that are right; 0 without any."""
        return self.tp / (self.tp + self.fp) if self.tp else 0.0

    @property
    def recall(self) -> float:
        """Share of the true instances that were found; 0 without any."""
        return self.tp / (self.tp + self.fn) if self.tp else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 1 where there was nothing to find or predict."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else 1.0

    def to_dict(self) -> dict[str, float]:
        """Counts and scores by name."""
        scores = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {**asdict(self), **scores}


def instance_f1(
    prediction: NDArray[np.integer], truth: NDArray[np.integer], iou: float = 0.5
) -> InstanceScore:
    """Match predicted to true instances one to one and count them.

    Instances that touch the 2-pixel rim are removed from both label images first. The matching
    has the most pairs at or above `iou` that is possible. Images above 25 Mpx are matched in tiles
    of 2000 pixels, whose counts are added.

    Differs from the paper's script where nothing at all was predicted: that counts no misses,
    this one counts every true instance as missed.

    Parameters
    ----------
    prediction, truth
        Label images ``(Y, X)``: 0 is background, every other value one instance.
    iou
        Intersection over union from which a pair counts as a match.
    """
    _check_shapes(prediction, truth)
    if truth.ndim != 2:
        raise InputError(f"F1 of instances is for 2D label images: got {truth.ndim} axes")
    tiles = _tiles(*truth.shape) if truth.size >= TILED_ABOVE else [np.s_[:, :]]
    counts = (_match(prediction[tile], truth[tile], iou) for tile in tiles)
    return sum(counts, start=InstanceScore(0, 0, 0))


def _match(
    prediction: NDArray[np.integer], truth: NDArray[np.integer], iou: float
) -> InstanceScore:
    """Counts of one tile ``(Y, X)``."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    true, n_true = _scored_instances(truth)
    found, n_found = _scored_instances(prediction)
    if n_true == 0 or n_found == 0:
        return InstanceScore(0, n_found, n_true)
    true_sizes, found_sizes = np.bincount(true.ravel()), np.bincount(found.ravel())
    # Only pairs that overlap: a table of all pairs of many objects does not fit into memory.
    both = (true > 0) & (found > 0)
    pairs, overlap = np.unique(true[both] * (n_found + 1) + found[both], return_counts=True)
    rows, columns = np.divmod(pairs, n_found + 1)
    ious = overlap / (true_sizes[rows] + found_sizes[columns] - overlap)
    matches = ious >= iou
    # At 0.5 and above pairs compete only where an object is cut into exact halves; below, often.
    edges = (np.ones(matches.sum(), bool), (rows[matches] - 1, columns[matches] - 1))
    graph = csr_array(edges, shape=(n_true, n_found))
    tp = int((maximum_bipartite_matching(graph, perm_type="column") >= 0).sum())
    return InstanceScore(tp, n_found - tp, n_true - tp)


def _scored_instances(labels: NDArray[np.integer]) -> tuple[NDArray[np.intp], int]:
    """Labels renumbered 1…n without those that touch the rim, and n."""
    values, relabelled = np.unique(labels, return_inverse=True)
    relabelled = relabelled.reshape(labels.shape)
    rim = np.ones(labels.shape, bool)
    rim[BORDER:-BORDER, BORDER:-BORDER] = False
    kept = values != 0
    kept[np.unique(relabelled[rim])] = False
    number = np.where(kept, np.cumsum(kept), 0)
    return number[relabelled], int(kept.sum())


def _tiles(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            yield np.s_[y : y + TILE, x : x + TILE]


def _check_shapes(prediction: NDArray[np.generic], truth: NDArray[np.generic]) -> None:
    if prediction.shape != truth.shape:
        raise InputError(
            f"prediction and truth must have one shape: got {prediction.shape} and {truth.shape}"
        )
