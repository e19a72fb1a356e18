"""From a volume to the slices that the network sees, as nnU-Net v2 prepares them.

    read -> axes in the network's order -> crop to what is not zero -> normalize -> resample
                                                                                    (each slice
                                                                                     when asked)

Source: ``default_preprocessor.py``, ``cropping.py``, ``default_normalization_schemes.py`` of
nnU-Net v2. Crop and statistics are of the whole volume, so one slice cannot be prepared alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import binary_fill_holes

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plan import Plan, VolumePlan
from napari_swin_umamba.segmentation.preprocessing import normalize
from napari_swin_umamba.segmentation.volume_resampling import (
    Limits,
    SliceResampling,
    apart_axis,
    limits_of,
)

__all__ = ["PreparedVolume", "prepare_volume"]

_LARGEST_SLICE = 2**28
"""Pixels of a resampled slice: 1 GB for each channel."""
_STD_FLOOR = 1e-8

Crop = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class PreparedVolume:
    """A volume cropped and normalized, its axes in the network's order."""

    values: np.ndarray
    """``(C, Z, Y, X)``, float32: the crop, normalized, on its own grid."""
    crop: Crop
    """Where it lies in the whole volume."""
    shape: tuple[int, int, int]
    """Of the whole volume."""
    spacing: tuple[float, float, float]
    """Of the three axes."""
    plan: VolumePlan

    @cached_property
    def network_shape(self) -> tuple[int, int]:
        """Rows and columns of a slice as the network sees it."""
        sizes = [
            round(own / wanted * size)
            for own, wanted, size in zip(
                self.spacing[1:], self.plan.spacing, self.values.shape[2:], strict=True
            )
        ]
        if sizes[0] * sizes[1] > _LARGEST_SLICE or min(sizes) < 1:
            rows, columns = self.values.shape[2:]
            raise InputError(
                f"at the spacing of the training images a slice of {rows} x {columns} pixels would "
                f"have {sizes[0]} x {sizes[1]}; is the spacing of the image right?"
            )
        return sizes[0], sizes[1]

    def contains(self, index: int) -> bool:
        """Whether a slice lies in the crop; all others are background."""
        return self.crop[0].start <= index < self.crop[0].stop

    def slice_at(self, index: int) -> np.ndarray:
        """Input of the network for a slice: ``(C, *network_shape)``, float32.

        Parameters
        ----------
        index
            Along the first axis of the whole volume; inside the crop.
        """
        values: np.ndarray = self.values[:, index - self.crop[0].start]
        return self._to_network(values, self._limits)

    def on_grid(self, logits: np.ndarray) -> np.ndarray:
        """Logits ``(K, *network_shape)`` on the crop's grid ``(K, rows, columns)``."""
        return self._to_grid(logits)

    @property
    def _target(self) -> tuple[float, float, float]:
        return self.spacing[0], *self.plan.spacing

    @cached_property
    def _to_network(self) -> SliceResampling:
        plan = self.plan
        apart = apart_axis(plan.image_separate_z, self.spacing, self._target)
        rows, columns = self.values.shape[2:]
        return SliceResampling(
            (rows, columns), self.network_shape, apart, plan.image_order, plan.image_order_z
        )

    @cached_property
    def _to_grid(self) -> SliceResampling:
        plan = self.plan
        # As the official code has it (``export_prediction.py``, commit 2c1f72e): the rule looks at
        # spacings in the file's order of axes, though the logits are in the network's.
        stored = [0.0, 0.0, 0.0]
        for axis, step in zip(plan.transpose, self.spacing, strict=True):
            stored[axis] = step
        apart = apart_axis(plan.logits_separate_z, (stored[0], *plan.spacing), stored)
        rows, columns = self.values.shape[2:]
        return SliceResampling(
            self.network_shape, (rows, columns), apart, plan.logits_order, plan.logits_order_z
        )

    @cached_property
    def _limits(self) -> Limits | None:
        same = self._to_network.source == self._to_network.target
        return None if same else limits_of(self.values, self._to_network.apart)


def prepare_volume(volume: np.ndarray, spacing: Sequence[float], plan: Plan) -> PreparedVolume:
    """Crop and normalize a volume.

    Parameters
    ----------
    volume
        ``(C, Z, Y, X)``, float32, finite, its axes in the network's order.
    spacing
        Of Z, Y and X, in the plan's unit.
    plan
        With ``volume``.

    Raises
    ------
    InputError
        The values are not those of the colours that the model takes.
    """
    assert plan.volume is not None
    crop = _non_zero(volume)
    cropped = np.array(volume[(slice(None), *crop)], order="C")
    inside = None
    if plan.volume.mask_channels:
        inside = binary_fill_holes((volume != 0).any(axis=0))[crop]
    _check_colours(cropped, plan)
    _normalize(cropped, plan, plan.volume.mask_channels, inside)
    whole = (volume.shape[1], volume.shape[2], volume.shape[3])
    return PreparedVolume(cropped, crop, whole, (spacing[0], spacing[1], spacing[2]), plan.volume)


def _non_zero(volume: np.ndarray) -> Crop:
    """Smallest box with every value that is not zero, of any channel; all of it if there is none.

    nnU-Net fills holes first, which no box depends on.
    """
    found = np.zeros(volume.shape[1:], bool)
    for channel in volume:
        found |= channel != 0
    sides = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        places = np.flatnonzero(found.any(axis=others))
        if not places.size:
            return tuple(slice(0, size) for size in volume.shape[1:])  # type: ignore[return-value]
        sides.append(slice(int(places[0]), int(places[-1]) + 1))
    return sides[0], sides[1], sides[2]


def _check_colours(volume: np.ndarray, plan: Plan) -> None:
    for channel, spec in zip(volume, plan.channels, strict=True):
        low, high = channel.min(), channel.max()
        if spec.normalization.scheme == "rgb_to_01" and (low < 0 or high > 255):
            raise InputError(
                f"the model takes colours from 0 to 255, but the channel {spec.name} has values "
                f"from {low:g} to {high:g}; convert the image to 8 bits"
            )


def _normalize(
    volume: np.ndarray, plan: Plan, masked: Sequence[int], inside: np.ndarray | None
) -> None:
    """Normalize in place; z-scores of masked channels are of what is inside, and change that."""
    for index in range(len(volume)):
        if index in masked and inside is not None and inside.any():
            values = volume[index][inside]
            mean, std = values.mean(dtype=np.float64), values.std(dtype=np.float64)
            volume[index][inside] = (values - np.float32(mean)) / np.float32(max(std, _STD_FLOOR))
        else:
            alone = plan.model_copy(update={"channels": plan.channels[index : index + 1]})
            normalize(volume[index : index + 1], alone)
