"""Tools for projects that number objects: new, split, merge; objects that touch stay apart."""

from __future__ import annotations

import numpy as np
from napari.layers import Labels
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton

from napari_swin_umamba.plugin.annotate.click_tool import ClickTool
from napari_swin_umamba.plugin.annotate.extent import part_of_object
from napari_swin_umamba.plugin.annotate.free_pixels import let_background_be_painted_over
from napari_swin_umamba.plugin.annotate.keys import choose_value
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.section import OTHER_SLICES, READ_ONLY, Section
from napari_swin_umamba.plugin.annotate.splitting import split_object
from napari_swin_umamba.plugin.annotate.touched import position_of, slice_index
from napari_swin_umamba.plugin.annotate.undoable import change_values
from napari_swin_umamba.plugin.parts import set_blocked
from napari_swin_umamba.project import FIRST_CLASS

__all__ = ["ObjectsSection"]

NEW_KEY = "Alt+2"
_SPLITTING = "Click an object: it is split into its pieces, or at its waist."
_MERGING = "Click an object, then those that belong to it."


class ObjectsSection(Section):
    """Gives objects their numbers."""

    def __init__(self, opened: OpenProject) -> None:
        super().__init__("Objects")
        self._opened = opened
        self._keep_of = 0
        self.new_button = QPushButton(f"New object   {NEW_KEY}")
        self.new_button.setToolTip("Paints the next object, with a number that none has yet.")
        self.split_button = QPushButton("Split")
        self.split_button.setCheckable(True)
        self.split_button.setToolTip("Makes two objects of one, on the slice shown.")
        self.merge_button = QPushButton("Merge")
        self.merge_button.setCheckable(True)
        self.merge_button.setToolTip("Makes one object of several.")
        self.keep_check = QCheckBox("never paint over other objects")
        self.keep_check.setToolTip(
            "Strokes end where another object begins, so that objects that touch stay apart."
        )
        self.keep_check.setChecked(True)
        self.add(self.new_button)
        row = QHBoxLayout()
        row.addWidget(self.split_button)
        row.addWidget(self.merge_button)
        self.rows.addLayout(row)
        self.add(self.keep_check)
        self.add(self.notice)
        self._clicks = ClickTool(self)
        self._clicks.clicked.connect(self._on_clicked)
        self._clicks.ended.connect(self._stop)
        self.new_button.clicked.connect(self.new_object)
        self.split_button.clicked.connect(lambda on: self._toggle(self.split_button, on))
        self.merge_button.clicked.connect(lambda on: self._toggle(self.merge_button, on))
        self.keep_check.toggled.connect(self._keep_apart)
        opened.images.shown.connect(self._on_shown)
        opened.changed.connect(self._on_shown)
        opened.closed.connect(self._stop)
        self._on_shown()

    def new_object(self) -> None:
        """Paint the next object; what *New object* does."""
        layer = self._opened.annotation_layer()
        if layer is not None and layer.editable:
            self._stop()
            choose_value(layer, self._opened.free_number())
            self._opened.viewer.layers.selection.active = layer

    def split(self, place: tuple[int, ...]) -> None:
        """Split the object at a pixel, on the slice shown.

        Parameters
        ----------
        place
            Index into the annotation.
        """
        image, layer = self._opened.images.shown_image, self._opened.annotation_layer()
        if image is None or layer is None:
            return
        if self._opened.position() is None:
            self.notice.say("hint", OTHER_SLICES)
            return
        number = int(layer.data[place])
        if number < FIRST_CLASS:
            self.notice.say("hint", f"There is no object. {_SPLITTING}")
            return
        index = slice_index(image.reference, position_of(image.reference, place))
        plane = np.asarray(layer.data[index])
        parts = split_object(plane == number)
        if len(parts) < 2:
            self.notice.say(
                "hint",
                "It has no waist to split it at. Cut it with the eraser (key 1), then split.",
            )
            return
        wanted, free = plane.copy(), self._opened.free_number()
        for added, part in enumerate(parts[1:]):
            wanted[part] = free + added
        change_values(layer, [(index, wanted)])
        self.notice.say("done", f"Object {number:,} is {len(parts)} now. Ctrl+Z takes it back.")

    def merge(self, place: tuple[int, ...]) -> None:
        """Choose the object at a pixel, or give it the number of the one chosen before.

        Parameters
        ----------
        place
            Index into the annotation.
        """
        image, layer = self._opened.images.shown_image, self._opened.annotation_layer()
        if image is None or layer is None:
            return
        number = int(layer.data[place])
        if number < FIRST_CLASS:
            self.notice.say("hint", f"There is no object. {_MERGING}")
        elif not self._keep_of or self._keep_of == number:
            self._keep_of = number
            self.notice.say("hint", f"Now click what belongs to object {number:,}.")
        else:
            index = slice_index(image.reference, position_of(image.reference, place))
            parts = []
            for one in part_of_object(layer.data, number, index):
                here = np.asarray(layer.data[one])
                parts.append((one, np.where(here == number, self._keep_of, here)))
            change_values(layer, parts)
            self.notice.say(
                "done",
                f"Object {number:,} belongs to {self._keep_of:,} now. Ctrl+Z takes it back.",
            )

    def _toggle(self, button: QPushButton, on: bool) -> None:
        self._stop()
        layer = self._opened.annotation_layer()
        if not on or layer is None or not layer.editable:
            return
        button.setChecked(True)
        self._opened.viewer.layers.selection.active = layer
        self._clicks.start(layer)
        self.notice.say("hint", _SPLITTING if button is self.split_button else _MERGING)

    def _on_clicked(self, place: tuple[int, ...]) -> None:
        if self.split_button.isChecked():
            self.split(place)
        else:
            self.merge(place)

    def _stop(self) -> None:
        self._keep_of = 0
        self._clicks.stop()
        self.split_button.setChecked(False)
        self.merge_button.setChecked(False)
        self.notice.clear()

    def _keep_apart(self, keep: bool) -> None:
        layer = self._opened.annotation_layer()
        if layer is not None:
            layer.preserve_labels = keep

    def _on_shown(self, _image_id: str = "") -> None:
        layer = self._opened.annotation_layer()
        blocked = READ_ONLY if self._opened.read_only else None
        if layer is None:
            blocked = "Open an image first."
        for widget in (self.new_button, self.split_button, self.merge_button, self.keep_check):
            set_blocked(widget, blocked)
        self._stop()
        if layer is None:
            return
        let_background_be_painted_over(layer)
        layer.preserve_labels = self.keep_check.isChecked()

        def new_object(_layer: Labels) -> None:
            self.new_object()

        layer.bind_key(NEW_KEY.replace("+", "-"), new_object, overwrite=True)
        if layer.selected_label == FIRST_CLASS and not self._opened.read_only:
            layer.selected_label = self._opened.free_number()
