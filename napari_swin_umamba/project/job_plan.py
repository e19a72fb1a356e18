"""What a job would hold, and how large it would be: nothing is written yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_swin_umamba.archives import safe_name
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.files import as_path
from napari_swin_umamba.project.manifests import Beginning
from napari_swin_umamba.project.models import ModelList, ProjectModels
from napari_swin_umamba.project.project import Project
from napari_swin_umamba.project.roles import Block, Roles
from napari_swin_umamba.project.settings import FileReference, ImageReference

__all__ = ["JobPlan", "painted_blocks", "plan_job"]

VAL_FRACTION = 0.2
"""Share of the blocks that is held out, as in trainings on this computer."""
START_FOLDER = "start"
_BY_NAME = ("none", "imagenet", "project")


@dataclass(frozen=True)
class JobPlan:
    """What goes into a job, and how large that is."""

    project: Project
    roles: Roles
    """Every painted block has one."""
    images: tuple[ImageReference, ...]
    """The annotated ones, with their places in the archive."""
    image_files: Mapping[str, Path]
    """Where each image file lies now, by its place in the project of the archive."""
    annotation_files: Mapping[str, Path]
    models: ModelList
    model_files: Mapping[str, Path]
    start: Beginning
    start_file: Path | None
    """Of a model that is none of the project's."""
    recipe: str
    """YAML."""
    total: int
    """Bytes."""

    @property
    def settles_roles(self) -> bool:
        """Whether blocks get a role by this job."""
        return self.roles != self.project.roles


def plan_job(project: Project, start: str, recipe: str, arch: str | None = None) -> JobPlan:
    """Find out what a job would hold, without writing anything.

    Parameters
    ----------
    project
        With all strokes on disk.
    start
        As ``--init`` of ``swin-umamba train`` has it: ``none``, ``imagenet``, ``project``, a
        bundled model's name, or a model file.
    recipe
        YAML, as ``--recipe`` takes it.
    arch
        Network, where `start` is no model.

    Raises
    ------
    InputError
        Nothing is painted, an image or the start model is not there, or a file cannot be read.
    """
    images: list[ImageReference] = []
    image_files: dict[str, Path] = {}
    annotation_files: dict[str, Path] = {}
    for image in project.images:
        annotation = project.annotation(image.id)
        painted = {annotation.file(position) for position in annotation.painted()}
        marks = {
            annotation.file(position).with_suffix(".complete") for position in annotation.complete()
        }
        if not painted | marks:
            continue
        annotation_files |= {f"{image.id}/{file.name}": file for file in sorted(painted | marks)}
        images.append(_relocated(project, image, image_files))
    if not images:
        raise InputError(
            f"nothing is annotated in the project {project.folder}; paint a slice first"
        )
    models = ProjectModels(project.folder)
    known = models.read()
    model_files: dict[str, Path] = {}
    if known.current is not None:
        file = models.path(known.current)
        model_files[file.name] = file
    beginning, start_file = _beginning(start, arch, models, model_files)
    files = [*image_files.values(), *annotation_files.values(), *model_files.values()]
    return JobPlan(
        project,
        project.roles.drawn(painted_blocks(project), VAL_FRACTION, 0),
        tuple(images),
        image_files,
        annotation_files,
        known,
        model_files,
        beginning,
        start_file,
        recipe,
        sum(_size(file) for file in (*files, *([start_file] if start_file else []))),
    )


def painted_blocks(project: Project) -> list[Block]:
    """All blocks in which something is painted.

    Raises
    ------
    InputError
        The project's files cannot be read.
    """
    roles, found = project.roles, []
    for image in project.images:
        axis = image.block_axis
        index = image.fixed_axes.index(axis) if axis is not None else None
        for position in project.annotation(image.id).annotated():
            found.append(roles.block_of(image.id, None if index is None else position[index]))
    return list(dict.fromkeys(found))


def _relocated(project: Project, image: ImageReference, taken: dict[str, Path]) -> ImageReference:
    """An image with its places in the archive; where its files lie now goes into `taken`."""
    from napari_swin_umamba.images.itk_header import data_files

    references: list[FileReference] = []
    for number, (path, file) in enumerate(
        zip(project.find_files(image.id), image.files, strict=True)
    ):
        beside = data_files(path)
        folder = f"images/{image.id}"
        if len(image.files) > 1:
            folder += f"/{number}"
        place = f"{folder}/{safe_name(path.name)}"
        taken[place] = path
        for other in beside:
            if other.parent != path.parent or safe_name(other.name) != other.name:
                raise InputError(
                    f"{path} is only a header, and its data lie elsewhere: {other}; save it as one "
                    "file (.nrrd, .mha) and add that one"
                )
            taken[f"{folder}/{other.name}"] = other
        references.append(file.model_copy(update={"path": place}))
    return image.model_copy(update={"files": tuple(references)})


def _beginning(
    start: str, arch: str | None, models: ProjectModels, model_files: dict[str, Path]
) -> tuple[Beginning, Path | None]:
    """What to start from, and its file if it is no model of the project."""
    known = models.read()
    if start == "project" and known.current is None:
        raise InputError(
            "the project has no model yet; start from nothing or from another model (--init)"
        )
    if start in _BY_NAME or re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", start):
        return Beginning(init=start, arch=arch), None
    path = as_path(start)
    if not path.is_file() or path.suffix != ".safetensors":
        raise InputError(f"no such model file: {path}; give a .safetensors file (--init)")
    for record in known.models:
        if models.path(record).absolute() == path.absolute():
            model_files[path.name] = path
            return Beginning(init="file", file=f"models/{path.name}"), None
    return Beginning(init="file", file=f"{START_FOLDER}/{safe_name(path.name)}"), path


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError as error:
        raise InputError(f"no such file: {file}") from error
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
