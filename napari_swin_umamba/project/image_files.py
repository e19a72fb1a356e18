"""The files of an image: referred to by place and content, and found again where they moved."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import atomic_path, hash_file
from napari_swin_umamba.project.settings import FileReference, ImageReference

if TYPE_CHECKING:
    from napari_swin_umamba.images import Image

__all__ = ["find_file", "refer_to_file", "refer_to_image"]


def refer_to_image(
    project: Path,
    known: Sequence[ImageReference],
    files: Sequence[Path],
    image: Image,
    name: str | None = None,
    slice_axis: Literal["Z", "Y", "X"] | None = None,
    copy: bool = False,
) -> ImageReference:
    """Refer to an image that a project does not have yet.

    Parameters
    ----------
    project
        The project's folder.
    known
        The images that it has.
    files, image, name, slice_axis, copy
        As :meth:`.Project.add_image` takes them.

    Raises
    ------
    InputError
        A file cannot be read or copied, or the image is known.
    """
    from napari_swin_umamba.images import stem_of

    first = Path(files[0])
    spatial = [axis for axis in image.axes if axis in "ZYX"]
    if slice_axis is None and len(spatial) == 3:
        slice_axis = "Z"
    hashes = [hash_file(Path(file)) for file in files]
    for other in known:
        if [file.sha256 for file in other.files] == hashes:
            raise InputError(f"{first} is in the project already, as '{other.name}'")
    name = name or stem_of(first)
    image_id = _new_id(name, hashes[0], {other.id for other in known})
    places = [Path(file) for file in files]
    if copy:
        places = [_copy(path, project / "images" / f"{image_id}-{path.name}") for path in places]
    return ImageReference(
        id=image_id,
        name=name,
        files=tuple(
            refer_to_file(project, path, digest)
            for path, digest in zip(places, hashes, strict=True)
        ),
        axes=image.axes,
        shape=image.array.shape,
        slice_axis=slice_axis,
        spacing=image.spacing,
        unit=image.unit,
    )


def refer_to_file(project: Path, path: Path, digest: str) -> FileReference:
    """Refer to a file of an image.

    Parameters
    ----------
    project
        The project's folder.
    path
        Where the file is.
    digest
        Its SHA-256.
    """
    path, project = path.absolute(), project.absolute()
    kept = path.relative_to(project) if path.is_relative_to(project) else path
    return FileReference(path=kept.as_posix(), sha256=digest, size=path.stat().st_size)


def find_file(project: Path, file: FileReference, name: str, search: Iterable[Path]) -> Path:
    """Find a file where it was, or under its name and with its content in another folder.

    Parameters
    ----------
    project
        The project's folder.
    file
        Which file.
    name
        Of its image, for messages.
    search
        Folders to look in beside those of the project.

    Raises
    ------
    InputError
        It is nowhere.
    """
    wanted = Path(file.path)
    home = project / wanted if file.inside else wanted
    if home.is_file():
        return home
    for folder in (project / "images", project, project.parent, *search):
        other = folder / wanted.name
        if (
            other.is_file()
            and other.stat().st_size == file.size
            and hash_file(other) == file.sha256
        ):
            return other
    raise InputError(
        f"the file {home} of image '{name}' is not there any more; put it back, or say in which "
        "folder it is now"
    )


def _copy(path: Path, target: Path) -> Path:
    with atomic_path(target, overwrite=True) as temporary:
        shutil.copyfile(path, temporary)
    return target


def _new_id(name: str, digest: str, taken: set[str]) -> str:
    """A name that is one on every system, and unlike all others."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "image"
    wanted, count = f"{plain}-{digest[:6]}", 1
    while wanted in taken:
        count += 1
        wanted = f"{plain}-{digest[:6]}-{count}"
    return wanted
