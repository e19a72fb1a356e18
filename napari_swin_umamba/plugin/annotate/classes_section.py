"""The classes: a click or a key chooses what is painted; *Edit…* changes the list."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QPushButton

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.class_editor import ClassEditor, Edited
from napari_swin_umamba.plugin.annotate.keys import bind_keys, choose_value, keys_of
from napari_swin_umamba.plugin.annotate.looks import BACKGROUND_COLOR
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.section import READ_ONLY, Section
from napari_swin_umamba.plugin.annotate.swatch import swatch
from napari_swin_umamba.plugin.parts import Notice, set_blocked
from napari_swin_umamba.plugin.runner import Runner
from napari_swin_umamba.plugin.words import count, sentence
from napari_swin_umamba.plugin.worker import Channel, Failure, Progress
from napari_swin_umamba.project import BACKGROUND, UNLABELLED, Project, Settings, relabel

__all__ = ["ClassesSection"]

_VALUE = Qt.ItemDataRole.UserRole
_ROWS_SHOWN = 8


class ClassesSection(Section):
    """Lists what can be painted."""

    def __init__(self, opened: OpenProject) -> None:
        super().__init__("Classes")
        self._opened = opened
        self._edited: Edited | None = None
        self._listened: Any = None
        self.stray = Notice()
        self.list = QListWidget()
        self.list.setToolTip("Click what you want to paint, or press its key over the image.")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setIconSize(QSize(14, 14))
        self.edit_button = QPushButton("Edit classes…")
        self.edit_button.setToolTip("Names, colours, keys; add, remove and merge classes.")
        self.edit_button.clicked.connect(self._ask)
        self.add(self.list)
        self.add(self.stray)
        self.add(self.edit_button)
        self.add(self.notice)
        self._runner = Runner(self)
        self._runner.progress.connect(self._show_progress)
        self._runner.ended.connect(self._on_relabelled)
        self.list.itemClicked.connect(self._on_clicked)
        self.list.itemActivated.connect(self._on_clicked)
        opened.changed.connect(self.refresh)
        opened.images.shown.connect(self._on_shown)
        opened.closed.connect(self._shut_down)
        self.refresh()

    @property
    def keys(self) -> dict[int, str]:
        """Value -> key, as they are now."""
        return keys_of(self._opened.project.settings, self._opened.session.keys)

    def refresh(self) -> None:
        """List the classes anew."""
        settings, keys = self._opened.project.settings, self.keys
        rows = [(UNLABELLED, "eraser (unlabelled)", "")]
        rows += [(BACKGROUND, "background", BACKGROUND_COLOR)]
        if settings.kind == "semantic":
            rows += [(item.id, item.name, item.color) for item in settings.classes]
        self.list.clear()
        for value, name, color in rows:
            key = "1" if value == UNLABELLED else keys.get(value, "")
            item = QListWidgetItem(swatch(color), f"{name}   {key}".strip())
            item.setData(_VALUE, value)
            self.list.addItem(item)
        height = self.list.sizeHintForRow(0) * min(self.list.count(), _ROWS_SHOWN) + 6
        self.list.setFixedHeight(height)
        for image in self._opened.images.all:
            bind_keys(image.annotation.layer, keys)
        blocked = READ_ONLY if self._opened.read_only else None
        if self._runner.running:
            blocked = "Wait until the classes are changed."
        set_blocked(self.edit_button, blocked)
        self._show_chosen()

    def apply(self, edited: Edited) -> None:
        """Do what was confirmed in the editor; what goes on all images runs in the background."""
        opened = self._opened
        for value, key in edited.keys.items():
            opened.session.keys[value] = key
        try:
            if not edited.becomes:
                opened.replace_settings(edited.settings)
                opened.save_session()
                return
            opened.flush()
            # First all that strokes may be given to, last what goes: valid at every moment.
            opened.replace_settings(_with_both(opened.project.settings, edited.settings))
        except InputError as error:
            self.notice.say("error", sentence(str(error)))
            return
        self._edited = edited
        self._set_editable(False)
        self._runner.start(partial(_relabel, opened.project, edited.becomes))
        self.refresh()

    def _ask(self) -> None:
        editor = ClassEditor(self, self._opened.project.settings, self.keys)
        if editor.exec():
            self.apply(editor.edited())
        editor.deleteLater()

    def _show_progress(self, progress: Progress) -> None:
        self.notice.say("hint", progress.text)

    def _on_relabelled(self, outcome: Any) -> None:
        edited, self._edited = self._edited, None
        self._set_editable(True)
        if edited is None or isinstance(outcome, Failure):
            why = outcome.message if isinstance(outcome, Failure) else "It was stopped."
            self.notice.say("error", f"The classes were not changed. {why}")
            self.refresh()
            return
        changed, unreadable = outcome
        try:
            self._opened.replace_settings(edited.settings)
        except InputError as error:
            self.notice.say("error", sentence(str(error)))
            return
        text = f"The classes were changed, on {count(changed, 'painted slice')}."
        if unreadable:
            text += f" {count(len(unreadable), 'slice')} cannot be read: {sentence(unreadable[0])}"
        self.notice.say("warning" if unreadable else "done", text)
        self._opened.images.read_all_again()

    def _set_editable(self, editable: bool) -> None:
        for image in self._opened.images.all:
            image.annotation.layer.editable = editable and not self._opened.read_only

    def _on_clicked(self, item: QListWidgetItem) -> None:
        layer = self._opened.annotation_layer()
        if layer is not None:
            choose_value(layer, item.data(_VALUE))
            self._opened.viewer.layers.selection.active = layer

    def _on_shown(self, _image_id: str) -> None:
        self._stop_listening()
        if self._runner.running:  # what is painted now would be written over what is changed
            self._set_editable(False)
        layer = self._opened.annotation_layer()
        if layer is not None:
            bind_keys(layer, self.keys)
            layer.events.selected_label.connect(self._show_chosen)
            layer.events.mode.connect(self._show_chosen)
            self._listened = layer
        self._show_chosen()

    def _show_chosen(self, _event: object = None) -> None:
        layer = self._opened.annotation_layer()
        if layer is None:
            self.list.setCurrentRow(-1)
            return
        value = UNLABELLED if layer.mode == "erase" else layer.selected_label
        rows = [self.list.item(row) for row in range(self.list.count())]
        values = [item.data(_VALUE) for item in rows if item is not None]
        self.list.setCurrentRow(values.index(value) if value in values else -1)
        stray = value not in values and self._opened.project.settings.kind == "semantic"
        if stray:
            self.stray.say(
                "warning",
                f"The value {value:,} is none of the classes: what is painted with it cannot be "
                "trained on. Click a class in the list, or add one.",
            )
        else:
            self.stray.clear()

    def _stop_listening(self) -> None:
        if self._listened is not None:
            self._listened.events.selected_label.disconnect(self._show_chosen)
            self._listened.events.mode.disconnect(self._show_chosen)
            self._listened = None

    def _shut_down(self) -> None:
        self._stop_listening()
        self._runner.abandon()


def _with_both(old: Settings, new: Settings) -> Settings:
    """All classes that there were and will be, each under a name of its own."""
    known = {item.id for item in new.classes}
    names = {item.name for item in new.classes}
    going = []
    for item in old.classes:
        if item.id not in known:
            name = item.name if item.name not in names else f"{item.name} ({item.id}, removed)"
            going.append(item.model_copy(update={"name": name}))
    return new.model_copy(update={"classes": (*new.classes, *going)})


def _relabel(
    project: Project, becomes: dict[int, int], channel: Channel
) -> tuple[int, tuple[str, ...]]:
    def tell(done: int, total: int) -> None:
        text = f"Changing painted slices: {done:,} of {total:,}"
        channel.report(Progress(text, done / max(1, total)))

    return relabel(project, becomes, tell, channel.should_stop)
