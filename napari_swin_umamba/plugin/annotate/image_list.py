"""The list of a project's images, with how far each is annotated."""

from __future__ import annotations

from math import prod

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.words import count
from napari_swin_umamba.project import ImageReference, Project

__all__ = ["ImageList"]

_ID = Qt.ItemDataRole.UserRole
_ROWS_SHOWN = 5


class ImageList(QListWidget):
    """A row for each image."""

    def __init__(self, project: Project) -> None:
        super().__init__()
        self._project = project
        self.setToolTip("Click an image to open it and what was painted on it.")
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)

    def fill(self, current: str) -> None:
        """List the images anew.

        Parameters
        ----------
        current
            Id of the image to be chosen.
        """
        self.clear()
        for image in self._project.images:
            item = QListWidgetItem(self._words(image))
            item.setData(_ID, image.id)
            item.setToolTip("\n".join(file.path for file in image.files))
            self.addItem(item)
        number = self.count()
        row = self.sizeHintForRow(0) if number else 0
        self.setFixedHeight(max(1, min(number, _ROWS_SHOWN)) * row + 6)
        self.setVisible(number > 0)
        self.select(current)

    def update_image(self, image_id: str) -> None:
        """Count an image's slices anew."""
        for item in self._items():
            if item.data(_ID) == image_id:
                item.setText(self._words(self._project.image(image_id)))

    def select(self, image_id: str) -> None:
        """Choose an image."""
        for item in self._items():
            if item.data(_ID) == image_id:
                self.setCurrentItem(item)

    def chosen(self) -> str:
        """Id of the image chosen; empty if none is."""
        item = self.currentItem()
        return "" if item is None else str(item.data(_ID))

    def _words(self, image: ImageReference) -> str:
        annotation = self._project.annotation(image.id)
        try:
            done = len(annotation.annotated())
        except InputError:
            return f"{image.name}   cannot be read"
        sizes = dict(zip(image.label_axes, image.label_shape, strict=True))
        slices = prod(sizes[axis] for axis in image.fixed_axes)
        if not done:
            return f"{image.name}   –"
        if slices == 1:
            return f"{image.name}   painted"
        return f"{image.name}   {done:,} of {count(slices, 'slice')}"

    def _items(self) -> list[QListWidgetItem]:
        items = (self.item(row) for row in range(self.count()))
        return [item for item in items if item is not None]
