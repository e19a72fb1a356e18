"""Recipes as YAML files that a person can read, and single fields changed by name.

Three recipes come with the package (``recipes/*.yaml``): ``paper``, ``finetune`` and ``quick``. A
file holds what differs from the defaults of :mod:`swin_umamba_training.recipe`, or from another
recipe that it names as its ``base``; the resolved recipe of a run, complete and with the meaning of
each field, is its ``recipe.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from napari_swin_umamba.errors import InputError, shown
from swin_umamba_training.recipe import Recipe

__all__ = [
    "apply_overrides",
    "build_recipe",
    "bundled_recipes",
    "load_recipe",
    "recipe_fields",
    "recipe_to_yaml",
]

_FOLDER = Path(__file__).with_name("recipes")


def bundled_recipes() -> dict[str, Path]:
    """Recipes that come with the package, by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.yaml"))}


def load_recipe(source: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe and change single fields of it.

    Parameters
    ----------
    source
        Name of a bundled recipe, or path of a YAML file.
    overrides
        Values by field, ``{"optimizer.lr": 1e-4}``.

    Raises
    ------
    InputError
        There is no such recipe, it is no YAML, or a field is unknown or out of range.
    """
    bundled = bundled_recipes()
    path = bundled.get(str(source)) or Path(source).expanduser()
    if not path.is_file():
        raise InputError(
            f"unknown recipe {shown(str(source))}: give one of {', '.join(bundled)}, or a YAML "
            "file (--recipe)"
        )
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:  # ValueError: dates
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read the recipe {path}: {reason} (--recipe)") from error
    if not isinstance(data, dict):
        raise InputError(f"the recipe {path} holds no fields (--recipe)")
    if path in bundled.values():
        data = {"name": path.stem, **data}
    elif (base := data.pop("base", None)) is not None:
        data = _on_base(base, data, path)
    return build_recipe(data, overrides or {}, f"the recipe {path}: ")


def _on_base(base: object, data: dict[str, Any], path: Path) -> dict[str, Any]:
    """What a recipe changes of one that comes with the package."""
    file = bundled_recipes().get(str(base))
    if file is None:
        known = ", ".join(bundled_recipes())
        raise InputError(f"the recipe {path}: base must be one of {known}, not {shown(str(base))}")
    merged: dict[str, Any] = {"name": file.stem, **yaml.safe_load(file.read_text("utf-8"))}
    for key, value in data.items():
        section = merged.get(key)
        if isinstance(section, dict) and isinstance(value, dict):
            merged[key] = {**section, **value}
        else:
            merged[key] = value
    return merged


def build_recipe(data: Mapping[str, Any], overrides: Mapping[str, Any], where: str = "") -> Recipe:
    """Validate nested fields with some of them replaced; see :func:`load_recipe`."""
    merged: dict[str, Any] = {
        key: dict(value) if isinstance(value, dict) else value for key, value in data.items()
    }
    for name, value in overrides.items():
        _check_field(name)
        section, _, key = name.rpartition(".")
        if not section:
            merged[key] = value
            continue
        if not isinstance(merged.setdefault(section, {}), dict):
            raise InputError(f"{where}{section} must hold fields, not {shown(merged[section])}")
        merged[section][key] = value
    try:
        return Recipe.model_validate(merged)
    except ValidationError as error:
        raise InputError(_complaint(error, set(overrides), where)) from error


_FLAGS = {
    "length.steps": "--steps",
    "length.minutes": "--minutes",
    "optimizer.lr": "--learning-rate",
    "sampling.batch": "--batch",
    "sampling.patch": "--patch",
    "validation.every": "--val-every",
}
"""Fields that have a flag of their own."""


def _complaint(error: ValidationError, overrides: set[str], where: str) -> str:
    problem = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in problem["loc"][:2] if not isinstance(part, int))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] != "value_error":  # pydantic's own words do not say what was received
        message = f"{message[0].lower()}{message[1:]}, not {shown(str(problem['input']))}"
    if field not in overrides:
        return f"{where}{field or 'recipe'}: {message}"
    return f"{_FLAGS.get(field, f'--set {field}')}: {message}"


def _check_field(name: str) -> None:
    known = [field for field, _, _ in recipe_fields()]
    if name not in known:
        alike = [field for field in known if name.rpartition(".")[2] in field][:3]
        hint = f"did you mean {' or '.join(alike)}?" if alike else "see 'swin-umamba recipes show'"
        raise InputError(f"--set {shown(name)}: no such field of a recipe; {hint}")


def apply_overrides(texts: Sequence[str]) -> dict[str, Any]:
    """Take ``optimizer.lr=1e-4`` apart; values are YAML.

    Parameters
    ----------
    texts
        As given with ``--set``.

    Raises
    ------
    InputError
        One has no ``=``, an unknown field, or a value that is no YAML.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"--set {shown(text)}: give FIELD=VALUE, as optimizer.lr=1e-4")
        _check_field(name.strip())
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--set {shown(text)}: the value cannot be read") from error
        # YAML 1.1 takes 1e-4, without a dot, for text.
        if isinstance(parsed, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+", parsed):
            parsed = float(parsed)
        values[name.strip()] = parsed
    return values


def recipe_fields(recipe: Recipe | None = None) -> Iterator[tuple[str, Any, str]]:
    """Every field of a recipe: its full name, its value, and what it means.

    Parameters
    ----------
    recipe
        Whose values; by default the defaults.
    """
    recipe = recipe or Recipe()
    for name, info in Recipe.model_fields.items():
        value = getattr(recipe, name)
        if not isinstance(value, BaseModel):
            yield name, value, info.description or ""
            continue
        for key, inner in type(value).model_fields.items():
            yield f"{name}.{key}", getattr(value, key), inner.description or ""


def recipe_to_yaml(recipe: Recipe) -> str:
    """Write a recipe as YAML that explains itself; :func:`load_recipe` reads it back.

    Parameters
    ----------
    recipe
        All its fields are written, those with default values, too.
    """
    lines: list[str] = []
    section = ""
    for name, value, meaning in recipe_fields(recipe):
        parent, _, key = name.rpartition(".")
        if parent != section:
            section = parent
            doc = type(getattr(recipe, parent)).__doc__ or ""
            lines += ["", f"# {doc.splitlines()[0]}", f"{parent}:"]
        indent = "  " if parent else ""
        lines += [f"{indent}# {line}" for line in meaning.splitlines()]
        lines.append(f"{indent}{key}: {_yaml_value(value)}")
    return "\n".join(lines) + "\n"


def _yaml_value(value: Any) -> str:
    if isinstance(value, float):
        # With a dot: YAML 1.1 takes 1e-05 for text.
        text = repr(value)
        mantissa, e, exponent = text.partition("e")
        return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else text
    if isinstance(value, tuple):
        return f"[{', '.join(_yaml_value(item) for item in value)}]"
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("...").rstrip("\n")
