"""Strokes go to disk in the background; the window hears how that goes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import partial

from qtpy.QtCore import QObject, Signal

from napari_swin_umamba.plugin.annotate.annotation_layer import AnnotationLayer
from napari_swin_umamba.plugin.annotate.autosave import Autosave
from napari_swin_umamba.plugin.timers import make_timer
from napari_swin_umamba.project.annotation import Position

__all__ = ["StrokeSaving"]

_NEWS_INTERVAL = 100
"""Milliseconds between two questions whether a slice is on disk."""
_LOOKS_INTERVAL = 300
"""Milliseconds after which a slice that was drawn anew is compared with its file."""


class StrokeSaving(QObject):
    """Saves the annotations of one project, slice by slice."""

    saved = Signal(str, tuple)
    """A slice is on disk: id of the image, position of the slice."""
    told = Signal(str)
    """How saving goes: why it fails, or empty: all that was painted is on disk, or will be soon."""
    misfit = Signal(str)
    """The layer of an image got data of another size, which cannot be saved: the image's id."""

    def __init__(
        self,
        parent: QObject,
        read_only: bool,
        shown: Callable[[], tuple[AnnotationLayer, Position] | None],
    ) -> None:
        """Wait for strokes.

        Parameters
        ----------
        parent
            Of the Qt objects.
        read_only
            Nothing is to be saved.
        shown
            Tells which annotation, and which slice of it, is shown.
        """
        super().__init__(parent)
        self._read_only, self._shown = read_only, shown
        self._thread = Autosave()
        self._problem = ""
        self._news = make_timer(self, _NEWS_INTERVAL, self.tell_news, repeat=True)
        self._look = make_timer(self, _LOOKS_INTERVAL, self.save_shown)
        self._told: list[tuple[AnnotationLayer, Position]] = []
        self._again = make_timer(self, 0, self._submit_again)

    @property
    def busy(self) -> bool:
        """Whether something is not on disk yet, or was not told."""
        return self._thread.busy or self._again.isActive()

    def note(self, annotation: AnnotationLayer, positions: Iterable[Position] | None) -> None:
        """Save what changed.

        Parameters
        ----------
        annotation
            Where.
        positions
            Slices; None: not known which.
        """
        if self._read_only:
            return
        if not annotation.fits:
            self.misfit.emit(annotation.stored.image.id)
            return
        if positions is None:
            self._submit_all(annotation)
            return
        found = False
        for position in positions:
            self._submit(annotation, position)
            self._told.append((annotation, position))
            found = True
        self._again.start()
        if not found:
            self._look.start()

    def submit(self, name: Hashable, write: Callable[[], object]) -> None:
        """Have something else written in the background, see :meth:`.Autosave.submit`."""
        self._thread.submit(name, write)
        if not self._news.isActive():
            self._news.start()

    def flush(self, annotations: Iterable[AnnotationLayer]) -> None:
        """Have all that was painted on disk when this returns.

        Parameters
        ----------
        annotations
            Those that lie open.

        Raises
        ------
        InputError
            The disk refuses; what was painted stays in memory and is tried again.
        """
        for annotation in annotations:
            for position in annotation.stored.changed_slices(annotation.data):
                self._submit(annotation, position)
        try:
            self.write_waiting()
        finally:
            self.tell_news()

    def write_waiting(self) -> None:
        """Have all strokes that were told on disk when this returns; for a thread, too.

        Raises
        ------
        InputError
            The disk refuses.
        """
        self._thread.flush()

    def close(self, at_end: Callable[[], object]) -> None:
        """Write what waits, and end.

        Parameters
        ----------
        at_end
            Called, in a thread, when nothing waits any more.
        """
        self._news.stop()
        self._look.stop()
        self._again.stop()
        self._thread.close(at_end)

    def save_shown(self) -> None:
        """Compare the slice shown with its file: a program may have written into the array."""
        shown = self._shown()
        if shown is not None and shown[0].fits:
            self._submit(*shown)

    def tell_news(self) -> None:
        """Ask the thread what it wrote, and pass that on."""
        if not self._thread.busy:
            self._news.stop()
        problem = self._thread.problem
        if problem != self._problem:
            self._problem = problem
            self.told.emit(problem)
        for name in self._thread.take_written():
            if isinstance(name, tuple):
                self.saved.emit(*name)

    def _submit_again(self) -> None:
        """Save what changed once more: napari may tell of it before the array has changed.

        A file that was due at that very moment would hold what was there before.
        """
        told, self._told = self._told, []
        for annotation, position in told:
            if annotation.fits:
                self._submit(annotation, position)

    def _submit(self, annotation: AnnotationLayer, position: Position) -> None:
        stored, data = annotation.stored, annotation.data
        self.submit((stored.image.id, position), partial(stored.write_slice, data, position))

    def _submit_all(self, annotation: AnnotationLayer) -> None:
        """Find out in the background what changed: to look at a whole volume takes time."""
        stored, data, thread = annotation.stored, annotation.data, self._thread

        def look() -> None:
            for position in stored.changed_slices(data):
                name = (stored.image.id, position)
                thread.submit(name, partial(stored.write_slice, data, position))

        self.submit(f"all of {stored.image.id}", look)
