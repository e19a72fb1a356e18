"""The project folder: opened, changed step by step, every step saved at once."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import as_path, atomic_path
from napari_swin_umamba.project.annotation import Annotation
from napari_swin_umamba.project.roles import Roles
from napari_swin_umamba.project.settings import (
    FIRST_CLASS,
    FileReference,
    ImageReference,
    ProjectClass,
    Settings,
    read_settings,
    settings_text,
)

if TYPE_CHECKING:
    from napari_swin_umamba.images import Image

__all__ = ["PROJECT_FILE", "Project", "hash_file"]

PROJECT_FILE = "project.yaml"
_BLOCK = 1 << 20


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    Raises
    ------
    InputError
        It cannot be read.
    """
    total = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                total.update(block)
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return total.hexdigest()


class Project:
    """An annotation project. Made by :meth:`open` or :meth:`create`.

    Each method that changes something has it on disk when it returns, or raises and has changed
    nothing. Whoever changes a project holds ``FolderLock(project.folder, "edit", ...)``; what was
    changed behind the back of this object nevertheless is noticed and not overwritten.

    Parameters
    ----------
    folder
        The project's folder.
    settings
        Content of its ``project.yaml``.
    text
        The same as it stands in the file.
    """

    def __init__(self, folder: Path, settings: Settings, text: str) -> None:
        self.folder = folder
        self.settings = settings
        self._text = text

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
            raise InputError(f"class names {list(names)}: {_reason(error)}") from error
        project = cls(path, settings, "")
        project._write(settings)
        return project

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
        file = path / PROJECT_FILE
        text = _read_text(file)
        if text is None:
            raise InputError(f"{path} holds no {PROJECT_FILE}: it is no annotation project")
        return cls(path, read_settings(file, text), text)

    @staticmethod
    def is_project(folder: Path) -> bool:
        """Whether a folder holds a ``project.yaml``."""
        return (folder / PROJECT_FILE).is_file()

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
        first = Path(files[0])
        spatial = [axis for axis in image.axes if axis in "ZYX"]
        if slice_axis is None and len(spatial) == 3:
            slice_axis = "Z"
        hashes = [hash_file(Path(file)) for file in files]
        for known in self.images:
            if [file.sha256 for file in known.files] == hashes:
                raise InputError(f"{first} is in the project already, as '{known.name}'")
        name = name or _stem(first)
        image_id = self._new_id(name, hashes[0])
        references = tuple(
            self._reference(Path(file), digest, image_id if copy else None)
            for file, digest in zip(files, hashes, strict=True)
        )
        added = ImageReference(
            id=image_id,
            name=name,
            files=references,
            axes=image.axes,
            shape=image.array.shape,
            slice_axis=slice_axis,
            spacing=image.spacing,
            unit=image.unit,
        )
        self._write(self._changed(images=(*self.images, added)))
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
            raise InputError(f"class '{name}': {_reason(error)}") from error
        self._write(self._changed(classes=(*self.classes, added), next_class_id=number + 1))
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
        self._write(self._changed(settings, next_class_id=number))

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
        return tuple(self._find(file, image, search) for file in image.files)

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

    def move_files(self, image_id: str, search: Iterable[Path]) -> ImageReference:
        """Find an image's files in other folders and remember where they are now.

        Raises
        ------
        InputError
            A file is nowhere.
        """
        image = self.image(image_id)
        found = self.find_files(image_id, search)
        files = tuple(
            self._reference(path, file.sha256, None)
            for path, file in zip(found, image.files, strict=True)
        )
        moved = image.model_copy(update={"files": files})
        images = tuple(moved if known.id == image_id else known for known in self.images)
        self._write(self._changed(images=images))
        return moved

    def clean_up(self) -> None:
        """Remove what writers left that were killed. For whoever holds the lock on painting."""
        for path in self.folder.glob(".*.part*"):
            path.unlink(missing_ok=True)
        for image in self.images:
            self.annotation(image.id).clean_up()

    def _changed(self, base: Settings | None = None, **fields: object) -> Settings:
        """Settings with other fields, checked as a whole."""
        data = {**(base or self.settings).model_dump(), **fields}
        try:
            return Settings.model_validate(data)
        except ValueError as error:
            raise InputError(f"{self.folder / PROJECT_FILE}: {_reason(error)}") from error

    def _write(self, settings: Settings) -> None:
        file = self.folder / PROJECT_FILE
        if (_read_text(file) or "") != self._text:
            raise InputError(
                f"{file} was changed by another program; open the project anew before changing it"
            )
        text = settings_text(settings)
        with atomic_path(file, overwrite=True) as temporary:
            temporary.write_bytes(text.encode())
        self.settings, self._text = settings, text

    def _new_id(self, name: str, digest: str) -> str:
        """A name that is one on every system, and unlike all others."""
        plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "image"
        wanted, count = f"{plain}-{digest[:6]}", 1
        while any(image.id == wanted for image in self.images):
            count += 1
            wanted = f"{plain}-{digest[:6]}-{count}"
        return wanted

    def _reference(self, path: Path, digest: str, copy_as: str | None) -> FileReference:
        if copy_as is not None:
            target = self.folder / "images" / f"{copy_as}-{path.name}"
            with atomic_path(target, overwrite=True) as temporary:
                shutil.copyfile(path, temporary)
            path = target
        path = path.absolute()
        inside = path.is_relative_to(self.folder.absolute())
        kept = path.relative_to(self.folder.absolute()) if inside else path
        return FileReference(path=kept.as_posix(), sha256=digest, size=path.stat().st_size)

    def _find(self, file: FileReference, image: ImageReference, search: Iterable[Path]) -> Path:
        wanted = Path(file.path)
        home = self.folder / wanted if file.inside else wanted
        if home.is_file():
            return home
        for folder in (self.folder / "images", self.folder, self.folder.parent, *search):
            other = folder / wanted.name
            if (
                other.is_file()
                and other.stat().st_size == file.size
                and hash_file(other) == file.sha256
            ):
                return other
        raise InputError(
            f"the file {home} of image '{image.name}' is not there any more; put it back, or say "
            "in which folder it is now"
        )


def _stem(path: Path) -> str:
    from napari_swin_umamba.images import stem_of

    return stem_of(path)


def _reason(error: ValueError) -> str:
    """The first complaint of pydantic in one line."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return str(error.errors(include_url=False)[0]["msg"]).removeprefix("Value error, ")
    return str(error)


def _read_text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text, it may be damaged") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
