"""Check that pip finds a wheel for every dependency on each system and Python we name.

Run in the project's environment: ``.venv/bin/python scripts/check_wheels.py [--pinned]``. For
Windows, macOS (Apple silicon) and Linux with Python 3.11 to 3.13, pip resolves the base
dependencies and the extra ``all`` without installing, and may take nothing but wheels.
``--pinned`` resolves with ``constraints.txt``, as run.py does.

torch stands in as an empty wheel with the requirements of the installed CPU build: resolving the
real one would download gigabytes of CUDA packages for Linux. That a real torch wheel of the same
version exists for each system is read from the index's listing.

pip cannot pretend another system's environment markers, so what is required only there (by
``sys_platform`` and the like) is checked by the continuous integration that runs there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
import zipfile
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

ROOT = Path(__file__).resolve().parents[1]
INDEX = "https://pypi.org/simple"
PYTHONS = ("3.11", "3.12", "3.13")
# pip takes the names as given and adds no older ones for manylinux_X_Y. glibc 2.28 is what torch
# asks for; the pinned PyQt6 asks for 2.34, and run.py for Python 3.11: Debian 12 has 2.36.
PLATFORMS = {
    "win_amd64": ("win_amd64",),
    "macosx_arm64": ("macosx_14_0_arm64",),
    "manylinux_x86_64": (
        *(f"manylinux_2_{minor}_x86_64" for minor in range(28, 16, -1)),
        "manylinux2014_x86_64",
        "manylinux2010_x86_64",
        "manylinux1_x86_64",
    ),
}
# They drag in another build of torch.
UNWANTED = {"torchvision", "torchaudio", "timm"}


def project_requirements() -> list[str]:
    """Base dependencies and those of the extra ``all``, torch left out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["all"]
    return [line for line in wanted if Requirement(line).name != "torch"]


def make_torch_stand_in(folder: Path) -> Path:
    """Write an empty wheel with the name, version and requirements of the installed torch."""
    number = version("torch").partition("+")[0]
    needs = [line for line in requires("torch") or [] if "extra ==" not in line]
    metadata = "\n".join(
        [
            "Metadata-Version: 2.1",
            "Name: torch",
            f"Version: {number}",
            *(f"Requires-Dist: {line}" for line in needs),
            "",
        ]
    )
    wheel = "Wheel-Version: 1.0\nGenerator: stand-in\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    path = folder / f"torch-{number}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"torch-{number}.dist-info/METADATA", metadata)
        archive.writestr(f"torch-{number}.dist-info/WHEEL", wheel)
        archive.writestr(f"torch-{number}.dist-info/RECORD", "")
    return path


def torch_wheels() -> list[str]:
    """File names of the installed torch version on the index."""
    number = version("torch").partition("+")[0]
    request = urllib.request.Request(
        f"{INDEX}/torch/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        names = [entry["filename"] for entry in json.load(answer)["files"]]
    return [name for name in names if name.startswith(f"torch-{number}-")]


def has_wheel(names: list[str], platform: str, python: str) -> bool:
    """Whether one of the wheels fits the platform and Python version."""
    major, minor = (int(part) for part in python.split("."))
    platforms = list(PLATFORMS[platform])
    if platform == "macosx_arm64":
        platforms = [f"macosx_{release}_0_arm64" for release in range(14, 10, -1)]
    fitting = set(cpython_tags((major, minor), platforms=platforms))
    for name in names:
        try:
            if parse_wheel_filename(name)[3] & fitting:
                return True
        except InvalidWheelFilename:
            continue
    return False


def resolve(platform: str, python: str, torch: Path, pinned: bool) -> tuple[list[str], str]:
    """Resolve for one system; return the packages found, and pip's complaint if there is one."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-input"]
        command += ["--disable-pip-version-check", "--ignore-installed", "--report", str(report)]
        command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python]
        command += ["--target", str(Path(folder) / "target")]
        names = list(PLATFORMS[platform])
        if pinned and platform == "manylinux_x86_64":
            names = [f"manylinux_2_{minor}_x86_64" for minor in range(36, 28, -1)] + names
        for name in names:
            command += ["--platform", name]
        if pinned:
            command += ["-c", str(ROOT / "constraints.txt")]
        command += [f"torch @ {torch.as_uri()}", *project_requirements()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            return [], "\n".join(errors) or done.stderr
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
        return sorted(item["metadata"]["name"].lower() for item in found), ""


def main() -> int:
    """Check all systems and print one line for each; 0 when all resolve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pinned", action="store_true", help="resolve with constraints.txt")
    pinned = parser.parse_args().pinned
    failed = False
    wheels = torch_wheels()
    with tempfile.TemporaryDirectory() as folder:
        torch = make_torch_stand_in(Path(folder))
        for platform in PLATFORMS:
            for python in PYTHONS:
                found, complaint = resolve(platform, python, torch, pinned)
                if not complaint and UNWANTED.intersection(found):
                    complaint = f"unwanted: {sorted(UNWANTED.intersection(found))}"
                if not complaint and not has_wheel(wheels, platform, python):
                    complaint = f"no wheel of torch {version('torch')}"
                failed = failed or bool(complaint)
                state = (
                    f"FAILED\n{complaint}" if complaint else f"{len(found)} packages, all wheels"
                )
                print(f"{platform:17} Python {python}: {state}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
