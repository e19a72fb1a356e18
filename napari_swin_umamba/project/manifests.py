"""What the two archives say about themselves: jobs that leave a project, results that come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_swin_umamba.archives import Archive, Packed
from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.project.comparison import Comparison
from napari_swin_umamba.project.roles import Roles
from napari_swin_umamba.project.settings import ProjectClass

__all__ = [
    "JOB_FILE",
    "RECIPE_FILE",
    "RESULT_FILE",
    "Beginning",
    "ClassName",
    "FileEntry",
    "JobManifest",
    "ResultManifest",
    "class_names",
    "file_entries",
    "program_version",
    "read_manifest",
]

JOB_FILE, RESULT_FILE, RECIPE_FILE = "job.json", "result.json", "recipe.yaml"
_SHA256 = r"^[0-9a-f]{64}$"
_ID = r"^[0-9a-f]{16}$"


class _Frozen(BaseModel):
    """Immutable; fields that a newer version of format 1 added are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ClassName(_Frozen):
    """A class of the project, as it was called when the job was exported."""

    id: int
    name: str


class FileEntry(_Frozen):
    """A file of the archive."""

    name: str
    size: int = Field(ge=0)
    sha256: str = Field(pattern=_SHA256)


class Beginning(_Frozen):
    """What a training starts from."""

    init: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$")
    """``none``, ``imagenet``, ``project`` (its current model), the name of a bundled model, or
    ``file``."""
    file: str = ""
    """The model in the archive, where `init` is ``file``."""
    arch: str | None = Field(default=None, pattern=r"^[a-z0-9-]{1,40}$")
    """Network, where there is no model that has one."""


class _Manifest(_Frozen):
    format: Literal[1] = 1
    id: str = Field(pattern=_ID)
    """Drawn when the job is exported; its results have the same."""
    created: str
    """ISO 8601, UTC."""
    program: str = ""
    """Version of the program that wrote the archive."""
    project: str = Field(max_length=200)
    """Name of the project."""
    project_uid: str = Field(pattern=r"^[0-9a-f]{0,32}$")
    kind: Literal["semantic", "instances"]
    classes: tuple[ClassName, ...]
    images: Mapping[str, tuple[str, ...]]
    """SHA-256 of the files of each annotated image, by its id."""
    annotations: Mapping[str, str]
    """SHA-256 of each file of annotations: ``IMAGE/z00012.tif``."""
    current: str | None = Field(default=None, pattern=_SHA256)
    """SHA-256 of the project's model when the job was exported; None: it had none."""
    files: tuple[FileEntry, ...]
    """All files of the archive but this one."""

    @property
    def packed(self) -> tuple[Packed, ...]:
        """The files, for :meth:`Archive.unpack`."""
        return tuple(Packed(file.name, file.size, file.sha256) for file in self.files)


class JobManifest(_Manifest):
    """The whole of ``job.json``."""

    what: Literal["swin-umamba job"] = "swin-umamba job"
    folder: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,59}$")
    """The project's folder in the archive."""
    start: Beginning


class ResultManifest(_Manifest):
    """The whole of ``result.json``."""

    what: Literal["swin-umamba result"] = "swin-umamba result"
    start: str
    """What was trained from, for people."""
    steps: int = Field(ge=0)
    seconds: float = Field(ge=0)
    reason: str = ""
    """Why the run ended."""
    roles: Roles
    """Which blocks were learned from, and which held out."""
    comparison: Comparison | None = None
    """Beside the model `current`, or what was started from; None: it was not judged."""
    not_compared: str = ""
    """Why not."""


M = TypeVar("M", JobManifest, ResultManifest)


def read_manifest(archive: Archive, kind: type[M]) -> M:
    """Read what an archive says about itself, and see that it lists all its files.

    Parameters
    ----------
    archive
        A job, or a result.
    kind
        Which of both it must be.

    Raises
    ------
    InputError
        It is another kind of archive, of a newer version, or a field is missing or wrong.
    """
    name, other = (JOB_FILE, RESULT_FILE) if kind is JobManifest else (RESULT_FILE, JOB_FILE)
    if name not in archive.names:
        if other not in archive.names:
            raise InputError(f"{archive.path} is no archive of this program: it holds no {name}")
        raise InputError(
            f"{archive.path} is a result, not a job: import it into its project"
            if kind is JobManifest
            else f"{archive.path} is a job, not a result: train it first (swin-umamba train), and "
            "import the result.zip of its run"
        )
    text = archive.read(name)
    try:
        manifest = kind.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"][:3]) or "as a whole"
        if problem["loc"][:1] == ("format",) and isinstance(problem["input"], int):
            raise InputError(
                f"{archive.path} has format {problem['input']}, made by a newer version of "
                "napari-swin-umamba, which this one (format 1) cannot read; update it"
            ) from error
        raise InputError(
            f"{archive.path}, {name}, {place}: {problem['msg'].removeprefix('Value error, ')} "
            f"(received {shown(problem['input'])})"
        ) from error
    listed: list[str] = [file.name for file in manifest.files]
    if len(set(listed)) < len(listed) or set(archive.names) != {name, *listed}:
        raise InputError(
            f"{archive.path} does not hold what its {name} lists; copy it again from where it was "
            "made"
        )
    return manifest


def class_names(classes: Sequence[ProjectClass]) -> tuple[ClassName, ...]:
    """Ids and names, as manifests have them."""
    return tuple(ClassName(id=item.id, name=item.name) for item in classes)


def file_entries(files: Sequence[Packed]) -> tuple[FileEntry, ...]:
    """Files, as manifests have them."""
    return tuple(FileEntry(name=file.name, size=file.size, sha256=file.sha256) for file in files)


def program_version() -> str:
    """Version of this program."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("napari-swin-umamba")
    except PackageNotFoundError:
        return ""
