"""Compile kernels on first use, say so, and keep them in Numba's cache."""

import functools
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba.core import event

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
        compile_ = numba.njit(signature, nogil=True, cache=True, error_model="numpy")
        compiled: Callable[..., None] = compile_(function)
        return compiled


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
