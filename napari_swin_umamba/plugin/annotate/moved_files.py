"""Image files that are not where they were, or not what they were."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.runner import Runner
from napari_swin_umamba.plugin.worker import Channel, Failure, Progress
from napari_swin_umamba.project import Project

__all__ = ["MovedFiles", "find_moved"]


class MovedFiles(QObject):
    """Looks for lost images in a folder, in the background: all of them, for they moved together.

    Parameters
    ----------
    opened
        The project.
    parent
        Takes it along when it is deleted.
    """

    found = Signal(str)
    """The image that was asked for can be opened: its id."""
    failed = Signal(str, str)
    """It cannot: its id, and why."""
    progress = Signal(object)
    """A ``Progress``."""

    def __init__(self, opened: OpenProject, parent: QObject) -> None:
        super().__init__(parent)
        self._opened = opened
        self._wanted, self._folder = "", Path()
        self._runner = Runner(self)
        self._runner.progress.connect(self.progress)
        self._runner.ended.connect(self._on_ended)
        opened.closed.connect(self._runner.abandon)

    @property
    def running(self) -> bool:
        """Whether it is looking."""
        return self._runner.running

    def look(self, image_id: str, folder: Path) -> None:
        """Begin to look; ``found`` or ``failed`` follows.

        Parameters
        ----------
        image_id
            The image that is wanted.
        folder
            Where.
        """
        if self.running:
            return
        self._wanted, self._folder = image_id, folder
        self._runner.start(partial(find_moved, self._opened.project, folder))

    def _on_ended(self, outcome: Any) -> None:
        if isinstance(outcome, Failure) or outcome is None:
            self.failed.emit(self._wanted, outcome.message if outcome else "It was stopped.")
            return
        try:
            if self._opened.read_only:  # for as long as the project is open
                self._opened.images.elsewhere.update(outcome)
            elif outcome:
                self._opened.project.remember_files(outcome)
        except InputError as error:
            self.failed.emit(self._wanted, str(error))
            return
        if self._wanted in outcome:
            self.found.emit(self._wanted)
            return
        name = self._opened.project.image(self._wanted).name
        why = f"no file in {self._folder} has the name and the content that '{name}' had"
        self.failed.emit(self._wanted, why)


def find_moved(project: Project, folder: Path, channel: Channel) -> dict[str, tuple[Path, ...]]:
    """Find the images whose files lie in a folder now; for a thread.

    Parameters
    ----------
    project
        Whose images.
    folder
        Where to look.
    channel
        To report to.

    Returns
    -------
    dict
        Id of each image that was found there, and its files.
    """
    found = {}
    for number, image in enumerate(project.images):
        channel.stop_if_asked()
        channel.report(Progress(f"Looking for “{image.name}”…", number / len(project.images)))
        with suppress(InputError):
            files = project.find_files(image.id, [folder])
            if any(file.parent == folder for file in files):
                found[image.id] = files
    return found
