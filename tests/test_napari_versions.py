"""The plugin's tests with the newest and the lowest supported napari, on PyQt6 and on PySide6.

The ordinary suite runs on one combination, that of the environment it is started in. Each other one
gets an environment of its own under ``.venv-matrix/``, kept until what it was made from changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePath

import pytest

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".venv-matrix"

# Never linked: a process may hold one Qt binding only, and pip must install what is tested.
OWN = re.compile(r"(pyqt|pyside|shiboken|napari-swin-umamba$|pip$)")

# The binding is asked for after the tests, in their process: only then is it known which was used.
RUN_TESTS = """
import json, sys
import pytest
status = pytest.main(sys.argv[1:])
import napari, qtpy
loaded = sorted({"PyQt5", "PyQt6", "PySide2", "PySide6"} & sys.modules.keys())
print(json.dumps([napari.__version__, qtpy.API_NAME, loaded]))
sys.exit(int(status))
"""


@dataclass(frozen=True)
class Combination:
    """One napari with one Qt binding."""

    constraints: str
    binding: str
    """As QtPy calls the module."""

    @property
    def name(self) -> str:
        return f"{self.constraints.removesuffix('.txt')}-{self.binding.lower()}"

    @property
    def pins(self) -> dict[str, str]:
        """Version of each package that the constraints pin, by normalized name."""
        text = (ROOT / self.constraints).read_text(encoding="utf-8")
        found = re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE)
        return {normalized(name): version for name, version in found}

    @property
    def extra(self) -> str:
        return {"PyQt6": "all", "PySide6": "pyside6"}[self.binding]


COMBINATIONS = [
    Combination("constraints.txt", "PySide6"),
    Combination("constraints-lowest.txt", "PyQt6"),
    Combination("constraints-lowest.txt", "PySide6"),
]


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def run(*command: str | Path, env: dict[str, str] | None = None, limit: int) -> str:
    """Run a command; its output, or a failed test that shows it."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=limit,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(words)}\n{done.stdout}", pytrace=False)
    return done.stdout


def fingerprint(combination: Combination) -> str:
    """Hash of everything an environment is made from."""
    digest = hashlib.sha256(f"{ROOT} {sys.version}".encode())
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    settings["tool"] = settings["tool"]["hatch"]  # the other tools' do not matter for installing
    digest.update(json.dumps(settings).encode())
    # This file decides what is linked; the manifest is copied when installing.
    for name in (combination.constraints, "napari.yaml", __file__):
        digest.update((ROOT / name).read_bytes())
    for found in sorted(linked(combination), key=lambda found: found.name):
        digest.update(f"{found.name} {found.version}".encode())
    return digest.hexdigest()


def linked(combination: Combination) -> list[Distribution]:
    """Packages of this environment that the combination wants in the very same version."""
    pins = combination.pins
    here = distributions(path=[sysconfig.get_path("purelib")])
    return [
        found
        for found in here
        if not OWN.match(normalized(found.name))
        and pins.get(normalized(found.name)) == found.version.partition("+")[0]
    ]


def link(found: Distribution, folder: Path) -> None:
    """Put links to a package's files into a folder."""
    for name in {PurePath(file).parts[0] for file in found.files or []}:
        source = Path(str(found.locate_file(name)))
        target = folder / name
        # "..": its programs; .pth files work only where Python looks for them at its start.
        if name in {"..", "__pycache__"} or name.endswith(".pth") or target.exists():
            continue
        target.symlink_to(source, target_is_directory=source.is_dir())


def environment(combination: Combination) -> Path:
    """Make the environment unless it is there; return its interpreter."""
    folder = HOME / combination.name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "made-from"
    wanted = fingerprint(combination)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    if os.name != "nt":  # links need a privilege there; pip then installs everything
        links = folder / "linked"
        links.mkdir()
        for found in linked(combination):
            link(found, links)
        scheme = {"base": str(folder), "platbase": str(folder)}
        packages = Path(sysconfig.get_path("purelib", "venv", scheme))
        (packages / "linked.pth").write_text(f"{links}\n", encoding="utf-8")
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python]
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--only-binary", ":all:"]
    project = f".[{combination.extra},test]"
    run(*pip, "install", *quiet, "-c", combination.constraints, "-e", project, limit=1500)
    # pip only warns of conflicts with what was there before, and still succeeds.
    run(*pip, "check", limit=120)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def run_tests(python: Path, binding: str) -> list[object]:
    """Run the plugin's tests; napari's version, the binding, and all bindings imported."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST", "COV"))}
    env |= {"QT_API": binding.lower(), "PYTEST_QT_API": binding.lower()}
    tests = ["tests/plugin", "-m", "not slow and not gpu", "-q", "-x", "-p", "no:cacheprovider"]
    output = run(python, "-c", RUN_TESTS, *tests, env=env, limit=2400)
    print(output)  # noqa: T201 - shown by pytest if an assertion fails, and by -s
    answer: list[object] = json.loads(output.splitlines()[-1])
    return answer


@pytest.mark.slow
@pytest.mark.window
@pytest.mark.timeout(4500)
@pytest.mark.parametrize("combination", COMBINATIONS, ids=lambda combination: combination.name)
def test_plugin(combination: Combination) -> None:
    python = environment(combination)
    version, binding, loaded = run_tests(python, combination.binding)
    assert version == combination.pins["napari"]
    assert binding.lower() == combination.binding.lower()
    assert loaded == [combination.binding]
