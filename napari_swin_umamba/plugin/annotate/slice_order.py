"""Which way through a volume its slices are shown: those that are painted one by one, or others."""

from __future__ import annotations

from collections.abc import Sequence

from napari_swin_umamba.plugin.annotate.touched import fixed_axes_of
from napari_swin_umamba.project import ImageReference

__all__ = ["order_of_slices", "shows_slices"]


def order_of_slices(image: ImageReference, ndim: int) -> tuple[int, ...]:
    """Order of a viewer's axes in which slices of an image are rows and columns.

    Parameters
    ----------
    image
        The grid.
    ndim
        Of the viewer; the image has its last axes.
    """
    offset = ndim - len(image.label_axes)
    fixed = [offset + axis for axis in fixed_axes_of(image)]
    sliders = [*range(offset), *fixed]
    return (*sliders, *(axis for axis in range(offset, ndim) if axis not in fixed))


def shows_slices(image: ImageReference, order: Sequence[int], ndisplay: int) -> bool:
    """Whether a viewer shows one slice of an image, and not a cut through all of them.

    Parameters
    ----------
    image
        The grid.
    order
        The viewer's axes; the last ones are shown.
    ndisplay
        How many are shown.
    """
    offset = len(order) - len(image.label_axes)
    shown = order[len(order) - ndisplay :]
    return not any(offset + axis in shown for axis in fixed_axes_of(image))
