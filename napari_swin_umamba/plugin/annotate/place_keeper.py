"""Where a person is in a project, noted now and then, and found again when an image is shown."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_swin_umamba.plugin.annotate.open_images import OpenImages
from napari_swin_umamba.plugin.annotate.session import (
    Session,
    View,
    restore_transform,
    transform_of,
)
from napari_swin_umamba.plugin.annotate.slice_order import order_of_slices
from napari_swin_umamba.plugin.annotate.stroke_saving import StrokeSaving
from napari_swin_umamba.plugin.timers import make_timer
from napari_swin_umamba.project import BACKGROUND, Project

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["PlaceKeeper"]

_INTERVAL = 1000
"""Milliseconds between two notes of where the person is."""


class PlaceKeeper(QObject):
    """Keeps the :class:`.Session` of one project.

    Parameters
    ----------
    viewer
        What it looks at.
    project
        The project.
    images
        Those of the project that lie open.
    saving
        Writes the session, too.
    read_only
        Nothing is to be written.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        project: Project,
        images: OpenImages,
        saving: StrokeSaving,
        read_only: bool,
    ) -> None:
        super().__init__(saving)
        self._viewer, self._project, self._images = viewer, project, images
        self._saving, self._read_only = saving, read_only
        self.session = Session.read(project.folder)
        self._note = make_timer(self, _INTERVAL, self.keep)
        images.shown.connect(self._find_again)
        viewer.dims.events.connect(self._on_dims)

    def keep(self) -> None:
        """Note where the person is."""
        image = self._images.shown_image
        if self._read_only or image is None:
            return
        session, folder, dims = self.session, self._project.folder, self._viewer.dims
        session.image = image.reference.id
        session.label = int(image.annotation.layer.selected_label)
        session.views[image.reference.id] = View(
            step=tuple(int(step) for step in dims.current_step),
            order=tuple(dims.order),
            transform=transform_of(image.image_layer),
        )
        copy = session.model_copy(deep=True)
        if Project.is_project(folder):  # or else it was moved: no folder is made in its place
            self._saving.submit("session", lambda: copy.write(folder))

    def stop(self) -> None:
        """Note nothing more."""
        self._note.stop()
        with suppress(Exception):
            self._viewer.dims.events.disconnect(self._on_dims)

    def _find_again(self, image_id: str) -> None:
        image, view = self._images.shown_image, self.session.views.get(image_id)
        if image is None:
            return
        dims = self._viewer.dims
        if view is not None and image.is_ours:
            restore_transform(image.image_layer, view.transform)
        if view is None and image.reference.fixed_axes:  # or else that of the image before stays
            dims.order = order_of_slices(image.reference, dims.ndim)
        self._viewer.reset_view()
        if view is not None and len(view.step) == dims.ndim:
            if sorted(view.order) == list(range(dims.ndim)):
                dims.order = view.order
            dims.current_step = view.step
        if self._may_paint(self.session.label, image_id):
            with suppress(Exception):  # a value that the layer's type cannot hold
                image.annotation.layer.selected_label = self.session.label
        self._note.start()

    def _may_paint(self, label: int, image_id: str) -> bool:
        """Whether a value that was painted with last may be painted with on an image."""
        settings = self._project.settings
        if settings.kind == "instances":  # on another image, another object has this number
            return label > 0 and image_id == self.session.image
        return label == BACKGROUND or label in (item.id for item in settings.classes)

    def _on_dims(self, _event: object = None) -> None:
        if self._images.current and not self._read_only:
            self._note.start()
