"""Whether a volume is a label map: a rule that would rather miss one than take an image for one."""

from __future__ import annotations

import re

import numpy as np

from napari_swin_umamba.images.image import Image
from napari_swin_umamba.images.names import stem_of
from napari_swin_umamba.images.nifti_writing import NIFTI_LABEL

__all__ = ["MOST_LABELS", "is_label_map"]

MOST_LABELS = 64
"""Different values that a file named like a label map may have. T1 images in 8 bits, the closest
that images come to labels, have over 100."""

_FOLDERS = {"labelstr", "labelsts", "labels", "masks", "segmentations"}
# A word of the name: "brain_mask" and "seg-1" but not "masked" or "segond".
_NAME = re.compile(
    r"(^|[_.\- ])(a?seg|dseg|aparc|segmentation|label|labels|labelmap|mask|masks|gt)([_.\- ]|\d*$)",
    re.IGNORECASE,
)


def is_label_map(image: Image) -> bool:
    """Decide whether the values of a volume are names of things.

    They are if all are whole, none is negative, there are no channels, and

    - the header says so: NIfTI's intent code is 1002 (label), OME-Zarr has an ``image-label``, NRRD
      and MetaImage have the field that we write, or the name ends in ``.seg.nrrd``, as 3D Slicer
      writes it; or
    - the name says so and there are at most :data:`MOST_LABELS` different values. Such names have
      a word like seg, label or mask, or lie in a folder called labels, labelsTr or masks.

    Parameters
    ----------
    image
        As read from a file.
    """
    if image.path is None or "C" in image.axes or image.array.dtype.kind not in "buif":
        return False
    header = image.grid.nifti if image.grid is not None else None
    sure = (
        image.path.name.lower().endswith(".seg.nrrd")
        or (image.grid is not None and image.grid.says_labels)
        or (header is not None and int(header["intent_code"]) == NIFTI_LABEL)
    )
    # Of OME-Zarr only the metadata count: nobody wants to wait until all of it was read.
    lazy = image.grid is not None and image.grid.zarr is not None
    named = not lazy and (
        image.path.parent.name.lower() in _FOLDERS or _NAME.search(stem_of(image.path)) is not None
    )
    if not (sure or named) or not _whole(image.array):
        return False
    return sure or _few(image.array)


def _whole(array: np.ndarray) -> bool:
    """Whether all values are whole and in 0..2^31-1, looking at one plane at a time."""
    if array.dtype.kind == "u" and array.dtype.itemsize < 4:
        return True
    for plane in array:
        if plane.dtype.kind == "f" and not (plane == np.floor(plane)).all():  # NaN is not equal
            return False
        if plane.dtype.kind != "b" and not 0 <= plane.min() <= plane.max() < 2**31:
            return False
    return True


def _few(array: np.ndarray) -> bool:
    values: set[float] = set()
    for plane in array:
        values.update(np.unique(plane).tolist())
        if len(values) > MOST_LABELS:
            return False
    return True
