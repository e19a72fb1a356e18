"""Which axis of an image is which axis of the volume that nnU-Net would have read.

nnU-Net's arrays have the axes of the file, from the slowest to the fastest: z, y, x. Our readers
may have transposed them (docs/decisions/0017), and a plan may ask for another order again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_swin_umamba.images.image import Image
from napari_swin_umamba.plan import VolumePlan

__all__ = ["VolumeFrame", "frame_of"]


@dataclass(frozen=True)
class VolumeFrame:
    """Axes of an image in the network's order."""

    axes: str
    """Letters of the image's axes: of slices, rows and columns (``"ZYX"``), or of rows and columns
    of a single plane."""
    flipped: str = ""
    """Letters of those that the network sees the other way round."""

    @property
    def slice_axis(self) -> str | None:
        """Letter of the axis that slices follow; None: there is one plane."""
        return self.axes[0] if len(self.axes) == 3 else None

    def to_network(self, planes: np.ndarray, axes: str) -> np.ndarray:
        """Turn planes of an image to the network's rows and columns: a view.

        Parameters
        ----------
        planes : (..., rows, columns)
            In the image's order.
        axes
            All axes of the image, in its order.
        """
        return self._flip(np.swapaxes(planes, -1, -2) if self._swaps(axes) else planes)

    def to_image(self, planes: np.ndarray, axes: str) -> np.ndarray:
        """Undo :meth:`to_network`."""
        planes = self._flip(planes)
        return np.swapaxes(planes, -1, -2) if self._swaps(axes) else planes

    def place(self, index: int, count: int) -> int:
        """Where the network has a slice of the image, out of `count`; and the other way round."""
        return count - 1 - index if self.slice_axis and self.slice_axis in self.flipped else index

    def _swaps(self, axes: str) -> bool:
        return axes.index(self.axes[-2]) > axes.index(self.axes[-1])

    def _flip(self, planes: np.ndarray) -> np.ndarray:
        turned = tuple(-2 + place for place in (0, 1) if self.axes[-2 + place] in self.flipped)
        return np.flip(planes, turned) if turned else planes


def frame_of(plan: VolumePlan, axes: str, image: Image) -> tuple[VolumeFrame, tuple[str, ...]]:
    """Decide which axis of an image the network's slices, rows and columns are.

    Parameters
    ----------
    plan
        Of the model.
    axes
        Of the image, with Y and X, and Z if it is a volume.
    image
        Says how its file stores it, if it comes from one, and which way its axes run.

    Returns
    -------
    frame : VolumeFrame
        The axes.
    notes : tuple of str
        What was assumed, for people.
    """
    stored = "ZYX"
    notes: tuple[str, ...] = ()
    volume = "Z" in axes
    order = image.grid.order if image.grid is not None else (2, 1, 0)
    if volume and len(order) == 3 and not plan.reorient:
        # Files count from the fastest axis, nnU-Net's arrays from the slowest.
        stored = "".join("ZYX"[order.index(2 - place)] for place in range(3))
    letters = "".join(stored[axis] for axis in plan.transpose if stored[axis] in axes)
    flipped = ""
    if plan.reorient:
        flipped, notes = _to_ras(image, volume)
    return VolumeFrame(letters, flipped), notes


def _to_ras(image: Image, volume: bool) -> tuple[str, tuple[str, ...]]:
    """Axes to flip so that x runs to the right, y to anterior and z to superior."""
    if volume and image.affine is not None and image.affine.shape == (4, 4):
        # Ours are z, y, x of LPS: superior, posterior, left.
        steps = np.diagonal(image.affine)[:3]
        wanted = (1, -1, -1)
        letters = [
            letter for letter, step, way in zip("ZYX", steps, wanted, strict=True) if step * way < 0
        ]
        return "".join(letters), ()
    if image.grid is not None and image.grid.nifti is not None:
        return "X", ()  # nibabel takes x of a NIfTI file that says nothing to run to the left
    return "", (
        "the image does not say which way its axes run: taken as right, anterior, superior",
    )
