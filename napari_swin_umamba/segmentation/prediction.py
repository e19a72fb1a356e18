"""Run a network over the tiles of an image and blend its logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from napari_swin_umamba.errors import Cancelled, InputError, is_out_of_memory
from napari_swin_umamba.segmentation.device import resolve_device
from napari_swin_umamba.segmentation.device_fit import DeviceFit
from napari_swin_umamba.segmentation.tiling import Tiling, gaussian_weights, make_tiling

__all__ = [
    "BandReport",
    "Progress",
    "StopRequest",
    "predict_bands",
    "predict_fitting",
    "predict_logits",
    "predict_logits_of_many",
    "stop_if",
]

BandReport = Callable[[int, slice, np.ndarray], object]
"""Called as ``emit(number, rows, logits)``: number of the image, rows of it, their logits
``(classes, rows, X)``, float32."""
Progress = Callable[[int, int], object]
"""Called as ``on_progress(done, total)`` after every tile."""
StopRequest = Callable[[], bool]
"""Asked before every batch of tiles; True ends the work with :class:`Cancelled`."""

_MIRRORS: tuple[tuple[int, ...], ...] = ((), (2,), (3,), (2, 3))  # dims of (B, C, H, W)

Mirror = bool | tuple[int, ...]
"""Mirrored versions to average over: along rows (0), columns (1), or both and together (True)."""


def stop_if(should_stop: StopRequest | None) -> None:
    """Raise :class:`Cancelled` if a person wants the work to end."""
    if should_stop is not None and should_stop():
        raise Cancelled("segmentation was stopped")


def predict_logits(
    network: torch.nn.Module,
    image: np.ndarray,
    patch: tuple[int, int],
    overlap: float = 0.5,
    mirror: Mirror = False,
    device: str | torch.device = "auto",
    on_progress: Progress | None = None,
    should_stop: StopRequest | None = None,
    *,
    pad_to_patch: bool = False,
) -> np.ndarray:
    """Predict an image of any size, tile by tile.

    Parameters
    ----------
    network
        ``(B, C, H, W)`` -> ``(B, classes, H, W)``, or a list with that first (deep supervision).
        It is moved to `device` and stays there; its train or eval mode is kept. It computes in the
        precision of its weights.
    image
        ``(C, Y, X)``, float32, preprocessed.
    patch
        Height and width of the largest tile, multiples of 32.
    overlap
        Fraction of a tile that neighbours share at least.
    mirror
        Also predict each tile mirrored along Y, X and both, and average: four times the work. A
        tuple of axes (0: Y, 1: X): mirrored along those only.
    device
        As :func:`resolve_device` takes it.
    on_progress
        Called after every tile with the number of tiles done and their total number.
    should_stop
        Asked before every batch of tiles.
    pad_to_patch
        See :func:`make_tiling`.

    Returns
    -------
    np.ndarray
        Logits ``(classes, Y, X)``, float32.

    Raises
    ------
    Cancelled
        `should_stop` said so.
    InputError
        A bad argument, a device without enough memory, or a network that yields NaN.
    """
    return predict_logits_of_many(
        network,
        [image],
        patch,
        overlap,
        mirror,
        device,
        on_progress,
        should_stop,
        pad_to_patch=pad_to_patch,
    )[0]


def predict_logits_of_many(
    network: torch.nn.Module,
    images: Sequence[np.ndarray],
    patch: tuple[int, int],
    overlap: float = 0.5,
    mirror: Mirror = False,
    device: str | torch.device = "auto",
    on_progress: Progress | None = None,
    should_stop: StopRequest | None = None,
    *,
    pad_to_patch: bool = False,
) -> list[np.ndarray]:
    """Predict images of one size; their tiles share batches.

    Parameters
    ----------
    network, patch, overlap, mirror, device, on_progress, should_stop, pad_to_patch
        As in :func:`predict_logits`.
    images
        Each ``(C, Y, X)``, float32, preprocessed.

    Returns
    -------
    list of np.ndarray
        Logits of each, ``(classes, Y, X)``, float32.

    Raises
    ------
    Cancelled, InputError
        As :func:`predict_logits`.
    """
    height, width = images[0].shape[1:]
    collected: list[np.ndarray] = []

    def collect(number: int, rows: slice, logits: np.ndarray) -> None:
        if number == len(collected):
            collected.append(np.empty((len(logits), height, width), np.float32))
        collected[number][:, rows] = logits

    tiling = make_tiling((height, width), patch, overlap, pad_to_patch)
    fit = DeviceFit(resolve_device(device)[0])
    try:
        predict_bands(network, images, tiling, collect, fit, mirror, on_progress, should_stop)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(
            f"{fit.device} has too little memory for a tile of {tiling.tile[0]} x "
            f"{tiling.tile[1]}; choose cpu (--device)"
        ) from error
    return collected


def predict_fitting(
    network: torch.nn.Module,
    images: Sequence[np.ndarray],
    patch: tuple[int, int],
    emit: BandReport,
    fit: DeviceFit,
    *,
    overlap: float = 0.5,
    pad_to_patch: bool = False,
    mirror: Mirror = False,
    on_progress: Progress | None = None,
    should_stop: StopRequest | None = None,
) -> None:
    """Predict images of one size; where memory runs out, with smaller tiles or on the CPU.

    Parameters
    ----------
    network, patch, overlap, mirror, on_progress, should_stop, pad_to_patch
        As in :func:`predict_logits`.
    images, emit
        As in :func:`predict_bands`. After a step that `fit` tells, rows come once more, from the
        first one on; so does the progress, and the number of tiles is another.
    fit
        The device, and what it can take.

    Raises
    ------
    Cancelled
        `should_stop` said so.
    InputError
        A bad argument, a network that yields NaN, or too little memory on the CPU as well.
    """
    height, width = images[0].shape[1:]
    while True:
        tiling = make_tiling((height, width), fit.patch(patch), overlap, pad_to_patch)
        try:
            predict_bands(network, images, tiling, emit, fit, mirror, on_progress, should_stop)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        else:
            return
        # Outside the handler: the exception holds the frames, and they the tensors.
        fit.shrink(tiling.tile)


def predict_bands(
    network: torch.nn.Module,
    images: Sequence[np.ndarray],
    tiling: Tiling,
    emit: BandReport,
    fit: DeviceFit,
    mirror: Mirror = False,
    on_progress: Progress | None = None,
    should_stop: StopRequest | None = None,
) -> None:
    """Predict images of one size tile by tile and hand out the logits band by band, from the top.

    Only one row of tiles of each image is summed at a time: ``4 bytes * classes * tile height *
    width`` on the device, whatever the height of the image.

    Parameters
    ----------
    network, mirror, on_progress, should_stop
        As in :func:`predict_logits`.
    images
        Each ``(C, Y, X)``, float32, preprocessed. Their tiles share the device's batches: give as
        many as fill one.
    tiling
        Of each image.
    emit
        Takes the logits of some rows of one image.
    fit
        The device, and how many tiles it takes at once: fewer, from the moment that memory runs
        out.

    Raises
    ------
    Cancelled, InputError
        As :func:`predict_logits`.
    torch.OutOfMemoryError
        One tile is too much.
    """
    padded = [tiling.pad(image) for image in images]
    height, width = tiling.tile
    device = fit.device
    weights = torch.from_numpy(np.outer(gaussian_weights(height), gaussian_weights(width)))
    weights = weights.to(device)
    row_sums, column_sums = (torch.from_numpy(sums).to(device) for sums in tiling.weight_sums())
    total = tiling.count * len(images)
    runner = _TileRunner(network, fit, mirror, total, on_progress, should_stop)
    sums: list[torch.Tensor] = []
    with _evaluating(network), torch.inference_mode(), fit.autocast():
        network.to(device)
        for start, stop in tiling.bands():
            tiles = [
                (number, column, image[:, start : start + height, column : column + width])
                for number, image in enumerate(padded)
                for column in tiling.columns
            ]
            for number, column, logits in runner.run(tiles):
                while number >= len(sums):
                    shape = len(logits), height, tiling.padded[1]
                    sums.append(torch.zeros(shape, device=device))
                sums[number][:, :, column : column + width] += logits * weights
            for number, image_sums in enumerate(sums):
                final = image_sums[:, : stop - start] / (row_sums[start:stop, None] * column_sums)
                _emit_band(final, number, start, tiling, emit)
                rest, done = image_sums[:, stop - start :], image_sums[:, : stop - start]
                sums[number] = torch.cat([rest, torch.zeros_like(done)], dim=1)


def _emit_band(
    logits: torch.Tensor, number: int, start: int, tiling: Tiling, emit: BandReport
) -> None:
    """Cut the padding off a band and pass it on."""
    if not torch.isfinite(logits).all():
        raise InputError("the model yields NaN or infinite values for this image; train it anew")
    (top, left), (rows, columns) = tiling.before, tiling.shape
    first, last = max(start, top), min(start + logits.shape[1], top + rows)
    if first < last:
        band = logits[:, first - start : last - start, left : left + columns]
        emit(number, slice(first - top, last - top), band.cpu().numpy())


class _TileRunner:
    """Runs the network over rows of tiles, in batches that fit the device."""

    def __init__(
        self,
        network: torch.nn.Module,
        fit: DeviceFit,
        mirror: Mirror,
        total: int,
        on_progress: Progress | None,
        should_stop: StopRequest | None,
    ) -> None:
        self._network = network
        self._fit = fit
        self._dtype = _float_dtype(network)
        self._mirrors = _mirrors(mirror)
        self._total = total
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._done = 0

    def run(
        self, tiles: list[tuple[int, int, np.ndarray]]
    ) -> Iterator[tuple[int, int, torch.Tensor]]:
        """Yield the logits ``(classes, h, w)`` of each tile.

        Parameters
        ----------
        tiles
            Number of the image, first column, and pixels ``(C, h, w)`` of each.
        """
        while tiles:
            batch = tiles[: self._fit.tiles(tiles[0][2].shape[1:])]
            logits = self._predict_or_shrink(np.stack([pixels for _, _, pixels in batch]))
            if logits is None:
                continue
            tiles = tiles[len(batch) :]
            for (number, column, _), tile_logits in zip(batch, logits, strict=True):
                yield number, column, tile_logits
                self._done += 1
                if self._on_progress is not None:
                    self._on_progress(self._done, self._total)

    def _predict_or_shrink(self, tiles: np.ndarray) -> torch.Tensor | None:
        """Return logits ``(B, classes, h, w)``, or None after halving a batch that did not fit."""
        try:
            return self._predict(torch.from_numpy(tiles).to(self._fit.device, self._dtype))
        except Exception as error:
            if len(tiles) == 1 or not is_out_of_memory(error):
                raise
        self._fit.take_fewer_tiles(tiles.shape[2:], len(tiles))
        return None

    def _predict(self, tiles: torch.Tensor) -> torch.Tensor:
        """Mean logits over the mirrored versions of tiles ``(B, C, h, w)``."""
        total: torch.Tensor | None = None
        for dims in self._mirrors:
            stop_if(self._should_stop)
            output = self._fit.run(self._network, torch.flip(tiles, dims) if dims else tiles)
            logits = output[0] if isinstance(output, list | tuple) else output
            logits = torch.flip(logits, dims).float() if dims else logits.float()
            total = logits if total is None else total + logits
        assert total is not None
        return total / len(self._mirrors)


def _mirrors(mirror: Mirror) -> tuple[tuple[int, ...], ...]:
    """Dims of ``(B, C, H, W)`` to flip, for each version of a tile."""
    if isinstance(mirror, bool):
        return _MIRRORS if mirror else _MIRRORS[:1]
    return tuple(dims for dims in _MIRRORS if all(dim - 2 in mirror for dim in dims))


def _float_dtype(network: torch.nn.Module) -> torch.dtype:
    """Return the precision a network computes in: that of its first weight."""
    dtypes = (weight.dtype for weight in network.parameters() if weight.is_floating_point())
    return next(dtypes, torch.float32)


@contextmanager
def _evaluating(network: torch.nn.Module) -> Iterator[None]:
    """Switch to eval mode and back: validation during training must not change the mode."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
