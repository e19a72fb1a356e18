"""run.py: what it would do on machines that differ from this one."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "run.py"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """run.py as a module, living in an empty project folder, with no command ever run."""
    spec = importlib.util.spec_from_file_location("run_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in module.INSTALL_INPUTS:
        (tmp_path / name).write_text("torch==2.13.0\n" if name == "constraints.txt" else "")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "STAMP", tmp_path / ".venv" / "stamp.json")
    monkeypatch.setattr(module, "CONSTRAINTS", tmp_path / "constraints.txt")
    (tmp_path / ".venv").mkdir()
    return module


@pytest.fixture
def ran(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Commands that run.py ran, each as one line; all succeed."""
    lines: list[str] = []

    def record(command: Sequence[Any], env: Any = None, folder: Any = None) -> int:
        lines.append(" ".join(str(word) for word in command))
        return 0

    monkeypatch.setattr(script, "run", record)
    monkeypatch.setattr(script, "quietly", lambda command: True)
    monkeypatch.setattr(script, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(script, "missing_window_packages", list)
    monkeypatch.setattr(sys, "platform", "linux")
    return lines


def test_uses_only_the_standard_library() -> None:
    tree = ast.parse(SCRIPT.read_text("utf-8"))
    names = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names)


def test_installs_once_and_again_only_when_something_changed(
    script: ModuleType, ran: list[str]
) -> None:
    script.install(["all"])
    assert sum("-e .[all]" in line for line in ran) == 1
    ran.clear()
    script.install(["all"])
    script.install([])  # fewer extras are there already
    assert ran == []
    script.CONSTRAINTS.write_text("torch==2.13.0\nnumpy==2.4.6\n")
    script.install([])
    assert "-e .[all]" in ran[-1]


def test_an_interrupted_installation_is_done_again(
    script: ModuleType, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script.install([])
    script.CONSTRAINTS.write_text("torch==2.13.0\n# changed\n")
    with monkeypatch.context() as broken:
        broken.setattr(script, "run", lambda command, env=None: 1)
        with pytest.raises(script.Failed, match="did not install"):
            script.install([])
    ran.clear()
    script.install([])
    assert len(ran) == 2


def test_takes_the_cpu_build_of_torch_where_there_is_no_gpu(
    script: ModuleType, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script.install([])
    assert ran[0].endswith("torch==2.13.0+cpu")  # the configured index has it
    monkeypatch.setattr(script, "quietly", lambda command: "--dry-run" not in command)
    script.STAMP.unlink()
    ran.clear()
    script.install([])
    assert ran[0].endswith(f"--extra-index-url {script.PYTORCH_CPU_INDEX} torch==2.13.0+cpu")
    assert script.PYTORCH_CPU_INDEX not in ran[1]


@pytest.mark.parametrize(
    ("platform", "gpu"), [("linux", True), ("darwin", False), ("win32", False)]
)
def test_takes_the_plain_torch_elsewhere(
    script: ModuleType,
    ran: list[str],
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    gpu: bool,
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(script, "has_nvidia_gpu", lambda: gpu)
    script.install([])
    assert len(ran) == 1
    assert "+cpu" not in ran[0]


def test_test_leaves_out_slow_and_gpu_tests(script: ModuleType, ran: list[str]) -> None:
    assert script.test(["-k", "scan"]) == 0
    assert "-m pytest -m not gpu and not slow --numprocesses" in ran[-1]
    assert ran[-1].endswith(" -k scan")
    script.test(["--slow"])
    assert "-m pytest -m not gpu --numprocesses" in ran[-1]


def test_without_window_libraries_test_says_what_to_install_and_leaves_windows_out(
    script: ModuleType,
    ran: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(script, "missing_window_packages", lambda: ["xvfb", "libegl1"])
    monkeypatch.setattr(script, "may_apt", lambda: False)
    script.test([])
    said = capsys.readouterr().out
    assert "sudo apt-get install -y --no-install-recommends xvfb libegl1\n" in said
    assert "Left out: tests marked 'window'" in said
    assert "not window" in ran[-1]
    assert "--ignore tests/plugin" in ran[-1]


def test_as_root_on_debian_test_installs_the_window_libraries(
    script: ModuleType, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "missing_window_packages", lambda: ["xvfb"])
    monkeypatch.setattr(script, "may_apt", lambda: True)
    script.test([])
    assert ran[:2] == ["apt-get update", "apt-get install -y --no-install-recommends xvfb"]
    assert "window" not in ran[-1]


def test_renamed_debian_packages_are_recognised(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian 13 has libglib2.0-0t64, which provides libglib2.0-0; xvfb was removed there."""
    answer = (
        "installed libglib2.0-0t64, libglib2.0-0 (= 2.84.4)\n"
        "installed libegl1, \n"
        "config-files xvfb, \n"
    )
    monkeypatch.setattr(script.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(
        script.subprocess,
        "run",
        lambda *a, **k: subprocess.CompletedProcess(a, 0, stdout=answer, stderr=""),
    )
    missing = script.missing_window_packages()
    assert "libglib2.0-0" not in missing
    assert "libegl1" not in missing
    assert "xvfb" in missing


def test_demo_needs_no_window_and_passes_its_arguments_on(
    script: ModuleType, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "missing_window_packages", lambda: ["xvfb"])
    monkeypatch.setattr(script, "may_apt", lambda: False)
    script.demo(["--seed", "3"])
    assert ran[-1].endswith("demo.py --seed 3")
    assert not any("[all]" in line for line in ran)
    with pytest.raises(script.Failed, match="Leave out --napari"):
        script.demo(["--napari"])


def test_pip_is_fetched_where_python_has_no_ensurepip(
    script: ModuleType, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's Python without python3-venv."""
    monkeypatch.setattr(
        script, "quietly", lambda command: command[-1] == "import venv" or "--dry-run" in command
    )
    fetched: list[Path] = []
    monkeypatch.setattr(script, "install_pip", fetched.append)
    script.install([])
    assert "--without-pip" in ran[0]
    assert fetched == [script.venv_python()]


def test_a_damaged_download_of_pip_is_refused(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Answer:
        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *details: object) -> None: ...

        def read(self) -> bytes:
            return b"not a wheel"

    monkeypatch.setattr(script.urllib.request, "urlopen", lambda url, timeout: Answer())
    with pytest.raises(script.Failed, match="SHA-256"):
        script.install_pip(Path("python"))
