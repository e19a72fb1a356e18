"""The images of the project, how far each is annotated, and *Add…*."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QMessageBox,
    QToolButton,
)

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import stem_of
from napari_swin_umamba.plugin.annotate.adding import Added, ToAdd, add_images, layer_to_add
from napari_swin_umamba.plugin.annotate.image_files import layer_fits
from napari_swin_umamba.plugin.annotate.image_list import ImageList
from napari_swin_umamba.plugin.annotate.import_button import ImportButton
from napari_swin_umamba.plugin.annotate.moved_files import MovedFiles
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.section import READ_ONLY, Section
from napari_swin_umamba.plugin.image_combo import is_image
from napari_swin_umamba.plugin.parts import MENU_STYLE, WrappedLabel, set_blocked
from napari_swin_umamba.plugin.runner import Runner
from napari_swin_umamba.plugin.words import count, sentence
from napari_swin_umamba.plugin.worker import Failure, Progress

__all__ = ["ImagesSection"]


class ImagesSection(Section):
    """Lists images; a click opens one."""

    def __init__(self, opened: OpenProject) -> None:
        super().__init__("Images")
        self._opened = opened
        self.list = ImageList(opened.project)
        self.add_button = QToolButton()
        self.add_button.setText("Add images ▾")
        self.add_button.setStyleSheet(MENU_STYLE)
        self.add_button.setToolTip("Adds images that are open in napari, or from files.")
        self.add_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.add_button)
        self.menu.setToolTipsVisible(True)
        self.menu.aboutToShow.connect(self.fill_menu)
        self.add_button.setMenu(self.menu)
        self.import_button = ImportButton(opened)
        self.import_button.said.connect(self.notice.say)
        self.status = WrappedLabel()
        row = QHBoxLayout()
        row.addWidget(self.add_button)
        row.addWidget(self.import_button)
        self.add(self.list)
        self.rows.addLayout(row)
        self.add(self.status)
        self.add(self.notice)
        self._say_status("")
        self._lost = ""
        self._moved = MovedFiles(opened, self)
        self._moved.progress.connect(self._show_progress)
        self._moved.found.connect(opened.images.show)
        self._moved.failed.connect(partial(self._on_failed, gone=True))
        self._runner = Runner(self)
        self._runner.progress.connect(self._show_progress)
        self._runner.ended.connect(self._on_added)
        self.list.itemClicked.connect(self._on_clicked)
        self.list.itemActivated.connect(self._on_clicked)
        self.notice.remedy_clicked.connect(self._apply_remedy)
        opened.changed.connect(self.refresh)
        opened.annotated.connect(self._on_annotated)
        opened.misfit.connect(self._on_misfit)
        opened.images.opening.connect(self._on_opening)
        opened.images.shown.connect(self._on_shown)
        opened.images.failed.connect(self._on_failed)
        opened.images.lost.connect(self._on_lost)
        opened.closed.connect(self._runner.abandon)
        self.refresh()

    def refresh(self) -> None:
        """List the images anew."""
        opened = self._opened
        self.list.fill(opened.images.current)
        self.import_button.refresh()
        set_blocked(self.add_button, READ_ONLY if opened.read_only else None)
        if not self.list.count() and not self._runner.running:
            self._say_status("No images yet. Open one in napari, or add files.")

    def fill_menu(self) -> None:
        """Bring the menu up to date: the images open in napari, and files."""
        self.menu.clear()
        known = [image.image_layer for image in self._opened.images.all]
        layers = [
            layer for layer in self._opened.viewer.layers if is_image(layer) and layer not in known
        ]
        for layer in reversed(layers):
            action = self.menu.addAction(f"“{layer.name}”, which is open")
            assert action is not None
            action.triggered.connect(partial(self._add_layer, layer))
        if layers:
            self.menu.addSeparator()
        files = self.menu.addAction("Image files…")
        assert files is not None
        files.triggered.connect(self._ask_for_files)

    def add_layers(self, layers: Sequence[Any]) -> None:
        """Add images that are open in napari."""
        wanted, problems = [], []
        for layer in layers:
            try:
                wanted.append(layer_to_add(layer))
            except InputError as error:
                problems.append(str(error))
        if problems:
            self.notice.say("error", "\n".join(sentence(problem) for problem in problems))
        self._begin(wanted)

    def add_files(self, files: Sequence[Path]) -> None:
        """Add images from files, each an image of its own."""
        self._begin([ToAdd(stem_of(file), (file,)) for file in files])

    def _add_layer(self, layer: Any, _checked: bool = False) -> None:
        self.add_layers([layer])

    def _begin(self, wanted: list[ToAdd]) -> None:
        if not wanted or self._runner.running or self._opened.read_only:
            return
        copy = self._copies(any(one.files for one in wanted))
        if copy is None:
            return
        self.notice.clear()
        set_blocked(self.add_button, "Wait until the images are added.")
        self._runner.start(partial(add_images, self._opened.project, wanted, copy))

    def _copies(self, files: bool) -> bool | None:
        """Whether files are copied into the project: asked once; None: neither."""
        session = self._opened.session
        if session.copy_files is None and files:
            session.copy_files = ask_whether_to_copy(self)
        return session.copy_files if files else False

    def _say_status(self, text: str) -> None:
        self.status.setText(text)
        self.status.setVisible(bool(text))

    def _show_progress(self, progress: Progress) -> None:
        self._say_status(progress.text)

    def _on_added(self, outcome: Any) -> None:
        self._say_status("")
        set_blocked(self.add_button, None)
        if isinstance(outcome, Failure):
            self.notice.say("error", outcome.message, outcome.details)
        elif isinstance(outcome, Added):
            if outcome.problems:
                text = "\n".join(sentence(problem) for problem in outcome.problems)
                self.notice.say("error", text)
            self._opened.tell_changed()
            if outcome.images:
                image, layer = outcome.images[0]
                usable = layer is not None and layer in self._opened.viewer.layers
                fits = usable and layer_fits(layer, image)
                if usable and not fits:
                    layer.visible = False
                self._opened.images.show(image.id, layer if fits else None)

    def _ask_for_files(self) -> None:
        files, _ = QFileDialog.getOpenFileNames(self, "Add images")
        self.add_files([Path(file) for file in files])

    def _on_clicked(self) -> None:
        image_id, images = self.list.chosen(), self._opened.images
        if image_id != images.current or self._opened.image_layer(image_id) is None:
            self.notice.clear()
            images.show(image_id)

    def _on_opening(self, image_id: str) -> None:
        self.list.select(image_id)
        self._say_status(f"Opening “{self._opened.project.image(image_id).name}”…")

    def _on_shown(self, image_id: str) -> None:
        self._say_status("")
        self.list.select(image_id)
        image = self._opened.images.get(image_id)
        warnings = []
        if image is not None and image.changed:
            warnings.append(
                f"The file {image.changed} is not what it was when it was added: what is painted "
                "may not fit it. Put the old file back, or add this one under another name."
            )
        damaged = image.annotation.stored.damaged if image is not None else {}
        if damaged:
            warnings.append(
                f"{count(len(damaged), 'painted slice')} cannot be read and seem empty: "
                f"{sentence(next(iter(damaged.values())))} The files stay; one that you paint over "
                "is kept with .damaged behind its name."
            )
        if warnings:
            self.notice.say("warning", "\n".join(warnings))

    def _on_failed(self, image_id: str, why: str, gone: bool = False) -> None:
        self._say_status("")
        self._lost = image_id
        gone = gone or "not there any more" in why
        self.notice.say("error", sentence(why), remedy="Look in a folder…" if gone else "Try again")
        self.list.select(self._opened.images.current)

    def _on_lost(self, what: str) -> None:
        self._lost = self.list.chosen()
        self.notice.say(
            "hint",
            f"The {what} layer was removed from the window. "
            + ("What was painted is saved." if what == "annotation" else ""),
            remedy="Show it again",
        )

    def _on_misfit(self, image_id: str) -> None:
        self._lost = image_id
        self.notice.say(
            "error",
            "The annotation layer got data of another size or type, which cannot be saved as this "
            "image's annotation. What was painted before is saved.",
            remedy="Show what is saved",
        )

    def _apply_remedy(self) -> None:
        words = self.notice.remedy_button.text()
        self.notice.clear()
        if words == "Show what is saved":
            self._opened.images.read_again(self._lost)
        elif words == "Look in a folder…":
            folder = QFileDialog.getExistingDirectory(self, "Where is the image now?")
            if folder:
                self.look_in(Path(folder))
        else:
            self._opened.images.show(self._lost)

    def look_in(self, folder: Path) -> None:
        """Look for the files of the image that could not be opened, and of others, in a folder."""
        self.notice.clear()
        self._moved.look(self._lost, folder)

    def _on_annotated(self, image_id: str, _position: tuple[int, ...]) -> None:
        self.list.update_image(image_id)


def ask_whether_to_copy(parent: Section) -> bool | None:
    """Ask whether images are copied into the project; None: the person changed their mind."""
    box = QMessageBox(parent)
    box.setWindowTitle("Image files of this project")
    box.setText("Shall image files be copied into the project?")
    box.setInformativeText(
        "A copy makes the project complete, for instance to train on another computer. Without "
        "one the project remembers where the files are, and finds them by their content if you "
        "move them. This is asked once."
    )
    refer = box.addButton("Leave them where they are", QMessageBox.ButtonRole.AcceptRole)
    copy = box.addButton("Copy them", QMessageBox.ButtonRole.AcceptRole)
    cancel = box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(refer)
    box.exec()
    if box.clickedButton() == cancel:
        return None
    return box.clickedButton() == copy
