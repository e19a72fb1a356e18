"""Which of the objects found are kept: not too small, and not cut by the image's edge."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.segmentation.numbering import number_in_order

__all__ = ["ObjectRules", "area_in_pixels"]


@dataclass(frozen=True)
class ObjectRules:
    """Which objects of an image are kept; of a volume, on each of its slices."""

    min_area: float | None = None
    """Smaller objects are dropped: in the square of the unit of the image's pixel size, such as
    µm², or in pixels where the image has no pixel size. None: only those too small to be
    learned from (``plan.min_object_pixels``)."""
    at_edge: bool = True
    """Keep objects that touch the edge of the image, which may be only part of an object."""

    def check(self, objects: bool | None = None) -> None:
        """Say what is wrong with the rules.

        Parameters
        ----------
        objects
            Whether labels number objects, if it is known yet.

        Raises
        ------
        InputError
            The area is out of range, or there are no objects to choose from.
        """
        if self.min_area is not None and not 0 <= self.min_area < inf:
            raise InputError(
                f"the smallest area of an object must be a number from 0 on, not {self.min_area:g} "
                "(--min-area)"
            )
        if objects is False and self != ObjectRules():
            raise InputError(
                "labels are classes here, which are not left out by area or at the edge; number "
                "objects (--objects), or leave it out (--min-area, --no-edge-objects)"
            )

    def keep(self, labels: np.ndarray, spacing: tuple[float, float] | None) -> np.ndarray:
        """Drop what the rules do not keep.

        Parameters
        ----------
        labels
            ``(Y, X)``, int32: objects 1, 2, ...
        spacing
            Row and column spacing in the unit that `min_area` is the square of; None if not known.

        Returns
        -------
        np.ndarray
            ``(Y, X)``, int32, numbered anew in the order of objects' first pixels; `labels` itself
            where nothing is to be dropped.
        """
        if self == ObjectRules():
            return labels
        if not self.at_edge:
            dropped = np.zeros(int(labels.max(initial=0)) + 1, bool)
            for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
                dropped[edge] = True
            dropped[0] = False
            labels = np.where(dropped[labels], 0, labels)
        return number_in_order(labels, area_in_pixels(self.min_area or 0, spacing))


def area_in_pixels(area: float, spacing: tuple[float, float] | None) -> float:
    """Turn an area into a number of pixels.

    Parameters
    ----------
    area
        In the square of the spacing's unit; in pixels if there is no spacing.
    spacing
        Row and column spacing.
    """
    return area if spacing is None else area / (spacing[0] * spacing[1])
