"""*Correct a prediction*: a slice, a region or an object of it becomes annotation, in one step."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QGridLayout, QPushButton

from napari_swin_umamba.plugin.annotate.accepting import (
    Meaning,
    accepted,
    continued,
    meaning_of_layer,
    object_mask,
)
from napari_swin_umamba.plugin.annotate.annotation_layer import is_annotation
from napari_swin_umamba.plugin.annotate.click_tool import ClickTool, RegionTool
from napari_swin_umamba.plugin.annotate.extent import part_of_object
from napari_swin_umamba.plugin.annotate.live_layer import is_live
from napari_swin_umamba.plugin.annotate.open_image import OpenImage
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.regions import region_mask
from napari_swin_umamba.plugin.annotate.section import OTHER_SLICES, READ_ONLY, Section
from napari_swin_umamba.plugin.annotate.touched import fixed_axes_of, position_of, slice_index
from napari_swin_umamba.plugin.annotate.undoable import change_values
from napari_swin_umamba.plugin.parts import make_narrow, set_blocked
from napari_swin_umamba.plugin.result_layer import METADATA_KEY, is_result, slice_key
from napari_swin_umamba.plugin.words import count

__all__ = ["PredictionSection"]

_NONE = (
    "No prediction of this image. Choose the dock Segment to make one, and take over from it what "
    "is right."
)
_WHILE_DRAWING = "Draw around what is right; press a key of another tool to leave it."
_WHILE_CLICKING = "Click an object of the prediction to accept it. Click the button again to end."
_Part = tuple[tuple[Any, ...], np.ndarray, np.ndarray | None]
"""Index of a part, the prediction there, and which of its pixels are meant; None: all."""


class PredictionSection(Section):
    """Takes over from a prediction what the person finds right."""

    def __init__(self, opened: OpenProject) -> None:
        super().__init__("Correct a prediction")
        self._opened = opened
        self._layers: list[Labels] = []
        self.combo = QComboBox()
        self.combo.setToolTip("The prediction to take over from.")
        make_narrow(self.combo)
        self.none = self.text(_NONE)
        self.slice_button = QPushButton("Accept slice")
        self.slice_button.setToolTip("Takes over all of the slice shown, background included.")
        self.object_button = QPushButton("Accept objects")
        self.object_button.setCheckable(True)
        self.object_button.setToolTip("Takes over each object that you click.")
        self.lasso_button = QPushButton("Draw region")
        self.lasso_button.setToolTip("Takes over what lies in a region that you draw freehand.")
        self.box_button = QPushButton("Draw box")
        self.box_button.setToolTip("Takes over what lies in a box that you draw.")
        self.over_check = QCheckBox("also over what is painted")
        self.over_check.setToolTip(
            "Otherwise your strokes stay as they are, and only what is unlabelled changes."
        )
        grid = QGridLayout()
        buttons = (self.slice_button, self.object_button, self.lasso_button, self.box_button)
        for number, button in enumerate(buttons):
            grid.addWidget(button, number // 2, number % 2)
        self.add(self.combo)
        self.rows.addLayout(grid)
        self.add(self.over_check)
        self.add(self.notice)
        self._clicks, self._region = ClickTool(self), RegionTool(opened.viewer, self)
        self.slice_button.clicked.connect(self.accept_slice)
        self.object_button.clicked.connect(self._toggle_objects)
        self.lasso_button.clicked.connect(lambda: self._draw("add_polygon_lasso"))
        self.box_button.clicked.connect(lambda: self._draw("add_rectangle"))
        self.combo.currentIndexChanged.connect(self._on_chosen)
        self._clicks.clicked.connect(self.accept_object)
        self._clicks.ended.connect(lambda: self.object_button.setChecked(False))
        self._region.drawn.connect(self.accept_region)
        events = opened.viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self._on_layers)
        opened.images.shown.connect(self._on_layers)
        opened.predicted.connect(self.refresh)
        opened.changed.connect(self._on_chosen)
        opened.closed.connect(self._shut_down)
        self.refresh()

    @property
    def prediction(self) -> Labels | None:
        """The prediction chosen."""
        index = self.combo.currentIndex()
        return self._layers[index] if 0 <= index < len(self._layers) else None

    def refresh(self, newest: Labels | None = None) -> None:
        """List the Labels layers that lie on the image shown.

        Parameters
        ----------
        newest
            A prediction that was just made, to be chosen; None: the one chosen stays.
        """
        chosen, image = self.prediction, self._opened.images.shown_image
        self._layers = []
        if image is not None:
            for layer in reversed(list(self._opened.viewer.layers)):
                if _may_be_a_prediction(layer):
                    data = layer.data
                    if getattr(data, "shape", None) == image.reference.label_shape:
                        self._layers.append(layer)
        chosen = newest if newest in self._layers else chosen
        self.combo.blockSignals(True)
        self.combo.clear()
        shown = "" if image is None else f"{image.reference.name} – "
        for layer in self._layers:
            self.combo.addItem(layer.name.removeprefix(shown))
            self.combo.setItemData(self.combo.count() - 1, layer.name, Qt.ItemDataRole.ToolTipRole)
        self.combo.setCurrentIndex(self._layers.index(chosen) if chosen in self._layers else 0)
        self.combo.blockSignals(False)
        self._on_chosen()

    def accept_slice(self) -> None:
        """Take over the slice shown; what *Accept slice* does."""
        image, layer, position = self._all()
        if image is None or layer is None:
            return
        if position is None:
            self.notice.say("hint", OTHER_SLICES)
            return
        index = slice_index(image.reference, position)
        predicted = np.asarray(layer.data[index])
        if not predicted.any() and not self._was_predicted(image, layer, position):
            self.notice.say("hint", "Nothing is predicted on this slice.")
            return
        self._take(image, [(index, predicted, None)], known=self._continued(image, layer, position))

    def accept_region(self, corners: np.ndarray) -> None:
        """Take over what lies in a region of the plane that is shown.

        Parameters
        ----------
        corners
            (n, ndim), in pixels of the annotation.
        """
        image, layer, _ = self._all()
        if image is None or layer is None:
            return
        shown = tuple(self._opened.viewer.dims.displayed)
        offset = self._opened.viewer.dims.ndim - layer.ndim
        axes = sorted(axis - offset for axis in shown)
        index, mask = region_mask(corners, (axes[0], axes[1]), layer.data.shape)
        self._take(image, [(index, np.asarray(layer.data[index]), mask)])

    def accept_object(self, place: tuple[int, ...]) -> None:
        """Take over the object at a pixel: all of it, where objects are numbered.

        Parameters
        ----------
        place
            Index into the annotation.
        """
        image, layer, shown = self._all()
        if image is None or layer is None:
            return
        if shown is None:
            self.notice.say("hint", OTHER_SLICES)
            return
        if not layer.data[place]:
            self.notice.say("hint", "There is background in the prediction. Click an object.")
            return
        index = slice_index(image.reference, position_of(image.reference, place))
        row, column = (one for one, part in zip(place, index, strict=True) if part == slice(None))
        predicted = np.asarray(layer.data[index])
        parts: list[_Part] = [(index, predicted, object_mask(predicted, (row, column)))]
        if self._meaning(layer).numbers_objects:  # one object, so one number in all slices
            number = int(layer.data[place])
            masks = [
                (one, np.asarray(layer.data[one]) == number)
                for one in part_of_object(layer.data, number, index)
            ]
            parts = [(one, mask.astype(np.uint8), mask) for one, mask in masks]
        self._take(image, parts, background=False)

    def _take(
        self,
        image: OpenImage,
        parts: list[_Part],
        background: bool = True,
        known: Mapping[int, int] | None = None,
    ) -> None:
        prediction = self.prediction
        assert prediction is not None
        meaning, target = self._meaning(prediction), image.annotation.layer
        if not target.editable:
            self.notice.say("hint", "Wait until the classes are changed.")
            return
        if meaning.problem:
            self.notice.say("error", meaning.problem)
            return
        first, wanted = self._opened.free_number(), []
        if known:
            numbers = [int(one) for one in np.unique(parts[0][1]) if one]
            new = itertools.count(first)
            values = {one: known[one] if one in known else next(new) for one in numbers}
            meaning = Meaning(values, values_are_objects=True)
        for index, predicted, mask in parts:
            painted = np.asarray(target.data[index])
            taken = accepted(
                painted,
                predicted,
                meaning,
                first,
                self.over_check.isChecked(),
                background,
            )
            wanted.append((index, taken if mask is None else np.where(mask, taken, painted)))
        changed = change_values(target, wanted)
        text = f"{count(changed, 'pixel')} accepted. Ctrl+Z takes it back."
        if not changed:
            text = "Nothing changed: all of it is painted already."
        if meaning.missing:
            text += f" Not in this project, and left out: {', '.join(meaning.missing)}."
        self.notice.say("done" if changed else "hint", text)
        self._opened.viewer.layers.selection.active = target

    def _all(self) -> tuple[OpenImage | None, Labels | None, tuple[int, ...] | None]:
        if self._opened.read_only:
            return None, None, None
        return self._opened.images.shown_image, self.prediction, self._opened.position()

    def _continued(
        self, image: OpenImage, layer: Labels, position: tuple[int, ...]
    ) -> dict[int, int]:
        """Numbers of objects that the slices beside have already."""
        meaning = self._meaning(layer)
        found: dict[int, int] = {}
        if not position or not meaning.numbers_objects or meaning.one_class:
            return {}
        here = np.asarray(layer.data[slice_index(image.reference, position)])
        for place in (position[-1] - 1, position[-1] + 1):
            if 0 <= place < layer.data.shape[fixed_axes_of(image.reference)[-1]]:
                index = slice_index(image.reference, (*position[:-1], place))
                painted = np.asarray(image.annotation.layer.data[index])
                more = continued(here, np.asarray(layer.data[index]), painted)
                taken = set(found.values())
                found = {one: n for one, n in more.items() if n not in taken} | found
        return found

    def _meaning(self, layer: Labels) -> Meaning:
        return meaning_of_layer(layer, self._opened.project.settings)

    def _was_predicted(self, image: OpenImage, layer: Labels, position: tuple[int, ...]) -> bool:
        """Whether a result of ours says that it holds a slice, be it all background."""
        ours = layer.metadata.get(METADATA_KEY)
        if not isinstance(ours, dict):
            return True
        key = slice_key(image.annotation.image_axes(image.reference.fixed_axes), position)
        return key in ours.get("slices", {})

    def _toggle_objects(self, on: bool) -> None:
        target = self._opened.annotation_layer()
        if not on or target is None:
            self._clicks.stop()
            self.notice.clear()
            return
        self._opened.viewer.layers.selection.active = target
        self._clicks.start(target)
        self.notice.say("hint", _WHILE_CLICKING)

    def _draw(self, tool: str) -> None:
        target = self._opened.annotation_layer()
        if target is not None:
            self._stop_tools()
            self._region.start(target, tool)
            self.notice.say("hint", _WHILE_DRAWING)

    def _on_inserted(self, event: Any) -> None:
        self.refresh(event.value if is_result(event.value) else None)

    def _on_layers(self, _event: Any = None) -> None:
        self.refresh()

    def _on_chosen(self, _index: int = 0) -> None:
        there = self.prediction is not None
        self.none.setVisible(not there)
        blocked = READ_ONLY if self._opened.read_only else None
        if there and blocked is None:
            prediction = self.prediction
            assert prediction is not None
            blocked = self._meaning(prediction).problem or None
        for widget in (
            self.slice_button,
            self.object_button,
            self.lasso_button,
            self.box_button,
            self.over_check,
        ):
            widget.setVisible(there)
            set_blocked(widget, blocked)
        self.combo.setVisible(there)
        image = self._opened.images.shown_image
        flat = image is not None and not image.reference.fixed_axes
        self.slice_button.setText("Accept image" if flat else "Accept slice")
        if not there:
            self._stop_tools()

    def _stop_tools(self) -> None:
        self._clicks.stop()
        self.object_button.setChecked(False)
        self._region.stop()

    def _shut_down(self) -> None:
        self._stop_tools()
        events = self._opened.viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self._on_layers)


def _may_be_a_prediction(layer: Any) -> bool:
    return isinstance(layer, Labels) and not is_annotation(layer) and not is_live(layer)
