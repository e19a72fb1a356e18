"""*Import labels*: masks, label maps of nnU-Net, Labels layers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Labels
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QMenu, QToolButton

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import stem_of
from napari_swin_umamba.plugin.annotate.annotation_layer import is_annotation
from napari_swin_umamba.plugin.annotate.import_dialog import ImportDialog
from napari_swin_umamba.plugin.annotate.importing import (
    MOST_CLASSES,
    Found,
    LabelSource,
    image_for,
    import_labels,
    look_at_labels,
)
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.section import READ_ONLY
from napari_swin_umamba.plugin.parts import MENU_STYLE, set_blocked
from napari_swin_umamba.plugin.runner import Runner
from napari_swin_umamba.plugin.words import count, sentence
from napari_swin_umamba.plugin.worker import Failure

__all__ = ["ImportButton"]


class ImportButton(QToolButton):
    """Opens a menu; what comes of it is told by signals."""

    said = Signal(str, str)
    """A notice: its kind and its text."""

    def __init__(self, opened: OpenProject) -> None:
        super().__init__()
        self._opened = opened
        self._sources: list[LabelSource] = []
        self._importing = False
        self.setText("Import labels ▾")
        self.setStyleSheet(MENU_STYLE)
        self.setToolTip("Masks, label maps or Labels layers that exist already, as annotation.")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu_of_labels = QMenu(self)
        self.menu_of_labels.aboutToShow.connect(self.fill_menu)
        self.setMenu(self.menu_of_labels)
        self._runner = Runner(self)
        self._runner.progress.connect(lambda progress: self.said.emit("hint", progress.text))
        self._runner.ended.connect(self._on_ended)
        opened.images.shown.connect(self._on_shown)
        opened.closed.connect(self._runner.abandon)

    @property
    def busy(self) -> bool:
        """Whether labels are being looked at or imported."""
        return self._runner.running

    def refresh(self) -> None:
        """Show whether anything can be imported now."""
        blocked = READ_ONLY if self._opened.read_only else None
        if not self._opened.project.images:
            blocked = "Add an image first."
        if self.busy:
            blocked = "Wait until the labels are imported."
        set_blocked(self, blocked)

    def fill_menu(self) -> None:
        """Bring the menu up to date."""
        self.menu_of_labels.clear()
        image = self._opened.images.shown_image
        for layer in reversed(list(self._opened.viewer.layers)):
            if image is None or not isinstance(layer, Labels) or is_annotation(layer):
                continue
            action = self.menu_of_labels.addAction(f"“{layer.name}”, onto {image.reference.name}")
            assert action is not None
            action.triggered.connect(partial(self.import_layer, layer))
        files = self.menu_of_labels.addAction("Label files, by their names…")
        assert files is not None
        files.triggered.connect(self._ask_for_files)

    def import_layer(self, layer: Labels, _checked: bool = False) -> None:
        """Import a Labels layer onto the image shown."""
        image = self._opened.images.shown_image
        if image is not None and not layer.multiscale:
            source = LabelSource(image.reference.id, layer.name, data=layer.data)
            self._look([source])

    def import_files(self, files: Sequence[Path]) -> None:
        """Import label files onto the images that they belong to by their names."""
        images, sources, unknown = self._opened.project.images, [], []
        shown = self._opened.images.shown_image
        for file in files:
            image = image_for(file, images)
            if image is None and len(files) == 1 and shown is not None:
                image = shown.reference  # whoever chooses one file means what is open
            if image is None:
                unknown.append(file.name)
            else:
                sources.append(LabelSource(image.id, stem_of(file), file))
        if unknown:
            self.said.emit(
                "error",
                f"No image of the project has the name of {', '.join(unknown[:5])}"
                f"{', …' if len(unknown) > 5 else ''}. Rename the files as their images.",
            )
        elif sources:
            self._look(sources)

    def _ask_for_files(self) -> None:
        files, _ = QFileDialog.getOpenFileNames(self, "Import labels")
        self.import_files([Path(file) for file in files])

    def _look(self, sources: list[LabelSource]) -> None:
        if self.busy or self._opened.read_only:
            return
        try:
            self._opened.flush()
        except InputError as error:
            self.said.emit("error", sentence(str(error)))
            return
        self._sources = sources
        self._runner.start(partial(look_at_labels, self._opened.project, sources))
        self.refresh()

    def _on_ended(self, outcome: Any) -> None:
        if isinstance(outcome, Failure):
            self.said.emit("error", outcome.message)
        elif isinstance(outcome, Found):
            self._ask(outcome)
        elif isinstance(outcome, int):
            self.said.emit(
                "done",
                f"Labels imported, on {count(outcome, 'slice')}."
                if outcome
                else "Nothing changed: all of it is painted already.",
            )
        if self._importing and not self.busy:  # also after a failure: some slices may be done
            self._importing = False
            self._set_editable(True)
            self._opened.images.read_all_again()
            self._opened.tell_changed()
        self.refresh()

    def _ask(self, found: Found) -> None:
        settings = self._opened.project.settings
        if settings.kind == "semantic" and len(found.values) > MOST_CLASSES:
            self.said.emit(
                "error",
                f"The labels have {len(found.values):,} different values: they number objects, but "
                "the project paints classes. Make a project for objects.",
            )
            return
        what = count(len(self._sources), "label image")
        dialog = ImportDialog(self, settings, found, what)
        if dialog.exec():
            self.begin(dialog)
        dialog.deleteLater()

    def begin(self, dialog: ImportDialog) -> None:
        """Import what the dialog says."""
        becomes, opened = dialog.becomes, self._opened
        try:
            for value, name in dialog.new_classes.items():
                assert becomes is not None
                becomes[value] = opened.project.add_class(name).id
            opened.flush()
        except InputError as error:
            self.said.emit("error", sentence(str(error)))
            return
        self._importing = True
        self._set_editable(False)
        self._runner.start(
            partial(
                import_labels,
                opened.project,
                self._sources,
                becomes,
                dialog.background.isChecked(),
            )
        )

    def _on_shown(self, _image_id: str) -> None:
        if self._importing:  # or strokes would be written over what is imported
            self._set_editable(False)

    def _set_editable(self, editable: bool) -> None:
        for image in self._opened.images.all:
            image.annotation.layer.editable = editable and not self._opened.read_only
