"""Time both networks beside nnU-Net's 2D network on the CPU, in one process, turn by turn.

    python benchmarks/cpu.py                  # about three minutes on two cores
    python benchmarks/cpu.py --threads 4 --repeats 9 --json cpu.json

Machines are noisy: the runs of all candidates alternate, and a ratio is the median of the ratios of
neighbouring runs. DynUNet has nnU-Net's 2D configuration for large images (8 stages, 32 to 512
features, 46 M parameters) without deep supervision; the faster of its two memory layouts counts.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import DynUNet
from torch import Tensor, nn
from torch.nn import functional

from napari_swin_umamba.network import build_network, warm_up
from napari_swin_umamba.network.linear import linear
from napari_swin_umamba.segmentation import has_bf16

FEATURES = [32, 64, 128, 256, 512, 512, 512, 512]
CHANNELS = CLASSES = 3
BF16 = ", bf16"
MEMORY_PROBE = "--measure-memory"


def build_dynunet(channels_last: bool) -> nn.Module:
    """nnU-Net's 2D network, in one of two memory layouts."""
    network: Any = DynUNet(  # its type knows no memory format
        spatial_dims=2,
        in_channels=CHANNELS,
        out_channels=CLASSES,
        kernel_size=[3] * len(FEATURES),
        strides=[1] + [2] * (len(FEATURES) - 1),
        upsample_kernel_size=[2] * (len(FEATURES) - 1),
        filters=FEATURES,
        norm_name=("INSTANCE", {"affine": True}),
        act_name=("leakyrelu", {"inplace": True, "negative_slope": 0.01}),
        res_block=False,
        deep_supervision=False,
    )
    return network.to(memory_format=torch.channels_last) if channels_last else network


def measure(candidates: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every run; the candidates take turns, after one run each that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(repeats + 1):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def _in_bf16(networks: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """The same networks once more in bfloat16, where the processor has instructions for it."""
    if not has_bf16(torch.device("cpu")):
        return {}
    return {name + BF16: deepcopy(network) for name, network in networks.items()}


def _precision(name: str) -> AbstractContextManager[object]:
    return torch.autocast("cpu", torch.bfloat16) if name.endswith(BF16) else nullcontext()


def inference_candidates() -> dict[str, Callable[[], Any]]:
    """One 512 x 512 image through each network."""
    image = torch.randn(1, CHANNELS, 512, 512)
    networks = {
        "DynUNet": build_dynunet(channels_last=False),
        "DynUNet, channels last": build_dynunet(channels_last=True),
        "Swin-UMamba†": build_network("swin-umamba-d", CHANNELS, CLASSES),
        "Swin-UMamba": build_network("swin-umamba", CHANNELS, CLASSES),
        "Swin-UMamba† tiny": build_network("swin-umamba-d-tiny", CHANNELS, CLASSES),
    }

    networks |= _in_bf16(networks)

    def candidate(name: str, network: nn.Module) -> Callable[[], Any]:
        network.eval()
        given = image.to(memory_format=torch.channels_last) if "last" in name else image

        def run() -> None:
            with torch.inference_mode(), _precision(name):
                network(given)

        return run

    return {name: candidate(name, network) for name, network in networks.items()}


def training_candidates() -> dict[str, Callable[[], Any]]:
    """One step, two patches of 256 x 256: forward, loss, backward, AdamW."""
    images = torch.randn(2, CHANNELS, 256, 256)
    target = torch.randint(CLASSES, (2, 256, 256))
    networks = {
        "DynUNet": build_dynunet(channels_last=False),
        "DynUNet, channels last": build_dynunet(channels_last=True),
        "Swin-UMamba†": build_network("swin-umamba-d", CHANNELS, CLASSES),
    }
    networks |= _in_bf16(networks)

    def candidate(name: str, network: nn.Module) -> Callable[[], Any]:
        network.train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
        given = images.to(memory_format=torch.channels_last) if "last" in name else images

        def run() -> None:
            optimizer.zero_grad()
            with _precision(name):
                loss = functional.cross_entropy(network(given), target)
            loss.backward()
            optimizer.step()

        return run

    return {name: candidate(name, network) for name, network in networks.items()}


def linear_candidates() -> dict[str, Callable[[], Any]]:
    """The linear layer of an early block, as the networks run it and as torch does."""
    x, weight = torch.randn(1, 128, 128, 96), torch.randn(192, 96)

    def candidate(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], Any]:
        def run() -> None:
            with torch.inference_mode():
                for _ in range(20):
                    function(x, weight)

        return run

    return {"BLAS": candidate(functional.linear), "oneDNN": candidate(linear)}


def summarise(title: str, seconds: dict[str, list[float]], baselines: list[str]) -> dict[str, Any]:
    """Medians, and ratios to the faster baseline, run by run."""
    baseline = min(baselines, key=lambda name: statistics.median(seconds[name]))
    rows = {}
    for name, runs in seconds.items():
        ratios = [own / base for own, base in zip(runs, seconds[baseline], strict=True)]
        rows[name] = {
            "median_s": statistics.median(runs),
            "min_s": min(runs),
            "max_s": max(runs),
            "ratio": statistics.median(ratios),
        }
    print(f"\n{title}\n\n| | median s | min to max | ratio |\n|---|---|---|---|")
    for name, row in rows.items():
        spread = f"{row['min_s']:.3f} to {row['max_s']:.3f}"
        print(f"| {name} | {row['median_s']:.3f} | {spread} | {row['ratio']:.2f} |")
    return {"title": title, "baseline": baseline, "rows": rows}


def peak_memory_gb() -> float:
    """Peak resident memory of a process that segments one 512 x 512 image, on Linux."""
    command = [sys.executable, str(Path(__file__)), MEMORY_PROBE]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(output.split()[-1])


def measure_memory() -> None:
    """Print this process's peak memory in GB after one inference."""
    network = build_network("swin-umamba-d", CHANNELS, CLASSES).eval()
    with torch.inference_mode():
        network(torch.randn(1, CHANNELS, 512, 512))
    # Not getrusage: a child starts with the peak of the process that forked it.
    status = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    print(int(kilobytes) * 1024 / 1e9)


def processor() -> str:
    """Name of the processor as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def main() -> None:
    """Run all benchmarks and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument(MEMORY_PROBE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.measure_memory:
        measure_memory()
        return
    warm_up()
    versions = {name: version(name) for name in ("torch", "numba", "monai", "numpy")}
    machine = f"{processor()}, {platform.system()} {platform.machine()}"
    print(f"{machine}; {options.threads} threads; {options.repeats} runs each")
    print(", ".join(f"{name} {number}" for name, number in versions.items()))

    layouts = ["DynUNet", "DynUNet, channels last"]
    results = []
    for title, candidates, baselines in (
        ("Inference, 1 x 3 x 512 x 512", inference_candidates, layouts),
        ("Training step, 2 x 3 x 256 x 256", training_candidates, layouts),
        ("20 linear layers, 128 x 128 pixels, 96 to 192", linear_candidates, ["BLAS"]),
    ):
        results.append(summarise(title, measure(candidates(), options.repeats), baselines))
    memory = peak_memory_gb() if sys.platform == "linux" else None
    if memory:
        print(f"\nPeak memory of one 512 x 512 image through Swin-UMamba†: {memory:.2f} GB")
    if options.json:
        report = {
            "machine": machine,
            "threads": options.threads,
            "versions": versions,
            "results": results,
            "peak_memory_gb": memory,
        }
        options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
