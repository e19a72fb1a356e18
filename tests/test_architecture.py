"""Which package may import which: docs/architecture.md, held by importing each part alone."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "napari_swin_umamba"
TRAINING = ROOT / "training" / "swin_umamba_training"

WINDOW_TOOLKITS = {"napari", "qtpy", "magicgui", "superqt", "vispy", "PyQt5", "PyQt6", "PySide6"}

# Part of napari_swin_umamba -> the other parts it may import. The leaves import nothing of ours but
# each other and may be imported by all.
LEAVES = {"archives", "cache", "errors", "files", "plan"}
MAY_IMPORT = {
    "network": set(),
    "checkpoints": {"network"},
    "images": set(),
    "segmentation": {"checkpoints", "images", "network"},
    "project": {"images"},
    "plugin": {"segmentation", "project", "checkpoints", "images"},
}


def imports_of(file: Path) -> set[str]:
    """Absolute names of all modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)  # may be modules
    return names


def parts_imported(file: Path) -> set[str]:
    """First-level parts of napari_swin_umamba that a file imports."""
    names = imports_of(file)
    parts = {n.split(".")[1] for n in names if n.startswith("napari_swin_umamba.")}
    return {part for part in parts if (CORE / part).exists() or (CORE / f"{part}.py").exists()}


def modules_after(statement: str) -> set[str]:
    """Names in ``sys.modules`` after running a statement in a fresh interpreter."""
    program = f"import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert answer.returncode == 0, answer.stderr
    return set(json.loads(answer.stdout.splitlines()[-1]))


def top_level(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def core_files() -> list[Path]:
    return sorted(CORE.rglob("*.py"))


def test_each_part_imports_only_what_it_may() -> None:
    wrong: dict[str, set[str]] = {}
    for file in core_files():
        part = file.relative_to(CORE).parts[0].removesuffix(".py")
        if part == "__init__":
            continue  # names what it loads lazily; what importing it loads is tested below
        allowed = LEAVES if part in LEAVES else MAY_IMPORT[part] | LEAVES | {part}
        if extra := parts_imported(file) - allowed:
            wrong[str(file.relative_to(CORE))] = extra
    assert not wrong


def test_what_runs_models_never_imports_what_trains_them() -> None:
    for file in core_files():
        assert "swin_umamba_training" not in top_level(imports_of(file)), file


def test_only_the_plugin_imports_napari_and_qt() -> None:
    files = [f for f in core_files() if "plugin" not in f.relative_to(CORE).parts]
    for file in files + sorted(TRAINING.rglob("*.py")):
        assert not top_level(imports_of(file)) & WINDOW_TOOLKITS, file


def test_training_imports_no_plugin() -> None:
    for file in sorted(TRAINING.rglob("*.py")):
        assert "plugin" not in parts_imported(file), file


def test_importing_the_package_imports_nothing_heavy() -> None:
    loaded = top_level(modules_after("import napari_swin_umamba"))
    heavy = {"torch", "numba", "monai", "lightning", "skimage", "scipy", "numpy", "pydantic"}
    assert not loaded & (WINDOW_TOOLKITS | heavy)


def test_running_a_model_needs_no_window_and_no_training() -> None:
    loaded = modules_after("from napari_swin_umamba import load_model, segment")
    assert "torch" in loaded
    assert not top_level(loaded) & (WINDOW_TOOLKITS | {"lightning", "swin_umamba_training"})


def test_a_project_needs_no_torch_and_no_window() -> None:
    loaded = top_level(modules_after("import napari_swin_umamba.project"))
    assert not loaded & (WINDOW_TOOLKITS | {"torch", "scipy", "skimage", "swin_umamba_training"})


def test_the_command_line_needs_no_window() -> None:
    loaded = top_level(modules_after("import swin_umamba_training.cli"))
    assert not loaded & WINDOW_TOOLKITS


@pytest.mark.parametrize("part", ["network", "checkpoints", "images", "segmentation", "project"])
def test_each_part_can_be_imported_first(part: str) -> None:
    loaded = modules_after(f"import napari_swin_umamba.{part}")
    others = {name for name in MAY_IMPORT if f"napari_swin_umamba.{name}" in loaded}
    assert others <= MAY_IMPORT[part] | {part}
