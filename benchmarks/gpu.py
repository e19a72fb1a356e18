"""Time scan and networks on an NVIDIA GPU beside the official arrangement and nnU-Net's network.

    python benchmarks/gpu.py --json gpu.json --markdown gpu.md        # about eight minutes

In one process, turn by turn, by CUDA events, on several sets of inputs. Memory is the peak of
torch's allocator: in all, and beyond what lay there before. ``--extension`` names the folder that
mamba_extension.py built into; without it the official arrangement is left out. benchmarks/gpu.sh
does all of it.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import gpu_candidates as candidates
import mamba_extension
import torch
from gpu_floor import measure_floor
from torch import Tensor, nn
from torch.nn import functional

from napari_swin_umamba.network import build_network
from napari_swin_umamba.network.selective_scan import check_backend, triton_tuning

INPUT_SETS = 3
WARM_UP = 3
LONGEST_S = 20.0
"""Seconds after which a row of the table stops repeating."""

Run = Callable[[int], Any]


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


def scan_rows(batch: int, size: int, channels: int, extension: Any, repeats: int) -> dict[str, Any]:
    """One scan of a stage of Swin-UMamba†, forward and with backward; ``size`` is the image's."""
    side = size // candidates.STAGES[channels]
    sets = [
        candidates.scan_inputs(batch, side, channels, torch.bfloat16) for _ in range(INPUT_SETS)
    ]
    grad_y = torch.randn_like(sets[0][0])
    forward: dict[str, Run] = {}
    training: dict[str, Run] = {}
    for name, (prepare, function) in candidates.scan_candidates(extension).items():
        own = [prepare(inputs) for inputs in sets]
        forward[name] = _scan_forward(function, own)
        training[name] = _scan_training(function, own, grad_y)
    return {"forward": measure(forward, repeats), "training": measure(training, repeats)}


def _scan_forward(function: Callable[[list[Tensor]], Tensor], sets: list[list[Tensor]]) -> Run:
    def run(i: int) -> None:
        with torch.no_grad():
            function(sets[i])

    return run


def _scan_training(
    function: Callable[[list[Tensor]], Tensor], sets: list[list[Tensor]], grad_y: Tensor
) -> Run:
    leaves = [[x.detach().requires_grad_() for x in inputs] for inputs in sets]

    def run(i: int) -> None:
        y = function(leaves[i])
        torch.autograd.grad(y, leaves[i], grad_y.to(y.dtype))

    return run


def networks(extension: Any) -> dict[str, Callable[[], nn.Module]]:
    """Builders of the networks, on the GPU, weights in float32."""

    def official() -> nn.Module:
        network = build_network("swin-umamba-d", 3, 3)
        return candidates.arrange_officially(network, extension)

    builders: dict[str, Callable[[], nn.Module]] = {
        "Swin-UMamba†": lambda: build_network("swin-umamba-d", 3, 3),
        "Swin-UMamba": lambda: build_network("swin-umamba", 3, 3),
        "DynUNet": candidates.build_dynunet,
    }
    if extension is not None:
        builders["Swin-UMamba†, official arrangement"] = official
    return builders


def network_rows(batch: int, size: int, extension: Any, repeats: int) -> dict[str, Any]:
    """Images of ``size`` x ``size`` through each network under bfloat16 autocast."""
    images = [torch.randn(batch, 3, size, size, device="cuda") for _ in range(INPUT_SETS)]
    images = [x.to(memory_format=torch.channels_last) for x in images]
    target = torch.randint(3, (batch, size, size), device="cuda")
    result: dict[str, Any] = {}
    for kind in ("forward", "training"):
        runs: dict[str, Run] = {}
        for name, builder in networks(extension).items():
            network = builder().cuda().train(kind == "training")
            if name == "DynUNet":
                network = network.to(memory_format=torch.channels_last)
            runs[name] = (_training if kind == "training" else _forward)(network, images, target)
        result[kind] = measure(runs, repeats)
        del runs
        torch.cuda.empty_cache()
        for row in result[kind].values():
            if "median_ms" in row:
                row["images_per_s"] = 1000 * batch / row["median_ms"]
    return result


def _forward(network: nn.Module, images: list[Tensor], target: Tensor) -> Run:
    def run(i: int) -> None:
        with torch.inference_mode(), torch.autocast("cuda", dtype=torch.bfloat16):
            network(images[i])

    return run


