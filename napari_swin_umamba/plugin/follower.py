"""Previews that follow the slider: one at a time, of what is shown, once the slider rests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, QTimer

from napari_swin_umamba.plugin.segment_run import RunEnd, SegmentRun

__all__ = ["Follower"]

_STANDS_STILL = 200
"""Milliseconds after which the slider counts as standing still."""


class Follower(QObject):
    """Starts quiet previews, and stops them when they are outdated."""

    def __init__(
        self,
        run: SegmentRun,
        wanted: Callable[[], Any],
        preview: Callable[[], None],
        parent: QObject,
    ) -> None:
        """Make one that is off.

        Parameters
        ----------
        run
            Where previews run.
        wanted
            Says what a preview would be of now, as a value that is equal if it would be the same;
            None: there can be none.
        preview
            Starts a quiet preview of the slice shown.
        parent
            Owner.
        """
        super().__init__(parent)
        self._run, self._wanted, self._preview = run, wanted, preview
        self._on = False
        self._previewed: Any = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_STANDS_STILL)
        self._timer.timeout.connect(self._start)

    def set_on(self, on: bool) -> None:
        """Follow the slider, or stop doing so."""
        self._on = on
        if on:
            self._timer.start()
        else:
            self._timer.stop()
            self._stop_preview()

    def moved(self) -> None:
        """Take note that the slider, the image, the model or an option may have changed."""
        run = self._run.current
        if run is not None and run.quiet and self._wanted() != self._previewed:
            self._run.stop()
        if self._on:
            self._timer.start()

    def run_ended(self, end: RunEnd) -> None:
        """Look once more whether the slice shown is to be previewed.

        Not if the preview of just that has failed or was given up: it would do so again.
        """
        if self._on and not (end.quiet and self._wanted() == self._previewed):
            self._timer.start()

    def shut_down(self) -> None:
        """Start no more previews."""
        self._on = False
        self._timer.stop()

    def _start(self) -> None:
        wanted = self._wanted()
        if self._run.current is not None or wanted is None:
            return  # a run that ends looks again
        self._previewed = wanted
        self._preview()

    def _stop_preview(self) -> None:
        if self._run.current is not None and self._run.current.quiet:
            self._run.stop()
