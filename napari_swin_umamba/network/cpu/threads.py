"""A pool of threads for kernels that release the GIL."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def run_all(tasks: Sequence[Callable[[], None]]) -> None:
    """Run tasks on ``torch.get_num_threads()`` threads, this one included, and wait for all.

    Safe to call from several threads at once, and in a forked child: a pool belongs to the process
    that made it, because threads do not survive a fork.

    Raises
    ------
    Exception
        Whatever the first failing task raised.
    """
    threads = min(torch.get_num_threads(), len(tasks))
    if threads <= 1:
        for task in tasks:
            task()
        return
    futures = [_pool(threads - 1).submit(task) for task in tasks[1:]]
    tasks[0]()
    for task, future in zip(reversed(tasks[1:]), reversed(futures), strict=True):
        # Take over what no thread has begun, from the end, instead of waiting for it.
        if future.cancel():
            task()
        else:
            future.result()


def _pool(threads: int) -> ThreadPoolExecutor:
    key = (os.getpid(), threads)
    if key not in _pools:
        for stale in [k for k in _pools if k[0] != os.getpid()]:
            del _pools[stale]
        _pools[key] = ThreadPoolExecutor(threads, thread_name_prefix="cpu-kernel")
    return _pools[key]
