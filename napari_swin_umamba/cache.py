"""Where this package keeps what it can make or fetch again: one folder per person.

=====================  =====================================================================
``SWIN_UMAMBA_CACHE``  the folder to use; empty or unset: the default below
Linux                  ``$XDG_CACHE_HOME/napari-swin-umamba``, or ``~/.cache/…`` without it
macOS                  ``~/Library/Caches/napari-swin-umamba``
Windows                ``%LOCALAPPDATA%\\napari-swin-umamba\\Cache``
=====================  =====================================================================

In it: ``kernels/``, what Numba compiled for this processor; ``weights/``, what was downloaded. All
of it may be deleted at any time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["CACHE_VARIABLE", "cache_folder"]

CACHE_VARIABLE = "SWIN_UMAMBA_CACHE"
"""Environment variable that names another folder."""

_NAME = "napari-swin-umamba"


def cache_folder() -> Path:
    """Return the folder, which need not exist yet: absolute, and asked for anew at each call.

    Whoever writes there makes their own folder in it, and does without where that fails.
    """
    chosen = os.environ.get(CACHE_VARIABLE, "").strip()
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / _NAME / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / _NAME
    # A relative path there is invalid: XDG base directory specification.
    wanted = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (wanted if wanted.is_absolute() else Path.home() / ".cache") / _NAME
