"""Compare settings of ``triton_tuning`` on a GPU: are they right, how fast are they, which wins.

    python benchmarks/gpu_settings.py --json settings.json --seconds 150
    python benchmarks/gpu.py --settings settings.json           # all figures with the winner

Scans are those of Swin-UMamba† on 512 x 512 in bfloat16, each run as one graph. First the forward
kernels are compared, then, with the fastest of them, the backward pass. Settings whose results are
not those of the present ones cannot win. All kernels are compiled first, by all processors.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from gpu_candidates import scan_runs
from torch import Tensor

from napari_swin_umamba.network.selective_scan import triton_tuning

Settings = dict[str, Any]

AS_THEY_ARE = "as they are"
FORWARD: dict[str, Settings] = {
    AS_THEY_ARE: {},
    "wide blocks, however few": {"FEW_BLOCKS": 0},
    "chunks of 128": {"LONGEST_CHUNK": 128},
    "at least 8192 programs": {"ENOUGH_PROGRAMS": 8192},
    "168 registers": {"SCAN_REGISTERS": 168},
    "strips of 2 steps": {"SCAN_STEPS": 2},
    "32 channels, 96 registers": {"CHANNELS": 32, "SCAN_REGISTERS": 96},
    "32 channels, 72 registers, 4096 programs": {
        "CHANNELS": 32,
        "SCAN_REGISTERS": 72,
        "ENOUGH_PROGRAMS": 4096,
    },
    "32 channels, strips of 2 steps, 80 registers": {
        "CHANNELS": 32,
        "SCAN_STEPS": 2,
        "SCAN_REGISTERS": 80,
    },
}
BACKWARD: dict[str, Settings] = {
    AS_THEY_ARE: {},
    "168 registers": {"WALK_REGISTERS": 168, "WALK_PROGRAMS_PER_PROCESSOR": 12},
    "128 registers": {"WALK_REGISTERS": 128, "WALK_PROGRAMS_PER_PROCESSOR": 16},
    "chunks of 64": {"LONGEST_KEPT_CHUNK": 64},
    "strips of 2 steps": {"WALK_STEPS": 2},
}
REPEATS = 7
SCANS = {192: 4, 384: 4, 768: 11, 1536: 2}
"""Scans of each number of channels in one pass of Swin-UMamba†."""
LIMITS = {"forward": 1e-4, "training": 1e-2}
"""Of the largest difference, relative to the largest value: gradients are bfloat16."""

Runs = dict[str, Callable[[], tuple[Tensor, ...]]]
Results = dict[str, tuple[Tensor, ...]]


@contextlib.contextmanager
def settings_of(changes: Settings) -> Iterator[None]:
    """Change ``triton_tuning`` for a while."""
    before = {name: getattr(triton_tuning, name) for name in changes}
    for name, value in changes.items():
        setattr(triton_tuning, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(triton_tuning, name, value)


def milliseconds(run: Callable[[], Any]) -> float:
    """Median time on the GPU, run as one graph: issuing small maps takes longer than they do."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    graph.replay()
    times = []
    for _ in range(REPEATS):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        graph.replay()
        last.record()
        last.synchronize()
        times.append(first.elapsed_time(last))
    return statistics.median(times)


def runs_of(kind: str) -> Runs:
    """Every scan that is measured: ``"forward"``, or ``"training"``, with backward."""
    sizes = [(8, channels) for channels in SCANS] + [(1, 192)]
    return {f"{batch}x{channels}": scan_runs(batch, channels)[kind] for batch, channels in sizes}


def compile_kernels(kind: str, changes: Settings) -> None:
    """Run every scan once: what is compiled stays in Triton's cache."""
    torch.set_num_threads(1)
    with settings_of(changes), contextlib.suppress(Exception):  # which measuring will tell
        for run in runs_of(kind).values():
            run()
        torch.cuda.synchronize()


def compile_all() -> None:
    """Compile the kernels of all settings; nothing may have touched the GPU before."""
    choices = [("forward", changes) for changes in FORWARD.values()]
    choices += [("training", changes) for changes in BACKWARD.values()]
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as pool:
        list(pool.map(compile_kernels, *zip(*choices, strict=True)))


def largest_error(results: Results, truths: Results) -> float:
    """Of all scans, relative to the largest true value."""
    errors = [
        (result.float() - truth.float()).abs().max() / truth.float().abs().max()
        for what in truths
        for result, truth in zip(results[what], truths[what], strict=True)
    ]
    # What is no number is wrong as well.
    return torch.stack(errors).nan_to_num(torch.inf).max().item()


def measure(kind: str, runs: Runs, truths: Results) -> dict[str, Any]:
    """Error, milliseconds of every scan, and of all scans of one network; or what failed."""
    try:
        error = largest_error({what: run() for what, run in runs.items()}, truths)
        row: dict[str, Any] = {"error": error, "right": error <= LIMITS[kind]}
        row["ms"] = {what: round(milliseconds(run), 4) for what, run in runs.items()}
        row["network ms"] = round(sum(n * row["ms"][f"8x{c}"] for c, n in SCANS.items()), 3)
    except Exception as error:  # noqa: BLE001 - the other settings are still wanted
        row = {"failed": f"{type(error).__name__}: {error}"[:300], "right": False}
    return row


def compare(
    kind: str, choices: dict[str, Settings], fixed: Settings, end: float, report: dict[str, Any]
) -> str:
    """Measure all choices as long as there is time; return the fastest that is right."""
    runs = runs_of(kind)
    truths = {what: run() for what, run in runs.items()}
    rows = report.setdefault(kind, {})
    for name, changes in choices.items():
        if time.monotonic() > end:
            rows[name] = {"failed": "time was over", "right": False}
            continue
        with settings_of({**fixed, **changes}):
            rows[name] = measure(kind, runs, truths)
        print(f"{kind}, {name}: {json.dumps(rows[name])}", flush=True)
    right = [name for name in choices if rows[name]["right"]]
    best = min(right, key=lambda name: rows[name]["network ms"], default=AS_THEY_ARE)
    if best in right and AS_THEY_ARE in right:
        ratio = rows[AS_THEY_ARE]["network ms"] / rows[best]["network ms"]
        print(f"WINNER, {kind}: {best}, {ratio:.2f} times as fast as they are", flush=True)
    else:
        print(f"WINNER, {kind}: none, present settings were not measured or wrong", flush=True)
    return best


def compare_all(path: Path, seconds: float) -> Settings:
    """Compare forward kernels, then backward passes; write all, return the winner's settings."""
    start = time.monotonic()
    report: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__}
    winner: Settings = {}
    for kind, choices, share in (("forward", FORWARD, 0.6), ("training", BACKWARD, 1.0)):
        best = compare(kind, choices, winner, start + share * seconds, report)
        winner = {**winner, **choices[best]}
        report["winner"] = winner
        path.write_text(json.dumps(report, indent=1) + "\n")
    print("WINNER, settings:", json.dumps(winner), flush=True)
    return winner


def main() -> None:
    """Compile, compare, write what wins."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, default=Path("settings.json"))
    parser.add_argument("--seconds", type=float, default=100.0, help="beside compiling")
    options = parser.parse_args()
    start = time.monotonic()
    compile_all()
    print(f"compiled in {time.monotonic() - start:.0f} s", flush=True)
    if not torch.cuda.is_available():
        sys.exit("gpu_settings.py needs a CUDA device; torch finds none")
    torch.manual_seed(0)
    compare_all(options.json, options.seconds)


if __name__ == "__main__":
    main()
