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
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gpu_candidates as candidates
import mamba_extension
import torch
from gpu_floor import measure_floor
from gpu_measure import INPUT_SETS, Clock, Run, as_graphs, measure
from gpu_report import environment, markdown
from torch import Tensor, nn
from torch.nn import functional

from napari_swin_umamba.network import build_network
from napari_swin_umamba.network.gpu.replay import PASSES_BEFORE, Replay
from napari_swin_umamba.network.selective_scan import check_backend, triton_tuning


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
        runs = _scan_forward(function, own), _scan_training(function, own, grad_y)
        if name == "torch":
            if batch > 1 or channels > min(candidates.STAGES):
                continue  # slow enough once
            forward[name], training[name] = runs
        else:
            forward[name], training[name] = (as_graphs(run) for run in runs)
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


def networks(extension: Any, every: bool) -> dict[str, Callable[[], nn.Module]]:
    """Builders of the networks, weights in float32; not ``every``: only of Swin-UMamba†."""

    def official() -> nn.Module:
        network = build_network("swin-umamba-d", 3, 3)
        return candidates.arrange_officially(network, extension)

    builders: dict[str, Callable[[], nn.Module]] = {
        "Swin-UMamba†": lambda: build_network("swin-umamba-d", 3, 3)
    }
    if every:
        builders["Swin-UMamba"] = lambda: build_network("swin-umamba", 3, 3)
        builders["DynUNet"] = candidates.build_dynunet
    if extension is not None:
        builders["Swin-UMamba†, official arrangement"] = official
    return builders


def network_rows(
    batch: int, size: int, extension: Any, repeats: int, every: bool = False
) -> dict[str, Any]:
    """Images of ``size`` x ``size`` through each network under bfloat16 autocast.

    Inference kernel by kernel, and replayed as one graph, as the engine does it on GPUs.
    """
    images = [torch.randn(batch, 3, size, size, device="cuda") for _ in range(INPUT_SETS)]
    images = [x.to(memory_format=torch.channels_last) for x in images]
    target = torch.randint(3, (batch, size, size), device="cuda")
    result: dict[str, Any] = {}
    for kind in ("forward", "training"):
        runs: dict[str, Run] = {}
        for name, builder in networks(extension, every).items():
            network = builder().cuda().train(kind == "training")
            if name == "DynUNet":
                network = network.to(memory_format=torch.channels_last)
            if kind == "training":
                runs[name] = _training(network, images, target)
            else:
                runs[name] = _forward(network, images)
                runs[f"{name}, replayed"] = _forward(network, images, Replay())
        result[kind] = measure(runs, repeats)
        del runs
        torch.cuda.empty_cache()
        for row in result[kind].values():
            if "median_ms" in row:
                row["images_per_s"] = 1000 * batch / row["median_ms"]
    return result


def _forward(network: nn.Module, images: list[Tensor], replay: Replay | None = None) -> Run:
    passes = 1

    def run(i: int) -> None:
        nonlocal passes
        with torch.inference_mode(), torch.autocast("cuda", dtype=torch.bfloat16):
            if replay is None:
                network(images[i])
                return
            for _ in range(passes, PASSES_BEFORE + 2):  # up to the recording, in the warm-up
                replay(network, images[i])
            passes = PASSES_BEFORE + 2
            replay(network, images[i])

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


def main() -> None:
    """Run all benchmarks; what was measured is written after every row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, default=Path("gpu.json"))
    parser.add_argument("--markdown", type=Path, default=Path("gpu.md"))
    parser.add_argument("--extension", type=Path, help="folder that mamba_extension.py built into")
    parser.add_argument("--settings", type=Path, help="what gpu_settings.py wrote: use its winner")
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 256, 1024])
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 1, 32])
    parser.add_argument("--only", choices=["scans", "networks"], help="leave out the others")
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
            if not hasattr(triton_tuning, name):
                sys.exit(f"{options.settings}: triton_tuning has no {name}")
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

    check = check_backend("triton", torch.device("cuda"), small=True)
    notes["self-check"] = f"{check.forward_error:.1e} forward, {check.gradient_error:.1e} gradients"
    try:
        report["floor"] = measure_floor(batch=8, size=512)
        notes["floor, Swin-UMamba† 512 x 512, batch 8"] = json.dumps(report["floor"])
    except Exception as error:  # noqa: BLE001 - the other rows are still wanted
        notes["failed: floor"] = f"{type(error).__name__}: {str(error)[:200]}"
    # In order of value: the time may not suffice for everything.
    for batch in options.batches:
        for size in options.sizes if options.only != "scans" else []:
            every = (size, batch) == (512, 8)
            keep(
                f"† {size} x {size}, batch {batch}",
                lambda s=size, b=batch, e=every: network_rows(b, s, extension, options.repeats, e),
            )
        for channels in candidates.STAGES if options.only != "networks" else []:
            keep(
                f"scan of {channels} channels, 512 x 512, batch {batch}",
                lambda c=channels, b=batch: scan_rows(b, 512, c, extension, options.repeats),
            )
    print(options.markdown.read_text())


if __name__ == "__main__":
    main()
