"""A project with a volume of nuclei and strokes on four slices, for what measures the window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from event_loop_scenarios import nuclei

__all__ = ["SHOWN", "draw_objects", "draw_strokes", "make_project", "truth_of"]

SLICES, SIZE = 24, 256
PAINTED = (2, 4, 6, 12)
SHOWN = 9
"""A slice that nobody painted."""


def truth_of(image: np.ndarray) -> np.ndarray:
    """Where nuclei are in ``nuclei(...)``: bool, of the image's shape."""
    return image > 40


def draw_strokes(truth: np.ndarray, every: int = 6, width: int = 1) -> np.ndarray:
    """Lines over the middle of a slice, right everywhere.

    Parameters
    ----------
    truth
        ``(rows, columns)``, bool.
    every
        Rows from one line to the next.
    width
        Rows of a line.

    Returns
    -------
    np.ndarray
        ``(rows, columns)``: 0 unpainted, 1 background, 2 nucleus.
    """
    rows = np.arange(len(truth))
    painted = (rows % every < width) & (rows >= len(rows) // 5) & (rows < len(rows) * 4 // 5)
    return np.where(painted[:, None], 1 + truth, 0).astype(np.uint8)


def draw_objects(truth: np.ndarray) -> np.ndarray:
    """A part of a slice in which each nucleus is painted, with the background between them.

    Parameters
    ----------
    truth
        ``(rows, columns)``, bool.

    Returns
    -------
    np.ndarray
        ``(rows, columns)``: 0 unpainted, 1 background, 2 and more: one nucleus each.
    """
    from scipy.ndimage import label

    numbers, _ = label(truth)
    inside = np.zeros(truth.shape, bool)
    inside[len(truth) // 4 : len(truth) * 3 // 4, : truth.shape[1] // 3] = True
    cut = np.isin(numbers, np.setdiff1d(numbers[~inside], 0))
    painted = np.where(truth, numbers + 1, 1)
    return np.where(inside & ~cut, painted, 0).astype(np.uint16)


def make_project(
    folder: Path,
    image: np.ndarray | None = None,
    truth: np.ndarray | None = None,
    draw: Callable[[np.ndarray], np.ndarray] = draw_strokes,
) -> Path:
    """Make a project and return its folder.

    Parameters
    ----------
    folder
        Gets the image and the project.
    image, truth
        ``(slices, rows, columns)``; None: 24 x 256 x 256 nuclei.
    draw
        Strokes by the truth of a slice; :func:`draw_objects`: the project numbers objects.
    """
    from napari_swin_umamba.images import read_image
    from napari_swin_umamba.project import Project

    if image is None or truth is None:
        image = nuclei(SLICES, SIZE, 9)
        truth = truth_of(image)
    tifffile.imwrite(folder / "nuclei.tif", image, metadata={"axes": "ZYX"})
    kind = "instances" if draw is draw_objects else "semantic"
    project = Project.create(folder / "training", kind, ["nucleus"])
    added = project.add_image([folder / "nuclei.tif"], read_image(folder / "nuclei.tif"))
    for z in PAINTED:
        project.annotation(added.id).write((z,), draw(truth[z]))
    return project.folder
