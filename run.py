"""Two commands for a fresh clone: ``python3 run.py demo`` and ``python3 run.py test``.

Needs Python 3.11 or newer and its standard library, nothing else. The first run makes ``.venv``
beside this file and installs pinned versions into it (``constraints.txt``); later runs find the
stamp of that installation and start at once. Everything it runs is shown.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "swin-umamba-installed.json"
CONSTRAINTS = ROOT / "constraints.txt"
# What an installation depends on; the manifest because it is copied, not linked, when installing.
INSTALL_INPUTS = ("pyproject.toml", "constraints.txt", "napari.yaml")

PYTORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# For a Python without ensurepip, as Debian packages it: a wheel of pip can install itself.
PIP_URL = (
    "https://files.pythonhosted.org/packages/44/3c/"
    "d717024885424591d5376220b5e836c2d5293ce2011523c9de23ff7bf068/pip-25.3-py3-none-any.whl"
)
PIP_SHA256 = "9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd"

# What Qt and OpenGL need for a real window on a virtual screen (Debian and Ubuntu names).
WINDOW_PACKAGES = (
    *("xvfb", "libegl1", "libgl1", "libgl1-mesa-dri", "libxkbcommon-x11-0", "libxcb-cursor0"),
    *("libxcb-icccm4", "libxcb-image0", "libxcb-keysyms1", "libxcb-randr0", "libxcb-shape0"),
    *("libxcb-render-util0", "libxcb-xinerama0", "libxcb-xfixes0", "libdbus-1-3"),
    *("libopengl0", "libglu1-mesa", "libfontconfig1", "libglib2.0-0"),
    "fonts-dejavu-core",
)


class Failed(Exception):
    """Something outside this script went wrong; the message says what to do."""


def say(text: str) -> None:
    """Print one line at once, so that it stands before what a child process prints."""
    print(text, flush=True)


def run(
    command: Sequence[str | Path], env: Mapping[str, str] | None = None, folder: Path = ROOT
) -> int:
    """Show a command, run it in a folder, return its exit status."""
    words = [str(word) for word in command]
    say("$ " + shlex.join(words))
    return subprocess.run(words, cwd=folder, env=env, check=False).returncode


def quietly(command: Sequence[str | Path]) -> bool:
    """Tell whether a command succeeds, without showing it."""
    try:
        done = subprocess.run([str(w) for w in command], cwd=ROOT, capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


# ---------------------------------------------------------------------------- environment


def venv_python() -> Path:
    """Path of the environment's interpreter."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_venv() -> None:
    """Make ``.venv`` with pip in it, or leave a working one as it is."""
    python = venv_python()
    if quietly([python, "-c", "import sys, pip; sys.exit(sys.version_info < (3, 11))"]):
        return
    say(f"Making {VENV.name} with Python {platform.python_version()}")
    make = [sys.executable, "-m", "venv", "--clear"]
    if quietly([sys.executable, "-c", "import ensurepip, venv"]):
        if run([*make, VENV]):
            raise Failed(f"Could not make {VENV}: see the lines above.")
        return
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    advice = f"apt-get install -y python{version}-venv"
    say("This Python has no ensurepip (Debian's python3-venv is not installed)")
    if not quietly([sys.executable, "-c", "import venv"]) or run([*make, "--without-pip", VENV]):
        raise Failed(f"This Python cannot make environments. Run: sudo {advice}")
    try:
        install_pip(python)
    except (OSError, Failed) as error:
        say(f"Could not fetch pip by itself: {error}")
        if not may_apt() or run(advice.split()) or run([*make, VENV]):
            raise Failed(f"pip is missing. Run: sudo {advice}") from error


