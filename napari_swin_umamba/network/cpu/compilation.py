"""Compile kernels on first use, say so, and keep them in the cache folder.

They are kept in ``kernels/`` of :func:`napari_swin_umamba.cache.cache_folder`, not beside the
sources as Numba would: uninstalling leaves nothing behind there, and one setting moves all that
this package keeps. ``NUMBA_CACHE_DIR`` still decides if ``SWIN_UMAMBA_CACHE`` is not set. Where the
folder cannot be written, Numba looks for another place by itself.
"""

import functools
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba.core import config, event

from napari_swin_umamba.cache import CACHE_VARIABLE, cache_folder

_logger = logging.getLogger(__name__)
_compiling = threading.RLock()


def kernel(function: Callable[..., None], signature: Any) -> Callable[..., None]:
    """Return a compiled function that releases the GIL.

    Parameters
    ----------
    function
        Python function within Numba's language.
    signature
        The one signature it is compiled for.
    """
    with _compiling:  # two threads that arrive together must not compile twice
        return _compiled(function, signature)


@functools.cache
def _compiled(function: Callable[..., None], signature: Any) -> Callable[..., None]:
    with _announced(function.__name__):
        # njit() chooses the folder, compile() fills it: the setting is changed for a moment only.
        with _kept_in_cache_folder():
            compiled = numba.njit(nogil=True, cache=True, error_model="numpy")(function)
        compiled.compile(signature)
        compiled.disable_compile()
        ready: Callable[..., None] = compiled
        return ready


@contextmanager
def _kept_in_cache_folder() -> Iterator[None]:
    """Point Numba at our cache folder, for us alone: other packages' kernels stay put."""
    before = config.CACHE_DIR
    if os.environ.get(CACHE_VARIABLE, "").strip() or not before:
        config.CACHE_DIR = str(cache_folder() / "kernels")
    try:
        yield
    finally:
        config.CACHE_DIR = before


@contextmanager
def _announced(name: str) -> Iterator[None]:
    """Say that a compilation goes on, unless the kernel comes from the cache."""

    class Announcer(event.Listener):
        told = False

        def on_start(self, event: Any) -> None:
            if not self.told:
                _logger.warning("compiling %s for this processor, once ...", name)
                self.told = True

        def on_end(self, event: Any) -> None:
            pass

    with event.install_listener("numba:compile", Announcer()):
        yield
