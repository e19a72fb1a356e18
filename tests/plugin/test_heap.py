"""The garbage collector goes through everything as the first run ends, and not again."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("pytestqt")

from qtpy.QtCore import QObject

import napari_swin_umamba.network.selective_scan  # noqa: F401 - torch
from napari_swin_umamba.plugin import heap
from napari_swin_umamba.plugin.runner import Runner

pytestmark = pytest.mark.window


@pytest.fixture
def passes() -> Iterator[list[threading.Thread]]:
    """Threads in which all objects were looked through."""
    found: list[threading.Thread] = []

    def note(phase: str, info: dict[str, Any]) -> None:
        if phase == "start" and info["generation"] == 2:
            found.append(threading.current_thread())

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


def test_once_and_in_the_thread_of_the_window(
    qtbot: Any, passes: list[threading.Thread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heap, "_collected", False)
    parent = QObject()
    runner = Runner(parent)
    for _ in range(3):
        with qtbot.waitSignal(runner.ended):
            runner.start(lambda channel: None)
        qtbot.wait(20)
    assert passes == [threading.main_thread()]
