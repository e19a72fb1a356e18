"""Which slices of the image shown are painted, and whether one is complete."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QListWidgetItem

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.section import OTHER_SLICES, READ_ONLY, Section
from napari_swin_umamba.plugin.annotate.slice_list import SliceList
from napari_swin_umamba.plugin.parts import WrappedLabel, set_blocked
from napari_swin_umamba.plugin.words import sentence
from napari_swin_umamba.project import ImageReference
from napari_swin_umamba.project.annotation import Position

__all__ = ["PaintedSection"]

_POSITION = Qt.ItemDataRole.UserRole
_DELAY = 60
"""Milliseconds after which the section follows the slider."""
_WHY_NO_IMAGE = "Open an image first."


class PaintedSection(Section):
    """A list that jumps to painted slices, and *This slice is complete*."""

    def __init__(self, opened: OpenProject) -> None:
        super().__init__("Painted slices")
        self._opened = opened
        self.none = WrappedLabel()
        self.list = SliceList()
        self.list.setToolTip("Click a slice to go there. ✓: it is complete.")
        self.complete_check = QCheckBox("This slice is complete")
        self.complete_check.setToolTip(
            "All there is to see on this slice is painted: what is unpainted counts as background."
        )
        self.add(self.none)
        self.add(self.list)
        self.add(self.complete_check)
        self.add(self.notice)
        self._follow = QTimer(self)
        self._follow.setSingleShot(True)
        self._follow.setInterval(_DELAY)
        self._follow.timeout.connect(self.follow)
        self._shown: tuple[str, tuple[tuple[Position, bool], ...]] = ("", ())
        self.list.itemClicked.connect(self._on_clicked)
        self.list.itemActivated.connect(self._on_clicked)
        self.complete_check.clicked.connect(self._set_complete)
        opened.annotated.connect(self._on_annotated)
        opened.images.shown.connect(self._on_images)
        opened.images.lost.connect(self._on_images)
        opened.viewer.dims.events.connect(self._on_dims)
        opened.closed.connect(self._shut_down)
        self.refresh()

    def refresh(self) -> None:
        """List the slices of the image shown."""
        image = self._opened.images.shown_image
        entries: tuple[tuple[Position, bool], ...] = ()
        if image is not None:
            annotation = image.annotation.stored.annotation
            try:
                complete = set(annotation.complete())
                entries = tuple((one, one in complete) for one in annotation.annotated())
            except InputError as error:
                self.notice.say("error", sentence(str(error)))
        shown = (self._opened.images.current, entries)
        if shown != self._shown:
            self._shown = shown
            self._fill(entries)
        flat = image is not None and not image.reference.fixed_axes
        self.complete_check.setText(f"This {'image' if flat else 'slice'} is complete")
        self.list.setVisible(bool(entries) and not flat)
        self.none.setVisible(not entries or flat)
        self.none.setText(
            "No image is open."
            if image is None
            else ("This image is painted." if entries and flat else "Nothing is painted yet.")
        )
        self.follow()

    def follow(self) -> None:
        """Show what holds for the slice that the viewer stands at."""
        image, position = self._opened.images.shown_image, self._opened.position()
        if image is None or position is None:
            self.complete_check.setChecked(False)
            set_blocked(self.complete_check, _WHY_NO_IMAGE if image is None else OTHER_SLICES)
            self.list.setCurrentRow(-1)
            return
        set_blocked(self.complete_check, READ_ONLY if self._opened.read_only else None)
        annotation = image.annotation.stored.annotation
        self.complete_check.setChecked(annotation.is_complete(position))
        for row in range(self.list.count()):
            item = self.list.item(row)
            if item is not None and item.data(_POSITION) == position:
                self.list.setCurrentRow(row)
                return
        self.list.setCurrentRow(-1)

    def _fill(self, entries: tuple[tuple[Position, bool], ...]) -> None:
        self.list.clear()
        image = self._opened.images.shown_image
        for position, complete in entries:
            assert image is not None
            item = QListWidgetItem(words(image.reference, position) + (" ✓" if complete else ""))
            item.setData(_POSITION, position)
            self.list.addItem(item)
        self.list.fit_height()

    def _on_clicked(self, item: QListWidgetItem) -> None:
        self._opened.go_to(tuple(item.data(_POSITION)))

    def _set_complete(self, complete: bool) -> None:
        position = self._opened.position()
        if position is None:
            return
        try:
            self._opened.set_complete(position, complete)
            self.notice.clear()
        except InputError as error:
            self.notice.say("error", sentence(str(error)))
            self.follow()

    def _on_annotated(self, image_id: str, _position: Position) -> None:
        if image_id == self._opened.images.current:
            self.refresh()

    def _on_images(self, _which: str) -> None:
        self.refresh()

    def _on_dims(self, _event: object = None) -> None:
        self._follow.start()

    def _shut_down(self) -> None:
        self._follow.stop()
        self._opened.viewer.dims.events.disconnect(self._on_dims)


def words(image: ImageReference, position: Position) -> str:
    """Name of a slice, as the sliders count: ``12``; with several sliders ``T 3 Z 12``."""
    if len(position) == 1:
        return f"{position[0]:,}"
    return " ".join(
        f"{axis} {place:,}" for axis, place in zip(image.fixed_axes, position, strict=True)
    )