def install_pip(python: Path) -> None:
    """Install pip into an environment without it, from its own wheel, checked by hash."""
    say(f"Fetching {PIP_URL}")
    with urllib.request.urlopen(PIP_URL, timeout=60) as answer:
        wheel = answer.read()
    found = hashlib.sha256(wheel).hexdigest()
    if found != PIP_SHA256:
        raise Failed(f"{PIP_URL} has SHA-256 {found}, expected {PIP_SHA256}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PIP_URL.rpartition("/")[2]
        path.write_bytes(wheel)
        if run([python, path / "pip", "install", "--quiet", "--no-index", path]):
            raise Failed("pip did not install itself")


def fingerprint() -> str:
    """Hash of everything an installation depends on."""
    digest = hashlib.sha256(str(ROOT).encode())
    for name in INSTALL_INPUTS:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def read_stamp() -> tuple[str, set[str]]:
    """Fingerprint and extras of the last complete installation."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
        return str(stamp["fingerprint"]), set(stamp["extras"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", set()


def install(extras: Iterable[str]) -> Path:
    """Make the environment hold this project with `extras`; return its interpreter."""
    make_venv()
    python = venv_python()
    before, installed = read_stamp()
    wanted = installed | set(extras)
    if before == fingerprint() and wanted == installed:
        say(f"{VENV.name} is up to date")
        return python
    STAMP.unlink(missing_ok=True)
    pip: list[str | Path] = [python, "-m", "pip", "install", "-c", CONSTRAINTS]
    pip += ["--disable-pip-version-check", "--no-input"]
    cpu_torch = cpu_torch_requirement()
    if cpu_torch:
        say("No NVIDIA GPU here: taking the CPU build of PyTorch")
        source: list[str | Path] = []
        if not quietly([*pip, "--dry-run", "--no-deps", cpu_torch]):
            source = ["--extra-index-url", PYTORCH_CPU_INDEX]
        if run([*pip, *source, cpu_torch]):
            raise Failed("PyTorch did not install: see the lines above. Is there a network?")
    project = f".[{','.join(sorted(wanted))}]" if wanted else "."
    if run([*pip, "-e", project]):
        raise Failed("Installing failed: see the lines above. Is there a network?")
    stamp = {"fingerprint": fingerprint(), "extras": sorted(wanted)}
    STAMP.write_text(json.dumps(stamp), encoding="utf-8")
    return python


def cpu_torch_requirement() -> str | None:
    """Return the requirement of PyTorch's CPU build, or None where the plain one is right.

    Only the Linux wheels on PyPI bring gigabytes of CUDA along.
    """
    if sys.platform != "linux" or has_nvidia_gpu():
        return None
    pinned = re.search(r"^torch==([\w.]+)$", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE)
    if pinned is None:
        raise Failed(f"{CONSTRAINTS.name} does not pin torch")
    return f"torch=={pinned.group(1)}+cpu"


def has_nvidia_gpu() -> bool:
    """Whether the NVIDIA driver reports a GPU."""
    smi = shutil.which("nvidia-smi")
    return smi is not None and quietly([smi, "-L"])


# ---------------------------------------------------------------------------- window libraries


def may_apt() -> bool:
    """Whether packages can be installed here without asking."""
    return shutil.which("apt-get") is not None and hasattr(os, "geteuid") and os.geteuid() == 0


def missing_window_packages() -> list[str]:
    """Debian packages a window needs that are not installed; empty on other systems."""
    if shutil.which("dpkg-query") is None:
        return []
    # Provides: newer Debian releases renamed some (libglib2.0-0t64 provides libglib2.0-0).
    fields = "${db:Status-Status} ${Package}, ${Provides}\n"
    answer = subprocess.run(
        ["dpkg-query", "--show", f"--showformat={fields}"],
        capture_output=True,
        text=True,
        check=False,
    )
    installed: set[str] = set()
    for line in answer.stdout.splitlines():
        status, _, names = line.partition(" ")
        if status == "installed":
            installed.update(name.split()[0] for name in names.split(",") if name.strip())
    return [name for name in WINDOW_PACKAGES if name not in installed]


def prepare_windows() -> bool:
    """Install what windows need where that is allowed; return whether windows can open."""
    missing = missing_window_packages()
    if not missing:
        return True
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if may_apt():
        say("Installing the system libraries that a window needs")
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        if run(["apt-get", "update"], env) == 0 and run(command, env) == 0:
            return True
    say("System libraries that a window needs are missing. To install them:")
    say("    sudo " + shlex.join(command))
    return False


# ---------------------------------------------------------------------------- commands


def demo(arguments: Sequence[str]) -> int:
    """Train on eight images, segment four unseen ones, score and show them."""
    windows = "--napari" in arguments
    if windows and not prepare_windows():
        raise Failed("Leave out --napari to run the demo without a window.")
    python = install(["all"] if windows else [])
    # Where the caller is, so that a relative --out means what it says.
    return run([python, ROOT / "examples" / "nuclei" / "demo.py", *arguments], folder=Path.cwd())


def test(arguments: Sequence[str]) -> int:
    """Run the test suite; what it leaves out is said before and after."""
    slow = "--slow" in arguments
    arguments = [word for word in arguments if word != "--slow"]
    windows = prepare_windows()
    python = install(["all", "test"])
    left_out = ["gpu"] + ([] if slow else ["slow"]) + ([] if windows else ["window"])
    marks = " and ".join(f"not {mark}" for mark in left_out)
    command: list[str | Path] = [python, "-m", "pytest", "-m", marks]
    # Files side by side, one on each core: most tests keep a single core busy.
    command += ["--numprocesses", "logical", "--maxprocesses", "4", "--dist", "loadfile"]
    command += ["--no-loadscope-reorder"]  # tests/conftest.py has put the long files first
    if not windows:
        # Neither Qt nor napari can even be imported, so neither can their pytest plugins.
        command += ["--ignore", "tests/plugin", "-p", "no:pytest-qt", "-p", "no:napari"]
    status = run([*command, *arguments])
    hints = {
        "gpu": "they need a CUDA device",
        "slow": "add --slow to run them",
        "window": "they need the system libraries named above",
    }
    for mark in left_out:
        say(f"Left out: tests marked '{mark}' ({hints[mark]}).")
    return status


def main() -> int:
    """Read the command line and run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("command", choices=["demo", "test"])
    parser.epilog = (
        "Further words go on: 'demo --napari' opens the result in napari, 'test --slow' includes "
        "the slow tests, 'test -k scan' is pytest's."
    )
    chosen, arguments = parser.parse_known_args()
    try:
        return {"demo": demo, "test": test}[chosen.command](arguments)
    except Failed as error:
        say(f"run.py: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - the project cannot say it, this file can
        say(f"run.py needs Python 3.11 or newer; this is {platform.python_version()}")
        sys.exit(2)
    sys.exit(main())
