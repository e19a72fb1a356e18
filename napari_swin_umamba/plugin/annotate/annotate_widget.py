"""The dock *Annotate & train*: a project, and one section below the other that works on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.classes_section import ClassesSection
from napari_swin_umamba.plugin.annotate.images_section import ImagesSection
from napari_swin_umamba.plugin.annotate.objects_section import ObjectsSection
from napari_swin_umamba.plugin.annotate.open_project import OpenProject, take_lock
from napari_swin_umamba.plugin.annotate.painted_section import PaintedSection
from napari_swin_umamba.plugin.annotate.prediction_section import PredictionSection
from napari_swin_umamba.plugin.annotate.project_section import ProjectSection
from napari_swin_umamba.plugin.annotate.section import Section
from napari_swin_umamba.plugin.annotate.suggest_section import SuggestSection
from napari_swin_umamba.plugin.annotate.training_sections import TrainingSections
from napari_swin_umamba.plugin.annotate.window_watch import call_when_window_closes
from napari_swin_umamba.plugin.dock_watch import call_when_undocked
from napari_swin_umamba.plugin.settings import Settings
from napari_swin_umamba.plugin.words import sentence
from napari_swin_umamba.project import Project

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["AnnotateWidget"]


class AnnotateWidget(QScrollArea):
    """Opens a project, and shows the sections that work on it."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        # napari passes a proxy: layers that come from it are compared with ==, never with `is`.
        self._viewer = napari_viewer
        self._settings = Settings()
        self.opened: OpenProject | None = None
        self.sections: list[Section] = []
        self.training: TrainingSections | None = None
        self.project_section = ProjectSection()
        self._content = QWidget()
        self._layout = QVBoxLayout(self._content)
        self._layout.addWidget(self.project_section)
        self._layout.addStretch(1)
        self.setWidget(self._content)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.project_section.create_wanted.connect(self.create_project)
        self.project_section.open_wanted.connect(self.open_project)
        self.project_section.close_wanted.connect(self.close_project)
        self.project_section.retry_wanted.connect(self._retry)
        self.project_section.show_project(None, self._settings.recent_projects)
        call_when_undocked(self)
        call_when_window_closes(self)

    def _make_sections(self, opened: OpenProject) -> Iterator[Section]:
        """Sections of an open project, from top to bottom: each gets the project alone."""
        yield ImagesSection(opened)
        yield ClassesSection(opened)
        if opened.project.settings.kind == "instances":
            yield ObjectsSection(opened)
        yield PaintedSection(opened)
        yield SuggestSection(opened)
        yield PredictionSection(opened)
        self.training = TrainingSections(opened)
        yield from self.training

    def add_section(self, section: Section) -> None:
        """Put a section below the others; it goes when the project is closed."""
        self.sections.append(section)
        self._layout.insertWidget(self._layout.count() - 1, section)

    def create_project(self, folder: Path, kind: str, classes: tuple[str, ...]) -> None:
        """Make a project and open it; what *New…* does."""
        try:
            Project.create(folder, "semantic" if kind == "semantic" else "instances", classes)
        except InputError as error:
            self.project_section.say_problem(sentence(str(error)))
            return
        self.open_project(folder)

    def open_project(self, folder: Path) -> None:
        """Open a project, to read only if another window has it; what *Open…* does."""
        try:
            project = Project.open(folder)
        except InputError as error:
            self.project_section.say_problem(sentence(str(error)))
            return
        if not self.close_project():
            return
        lock, why = take_lock(project.folder)
        opened = OpenProject(self._viewer, project, lock, why)
        self.opened = opened
        opened.saving.connect(self.project_section.show_saving)
        self._settings.remember_project(project.folder.absolute())
        self.project_section.show_project(opened, self._settings.recent_projects)
        for section in self._make_sections(opened):
            self.add_section(section)
        known = [image.id for image in project.images]
        if known:
            last = opened.session.image
            opened.images.show(last if last in known else known[0])

    def close_project(self) -> bool:
        """Save and close the project; return whether it is closed."""
        if self.opened is None:
            return True
        try:
            self.opened.close()
        except InputError as error:
            self.project_section.show_saving(str(error))
            return False
        self._drop()
        return True

    def shut_down(self) -> None:
        """Let go of the viewer: the dock was closed."""
        if self.opened is None:
            return
        opened, self.opened = self.opened, None
        opened.save_session()
        with suppress(InputError):  # what the disk refuses goes on being tried
            opened.flush()
        opened.abandon()

    def unsaved_problem(self) -> str:
        """Save everything, for napari is about to close; return why that does not work."""
        if self.opened is None:
            return ""
        self.opened.save_session()
        try:
            self.opened.flush()
        except InputError as error:
            return str(error)
        return ""

    def _retry(self) -> None:
        if self.opened is None:
            return
        if self.opened.read_only:
            self.open_project(self.opened.project.folder)
            return
        self.unsaved_problem()

    def _drop(self) -> None:
        self.opened = None
        for section in self.sections:
            self._layout.removeWidget(section)
            section.deleteLater()
        self.sections.clear()
        self.project_section.show_project(None, self._settings.recent_projects)
