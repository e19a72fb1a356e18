"""Run kernels that release the GIL on several threads: torch's own OpenMP team where that is GNU's.

After each of its operations torch's OpenMP threads go on spinning for milliseconds, so that the
next one starts at once. Threads of our own would share the processors with them, and half of
every scan would be lost. So tasks go to the same team, through libgomp's entry point for a parallel
region. Where torch brings another OpenMP (macOS, Windows), and in forked children, where an OpenMP
team would hang, a pool of Python threads serves.
"""

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

Task = Callable[[], None]

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}
_forked = threading.Event()


def run_all(tasks: Sequence[Task], small: bool = False) -> None:
    """Run tasks on ``torch.get_num_threads()`` threads, this one included, and wait for all.

    Safe to call from several threads at once, and in a forked child.

    Parameters
    ----------
    tasks
        They release the GIL, and may run in any order.
    small
        Stay on this thread: the work is less than waking another one costs.

    Raises
    ------
    Exception
        What a task raised; the other tasks run all the same.
    """
    threads = 1 if small else min(torch.get_num_threads(), len(tasks))
    if threads <= 1:
        for task in tasks:
            task()
        return
    queue = _Queue(tasks)
    openmp = None if _forked.is_set() else _gnu_openmp()
    if openmp is not None:
        body = _REGION(queue.work)
        openmp.GOMP_parallel(body, None, threads, 0)
    else:
        helpers = [_pool(threads - 1).submit(queue.work) for _ in range(threads - 1)]
        queue.work()
        for helper in helpers:
            if not helper.cancel():  # one that never began has nothing left to do
                helper.result()
    if queue.errors:
        raise queue.errors[0]


def ranges(count: int, per_thread: int = 2) -> list[tuple[int, int]]:
    """Cut ``range(count)`` into parts of nearly equal size, some for each thread."""
    parts = min(count, per_thread * torch.get_num_threads())
    cuts = [count * i // parts for i in range(parts + 1)]
    return list(zip(cuts[:-1], cuts[1:], strict=True))


class _Queue:
    """Tasks that several threads take one by one."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = iter(tasks)
        self._lock = threading.Lock()
        self.errors: list[Exception] = []

    def work(self, _data: object = None) -> None:
        """Take and run tasks until none is left."""
        while True:
            with self._lock:
                task = next(self._tasks, None)
            if task is None:
                return
            try:
                task()
            except Exception as error:  # noqa: BLE001 - raised again on the calling thread
                self.errors.append(error)


_REGION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@functools.cache
def _gnu_openmp() -> ctypes.CDLL | None:
    """The libgomp that torch has loaded, or None."""
    package = Path(torch.__file__).parent
    for folder in (package.parent / "torch.libs", package / "lib"):
        for path in sorted(folder.glob("libgomp*.so*")):
            library = ctypes.CDLL(str(path))
            if hasattr(library, "GOMP_parallel"):
                # threads, and flags that name a policy: 0 is the default one
                library.GOMP_parallel.argtypes = [
                    *(_REGION, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
                ]
                library.GOMP_parallel.restype = None
                os.register_at_fork(after_in_child=_forked.set)
                return library
    return None


def _pool(threads: int) -> ThreadPoolExecutor:
    """A pool of this process: threads do not survive a fork."""
    key = (os.getpid(), threads)
    if key not in _pools:
        for stale in [k for k in _pools if k[0] != os.getpid()]:
            del _pools[stale]
        _pools[key] = ThreadPoolExecutor(threads, thread_name_prefix="cpu-kernel")
    return _pools[key]
