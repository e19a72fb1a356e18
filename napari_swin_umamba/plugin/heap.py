"""When Python's garbage collector goes through everything: once, at a moment that suits.

torch and the kernels bring half a million objects. Python looks through all there are once a
quarter more have come since the last time, which takes the window 0.4 s: some time after the first
run, in the middle of a stroke perhaps. So it is done as the first run ends; then it is not due for
long.
"""

from __future__ import annotations

import gc
import sys

__all__ = ["collect_once"]

_collected = False


def collect_once() -> None:
    """Collect garbage if torch was imported since; only the first time. For the window's thread:
    the garbage may hold objects of Qt, which must go where they came from."""
    global _collected
    if _collected or "torch" not in sys.modules or not gc.isenabled():
        return
    _collected = True
    gc.collect()
