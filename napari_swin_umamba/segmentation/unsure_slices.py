"""Measure which slices a model is unsure of: slice after slice, for as long as there is time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images.image import Image
from napari_swin_umamba.images.slices import Position
from napari_swin_umamba.images.units import known_spacing
from napari_swin_umamba.segmentation.device import resolve_device
from napari_swin_umamba.segmentation.device_fit import DeviceFit
from napari_swin_umamba.segmentation.disagreement import (
    Bytes,
    Disagreement,
    compare_predictions,
    in_bytes,
)
from napari_swin_umamba.segmentation.instances import output_probabilities
from napari_swin_umamba.segmentation.layout import resolve_layout
from napari_swin_umamba.segmentation.prediction import StopRequest, predict_fitting, stop_if
from napari_swin_umamba.segmentation.preprocessing import normalize, select_channels
from napari_swin_umamba.segmentation.resampling import resampled_shape, resize_labels, resize_plane
from napari_swin_umamba.segmentation.slice_versions import NEAR, slice_versions

__all__ = ["SlicesToMeasure", "measure_slices"]

_OVERLAP = 0.25
"""Of tiles: less than for a result, since many slices are wanted and none is kept."""
_KEPT_BYTES = 200_000_000
"""Of predictions of slices, which are neighbours of others as well."""


@dataclass(frozen=True, eq=False)
class SlicesToMeasure:
    """Slices of one image."""

    name: str
    """Comes back with each slice."""
    read: Callable[[], Image]
    """Reads the image when its turn has come."""
    slice_axis: str | None
    """Volumes: the axis that they are cut along."""
    along: int | None
    """Which number of a position counts neighbouring slices; None: there are none."""
    positions: Sequence[Position]
    """In the order in which they are measured."""


def measure_slices(
    model: Model,
    images: Iterable[SlicesToMeasure],
    device: str = "auto",
    seconds: float = float("inf"),
    should_stop: StopRequest | None = None,
    on_problem: Callable[[str], object] | None = None,
    maps: bool = False,
) -> Iterator[tuple[str, Position, Disagreement]]:
    """Predict slices, also mirrored or moved, and those beside them; compare.

    Parameters
    ----------
    model
        Whose predictions.
    images
        Slices, in the order in which they are measured.
    device
        Where to compute.
    seconds
        No slice is begun later than so long after the first one was done (which may include the
        compilation of kernels).
    should_stop
        Asked before every batch of tiles.
    on_problem
        Gets why an image cannot be read, and the others are gone on with. None: raise.
    maps
        Somebody looks at :attr:`.Disagreement.pixels`: more is predicted to make them precise.

    Yields
    ------
    tuple of str, Position, Disagreement
        Name of the image, slice, and how much its predictions disagree.

    Raises
    ------
    Cancelled
        `should_stop` said so.
    InputError
        An image cannot be read, or the model not used on it.
    """
    if model.plan.volume is not None:
        raise InputError(
            f"the model '{model.name}' prepares volumes as a whole; slices are suggested by models "
            "that see slices one by one"
        )
    fit = DeviceFit(resolve_device(device)[0])
    until: float | None = None
    for wanted in images:
        predictions: _Predictions | None = None
        for position in wanted.positions:
            if until is not None and time.monotonic() > until:
                return
            stop_if(should_stop)
            try:
                if predictions is None:
                    predictions = _Predictions(model, wanted, fit, should_stop, maps)
                found = predictions.compare(position)
            except InputError as error:
                if on_problem is None:
                    raise
                on_problem(str(error))
                break
            yield wanted.name, position, found
            if until is None:
                until = time.monotonic() + seconds


class _Predictions:
    """Predictions of slices of one image; those made last are kept."""

    def __init__(
        self,
        model: Model,
        wanted: SlicesToMeasure,
        fit: DeviceFit,
        should_stop: StopRequest | None,
        maps: bool = False,
    ) -> None:
        image = wanted.read()
        self._maps = maps and not model.plan.mirror_axes
        self._model, self._fit, self._should_stop = model, fit, should_stop
        self._data, self._along = image.array, wanted.along
        spatial = sum(axis in "ZYX" for axis in image.axes)
        spacing = known_spacing(image.spacing, spatial)
        axis = wanted.slice_axis if spatial == 3 else None
        self._layout, pixel = resolve_layout(image.array.shape, image.axes, spacing, axis)
        self._seen = self._layout.plane_shape
        if model.plan.resample and pixel is not None:
            self._seen = resampled_shape(self._seen, pixel, image.unit, model.plan)
        self._kept: OrderedDict[Position, Bytes] = OrderedDict()

    def compare(self, position: Position) -> Disagreement:
        """Compare all predictions of a slice."""
        pixels = self._prepare(position)
        plan, shape = self._model.plan, (pixels.shape[1], pixels.shape[2])
        versions = slice_versions(plan, shape)
        far = len(versions)
        if self._maps:
            versions += slice_versions(plan, shape, NEAR)
        changed = [version.apply(pixels) for version in versions]
        plain = self._kept.get(position)
        if plain is None:
            plain, *found = self._predict([pixels, *changed])
            self._keep(position, plain)
        else:
            found = self._predict(changed)
        back = [one.back(other, plain) for one, other in zip(versions, found, strict=True)]
        beside = [self._plain(one) for one in self._beside(position)]
        compared = compare_predictions(plain, back[:far], beside, back[far:])
        return replace(compared, pixels=resize_labels(compared.pixels, self._layout.plane_shape))

    def _beside(self, position: Position) -> list[Position]:
        """Both neighbours; none of a slice at an end."""
        if self._along is None:
            return []
        size = self._layout.shape[self._layout.fixed_axes[self._along]]
        if not 0 < position[self._along] < size - 1:
            return []
        places = [position[self._along] + step for step in (-1, 1)]
        return [(*position[: self._along], p, *position[self._along + 1 :]) for p in places]

    def _plain(self, position: Position) -> Bytes:
        if position not in self._kept:
            self._keep(position, self._predict([self._prepare(position)])[0])
        self._kept.move_to_end(position)
        return self._kept[position]

    def _keep(self, position: Position, found: Bytes) -> None:
        self._kept[position] = found
        while len(self._kept) > max(3, _KEPT_BYTES // max(1, found.nbytes)):
            self._kept.popitem(last=False)

    def _prepare(self, position: Position) -> np.ndarray:
        """``(C, Y, X)`` as the network takes it."""
        stop_if(self._should_stop)
        plane = self._layout.extract(self._data, position)
        plan = self._model.plan
        channels = normalize(select_channels(plane, self._layout.axes, plan)[0], plan)
        return resize_plane(channels, self._seen, order=3)

    def _predict(self, planes: list[np.ndarray]) -> list[Bytes]:
        """Probabilities ``(classes, Y, X)`` of each."""
        plan = self._model.plan
        found: dict[int, Bytes] = {}

        def take(number: int, rows: slice, logits: np.ndarray) -> None:
            shape = (len(logits), *planes[number].shape[1:])
            target = found.setdefault(number, np.zeros(shape, np.uint8))
            target[:, rows] = in_bytes(output_probabilities(logits, plan))

        predict_fitting(
            self._model.network,
            planes,
            plan.patch,
            take,
            self._fit,
            overlap=_OVERLAP,
            pad_to_patch=plan.pad_to_patch,
            should_stop=self._should_stop,
        )
        return [found[number] for number in range(len(planes))]
