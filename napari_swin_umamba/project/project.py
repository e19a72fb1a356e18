"""The project folder: opened, changed step by step, every step saved at once."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import as_path, hash_file
from napari_swin_umamba.project.annotation import Annotation
from napari_swin_umamba.project.image_files import (
    find_file,
    refer_to_file,
    refer_to_image,
)
from napari_swin_umamba.project.roles import Roles
from napari_swin_umamba.project.settings import (
    FIRST_CLASS,
    ImageReference,
    ProjectClass,
    Settings,
)
from napari_swin_umamba.project.settings_file import PROJECT_FILE, SettingsFile, complaint

if TYPE_CHECKING:
    from napari_swin_umamba.images import Image

__all__ = ["Project"]


class Project:
    """An annotation project. Made by :meth:`open` or :meth:`create`.

    Each method that changes something has it on disk when it returns, or raises and has changed
    nothing. Whoever changes a project holds ``FolderLock(project.folder, "edit", ...)``; what was
    changed behind the back of this object nevertheless is noticed and not overwritten.

    Parameters
    ----------
    folder
        The project's folder.
    file
        Its ``project.yaml``.
    """

    def __init__(self, folder: Path, file: SettingsFile) -> None:
        self.folder = folder
        self._file = file

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        kind: Literal["semantic", "instances"],
        classes: Sequence[str] = (),
        channel_names: Sequence[str] = (),
    ) -> Project:
        """Make a new project.

        Parameters
        ----------
        folder
            New, or without files.
        kind
            ``"semantic"``: annotations hold classes. ``"instances"``: they number objects.
        classes
            Names of the classes, from id 2 on; of the one kind of objects (default ``object``).
        channel_names
            What the channels of all images show, if that is known.

        Raises
        ------
        InputError
            The folder holds something, or cannot be made; the names are not different.
        """
        path = as_path(folder)
        names = tuple(classes) or (("object",) if kind == "instances" else ())
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                what = "already holds a project" if (path / PROJECT_FILE).exists() else "is in use"
                raise InputError(f"{path} {what}; choose a new or empty folder")
            items = tuple(
                ProjectClass(id=FIRST_CLASS + index, name=name) for index, name in enumerate(names)
            )
            settings = Settings(
                uid=secrets.token_hex(8),
                kind=kind,
                classes=items,
                next_class_id=FIRST_CLASS + len(items),
                channel_names=tuple(channel_names),
            )
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make {path}: {error.strerror or error}") from error
        except InputError:
            raise
        except ValueError as error:  # pydantic's
            raise InputError(f"class names {list(names)}: {complaint(error)}") from error
        file = SettingsFile(path / PROJECT_FILE, settings)
        file.write(settings)
        return cls(path, file)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Project:
        """Open a project to read it, or to change it under a lock.

        Parameters
        ----------
        folder
            The project's folder, or its ``project.yaml``.

        Raises
        ------
        InputError
            There is none, or its ``project.yaml`` is damaged or of a newer version.
        """
        path = as_path(folder)
        path = path.parent if path.name == PROJECT_FILE else path
        return cls(path, SettingsFile.read(path / PROJECT_FILE))

    @staticmethod
    def is_project(folder: Path) -> bool:
        """Whether a folder holds a ``project.yaml``."""
        return (folder / PROJECT_FILE).is_file()

    @property
    def settings(self) -> Settings:
        """What ``project.yaml`` holds."""
        return self._file.settings

    @property
    def images(self) -> tuple[ImageReference, ...]:
        """All images, in the order they were added."""
        return self.settings.images

    @property
    def classes(self) -> tuple[ProjectClass, ...]:
        """All classes but the background."""
        return self.settings.classes

    def image(self, image_id: str) -> ImageReference:
        """Return an image by its id.

        Raises
        ------
        InputError
            There is none.
        """
        for image in self.images:
            if image.id == image_id:
                return image
        raise InputError(f"the project {self.folder} has no image '{image_id}'")

    def annotation(self, image_id: str) -> Annotation:
        """What was painted on an image; see :class:`Annotation`."""
        return Annotation(self.folder / "annotations" / image_id, self.image(image_id))

    @property
    def roles(self) -> Roles:
        """Which blocks of slices are held out, as the file says now."""
        return Roles.read(self.folder / "roles.json")

    def save_roles(self, roles: Roles) -> None:
        """Write which blocks are held out; see :meth:`Roles.assigned`."""
        roles.write(self.folder / "roles.json")

    def add_image(
        self,
        files: Sequence[Path],
        image: Image,
        name: str | None = None,
        slice_axis: Literal["Z", "Y", "X"] | None = None,
        copy: bool = False,
    ) -> ImageReference:
        """Add an image.

        Parameters
        ----------
        files
            Its file, or one for each channel.
        image
            What the (first) file holds, as ``read_image`` or ``read_geometry`` returned it.
        name
            For people; by default the file's.
        slice_axis
            Of a volume; by default the one with the coarsest spacing is for the caller to choose,
            and here it is the first.
        copy
            Copy the files into the project, instead of remembering where they are.

        Raises
        ------
        InputError
            A file cannot be read or copied, or the image is in the project already.
        """
        added = refer_to_image(self.folder, self.images, files, image, name, slice_axis, copy)
        self._file.change(images=(*self.images, added))
        return added

    def add_class(self, name: str, color: str = "") -> ProjectClass:
        """Add a class under an id that no class ever had.

        Raises
        ------
        InputError
            The name is taken, or the project numbers objects.
        """
        number = self.settings.next_class_id
        try:
            added = ProjectClass(id=number, name=name, color=color)
        except ValueError as error:
            raise InputError(f"class '{name}': {complaint(error)}") from error
        self._file.change(classes=(*self.classes, added), next_class_id=number + 1)
        return added

    def replace_settings(self, settings: Settings) -> None:
        """Save other settings, for instance with a class renamed or removed, or to undo that.

        Ids stay used: ``next_class_id`` never falls.

        Parameters
        ----------
        settings
            The new ones.

        Raises
        ------
        InputError
            They are not consistent, or the file was changed by another program.
        """
        number = max(settings.next_class_id, self.settings.next_class_id)
        self._file.change(settings, next_class_id=number)

    def find_files(self, image_id: str, search: Iterable[Path] = ()) -> tuple[Path, ...]:
        """Find the files of an image: where they were, or under their name in other folders.

        A file that lies elsewhere must have the content it had. One at its old place is taken
        unread, for reading large files takes long (see :meth:`changed_files`).

        Parameters
        ----------
        image_id
            Which image.
        search
            Folders to look in beside the project's own ``images/`` and the project's folder.

        Raises
        ------
        InputError
            A file is nowhere.
        """
        image = self.image(image_id)
        return tuple(find_file(self.folder, file, image.name, search) for file in image.files)

    def changed_files(self, image_id: str) -> tuple[Path, ...]:
        """Files of an image whose content is not what it was when the image was added.

        Raises
        ------
        InputError
            A file is nowhere.
        """
        image = self.image(image_id)
        found = self.find_files(image_id)
        return tuple(
            path
            for path, file in zip(found, image.files, strict=True)
            if hash_file(path) != file.sha256
        )

    def remember_files(self, found: Mapping[str, Sequence[Path]]) -> None:
        """Remember where files of images are now.

        Parameters
        ----------
        found
            For an image's id, what :meth:`find_files` returned.

        Raises
        ------
        InputError
            The disk refuses, or the file was changed by another program.
        """
        self._file.change(images=tuple(self._moved(image, found) for image in self.images))

    def _moved(self, image: ImageReference, found: Mapping[str, Sequence[Path]]) -> ImageReference:
        files = tuple(
            refer_to_file(self.folder, path, file.sha256)
            for path, file in zip(found.get(image.id, ()), image.files, strict=False)
        )
        return image.model_copy(update={"files": files}) if files else image

    def clean_up(self) -> None:
        """Remove what writers left that were killed. For whoever holds the lock on painting."""
        for path in self.folder.glob(".*.part*"):
            path.unlink(missing_ok=True)
        for image in self.images:
            self.annotation(image.id).clean_up()
