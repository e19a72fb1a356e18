"""Find out which sizes of ``triton_tuning`` are fastest on a GPU, and where a pass spends its time.

    python benchmarks/gpu_tuning.py --seconds 60 --json tuning.json

Tables of kernels by ``torch.profiler`` come first, for both networks. Then one size after another
is changed while the others stay; the scans are those of Swin-UMamba† on 512 x 512.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_candidates as candidates
import torch
from torch.profiler import ProfilerActivity, profile

from napari_swin_umamba.network import build_network
from napari_swin_umamba.network.selective_scan import selective_scan_2d, triton_tuning

SIZES: dict[str, tuple[int, ...]] = {
    "LONGEST_CHUNK": (32, 64, 256, 512),
    "LONGEST_KEPT_CHUNK": (64, 256),
    "ENOUGH_PROGRAMS": (1024, 4096, 8192),
    "PROJECT_UP_TO_RANK": (0, 6, 12, 24),
    "PROGRAMS_PER_PROCESSOR": (8, 12, 24, 32),
    "FORWARD_CHANNELS": (64,),
    "BACKWARD_CHANNELS": (8, 32),
}
REPEATS = 7


def milliseconds(run: Callable[[], Any]) -> float:
    """Median time on the GPU."""
    for _ in range(2):
        run()
    times = []
    for _ in range(REPEATS):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        run()
        last.record()
        last.synchronize()
        times.append(first.elapsed_time(last))
    return statistics.median(times)


def scan_runs(batch: int, channels: int) -> dict[str, Callable[[], Any]]:
    """Forward, and forward with backward."""
    side = 512 // candidates.STAGES[channels]
    inputs = candidates.scan_inputs(batch, side, channels, torch.bfloat16)
    leaves = [x.detach().requires_grad_() for x in inputs]
    grad = torch.randn_like(inputs[0])

    def forward() -> None:
        with torch.no_grad():
            selective_scan_2d(*inputs, backend="triton")

    def training() -> None:
        y = selective_scan_2d(*leaves, backend="triton")
        torch.autograd.grad(y, leaves, grad.to(y.dtype))

    return {"forward": forward, "training": training}


def sweep(end: float) -> list[dict[str, Any]]:
    """Time every size, as long as there is time."""
    rows = []
    changes: list[tuple[str, int | None]] = [("as they are", None)]
    changes += [(name, value) for name, values in SIZES.items() for value in values]
    runs = {
        (batch, channels): scan_runs(batch, channels)
        for batch in (8, 1)
        for channels in candidates.STAGES
    }
    for name, value in changes:
        if time.monotonic() > end:
            break
        before = getattr(triton_tuning, name, None)
        if value is not None:
            setattr(triton_tuning, name, value)
        row: dict[str, Any] = {"size": name, "value": value}
        for (batch, channels), kinds in runs.items():
            for kind, run in kinds.items():
                try:
                    row[f"{kind} {batch}x{channels}"] = round(milliseconds(run), 4)
                except Exception as error:  # noqa: BLE001 - a size may be too much for the GPU
                    row[f"{kind} {batch}x{channels}"] = f"{type(error).__name__}: {error}"[:120]
        if value is not None:
            setattr(triton_tuning, name, before)
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def kernels(run: Callable[[], Any], count: int = 28) -> str:
    """Table of the kernels that take longest."""
    for _ in range(2):
        run()
    torch.cuda.synchronize()
    begin = time.perf_counter()
    run()
    issued = time.perf_counter() - begin
    torch.cuda.synchronize()
    whole = time.perf_counter() - begin
    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as profiler:
        run()
        torch.cuda.synchronize()
    averages = profiler.key_averages()
    own = [item for item in averages if str(item.device_type).endswith("CUDA")]
    total = sum(item.self_device_time_total for item in own)
    launches = sum(item.count for item in own)
    lines = [
        f"issued in {1e3 * issued:.2f} ms, done in {1e3 * whole:.2f} ms",
        f"kernels {total / 1e3:.2f} ms, {launches} launches",
    ]
    for item in sorted(own, key=lambda item: -item.self_device_time_total)[:count]:
        time_us = item.self_device_time_total
        lines.append(f"{time_us / 1e3:9.3f} ms {item.count:5d} x  {item.key[:110]}")
    return "\n".join(lines)


def network_run(name: str, batch: int, size: int, train: bool) -> Callable[[], Any]:
    """One pass of a network under bfloat16 autocast."""
    network = build_network(name, 3, 3).cuda().train(train)
    image = torch.randn(batch, 3, size, size, device="cuda")
    image = image.to(memory_format=torch.channels_last)

    def run() -> None:
        with (
            torch.inference_mode(not train),
            torch.autocast("cuda", dtype=torch.bfloat16),
        ):
            out = network(image)
        if train:
            out.float().square().mean().backward()

    return run


def main() -> None:
    """Profile, then sweep."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, default=Path("tuning.json"))
    parser.add_argument("--seconds", type=float, default=120.0)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("gpu_tuning.py needs a CUDA device; torch finds none")
    torch.manual_seed(0)
    end = time.monotonic() + options.seconds
    report: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "profiles": {}}
    for name, train in (
        ("swin-umamba-d", False),
        ("swin-umamba-d", True),
        ("swin-umamba", False),
        ("swin-umamba-d-tiny", True),
    ):
        size = 192 if "tiny" in name else 512
        what = f"{name}, 8 x {size} x {size}, {'training' if train else 'forward'}"
        report["profiles"][what] = kernels(network_run(name, 8, size, train))
        print(what, report["profiles"][what], sep="\n", flush=True)
        torch.cuda.empty_cache()
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    report["sizes"] = sweep(end)
    options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
