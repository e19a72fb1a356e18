"""*Where next*: slices to paint, those that the project's model is least sure of first."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QListWidgetItem, QPushButton, QWidget

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.heat_map import HeatMap
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.section import READ_ONLY, Section
from napari_swin_umamba.plugin.annotate.skipping import SkipRow
from napari_swin_umamba.plugin.annotate.suggest_list import SuggestList
from napari_swin_umamba.plugin.annotate.suggest_progress import SuggestProgress
from napari_swin_umamba.plugin.annotate.suggest_work import (
    Listed,
    LookedAt,
    Search,
    image_of_layer,
    look_for_slices,
)
from napari_swin_umamba.plugin.annotate.suggestions import Suggestions
from napari_swin_umamba.plugin.loaded_model import LoadedModel
from napari_swin_umamba.plugin.parts import WrappedLabel, set_blocked
from napari_swin_umamba.plugin.runner import Runner
from napari_swin_umamba.plugin.words import sentence
from napari_swin_umamba.plugin.worker import Failure
from napari_swin_umamba.project import ProjectModels, Slice
from napari_swin_umamba.project.annotation import Position

__all__ = ["SuggestSection"]

_FOLLOW_DELAY = 60
"""Milliseconds after which the section follows the slider."""
_NO_MAP = "The model has not looked at this slice."


class SuggestSection(Section):
    """A button that looks for slices, and a list that jumps to them."""

    def __init__(self, opened: OpenProject) -> None:
        super().__init__("Where next")
        self._opened = opened
        self._found = Suggestions()
        self._models = LoadedModel()
        self._runner = Runner(self)
        self._going_to: Slice | None = None
        self.heat_map = HeatMap(opened, self)
        self.suggest_button = QPushButton("Suggest slices")
        self.all_check = QCheckBox("in all images")
        self.all_check.setToolTip("Suggests slices of all images of the project.")
        self.progress = SuggestProgress()
        self.status = WrappedLabel()
        self.list = SuggestList()
        self.skipping = SkipRow(opened)
        self.heat_check = QCheckBox("show where predictions disagree")
        self.heat_check.setToolTip(
            "A layer over the image: the brighter, the more the predictions of a slice differ from "
            "those of its mirrored or moved versions and of its neighbours. It is not saved."
        )
        self.no_map = WrappedLabel(_NO_MAP)
        row = QHBoxLayout()
        row.addWidget(self.suggest_button, stretch=1)
        row.addWidget(self.all_check)
        self.rows.addLayout(row)
        below: tuple[QWidget, ...] = (self.progress, self.status, self.list, self.skipping)
        for widget in (*below, self.heat_check, self.no_map, self.notice):
            self.add(widget)
        self._follow = QTimer(self)
        self._follow.setSingleShot(True)
        self._follow.setInterval(_FOLLOW_DELAY)
        self._follow.timeout.connect(self.follow)
        self.suggest_button.clicked.connect(self.suggest)
        self.progress.cancel_clicked.connect(self.cancel)
        self.list.itemClicked.connect(self._on_clicked)
        self.list.itemActivated.connect(self._on_clicked)
        self.list.currentRowChanged.connect(lambda _row: self.skipping.choose(self.list.chosen()))
        self.skipping.skipped.connect(self._on_skipped)
        self.skipping.toggled.connect(self.show_found)
        self.skipping.failed.connect(lambda why: self.notice.say("error", why))
        self.heat_check.toggled.connect(self._on_heat)
        self.heat_map.removed.connect(lambda: self.heat_check.setChecked(False))
        self._runner.progress.connect(self.progress.show_progress)
        self._runner.delivered.connect(self._take)
        self._runner.ended.connect(self._on_ended)
        opened.annotated.connect(self._on_annotated)
        opened.images.shown.connect(self._on_shown)
        opened.images.lost.connect(lambda _what: self.refresh())
        opened.changed.connect(self.refresh)
        opened.viewer.dims.events.connect(self._on_dims)
        opened.closed.connect(self._shut_down)
        self.show_found()

    @property
    def running(self) -> bool:
        """Whether slices are being looked at."""
        return self._runner.running

    def refresh(self) -> None:
        """Show what can be done now."""
        image = self._opened.images.shown_image
        flat = image is not None and not image.reference.fixed_axes
        stacks = [one for one in self._opened.project.images if one.fixed_axes]
        self.suggest_button.setText("Suggest images" if flat else "Suggest slices")
        self.suggest_button.setToolTip(
            f"Looks for {'images' if flat else 'slices'} that are worth painting next: the "
            "project's model predicts them, also mirrored or moved; where it disagrees with itself "
            "there is something to learn."
        )
        self.suggest_button.setVisible(not self.running)
        self.all_check.setVisible(len(stacks) > 1 and not flat and not self.running)
        self.progress.setVisible(self.running)
        set_blocked(self.suggest_button, None if image is not None else "Open an image first.")
        self.heat_check.setVisible(not self.heat_map.empty)
        self.skipping.skip_button.setVisible(self.list.count() > 0)
        self.skipping.refresh(self._image_ids(), READ_ONLY if self._opened.read_only else None)
        self.follow()

    def suggest(self) -> None:
        """Look for slices; what *Suggest slices* does."""
        opened = self._opened
        if self.running or opened.images.shown_image is None:
            return
        self.notice.clear()
        models = ProjectModels(opened.project.folder)
        try:
            current = models.read().current
        except InputError as error:
            self.notice.say("error", sentence(str(error)))
            return
        ids = self._image_ids()
        in_memory = {
            image.reference.id: image_of_layer(image.image_layer, image.reference)
            for image in opened.images.all
            if image.reference.id in ids
        }
        model = None if current is None else models.path(current)
        self._found = Suggestions(None if current is None else current.name, len(ids) > 1)
        self.heat_map.clear()
        self.skipping.show_skipped(False)
        search = Search(opened.project, ids, in_memory, model)
        self._runner.start(partial(look_for_slices, search, self._models))
        self.progress.begin()
        self.show_found()

    def cancel(self) -> None:
        """Look at no more slices; what was looked at counts."""
        self._runner.stop()

    def show_found(self) -> None:
        """Show the list as it is now."""
        if self.skipping.shown:
            self.list.show_rows(self.skipping.rows())
        else:
            self.list.show_rows([] if self.running else self._found.rows())
        hidden = self.running or self.skipping.shown
        self.status.setVisible(bool(self.status.text()) and not hidden)
        self.refresh()

    def follow(self) -> None:
        """Show what holds for the slice that the viewer stands at."""
        position = self._opened.position()
        here = None if position is None else (self._opened.images.current, position)
        self.list.select(here)
        self.skipping.choose(self.list.chosen())
        known = here is None or self.heat_map.knows(here)
        self.no_map.setVisible(self.heat_check.isChecked() and not known)

    def _image_ids(self) -> tuple[str, ...]:
        """Images that slices are suggested of: the one shown, or all of its kind."""
        image = self._opened.images.shown_image
        if image is None:
            return ()
        if image.reference.fixed_axes and not self.all_check.isChecked():
            return (image.reference.id,)
        flat = not image.reference.fixed_axes
        return tuple(one.id for one in self._opened.project.images if (not one.fixed_axes) == flat)

    def _take(self, news: Listed | LookedAt) -> None:
        self._found.take(news)
        if isinstance(news, LookedAt):
            self.heat_map.add(news.slice, news.pixels)

    def _on_ended(self, outcome: Any) -> None:
        self._models.release()
        self._found.choose()
        failed = isinstance(outcome, Failure)
        self.status.setText(
            self._found.words("failed" if failed else "cancelled" if outcome is None else "done")
        )
        if isinstance(outcome, Failure):
            self.notice.say("error", outcome.message, outcome.details)
        elif outcome:
            self.notice.say("warning", "\n".join(sentence(problem) for problem in outcome))
        self.show_found()

    def _on_clicked(self, item: QListWidgetItem) -> None:
        where = self.list.slice_of(item)
        if where[0] == self._opened.images.current:
            self._opened.go_to(where[1])
        else:
            self._going_to = where
            self._opened.images.show(where[0])

    def _on_shown(self, image_id: str) -> None:
        where, self._going_to = self._going_to, None
        if where is not None and where[0] == image_id:
            self._opened.go_to(where[1])
        if not self.running and not self._found.several:
            self._forget(image_id)
        self.show_found()

    def _forget(self, image_id: str) -> None:
        """Another image is shown: suggestions of the one before are no help."""
        if not self._found.covers(image_id):
            self._found = Suggestions()
            self.status.setText("")

    def _on_annotated(self, image_id: str, position: Position) -> None:
        annotation = self._opened.project.annotation(image_id)  # an unchanged slice is told too
        if not (annotation.file(position).exists() or annotation.is_complete(position)):
            return
        if not self._found.remove((image_id, position)):
            return
        if not self._found.listed:
            self.status.setText("All that was suggested is painted. Train, then suggest again.")
        self.show_found()

    def _on_skipped(self, where: Slice, skipped: bool) -> None:
        if skipped:
            self._found.skip(where)
        self.show_found()

    def _on_heat(self, on: bool) -> None:
        self.heat_map.set_on(on)
        self.follow()

    def _on_dims(self, _event: object = None) -> None:
        self._follow.start()

    def _shut_down(self) -> None:
        self._follow.stop()
        self._opened.viewer.dims.events.disconnect(self._on_dims)
        self._runner.abandon()
        self._models.release()
