"""A project that is open in a window: what its sections work on. Every stroke is saved at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels
from qtpy.QtCore import QObject, QTimer, Signal

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.annotation_layer import AnnotationLayer
from napari_swin_umamba.plugin.annotate.autosave import Autosave
from napari_swin_umamba.plugin.annotate.looks import apply_classes
from napari_swin_umamba.plugin.annotate.open_images import OpenImages
from napari_swin_umamba.plugin.annotate.session import (
    Session,
    View,
    restore_transform,
    transform_of,
)
from napari_swin_umamba.plugin.annotate.touched import slice_index
from napari_swin_umamba.plugin.layer_view import view_of_layer
from napari_swin_umamba.project import FIRST_CLASS, FolderLock, LockedError, Project, Settings
from napari_swin_umamba.project.annotation import Position

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["OpenProject", "take_lock"]

_NEWS_INTERVAL = 100
"""Milliseconds between two questions whether a slice is on disk."""
_LOOKS_INTERVAL = 300
"""Milliseconds after which a slice that was drawn anew is compared with its file."""
_SESSION_INTERVAL = 1000
"""Milliseconds between two notes of where the person is."""


def take_lock(folder: Path) -> tuple[FolderLock | None, str]:
    """Take the right to change a project.

    Returns
    -------
    tuple
        The lock, or None and in words why the project can only be read.
    """
    lock = FolderLock(folder, "edit", "open in napari")
    try:
        return lock.acquire(), ""
    except LockedError as error:
        return None, str(error)
    except InputError as error:
        return None, str(error)


class OpenProject(QObject):
    """One project in one window.

    Parameters
    ----------
    viewer
        Where its images are shown.
    project
        The project.
    lock
        The right to change it; None: it is only looked at.
    why_read_only
        Why there is no lock, for the person.
    """

    changed = Signal()
    """Classes or images are others than before."""
    annotated = Signal(str, tuple)
    """A slice was saved: id of the image, position of the slice."""
    predicted = Signal(object)
    """The image shown was predicted by the project's model: the Labels layer."""
    closed = Signal()
    saving = Signal(str)
    """How saving goes: why it fails, or empty: all that was painted is on disk, or will be soon."""
    misfit = Signal(str)
    """The layer of an image got data of another size, which cannot be saved: the image's id."""

    def __init__(
        self,
        viewer: ViewerModel,
        project: Project,
        lock: FolderLock | None,
        why_read_only: str = "",
    ) -> None:
        super().__init__()
        self.viewer, self.project = viewer, project
        self.why_read_only = why_read_only
        self._lock = lock
        self._autosave = Autosave()
        self.session = Session.read(project.folder)
        self.images = OpenImages(
            viewer, project, self._on_change, self.read_only, self._autosave.flush
        )
        self._problem = ""
        self._news = _timer(self, _NEWS_INTERVAL, self._tell_news, repeat=True)
        self._look = _timer(self, _LOOKS_INTERVAL, self._save_shown)
        self._note = _timer(self, _SESSION_INTERVAL, self.save_session)
        self.images.shown.connect(self._on_shown)
        viewer.dims.events.connect(self._on_dims)
        if not self.read_only:
            with suppress(OSError, InputError):
                project.clean_up()

    @property
    def read_only(self) -> bool:
        """Whether nothing can be changed."""
        return self._lock is None

    @property
    def name(self) -> str:
        """Name of the project's folder."""
        return self.project.folder.absolute().name

    def image_layer(self, image_id: str) -> Image | None:
        """The layer that shows an image, if it is open in the viewer."""
        image = self.images.get(image_id)
        there = image is not None and image.image_layer in self.viewer.layers
        return image.image_layer if image is not None and there else None

    def annotation_layer(self, image_id: str = "") -> Labels | None:
        """The layer that an image (by default the one shown) is annotated on, if it is open."""
        image = self.images.get(image_id or self.images.current)
        return None if image is None else image.annotation.layer

    def position(self) -> Position | None:
        """The slice of the image shown that the viewer stands at; None if there is none."""
        image = self.images.shown_image
        if image is None:
            return None
        view = view_of_layer(image.annotation.layer, self.viewer.dims)
        axes = [image.reference.label_axes.index(axis) for axis in image.reference.fixed_axes]
        return tuple(view.index[axis] for axis in axes)

    def go_to(self, position: Position) -> None:
        """Move the sliders to a slice of the image shown."""
        image = self.images.shown_image
        if image is None:
            return
        layer, reference = image.annotation.layer, image.reference
        point = [size // 2 for size in reference.label_shape]
        for axis, place in zip(reference.fixed_axes, position, strict=True):
            point[reference.label_axes.index(axis)] = place
        world = layer.data_to_world(point)
        offset = self.viewer.dims.ndim - layer.ndim
        for axis in reference.fixed_axes:
            index = reference.label_axes.index(axis)
            self.viewer.dims.set_point(index + offset, float(world[index]))

    def free_number(self) -> int:
        """Return a number that no object of the image shown has."""
        image, position = self.images.shown_image, self.position()
        if image is None or position is None:
            return FIRST_CLASS
        shown = image.annotation.layer.data[slice_index(image.reference, position)]
        largest = max(int(np.max(shown, initial=0)), image.annotation.stored.largest)
        return max(FIRST_CLASS, largest + 1)

    def replace_settings(self, settings: Settings) -> None:
        """Save other classes, and show them.

        Raises
        ------
        InputError
            They are not consistent, or the disk refuses.
        """
        self.project.replace_settings(settings)
        self.tell_changed()

    def tell_changed(self) -> None:
        """Say that the project has other classes or images."""
        for image in self.images.all:
            apply_classes(image.annotation.layer, self.project.settings)
        self.changed.emit()

    def set_complete(self, position: Position, complete: bool) -> None:
        """Say whether what is unpainted in a slice of the image shown is background.

        Raises
        ------
        InputError
            The disk refuses.
        """
        image = self.images.shown_image
        if image is not None and not self.read_only:
            image.annotation.stored.annotation.set_complete(position, complete)
            self.annotated.emit(image.reference.id, position)

    def flush(self) -> None:
        """Have all that was painted on disk when this returns.

        Raises
        ------
        InputError
            The disk refuses; what was painted stays in memory and is tried again.
        """
        if self.read_only:
            return
        for image in self.images.all:
            annotation = image.annotation
            for position in annotation.stored.changed_slices(annotation.data):
                self._submit(annotation, position)
        try:
            self._autosave.flush()
        finally:
            self._tell_news()

    def close(self) -> None:
        """Save everything and let go of the project; its layers leave the viewer.

        Raises
        ------
        InputError
            Something could not be saved; the project stays open.
        """
        self.save_session()
        self.flush()
        self.images.stop()
        self.images.take_off_screen()
        self.abandon()

    def abandon(self) -> None:
        """Let go of the project without looking whether all was saved."""
        for timer in (self._news, self._look, self._note):
            timer.stop()
        with suppress(Exception):
            self.viewer.dims.events.disconnect(self._on_dims)
        self.images.forget()
        lock, self._lock = self._lock, None
        self._autosave.close(lock.release if lock is not None else lambda: None)
        self.closed.emit()

    def save_session(self) -> None:
        """Remember where the person is."""
        image = self.images.shown_image
        if self.read_only or image is None:
            return
        session, folder = self.session, self.project.folder
        dims = self.viewer.dims
        session.image = image.reference.id
        session.label = int(image.annotation.layer.selected_label)
        session.views[image.reference.id] = View(
            step=tuple(int(step) for step in dims.current_step),
            order=tuple(dims.order),
            transform=transform_of(image.image_layer),
        )
        copy = session.model_copy(deep=True)
        self._autosave.submit("session", lambda: copy.write(folder))
        self._news.start()

    def _on_change(self, annotation: AnnotationLayer, positions: Iterable[Position] | None) -> None:
        if self.read_only:
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
            found = True
        if not found:
            self._look.start()

    def _submit(self, annotation: AnnotationLayer, position: Position) -> None:
        stored, data = annotation.stored, annotation.data
        name = (stored.image.id, position)
        self._autosave.submit(name, partial(stored.write_slice, data, position))
        if not self._news.isActive():
            self._news.start()

    def _submit_all(self, annotation: AnnotationLayer) -> None:
        """Find out in the background what changed: to look at a whole volume takes time."""
        stored, data, autosave = annotation.stored, annotation.data, self._autosave

        def look() -> None:
            for position in stored.changed_slices(data):
                name = (stored.image.id, position)
                autosave.submit(name, partial(stored.write_slice, data, position))

        autosave.submit(f"all of {stored.image.id}", look)
        self._news.start()

    def _save_shown(self) -> None:
        """Compare the slice shown with its file: a program may have written into the array."""
        image, position = self.images.shown_image, self.position()
        if image is not None and position is not None and image.annotation.fits:
            self._submit(image.annotation, position)

    def _tell_news(self) -> None:
        if not self._autosave.busy:
            self._news.stop()
        problem = self._autosave.problem
        if problem != self._problem:
            self._problem = problem
            self.saving.emit(problem)
        for name in self._autosave.take_written():
            if isinstance(name, tuple):
                self.annotated.emit(*name)

    def _on_shown(self, image_id: str) -> None:
        image, view = self.images.shown_image, self.session.views.get(image_id)
        if image is None:
            return
        dims = self.viewer.dims
        if view is not None and image.is_ours:
            restore_transform(image.image_layer, view.transform)
        self.viewer.reset_view()
        if view is not None and len(view.step) == dims.ndim:
            if sorted(view.order) == list(range(dims.ndim)):
                dims.order = view.order
            dims.current_step = view.step
        if self.session.label:
            with suppress(Exception):  # a value that the layer's type cannot hold
                image.annotation.layer.selected_label = self.session.label
        self._note.start()

    def _on_dims(self, _event: object = None) -> None:
        if self.images.current and not self.read_only:
            self._note.start()


def _timer(
    parent: QObject, interval: int, slot: Callable[[], object], repeat: bool = False
) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(not repeat)
    timer.setInterval(interval)
    timer.timeout.connect(slot)
    return timer
