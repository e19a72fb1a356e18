"""What reading, tiling, resampling and writing cost beside the network itself: CPU time.

    python benchmarks/pipeline.py                  # about six minutes on two cores
    python benchmarks/pipeline.py --repeats 5 --json pipeline.json

A 16-slice volume of 512 x 512 goes from file to label file through Swin-UMamba† (random weights).
The processor time of all threads is counted inside and outside the network's forward pass of the
same run, so that other programs on the machine hardly matter.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import tifffile
import torch
from cpu import processor
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from napari_swin_umamba.checkpoints import Model, ModelInfo
from napari_swin_umamba.network import build_network, warm_up
from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass
from napari_swin_umamba.segmentation import BatchOptions, plan_batch, run_batch

SHAPE = (16, 512, 512)
SPACING = (3.0, 0.8, 0.8)
LIMIT = 0.25


class Timed(nn.Module):
    """A network that counts the processor time spent in it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seconds = 0.0

    def forward(self, x: Tensor) -> Any:
        """Run the network."""
        start = time.process_time()
        output = self.network(x)
        self.seconds += time.process_time() - start
        return output


def make_model(patch: int) -> Model:
    """Return Swin-UMamba† for three classes, trained (not really) on pixels of 1 mm."""
    plan = Plan(
        architecture="swin-umamba-d",
        channels=(Channel(name="MR", normalization=Normalization(scheme="zscore")),),
        classes=tuple(
            SegmentationClass(id=number, name=name)
            for number, name in enumerate(("background", "liver", "spleen"))
        ),
        patch=(patch, patch),
        spacing=(1.0, 1.0),
        unit="millimeter",
    )
    torch.manual_seed(0)
    network = build_network(plan.architecture, 1, plan.num_classes).eval()
    return Model(Timed(network), plan, "benchmark", ModelInfo())


def make_files(folder: Path) -> dict[str, Path]:
    """Write one volume as NIfTI (compressed) and as TIFF."""
    noise = np.random.default_rng(0).normal(size=SHAPE)
    volume = (2000 + 6000 * gaussian_filter(noise, 3)).clip(0, 4095).astype(np.int16)
    nifti, tiff = folder / "volume.nii.gz", folder / "volume.tif"
    affine = np.diag([*reversed(SPACING), 1.0])
    nibabel.save(nibabel.Nifti1Image(volume.T, affine), nifti)
    tifffile.imwrite(
        tiff,
        volume.astype(np.uint16),
        imagej=True,
        resolution=(1 / SPACING[2], 1 / SPACING[1]),
        metadata={"axes": "ZYX", "spacing": SPACING[0], "unit": "mm"},
    )
    return {"NIfTI": nifti, "TIFF": tiff}


def measure(model: Model, source: Path, options: BatchOptions, out: Path) -> tuple[float, float]:
    """Return processor seconds of the network, and of all the rest, from file to file."""
    timed = model.network
    assert isinstance(timed, Timed)
    timed.seconds = 0.0
    start = time.process_time()
    summary = run_batch(plan_batch([source], out, overwrite=True), model, options)
    total = time.process_time() - start
    assert summary.done == 1, [report.error for report in summary.failed]
    return timed.seconds, total - timed.seconds


def main() -> None:
    """Run all cases in turn and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warm_up()
    machine = f"{processor()}, {platform.system()} {platform.machine()}"
    versions = {name: version(name) for name in ("torch", "numba", "numpy", "scikit-image")}
    print(f"{machine}; {options.threads} threads; {options.repeats} runs each, in turn")
    print(", ".join(f"{name} {number}" for name, number in versions.items()))
    rows: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = make_files(folder)
        one, tiles = make_model(512), make_model(320)
        plain, resampled = BatchOptions(device="cpu"), BatchOptions(device="cpu", resample=True)
        cases: dict[str, Callable[[], tuple[float, float]]] = {
            "NIfTI, one tile a slice": lambda: measure(one, files["NIfTI"], plain, folder / "a"),
            "TIFF, one tile a slice": lambda: measure(one, files["TIFF"], plain, folder / "b"),
            "NIfTI, four tiles of 320 x 320": lambda: measure(
                tiles, files["NIfTI"], plain, folder / "c"
            ),
            "NIfTI, resampled from 0.8 to 1 mm": lambda: measure(
                one, files["NIfTI"], resampled, folder / "d"
            ),
        }
        measure(one, files["NIfTI"], plain, folder / "warm")
        for _ in range(options.repeats):
            for case, run in cases.items():
                rows.setdefault(case, []).append(run())
    print("\n| | network, CPU s | the rest, CPU s | the rest / network | |\n|---|---|---|---|---|")
    results = []
    for case, runs in rows.items():
        network, rest = (statistics.median(column) for column in zip(*runs, strict=True))
        share = statistics.median(rest / network for network, rest in runs)
        verdict = "kept" if share <= LIMIT else "NOT kept"
        print(f"| {case} | {network:.1f} | {rest:.2f} | {share:.1%} | {verdict} |")
        results.append({"case": case, "network_s": network, "rest_s": rest, "share": share})
    if options.json:
        report = {"machine": machine, "versions": versions, "results": results}
        options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
