"""Run a network over the tiles of an image and blend its logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from napari_swin_umamba.errors import Cancelled, InputError
from napari_swin_umamba.segmentation.device import resolve_device
from napari_swin_umamba.segmentation.tiling import Tiling, gaussian_weights, make_tiling

__all__ = ["Progress", "StopRequest", "predict_bands", "predict_logits"]

Progress = Callable[[int, int], object]
"""Called as ``on_progress(done, total)`` after every tile."""
StopRequest = Callable[[], bool]
"""Asked before every tile; True ends the work with :class:`Cancelled`."""

# Tiles that a GPU works on at once: four of 512 x 512 fill it, and fit into 8 GB.
_GPU_BATCH_PIXELS = 4 * 512 * 512
_MIRRORS: tuple[tuple[int, ...], ...] = ((), (2,), (3,), (2, 3))  # dims of (B, C, H, W)

Mirror = bool | tuple[int, ...]
"""Mirrored versions to average over: along rows (0), columns (1), or both and together (True)."""


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
        Asked before every tile.
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
    height, width = image.shape[1:]
    collected: list[np.ndarray] = []

    def collect(rows: slice, logits: np.ndarray) -> None:
        if not collected:
            collected.append(np.empty((len(logits), height, width), np.float32))
        collected[0][:, rows] = logits

    predict_bands(
        network,
        image,
        make_tiling((height, width), patch, overlap, pad_to_patch),
        collect,
        device=resolve_device(device)[0],
        mirror=mirror,
        on_progress=on_progress,
        should_stop=should_stop,
    )
    return collected[0]


def predict_bands(
    network: torch.nn.Module,
    image: np.ndarray,
    tiling: Tiling,
    emit: Callable[[slice, np.ndarray], None],
    *,
    device: torch.device,
    mirror: Mirror = False,
    on_progress: Progress | None = None,
    should_stop: StopRequest | None = None,
) -> None:
    """Predict an image tile by tile and hand out the logits band by band, from the top.

    Only one row of tiles is summed at a time: ``4 bytes * classes * tile height * width`` on the
    device, whatever the height of the image.

    Parameters
    ----------
    network, image, device, mirror, on_progress, should_stop
        As in :func:`predict_logits`.
    tiling
        Of the image.
    emit
        Called with a slice of the image's rows and their logits ``(classes, rows, X)``, float32.

    Raises
    ------
    Cancelled, InputError
        As :func:`predict_logits`.
    """
    padded = tiling.pad(image)
    height, width = tiling.tile
    weights = torch.from_numpy(np.outer(gaussian_weights(height), gaussian_weights(width)))
    weights = weights.to(device)
    row_sums, column_sums = (torch.from_numpy(sums).to(device) for sums in tiling.weight_sums())
    runner = _TileRunner(network, device, mirror, tiling, on_progress, should_stop)
    sums: torch.Tensor | None = None
    with _evaluating(network), torch.inference_mode():
        network.to(device)
        for start, stop in tiling.bands():
            for column, logits in runner.run(padded[:, start : start + height]):
                if sums is None:
                    sums = torch.zeros((len(logits), height, tiling.padded[1]), device=device)
                sums[:, :, column : column + width] += logits * weights
            assert sums is not None
            final = sums[:, : stop - start] / (row_sums[start:stop, None] * column_sums)
            _emit_band(final, start, tiling, emit)
            rest = sums[:, stop - start :]
            sums = torch.cat([rest, torch.zeros_like(sums[:, : stop - start])], dim=1)


def _emit_band(
    logits: torch.Tensor,
    start: int,
    tiling: Tiling,
    emit: Callable[[slice, np.ndarray], None],
) -> None:
    """Cut the padding off a band and pass it on."""
    if not torch.isfinite(logits).all():
        raise InputError("the model yields NaN or infinite values for this image; train it anew")
    (top, left), (rows, columns) = tiling.before, tiling.shape
    first, last = max(start, top), min(start + logits.shape[1], top + rows)
    if first < last:
        band = logits[:, first - start : last - start, left : left + columns]
        emit(slice(first - top, last - top), band.cpu().numpy())


class _TileRunner:
    """Runs the network over rows of tiles, in batches that fit the device."""

    def __init__(
        self,
        network: torch.nn.Module,
        device: torch.device,
        mirror: Mirror,
        tiling: Tiling,
        on_progress: Progress | None,
        should_stop: StopRequest | None,
    ) -> None:
        self._network = network
        self._device = device
        self._dtype = _float_dtype(network)
        self._mirrors = _mirrors(mirror)
        self._tiling = tiling
        self._on_progress = on_progress
        self._should_stop = should_stop
        self._done = 0
        self._batch = _batch_size(device, tiling)

    def run(self, strip: np.ndarray) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield first column and logits ``(classes, h, w)`` of each tile of a row of tiles.

        Parameters
        ----------
        strip
            Padded image rows ``(C, h, width)``, as high as a tile.
        """
        waiting = list(self._tiling.columns)
        width = self._tiling.tile[1]
        while waiting:
            columns = waiting[: self._batch]
            tiles = np.stack([strip[:, :, x : x + width] for x in columns])
            logits = self._predict_or_shrink(torch.from_numpy(tiles))
            if logits is None:
                continue
            del waiting[: len(columns)]
            for column, tile_logits in zip(columns, logits, strict=True):
                yield column, tile_logits
                self._done += 1
                if self._on_progress is not None:
                    self._on_progress(self._done, self._tiling.count)

    def _predict_or_shrink(self, tiles: torch.Tensor) -> torch.Tensor | None:
        """Return logits ``(B, classes, h, w)``, or None after halving a batch that did not fit."""
        try:
            return self._predict(tiles.to(self._device, self._dtype))
        except torch.OutOfMemoryError as error:
            if self._batch == 1:
                height, width = self._tiling.tile
                raise InputError(
                    f"{self._device} has too little memory for a tile of {height} x {width}; "
                    "choose cpu (--device)"
                ) from error
            self._batch //= 2
            return None

    def _predict(self, tiles: torch.Tensor) -> torch.Tensor:
        """Mean logits over the mirrored versions of tiles ``(B, C, h, w)``."""
        total: torch.Tensor | None = None
        for dims in self._mirrors:
            if self._should_stop is not None and self._should_stop():
                raise Cancelled("segmentation was stopped")
            output = self._network(torch.flip(tiles, dims) if dims else tiles)
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


def _batch_size(device: torch.device, tiling: Tiling) -> int:
    """Return how many tiles to predict at once: one fills the cores of a CPU."""
    pixels = tiling.tile[0] * tiling.tile[1]
    return 1 if device.type == "cpu" else max(1, _GPU_BATCH_PIXELS // pixels)


@contextmanager
def _evaluating(network: torch.nn.Module) -> Iterator[None]:
    """Switch to eval mode and back: validation during training must not change the mode."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
