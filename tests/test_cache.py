"""The cache folder, and that compiled kernels are kept in it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_swin_umamba.cache import CACHE_VARIABLE, cache_folder


def add_one(values: np.ndarray) -> None:
    for index in range(values.size):
        values[index] += 1


def add_two(values: np.ndarray) -> None:
    for index in range(values.size):
        values[index] += 2


def add_three(values: np.ndarray) -> None:
    for index in range(values.size):
        values[index] += 3


def compile_and_run(function: object) -> None:
    import numba

    from napari_swin_umamba.network.cpu.compilation import kernel

    compiled = kernel(function, numba.void(numba.float32[::1]))
    values = np.zeros(3, np.float32)
    compiled(values)
    assert values[0] > 0
    with pytest.raises(TypeError, match="No matching definition"):
        compiled(np.zeros(3, np.int64))  # one signature, and no other is compiled on the way


def kernels_in(folder: Path) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in folder.rglob("*.nbi"))


def test_the_variable_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv(CACHE_VARIABLE, os.path.join("~", "here"))
    assert cache_folder() == Path.home() / "here"
    monkeypatch.setenv(CACHE_VARIABLE, "here")
    assert cache_folder() == Path.cwd() / "here"


@pytest.mark.parametrize("empty", [None, "", " "])
@pytest.mark.parametrize(
    ("system", "variables", "expected"),
    [
        ("linux", {}, ".cache/napari-swin-umamba"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, ".cache/napari-swin-umamba"),
        ("linux", {"XDG_CACHE_HOME": "{home}/xdg"}, "xdg/napari-swin-umamba"),
        ("darwin", {}, "Library/Caches/napari-swin-umamba"),
        ("win32", {"LOCALAPPDATA": "{home}/Local"}, "Local/napari-swin-umamba/Cache"),
        ("win32", {}, "AppData/Local/napari-swin-umamba/Cache"),
    ],
)
def test_default_folder(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    empty: str | None,
    system: str,
    variables: dict[str, str],
    expected: str,
) -> None:
    for name in (CACHE_VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    if empty is not None:
        monkeypatch.setenv(CACHE_VARIABLE, empty)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=tmp_path))
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_folder() == tmp_path / expected


def test_kernels_are_kept_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from numba.core import config

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "ours"))
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "numba"))
    compile_and_run(add_one)
    assert kernels_in(tmp_path / "ours" / "kernels") == ["test_cache.add_one"]
    assert Path(config.CACHE_DIR) == tmp_path / "numba"  # other packages' kernels stay there
    assert not (tmp_path / "numba").exists()


def test_numbas_own_variable_decides_where_ours_is_unset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from numba.core import config

    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "numba"))
    compile_and_run(add_two)
    assert kernels_in(tmp_path / "numba") == ["test_cache.add_two"]


def test_a_folder_that_cannot_be_made_is_no_obstacle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(file))
    compile_and_run(add_three)