def _training(network: nn.Module, images: list[Tensor], target: Tensor) -> Run:
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)

    def run(i: int) -> None:
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = functional.cross_entropy(network(images[i]).float(), target)
        loss.backward()
        optimizer.step()

    return run


def environment() -> dict[str, str]:
    """Machine and versions."""
    found = {
        "gpu": torch.cuda.get_device_name(),
        "cuda": str(torch.version.cuda),
        "python": platform.python_version(),
        "command": " ".join(["python", *sys.argv]),
    }
    for package in ("torch", "triton", "monai", "mamba-ssm"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def markdown(report: dict[str, Any]) -> str:
    """All figures as one table."""
    lines = [", ".join(f"{k} {v}" for k, v in report["environment"].items()), ""]
    lines += [f"{k}: {v}" for k, v in report["notes"].items()]
    lines += ["", "| what | candidate | median ms | min ms | images/s | working GB | peak GB |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for what, rows in report["rows"].items():
        for name, row in rows.items():
            if "failed" in row:
                lines.append(f"| {what} | {name} | {row['failed']} | | | | |")
                continue
            rate = f"{row['images_per_s']:.1f}" if "images_per_s" in row else ""
            figures = f"{row['median_ms']:.3f} | {row['min_ms']:.3f} | {rate}"
            memory = f"{row['working_gb']:.3f} | {row['peak_gb']:.3f}"
            lines.append(f"| {what} | {name} | {figures} | {memory} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run all benchmarks; what was measured is written after every row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=Path("gpu.json"))
    parser.add_argument("--markdown", type=Path, default=Path("gpu.md"))
    parser.add_argument("--extension", type=Path, help="folder that mamba_extension.py built into")
    parser.add_argument("--settings", type=Path, help="what gpu_settings.py wrote: use its winner")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 256, 1024])
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 1, 32])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--minutes", type=float, default=8.0)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("gpu.py needs a CUDA device; torch finds none")

    clock = Clock(options.minutes)
    torch.manual_seed(0)
    notes: dict[str, str] = {}
    if options.settings and options.settings.exists():
        winner = json.loads(options.settings.read_text()).get("winner", {})
        for name, value in winner.items():
            setattr(triton_tuning, name, value)
        notes["settings"] = json.dumps(winner)
    extension = None
    if options.extension:
        try:
            extension = mamba_extension.load(options.extension.resolve())
        except ImportError as error:
            notes["official arrangement left out"] = str(error)
    else:
        notes["official arrangement left out"] = "no --extension"
    report: dict[str, Any] = {"environment": environment(), "notes": notes, "rows": {}}

    def keep(what: str, produce: Callable[[], dict[str, Any]]) -> None:
        if clock.over:
            notes[f"not measured: {what}"] = "time was over"
        else:
            try:
                for kind, rows in produce().items():
                    report["rows"][f"{what}, {kind}"] = rows
            except Exception as error:  # noqa: BLE001 - the other rows are still wanted
                torch.cuda.empty_cache()
                notes[f"failed: {what}"] = f"{type(error).__name__}: {str(error)[:200]}"
        options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        options.markdown.write_text(markdown(report))

    check = check_backend("triton", torch.device("cuda"))
    notes["self-check"] = f"{check.forward_error:.1e} forward, {check.gradient_error:.1e} gradients"
    try:
        report["floor"] = measure_floor(batch=8, size=512)
        notes["floor, Swin-UMamba† 512 x 512, batch 8"] = json.dumps(report["floor"])
    except Exception as error:  # noqa: BLE001 - the other rows are still wanted
        notes["failed: floor"] = f"{type(error).__name__}: {str(error)[:200]}"
    # The stated targets first: the time may not suffice for everything.
    keep(
        "† 512 x 512, batch 8",
        lambda: network_rows(8, 512, extension, options.repeats),
    )
    for channels in candidates.STAGES:
        for batch in options.batches:
            keep(
                f"scan of {channels} channels, 512 x 512, batch {batch}",
                lambda c=channels, b=batch: scan_rows(b, 512, c, extension, options.repeats),
            )
    for size in options.sizes:
        for batch in options.batches:
            if (size, batch) != (512, 8):
                keep(
                    f"† {size} x {size}, batch {batch}",
                    lambda s=size, b=batch: network_rows(b, s, extension, options.repeats),
                )
    print(options.markdown.read_text())


if __name__ == "__main__":
    main()
