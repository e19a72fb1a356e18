"""``project.yaml`` as a file: checked as a whole when read, and before it is replaced."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from napari_swin_umamba.errors import InputError, shown
from napari_swin_umamba.files import atomic_path
from napari_swin_umamba.project.settings import FORMAT, Settings

__all__ = ["PROJECT_FILE", "SettingsFile", "complaint", "settings_text"]

PROJECT_FILE = "project.yaml"
_HEADING = "# An annotation project of napari-swin-umamba. Ids of classes never change.\n"


class SettingsFile:
    """The settings of one project, as they were read or written last.

    Parameters
    ----------
    path
        The file.
    settings
        Its content.
    text
        The same as it stands in the file; empty, where there is none yet.
    """

    def __init__(self, path: Path, settings: Settings, text: str = "") -> None:
        self.path = path
        self.settings = settings
        self._text = text

    @classmethod
    def read(cls, path: Path) -> SettingsFile:
        """Read it.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        InputError
            There is none, or it is damaged or of a newer version.
        """
        text = _read_text(path)
        if text is None:
            raise InputError(f"{path.parent} holds no {path.name}: it is no annotation project")
        return cls(path, _parse(path, text), text)

    def change(self, base: Settings | None = None, **fields: object) -> None:
        """Write settings with other fields, checked as a whole.

        Parameters
        ----------
        base
            What the other fields are taken from; None: the settings as they are.
        fields
            Those that become others.

        Raises
        ------
        InputError
            They are not consistent, or the file was changed by another program.
        """
        data = {**(base or self.settings).model_dump(), **fields}
        try:
            settings = Settings.model_validate(data)
        except ValueError as error:
            raise InputError(f"{self.path}: {complaint(error)}") from error
        self.write(settings)

    def write(self, settings: Settings) -> None:
        """Replace the file whole.

        Raises
        ------
        InputError
            Another program changed it, or the disk refuses.
        """
        if (_read_text(self.path) or "") != self._text:
            raise InputError(
                f"{self.path} was changed by another program; open the project anew before "
                "changing it"
            )
        text = settings_text(settings)
        with atomic_path(self.path, overwrite=True) as temporary:
            temporary.write_bytes(text.encode())
        self.settings, self._text = settings, text


def settings_text(settings: Settings) -> str:
    """Return settings as YAML."""
    import yaml

    data = settings.model_dump(mode="json")
    return _HEADING + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)


def _parse(path: Path, text: str) -> Settings:
    """Settings of a file, which is named where it is no YAML, too new, or wrong in a field."""
    import yaml

    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: dates, numbers
        reason = " ".join(str(error).split())
        raise InputError(f"{path} is not YAML, it may be damaged: {shown(reason, 200)}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} does not hold a project: {shown(data)}")
    version = data.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise InputError(
            f"{path} has format {version}, made by a newer version of napari-swin-umamba, which "
            f"this one (format {FORMAT}) cannot read; update it"
        )
    if version != FORMAT:
        raise InputError(f"{path} does not hold a project: its format is {shown(version)}, not 1")
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"]) or "as a whole"
        message = problem["msg"].removeprefix("Value error, ")
        raise InputError(
            f"{path}, {place}: {message} (received {shown(problem['input'])})"
        ) from error


def complaint(error: ValueError) -> str:
    """The first complaint of pydantic in one line."""
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
