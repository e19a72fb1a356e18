"""A project that is open in a window: what its sections work on. Every stroke is saved at once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image, Labels
from qtpy.QtCore import QObject, Signal

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.annotation_layer import AnnotationLayer
from napari_swin_umamba.plugin.annotate.looks import apply_classes
from napari_swin_umamba.plugin.annotate.open_images import OpenImages
from napari_swin_umamba.plugin.annotate.place_keeper import PlaceKeeper
from napari_swin_umamba.plugin.annotate.session import Session
from napari_swin_umamba.plugin.annotate.slice_order import order_of_slices, shows_slices
from napari_swin_umamba.plugin.annotate.stroke_saving import StrokeSaving
from napari_swin_umamba.plugin.annotate.touched import slice_index
from napari_swin_umamba.plugin.layer_view import view_of_layer
from napari_swin_umamba.project import FIRST_CLASS, FolderLock, LockedError, Project, Settings
from napari_swin_umamba.project.annotation import Position

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["OpenProject", "take_lock"]


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
        self.strokes = StrokeSaving(self, self.read_only, self._shown_slice)
        self.strokes.saved.connect(self.annotated)
        self.strokes.told.connect(self.saving)
        self.strokes.misfit.connect(self.misfit)
        self.images = OpenImages(
            viewer, project, self.strokes.note, self.read_only, self.strokes.write_waiting
        )
        self._place = PlaceKeeper(viewer, project, self.images, self.strokes, self.read_only)
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

    @property
    def session(self) -> Session:
        """Where the person was, and is."""
        return self._place.session

    def save_session(self) -> None:
        """Remember where the person is."""
        self._place.keep()

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
        """The slice of the image shown that the viewer stands at.

        None if there is none: no image is shown, or the viewer cuts through all slices of it.
        """
        image, dims = self.images.shown_image, self.viewer.dims
        if image is None or not shows_slices(image.reference, dims.order, dims.ndisplay):
            return None
        view = view_of_layer(image.annotation.layer, self.viewer.dims)
        axes = [image.reference.label_axes.index(axis) for axis in image.reference.fixed_axes]
        return tuple(view.index[axis] for axis in axes)

    def go_to(self, position: Position) -> None:
        """Move the sliders to a slice of the image shown; show slices, if others were shown."""
        image, dims = self.images.shown_image, self.viewer.dims
        if image is None:
            return
        layer, reference = image.annotation.layer, image.reference
        if not shows_slices(reference, dims.order, dims.ndisplay):
            dims.ndisplay, dims.order = 2, order_of_slices(reference, dims.ndim)
        point = [size // 2 for size in reference.label_shape]
        for axis, place in zip(reference.fixed_axes, position, strict=True):
            point[reference.label_axes.index(axis)] = place
        world = layer.data_to_world(point)
        offset = dims.ndim - layer.ndim
        for axis in reference.fixed_axes:
            index = reference.label_axes.index(axis)
            dims.set_point(index + offset, float(world[index]))

    def free_number(self) -> int:
        """Return a number that no object of the image shown has."""
        image, position = self.images.shown_image, self.position()
        if image is None:
            return FIRST_CLASS
        largest = image.annotation.largest
        if position is not None:  # a program may have written into the array
            shown = image.annotation.layer.data[slice_index(image.reference, position)]
            largest = max(largest, int(shown.max(initial=0)))
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
            image.annotation.stored.check_home()
            image.annotation.stored.annotation.set_complete(position, complete)
            self.annotated.emit(image.reference.id, position)

    def flush(self) -> None:
        """Have all that was painted on disk when this returns.

        Raises
        ------
        InputError
            The disk refuses; what was painted stays in memory and is tried again.
        """
        if not self.read_only:
            self.strokes.flush(image.annotation for image in self.images.all)

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
        self._place.stop()
        self.images.forget()
        lock, self._lock = self._lock, None
        self.strokes.close(lock.release if lock is not None else lambda: None)
        self.closed.emit()

    def _shown_slice(self) -> tuple[AnnotationLayer, Position] | None:
        image, position = self.images.shown_image, self.position()
        return None if image is None or position is None else (image.annotation, position)
