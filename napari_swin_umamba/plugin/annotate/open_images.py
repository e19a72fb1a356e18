"""The images of a project that lie open: read when they are asked for, one shown at a time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.annotation_layer import AnnotationLayer
from napari_swin_umamba.plugin.annotate.image_files import files_of_layer, layer_fits
from napari_swin_umamba.plugin.annotate.looks import label_dtype
from napari_swin_umamba.plugin.annotate.open_image import (
    OpenImage,
    ReadImage,
    make_layers,
    read_image,
)
from napari_swin_umamba.plugin.annotate.screen import Screen, is_leaving, take_out
from napari_swin_umamba.plugin.image_combo import is_image
from napari_swin_umamba.plugin.runner import Runner
from napari_swin_umamba.plugin.worker import Failure
from napari_swin_umamba.project import ImageReference, Project
from napari_swin_umamba.project.annotation import Position

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["OpenImages"]

_KEPT = 4
"""Images whose layers, with their undo steps, stay in memory after another one was opened."""
OnChange = Callable[[AnnotationLayer, Iterable[Position] | None], None]


class OpenImages(QObject):
    """Shows the images of one project."""

    opening = Signal(str)
    """An image is being read: its id."""
    shown = Signal(str)
    """Another image is shown: its id; empty if none is any more."""
    failed = Signal(str, str)
    """An image cannot be opened: its id, and why."""
    lost = Signal(str)
    """A person removed a layer of the image shown: what it was, ``image`` or ``annotation``."""

    def __init__(
        self,
        viewer: ViewerModel,
        project: Project,
        on_change: OnChange,
        read_only: bool,
        save: Callable[[], None],
    ) -> None:
        """Show nothing yet.

        Parameters
        ----------
        viewer
            Where images are shown.
        project
            Whose images.
        on_change
            Called with an annotation and the slices of it that changed; None: not known which.
        read_only
            Nothing can be painted.
        save
            Has all strokes on disk when it returns; called in a thread before a file is read.
        """
        super().__init__()
        self._viewer, self._project = viewer, project
        self._on_change, self.read_only, self._save = on_change, read_only, save
        self._kept: OrderedDict[str, OpenImage] = OrderedDict()
        self._runner = Runner(self)
        self._runner.ended.connect(self._on_read)
        self._wanted: tuple[ImageReference, Image | None] | None = None
        self._screen = Screen(viewer)
        self.current = ""
        """Id of the image shown; empty if none is."""
        self.elsewhere: dict[str, tuple[Path, ...]] = {}
        """Files that were found, of a project that cannot remember where."""
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def shown_image(self) -> OpenImage | None:
        """The image shown."""
        return self._kept.get(self.current)

    @property
    def all(self) -> tuple[OpenImage, ...]:
        """Images in memory, the one shown last."""
        return tuple(self._kept.values())

    def get(self, image_id: str) -> OpenImage | None:
        """Return an image if it is in memory."""
        return self._kept.get(image_id)

    @property
    def busy(self) -> bool:
        """Whether an image is being read, or about to be shown."""
        return self._runner.running or self._screen.waiting

    def show(self, image_id: str, layer: Image | None = None) -> None:
        """Show an image instead of the one shown now; ``shown`` or ``failed`` follows.

        Parameters
        ----------
        image_id
            Which image.
        layer
            The person's own layer of it; None: it is read from its files.
        """
        if self.shown_image is not None:
            self._screen.leave(self.shown_image.annotation.layer)
        kept = self._kept.get(image_id)
        if kept is not None:
            self._put_on_screen(kept)
            return
        self._wanted = (self._project.image(image_id), layer)
        self.opening.emit(image_id)
        if self._runner.running:
            self._runner.stop()
        else:
            self._read_wanted()

    def read_again(self, image_id: str) -> None:
        """Show an image as its files have it, in place of layers that no longer do."""
        kept = self._kept.get(image_id)
        if kept is None:
            self.show(image_id)
            return
        kept.annotation.disconnect()
        self._wanted = kept.reference, kept.image_layer
        self._screen.leave(kept.annotation.layer)
        self._read_wanted()

    def read_all_again(self) -> None:
        """Read annotations anew, after their files were changed by something else."""
        current = self.current
        for image_id in [one for one in self._kept if one != current]:
            self._kept.pop(image_id).annotation.disconnect()
        if current:
            self.read_again(current)

    def forget(self) -> None:
        """Let go of all images; their layers stay in the viewer as they are."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._runner.abandon()
        for image in self._kept.values():
            image.annotation.disconnect()
        self._kept.clear()
        self.current = ""

    def stop(self) -> None:
        """Read nothing more."""
        self._wanted = None
        self._runner.stop()

    def take_off_screen(self) -> None:
        """Remove the layers of the image shown, for good."""
        out = [*self._screen.stop(), *self._on_screen()]
        self.current = ""
        take_out(self._viewer, out, self._screen.delay)

    def _on_screen(self) -> list[Any]:
        """Layers to take out of the viewer; the person's own image is only hidden."""
        image = self.shown_image
        if image is None:
            return []
        self._screen.put_tool_down(image.annotation.layer)
        if image.is_ours:
            return [image.annotation.layer, image.image_layer]
        image.image_layer.visible = False
        return [image.annotation.layer]

    def _read_wanted(self) -> None:
        assert self._wanted is not None
        image, layer = self._wanted
        annotation = self._project.annotation(image.id)
        files = () if layer is not None else self._find(image)
        if files is None:
            self._wanted = None
            return
        layer = layer or self._layer_of(image, files)
        self._wanted = image, layer
        dtype = label_dtype(self._project.settings)
        self._runner.start(partial(read_image, self._save, image, layer, files, annotation, dtype))

    def _layer_of(self, image: ImageReference, files: tuple[Path, ...]) -> Image | None:
        """The layer of an image that the person has opened already."""
        for layer in self._viewer.layers:
            ours = is_image(layer) and files_of_layer(layer) == files and layer_fits(layer, image)
            if ours and not is_leaving(layer):
                return layer
        return None

    def _find(self, image: ImageReference) -> tuple[Path, ...] | None:
        if image.id in self.elsewhere:
            return self.elsewhere[image.id]
        try:
            return self._project.find_files(image.id)
        except InputError as error:
            self.failed.emit(image.id, str(error))
            return None

    def _on_read(self, outcome: Any) -> None:
        wanted = self._wanted
        if wanted is None:
            return
        if isinstance(outcome, ReadImage) and outcome.reference.id == wanted[0].id:
            self._wanted = None
            self._make(outcome)
        elif isinstance(outcome, Failure):
            self._wanted = None
            self.failed.emit(wanted[0].id, outcome.message)
        else:  # stopped for another one
            self._read_wanted()

    def _make(self, read: ReadImage) -> None:
        before = self._kept.pop(read.reference.id, None)  # read again
        image = make_layers(read, self._project.settings, self.read_only)
        image.annotation.on_change = partial(self._on_change, image.annotation)
        if before is None:
            self._put_on_screen(image, new=True)
        else:
            image.is_ours = before.is_ours
            self._screen.replace([before.annotation.layer], partial(self._show, image, True))

    def _put_on_screen(self, image: OpenImage, new: bool = False) -> None:
        out = self._on_screen() if self.current != image.reference.id else []
        self._screen.replace(out, partial(self._show, image, new))

    def _show(self, image: OpenImage, new: bool) -> None:
        layers = self._viewer.layers
        self._kept[image.reference.id] = image
        self._kept.move_to_end(image.reference.id)
        if image.annotation.layer not in layers and not new:
            image.annotation.renew(self._project.settings)
        if image.image_layer not in layers:
            image.is_ours = True
            self._viewer.add_layer(image.image_layer)
            if image.annotation.layer in layers:  # the image alone was removed: back below it
                layers.move(len(layers) - 1, 0)
        image.image_layer.visible = True
        if image.annotation.layer not in layers:
            self._viewer.add_layer(image.annotation.layer)
        layers.selection.active = image.annotation.layer
        self._screen.take_tool(image.annotation.layer)
        while len(self._kept) > _KEPT:
            _, oldest = self._kept.popitem(last=False)
            oldest.annotation.disconnect()
        self.current = image.reference.id
        self.shown.emit(self.current)

    def _on_removed(self, event: Any) -> None:
        image = self.shown_image
        if self._screen.changing or image is None:
            return
        if event.value == image.annotation.layer:
            self.current = ""
            self.lost.emit("annotation")
        elif event.value == image.image_layer:
            self.lost.emit("image")
