"""Which planes of a volume are segmented, from the names of its axes."""

from __future__ import annotations

from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.images.slices import SliceLayout

__all__ = ["check_plane", "coarsest_axis", "resolve_layout"]

_LETTERS = "TCZYX"
_CLEARLY_COARSER = 1.01
"""Ratio of spacings below which two axes count as alike."""


def check_plane(plane: object) -> str | None:
    """Return the slice axis that a person gave, in capitals, or None if they gave none.

    Raises
    ------
    InputError
        It is not Z, Y or X.
    """
    if plane is None:
        return None
    if not isinstance(plane, str) or plane.upper() not in ("Z", "Y", "X"):
        raise InputError(
            f"{shown(plane)} is no axis that a volume can be cut along: give Z, Y or X (--plane)"
        )
    return plane.upper()


def resolve_layout(
    shape: tuple[int, ...],
    axes: str,
    spacing: tuple[float, ...] | None,
    slice_axis: str | None,
) -> tuple[SliceLayout, tuple[float, float] | None]:
    """Decide which planes of an array are segmented.

    Parameters
    ----------
    shape
        Of the array.
    axes
        One letter for each axis.
    spacing
        Along the axes of `axes` that are Z, Y or X, in that order; None if not known.
    slice_axis
        Letter of the axis to cut along; None to choose.

    Returns
    -------
    layout : SliceLayout
        The planes.
    spacing : (float, float) or None
        Row and column spacing of a plane.

    Raises
    ------
    InputError
        The axes are not those of an image or do not fit the shape, or the array is empty.
    """
    if set(axes) - set(_LETTERS) or len(set(axes)) < len(axes) or not {"Y", "X"} <= set(axes):
        raise InputError(
            f"axes '{axes}' are not those of an image or a volume: one letter for each axis, of "
            f"{', '.join(_LETTERS)}, with Y and X among them (--axes)"
        )
    if len(axes) != len(shape):
        raise InputError(
            f"axes '{axes}' do not fit an array of shape {shape}: one letter per axis (--axes)"
        )
    if 0 in shape:
        raise InputError(f"the image is empty: its shape is {shape}")
    spatial = [axis for axis in axes if axis in "ZYX"]
    if slice_axis is None:
        slice_axis = spatial[coarsest_axis(spacing)] if len(spatial) == 3 else None
    elif len(spatial) < 3:
        raise InputError(
            f"an image with axes '{axes}' has no slices to cut along {slice_axis}; leave the slice "
            "axis out (--plane)"
        )
    in_plane = [axis for axis in spatial if axis != slice_axis]
    rows, columns = (axes.index(axis) for axis in in_plane)
    colours = shape[-1] if axes.endswith("C") else 0
    layout = SliceLayout(
        shape=shape[:-1] if colours else shape,
        plane=(rows, columns),
        channel_axis=axes.index("C") if "C" in axes and not colours else None,
        colours=colours,
    )
    if spacing is None:
        return layout, None
    steps = dict(zip(spatial, spacing, strict=True))
    return layout, (steps[in_plane[0]], steps[in_plane[1]])


def coarsest_axis(spacing: tuple[float, ...] | None) -> int:
    """Index of the axis with the largest spacing; the first where none is clearly the largest.

    Volumes are acquired slice by slice: the axis with the coarsest spacing is the one along which
    neighbouring slices differ most and a plane across it is sharpest.
    """
    if spacing is None:
        return 0
    largest = max(spacing)
    return 0 if spacing[0] * _CLEARLY_COARSER >= largest else spacing.index(largest)
