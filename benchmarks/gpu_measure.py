"""Time and memory of what gpu.py compares, turn by turn, by CUDA events."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

INPUT_SETS = 3
WARM_UP = 3
LONGEST_S = 4.0
"""Seconds after which a row of the table stops repeating."""

Run = Callable[[int], Any]


def as_graphs(run: Run) -> Run:
    """Record a run for each set of inputs: issuing a small scan takes longer than the scan."""
    graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def replay(i: int) -> None:
        if i not in graphs:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                run(i)
            torch.cuda.current_stream().wait_stream(side)
            graphs[i] = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graphs[i]):
                run(i)
        graphs[i].replay()

    return replay


class Clock:
    """Says when the time for the whole benchmark is over."""

    def __init__(self, minutes: float) -> None:
        self.end = time.monotonic() + 60 * minutes

    @property
    def over(self) -> bool:
        """Whether no further row should begin."""
        return time.monotonic() > self.end


def measure(runs: dict[str, Run], repeats: int) -> dict[str, dict[str, Any]]:
    """Milliseconds and peak memory of each candidate; what fails says why.

    A run takes the number of the set of inputs that it is to work on.
    """
    rows: dict[str, dict[str, Any]] = {}
    ready: dict[str, Run] = {}
    for name, run in runs.items():
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        try:
            for turn in range(WARM_UP):
                run(turn % INPUT_SETS)
            torch.cuda.synchronize()
        except Exception as error:  # noqa: BLE001 - one candidate must not end the benchmark
            words = str(error).splitlines() or [""]
            rows[name] = {"failed": f"{type(error).__name__}: {words[0][:200]}"}
            continue
        peak = torch.cuda.max_memory_allocated()
        rows[name] = {"peak_gb": peak / 1e9, "working_gb": (peak - before) / 1e9, "ms": []}
        ready[name] = run
    start = time.monotonic()
    for turn in range(repeats):
        for name, run in ready.items():
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            run(turn % INPUT_SETS)
            last.record()
            last.synchronize()
            rows[name]["ms"].append(first.elapsed_time(last))
        if time.monotonic() - start > LONGEST_S:
            break
    for row in rows.values():
        if row.get("ms"):
            row.update(median_ms=statistics.median(row["ms"]), min_ms=min(row["ms"]))
    return rows
