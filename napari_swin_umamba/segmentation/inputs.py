"""What people hand over as images and spacings, checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.images.slices import Position
from napari_swin_umamba.images.units import known_spacing

__all__ = ["SliceReport", "as_array", "checked_spacing"]

SliceReport = Callable[[Position, np.ndarray], object]
"""Called as ``on_slice(position, labels)`` after every plane of a volume."""


def as_array(image: Any) -> Any:
    """Return an image as an array, a lazy one untouched; a tensor may be on any device."""
    try:
        if isinstance(image, torch.Tensor):
            # NumPy has no bfloat16.
            image = image.float() if image.dtype == torch.bfloat16 else image
            return image.numpy(force=True)
        if isinstance(image, np.ndarray) or _is_lazy(image):
            return image
        return np.asarray(image)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"the image {shown(image)} is not an array of numbers: {reason}"
        ) from error


def _is_lazy(image: Any) -> bool:
    return all(hasattr(image, name) for name in ("shape", "dtype", "__getitem__", "__array__"))


def checked_spacing(spacing: object, count: int) -> tuple[float, ...] | None:
    """Return the spacing that a person gave, or None if they gave none."""
    known = known_spacing(spacing, count)
    if spacing is not None and known is None:
        what = "a row and a column spacing: give two" if count == 2 else f"{count} spacings: give"
        raise InputError(f"spacing {shown(spacing)} is not {what} numbers above 0")
    return known
