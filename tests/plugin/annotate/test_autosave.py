"""The thread that writes: nothing that was handed to it is dropped."""

from __future__ import annotations

import threading
import time

import pytest

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate import autosave
from napari_swin_umamba.plugin.annotate.autosave import Autosave


def test_the_latest_of_a_name_is_written_once() -> None:
    saver, written = Autosave(), []
    for number in range(10):
        saver.submit("slice", lambda number=number: written.append(number))
    saver.flush()
    assert written == [9]
    assert saver.take_written() == ["slice"]
    assert not saver.busy
    saver.close()


def test_what_comes_while_it_is_being_written_is_written_again() -> None:
    saver, begun, go_on, written = Autosave(), threading.Event(), threading.Event(), []

    def slow() -> None:
        begun.set()
        go_on.wait(10)
        written.append("old")

    saver.submit("slice", slow)
    assert begun.wait(5)
    saver.submit("slice", lambda: written.append("new"))
    threading.Timer(0.1, go_on.set).start()
    saver.flush()
    assert written == ["old", "new"]
    saver.close()


def test_what_the_disk_refuses_is_kept_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autosave, "RETRY", 0.05)
    saver, full, written = Autosave(), [True], []

    def write() -> None:
        if full[0]:
            raise InputError("cannot write z1.tif: No space left on device")
        written.append(1)

    saver.submit("slice", write)
    saver.submit("other", lambda: written.append(2))
    with pytest.raises(InputError, match="No space left"):
        saver.flush()
    assert written == [2]
    assert saver.unsaved == 1
    assert "No space" in saver.problem
    full[0] = False
    until = time.monotonic() + 5
    while saver.unsaved and time.monotonic() < until:
        time.sleep(0.01)
    assert written == [2, 1]
    assert saver.problem == ""
    saver.close()


def test_it_ends_only_once_all_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autosave, "RETRY", 0.05)
    saver, full, ended = Autosave(), [True], threading.Event()

    def write() -> None:
        if full[0]:
            raise OSError("gone")

    saver.submit("slice", write)
    saver.close(ended.set)
    assert not ended.wait(0.3)
    full[0] = False
    assert ended.wait(5)
