"""What a person set for this plugin in napari's Preferences: napari 0.9 and newer.

The settings themselves are declared in ``napari.yaml``; napari shows, checks and keeps them. Older
napari has no such page: there, and wherever a value cannot be used, the defaults hold.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_swin_umamba.cache import CACHE_VARIABLE

__all__ = ["DEVICES", "Preferences", "apply_cache_folder", "on_preferences_changed"]
__all__ += ["read_preferences"]

DEVICES = ("auto", "cpu", "cuda", "mps")

_PLUGIN = "napari-swin-umamba"
_PAGE = "segmentation"
"""Key under ``contributions.configurations`` in the manifest."""
_MOST_OVERLAP = 0.9

_CACHE_FROM_OUTSIDE = bool(os.environ.get(CACHE_VARIABLE, "").strip())
"""Whether the folder was named before napari started: by a script, or by who runs the computer."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preferences:
    """What new runs start from."""

    device: str = "auto"
    """One of :data:`DEVICES`."""
    overlap: float | None = None
    """Share of a tile that its neighbour covers too, up to 0.9; None: the model's."""
    cache_folder: Path | None = None
    """Absolute; None: the default of :func:`napari_swin_umamba.cache.cache_folder`."""


def read_preferences() -> Preferences:
    """Return what is set now. Never raises: a value that cannot be used is the default."""
    settings = _settings()
    page = getattr(settings, _PAGE, None)
    if page is None:
        return Preferences()
    return Preferences(
        device=_device(getattr(page, "device", None)),
        overlap=_overlap(getattr(page, "overlap", None)),
        cache_folder=_folder(getattr(page, "cache_folder", None)),
    )


def apply_cache_folder(preferences: Preferences) -> None:
    """Set ``SWIN_UMAMBA_CACHE`` for this process, unless it was set before napari started.

    Call it before a run starts: what is compiled already stays where it is.
    """
    if _CACHE_FROM_OUTSIDE:
        return
    if preferences.cache_folder is None:
        os.environ.pop(CACHE_VARIABLE, None)
    else:
        os.environ[CACHE_VARIABLE] = str(preferences.cache_folder)


def on_preferences_changed(callback: Callable[[Preferences], None]) -> Callable[[], None]:
    """Have a function called whenever a preference changes, in the window's thread.

    napari changes a setting with each letter typed, and sets all back on *Cancel*.

    Parameters
    ----------
    callback
        Takes what is set now. Called only if that differs from what it was told before.

    Returns
    -------
    callable
        Ends it; may be called more than once. Where napari has no such settings it does nothing.
    """
    changed = getattr(getattr(_settings(), "events", None), "changed", None)
    if changed is None:
        return lambda: None
    told = read_preferences()

    def tell(_event: Any = None) -> None:
        nonlocal told
        now = read_preferences()
        if now != told:
            told = now
            callback(now)

    def disconnect() -> None:
        if tell in changed.callbacks:
            changed.disconnect(tell)

    changed.connect(tell)
    return disconnect


def _settings() -> Any:
    """Return napari's settings of this plugin, None where there are none."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:
        return None  # older than 0.9
    try:
        return get_plugin_settings(_PLUGIN)
    except KeyError:
        return None  # the widget is used without being installed as a plugin, or it is disabled
    except Exception:  # whatever another plugin's settings do to napari's
        _logger.warning("napari's settings could not be read; defaults are used", exc_info=True)
        return None


def _device(value: Any) -> str:
    if value in DEVICES:
        return str(value)
    return _unusable("device", value, Preferences.device)


def _overlap(value: Any) -> float | None:
    if isinstance(value, int | float) and 0 <= value <= _MOST_OVERLAP:
        return float(value) or None
    return _unusable("overlap", value, None)


def _folder(value: Any) -> Path | None:
    if not isinstance(value, str) or "\0" in value:
        return _unusable("cache_folder", value, None)
    if not value.strip():
        return None
    try:
        folder = Path(value.strip()).expanduser()
        usable = folder.is_absolute() and (folder.is_dir() or not folder.exists())
    except (OSError, RuntimeError, ValueError):  # no access, no such person's home
        usable = False
    return folder if usable else _unusable("cache_folder", value, None)


def _unusable(name: str, value: Any, default: Any) -> Any:
    _logger.warning(
        "the preference %s is %r, which cannot be used; default: %r", name, value, default
    )
    return default
