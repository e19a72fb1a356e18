"""napari's Preferences hold ours, in the real dialog; older napari and bad values mean defaults."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("napari")

from napari_swin_umamba.cache import CACHE_VARIABLE, cache_folder
from napari_swin_umamba.plugin import preferences
from napari_swin_umamba.plugin.preferences import (
    Preferences,
    apply_cache_folder,
    on_preferences_changed,
    read_preferences,
)

MANIFEST = Path(__file__).parents[2] / "napari.yaml"
HOME = Path.home()

try:
    from napari.settings import get_plugin_settings
except ImportError:
    get_plugin_settings = None

needs_pages = pytest.mark.skipif(get_plugin_settings is None, reason="napari has no such settings")


@pytest.fixture
def ours(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Our settings, kept in a folder of the test."""
    request.getfixturevalue("plugin_settings")
    with request.getfixturevalue("npe2pm").tmp_plugin(manifest=str(MANIFEST)):
        yield get_plugin_settings("napari-swin-umamba").segmentation


def pretend(monkeypatch: pytest.MonkeyPatch, **values: Any) -> None:
    page = type("Page", (), values)
    monkeypatch.setattr(
        preferences, "_settings", lambda: type("Settings", (), {"segmentation": page})
    )


def test_without_such_settings_the_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    import napari.settings

    monkeypatch.delattr(napari.settings, "get_plugin_settings", raising=False)
    assert read_preferences() == Preferences(device="auto", overlap=None, cache_folder=None)
    on_preferences_changed(print)()


@needs_pages
def test_settings_that_fail_mean_the_defaults(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import napari.settings

    def fail(error: Exception) -> None:
        def raises(_plugin: str) -> None:
            raise error

        monkeypatch.setattr(napari.settings, "get_plugin_settings", raises)

    fail(KeyError("not a plugin"))
    assert read_preferences() == Preferences()
    assert not caplog.text
    fail(ValueError("another plugin's manifest"))
    assert read_preferences() == Preferences()
    assert "another plugin's manifest" in caplog.text


@pytest.mark.parametrize(
    ("device", "overlap", "folder"),
    [
        ("tpu", -0.1, "relative/folder"),
        (None, None, None),
        (1, "half", 3),
        (["cpu"], 0.91, str(MANIFEST)),
        ("", float("nan"), "/a\0b"),
        ("CPU", float("inf"), "~nobody-of-this-name/cache"),
    ],
)
def test_values_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    device: Any,
    overlap: Any,
    folder: Any,
) -> None:
    pretend(monkeypatch, device=device, overlap=overlap, cache_folder=folder)
    assert read_preferences() == Preferences()
    assert [name in caplog.text for name in ("device", "overlap", "cache_folder")] == [True] * 3


@pytest.mark.parametrize(
    ("text", "folder"),
    [("", None), ("  ", None), ("~/cache", HOME / "cache"), (f" {HOME} ", HOME)],
)
def test_folders(monkeypatch: pytest.MonkeyPatch, text: str, folder: Path | None) -> None:
    pretend(monkeypatch, device="cuda", overlap=0, cache_folder=text)
    assert read_preferences() == Preferences("cuda", None, folder)


def test_the_cache_folder_is_applied(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setattr(preferences, "_CACHE_FROM_OUTSIDE", False)
    default = cache_folder()
    apply_cache_folder(Preferences(cache_folder=tmp_path))
    assert cache_folder() == tmp_path
    apply_cache_folder(Preferences())
    assert cache_folder() == default


def test_a_folder_named_from_outside_goes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "outside"))
    monkeypatch.setattr(preferences, "_CACHE_FROM_OUTSIDE", True)
    for chosen in (None, tmp_path / "inside"):
        apply_cache_folder(Preferences(cache_folder=chosen))
        assert os.environ[CACHE_VARIABLE] == str(tmp_path / "outside")


@needs_pages
def test_declared_as_the_code_expects(ours: Any) -> None:
    assert read_preferences() == Preferences()
    for device in preferences.DEVICES:
        ours.device = device
        assert read_preferences().device == device
    with pytest.raises(ValueError, match="tpu"):
        ours.device = "tpu"
    assert ours.overlap == 0  # as each model says
    ours.overlap = 0.5
    assert read_preferences().overlap == 0.5
    ours.overlap = 0.9
    assert read_preferences().overlap == 0.9
    with pytest.raises(ValueError, match="less than or equal"):
        ours.overlap = 0.95


@needs_pages
def test_changes_are_told_until_disconnected(ours: Any) -> None:
    told: list[Preferences] = []
    disconnect = on_preferences_changed(told.append)
    ours.device = "cpu"
    ours.cache_folder = "r"  # the first letter of a path is no change yet
    assert told == [Preferences(device="cpu")]
    disconnect()
    disconnect()
    ours.overlap = 0.25
    assert len(told) == 1


@needs_pages
def test_the_page_of_the_dialog(
    ours: Any, make_napari_viewer: Callable[..., Any], qtbot: Any, tmp_path: Path
) -> None:
    from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QLineEdit, QListWidget, QStackedWidget

    dialog = make_napari_viewer(show=True).window._open_preferences_dialog()
    qtbot.waitUntil(dialog.isVisible)
    pages = dialog.findChild(QListWidget)
    names = [pages.item(row).text() for row in range(pages.count())]
    pages.setCurrentRow(names.index("Swin-UMamba"))
    page = dialog.findChild(QStackedWidget).currentWidget()

    (device,) = page.findChildren(QComboBox)
    assert [device.itemText(n) for n in range(device.count())] == list(preferences.DEVICES)
    device.setCurrentText("cpu")
    (overlap,) = page.findChildren(QDoubleSpinBox)
    assert (overlap.minimum(), overlap.maximum()) == (0, 0.9)
    overlap.setValue(0.25)
    (folder,) = [edit for edit in page.findChildren(QLineEdit) if edit.parent() is not overlap]
    folder.setText(str(tmp_path / "cache"))
    chosen = Preferences("cpu", 0.25, tmp_path / "cache")
    assert read_preferences() == chosen

    dialog.accept()
    assert read_preferences() == chosen
    assert "device: cpu" in (tmp_path / "napari-swin-umamba.yaml").read_text(encoding="utf-8")
