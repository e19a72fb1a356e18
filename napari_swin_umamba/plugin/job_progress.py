"""How far a run is, in words and as a fraction."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from napari_swin_umamba.plugin.words import duration
from napari_swin_umamba.plugin.worker import Channel, Progress

__all__ = ["SliceProgress", "announced_compilation"]

_NETWORK_LOGGER = "napari_swin_umamba.network"


@contextmanager
def announced_compilation(channel: Channel) -> Iterator[None]:
    """Report that kernels are being compiled: the network logs it, and it takes seconds.

    Parameters
    ----------
    channel
        Takes the report.
    """

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("compiling"):
                channel.report(Progress("Compiling for this processor, once: about 10 s…"))

    logger, listener = logging.getLogger(_NETWORK_LOGGER), Listener()
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)


class SliceProgress:
    """Turns slices and tiles into a fraction and the time left.

    Parameters
    ----------
    channel
        Takes the reports.
    total
        Slices there are.
    """

    def __init__(self, channel: Channel, total: int) -> None:
        self._report = channel.report
        self._slices = total
        self._slices_done = 0
        self._fraction = 0.0
        self._first: tuple[float, float] | None = None
        self._report(Progress("Segmenting…"))

    def tiles_of(self, slices: int) -> Callable[[int, int], None]:
        """Return what takes the tiles done of the next slices, and their total."""

        def tile(done: int, total: int) -> None:
            if self._slices == 1 and done >= total:
                self._report(Progress("Finishing…", 1.0))
                return
            self._tell((self._slices_done + slices * done / total) / self._slices, done, total)

        return tile

    def slice_done(self) -> None:
        """Count a slice."""
        self._slices_done += 1
        if self._slices > 1:
            self._tell(self._slices_done / self._slices, 0, 0)

    def _tell(self, fraction: float, done: int, total: int) -> None:
        # Never back: slices of a group are counted after all of their tiles, and tiles begin anew
        # where memory was short.
        self._fraction = fraction = max(fraction, self._fraction)
        now = time.perf_counter()
        if self._slices > 1:
            text = f"{self._slices_done:,} of {self._slices:,} slices"
        else:
            text = f"{done:,} of {total:,} tiles"
        if self._first is None:
            # The first tile may include compiling: the time left is estimated from the others.
            self._first = (fraction, now)
        elif fraction > self._first[0]:
            left = (now - self._first[1]) / (fraction - self._first[0]) * (1 - fraction)
            text += f" · {duration(left)} left" if left > 1 else ""
        self._report(Progress(text, fraction))
