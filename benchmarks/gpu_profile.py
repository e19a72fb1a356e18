"""Show where passes of networks and scans spend their time on a GPU: tables by ``torch.profiler``.

python benchmarks/gpu_profile.py --json profile.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_candidates as candidates
import torch
from torch.profiler import ProfilerActivity, profile

from napari_swin_umamba.network import build_network


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
    """Profile passes of networks, then scans."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, default=Path("profile.json"))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("gpu_profile.py needs a CUDA device; torch finds none")
    torch.manual_seed(0)
    profiles: dict[str, str] = {}

    def keep(what: str, run: Callable[[], Any]) -> None:
        profiles[what] = kernels(run)
        print(what, profiles[what], sep="\n", flush=True)
        torch.cuda.empty_cache()
        report = {"gpu": torch.cuda.get_device_name(), "profiles": profiles}
        options.json.write_text(json.dumps(report, indent=1) + "\n")

    for name, size, train in (
        ("swin-umamba-d", 512, False),
        ("swin-umamba-d", 512, True),
        ("swin-umamba", 512, False),
        ("swin-umamba-d-tiny", 192, True),
    ):
        what = f"{name}, 8 x {size} x {size}, {'training' if train else 'forward'}"
        keep(what, network_run(name, 8, size, train))
    for channels in (192, 768):
        for kind, run in candidates.scan_runs(8, channels).items():
            keep(f"scan of {channels} channels, batch 8, {kind}", run)


if __name__ == "__main__":
    main()
