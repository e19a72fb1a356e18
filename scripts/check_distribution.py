"""Build the wheel and the source archive and check what a person would install.

Run in the project's environment: ``.venv/bin/python scripts/check_distribution.py``. The wheel is
built from the source archive, as PyPI's users get it, and installed into a fresh environment that
sees this one's third-party packages, but not its editable install of the project.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOP_LEVEL = {"napari_swin_umamba", "napari_swin_umamba_manifest", "swin_umamba_training"}
IN_SOURCE_ARCHIVE = {"LICENSE", "README.md", "constraints.txt", "napari.yaml", "pyproject.toml"}
IN_SOURCE_ARCHIVE |= {"run.py", "tests/conftest.py"}

# Runs in the fresh environment, in an empty folder.
LOOK_AROUND = """
import json, sys
from importlib.metadata import distribution
from pathlib import Path
import napari_swin_umamba, swin_umamba_training
from napari_swin_umamba.checkpoints import bundled_models
from npe2 import PluginManager
packages = Path(sys.argv[1])
homes = [Path(m.__file__).parent.parent for m in (napari_swin_umamba, swin_umamba_training)]
manager = PluginManager()
manager.discover()
print(json.dumps({
    "homes": [str(home) for home in homes],
    "distribution": str(distribution("napari-swin-umamba").locate_file("")),
    "models": {name: str(path) for name, path in bundled_models().items()},
    "manifest": (packages / "napari_swin_umamba_manifest" / "napari.yaml").read_text("utf-8"),
    "plugins": [manifest.name for manifest in manager.iter_manifests()],
}))
"""


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command and return what it printed; stop with its messages when it fails."""
    words = [str(word) for word in command]
    # Nothing of the caller's may lead back to the source tree.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def build(folder: Path) -> tuple[Path, Path]:
    """Build the source archive and, from it, the wheel."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder)
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


def environment_with(wheel: Path, folder: Path) -> tuple[Path, Path]:
    """Make an environment that holds only the wheel; return its programs and its packages."""
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    scheme = {"base": str(folder), "platbase": str(folder)}
    programs = Path(sysconfig.get_path("scripts", "venv", scheme))
    packages = Path(sysconfig.get_path("purelib", "venv", scheme))
    # A path line in a .pth file adds a folder without reading the .pth files in it, so the editable
    # install of the environment this runs in stays out.
    third_party = sysconfig.get_path("purelib")
    (packages / "third_party.pth").write_text(third_party + "\n", encoding="utf-8")
    python = programs / Path(sys.executable).name
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
    ]
    run(*pip, "--no-index", "--force-reinstall", "--prefix", folder, wheel)
    return programs, packages


def check_source_archive(archive: Path) -> list[str]:
    """Return what is missing from the source archive."""
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    return [f"{archive.name} lacks {name}" for name in sorted(IN_SOURCE_ARCHIVE - names)]


def check_installed(programs: Path, packages: Path, folder: Path) -> list[str]:
    """Return what is wrong with the installed wheel."""
    wrong: list[str] = []
    entries = {path.name for path in packages.iterdir()}
    info = {name for name in entries if name.endswith(".dist-info")}
    found = entries - info - {"third_party.pth", "__pycache__"}
    if found != TOP_LEVEL:
        wrong.append(f"top-level names are {sorted(found)}, expected {sorted(TOP_LEVEL)}")
    folder.mkdir()
    python = programs / Path(sys.executable).name
    seen = json.loads(run(python, "-c", LOOK_AROUND, packages, cwd=folder).splitlines()[-1])
    homes = {str(Path(home)) for home in (*seen["homes"], seen["distribution"])}
    if homes != {str(packages)}:
        wrong.append(f"packages are imported from {sorted(homes)}, not from {packages}")
    if seen["manifest"] != (ROOT / "napari.yaml").read_text(encoding="utf-8"):
        wrong.append("the installed manifest differs from napari.yaml")
    if "napari-swin-umamba" not in seen["plugins"]:
        wrong.append(f"napari finds only these plugins: {seen['plugins']}")
    for name, path in seen["models"].items():
        if packages not in Path(path).parents:
            wrong.append(f"the bundled model {name} is at {path}, outside the installed package")
    if "segment" not in run(programs / "swin-umamba", "--help", cwd=folder):
        wrong.append("swin-umamba --help does not name its command segment")
    return wrong


def main() -> int:
    """Build, install, check; 0 when all is as it should be."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        archive, wheel = build(folder / "dist")
        megabytes = wheel.stat().st_size / 1e6
        print(f"built {archive.name} and {wheel.name} ({megabytes:.1f} MB)", flush=True)
        programs, packages = environment_with(wheel, folder / "environment")
        wrong = check_source_archive(archive)
        wrong += check_installed(programs, packages, folder / "elsewhere")
    for line in wrong:
        print(f"wrong: {line}")
    if not wrong:
        print(f"installed wheel: {', '.join(sorted(TOP_LEVEL))}; manifest and program are right")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
