"""What is installed is what the repository holds, and declares all that it needs."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import distribution, entry_points, packages_distributions
from pathlib import Path
from typing import Any

import pytest
from npe2 import PluginManifest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
NAME = "napari-swin-umamba"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def declared(extra: str | None = None) -> dict[str, Requirement]:
    lines = PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"]
    return {canonicalize_name(need.name): need for need in map(Requirement, lines)}


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): number for name, number in pairs}


def test_installed_manifest_is_the_one_in_the_repository() -> None:
    installed = distribution(NAME).locate_file("napari_swin_umamba_manifest/napari.yaml")
    assert installed.read_text("utf-8") == (ROOT / "napari.yaml").read_text("utf-8"), (
        "napari.yaml changed: reinstall with `pip install -e .`"
    )


def test_manifest_is_found_by_its_entry_point() -> None:
    (found,) = [e for e in entry_points(group="napari.manifest") if e.name == NAME]
    assert found.value == "napari_swin_umamba_manifest:napari.yaml"
    assert PluginManifest.from_distribution(NAME).name == NAME == PROJECT["name"]


@pytest.mark.window
def test_every_command_of_the_manifest_can_be_imported() -> None:
    PluginManifest.from_file(ROOT / "napari.yaml").validate_imports()


def test_the_program_is_installed() -> None:
    (program,) = [e for e in entry_points(group="console_scripts") if e.name == "swin-umamba"]
    assert program.value == "swin_umamba_training.cli:app"
    assert callable(program.load())


def test_everything_imported_is_declared() -> None:
    """Third-party packages imported anywhere; napari brings pint and psutil along.

    Kernels for GPUs are extras, imported where they are there: not in this environment, perhaps.
    """
    imported: dict[str, Path] = {}
    for folder in (ROOT / "napari_swin_umamba", ROOT / "training"):
        for file in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module or ""]
                else:
                    continue
                imported.update({name.partition(".")[0]: file for name in names})
    ours = {"napari_swin_umamba", "swin_umamba_training"}
    third_party = imported.keys() - ours - set(sys.stdlib_module_names)
    homes = packages_distributions()
    allowed = declared().keys() | {"napari", "pint", "psutil", "triton", "mamba-ssm"}
    for name in sorted(third_party):
        needed = {canonicalize_name(home) for home in homes.get(name, [name])}
        assert needed & allowed, f"{imported[name]} imports {name}, which is not declared"


@pytest.mark.parametrize("extra", [None, "all", "test", "docs"])
def test_pinned_versions_are_ones_that_we_accept(extra: str | None) -> None:
    pins = pinned()
    for name, need in declared(extra).items():
        assert name in pins, f"constraints.txt does not pin {name}"
        assert need.specifier.contains(pins[name]), f"{need} excludes the pinned {pins[name]}"


def test_nothing_requires_what_drags_in_another_torch() -> None:
    assert not {"torchvision", "torchaudio", "timm", "segmentation-models-pytorch"} & set(pinned())


def test_mamba_ssm_is_in_no_other_extra() -> None:
    for extra, lines in PROJECT["optional-dependencies"].items():
        assert extra == "mamba-ssm" or not any("mamba" in line for line in lines)
