"""Compare settings of ``triton_tuning`` on a GPU: are they right, how fast are they, which wins.

    python benchmarks/gpu_settings.py --json settings.json --seconds 150
    python benchmarks/gpu.py --settings settings.json           # all figures with the winner

Scans are those of Swin-UMamba† on 512 x 512 in bfloat16. First the forward kernels are compared,
then, with the fastest of them, the backward pass. Settings whose errors against the float64
reference are beyond what the test suite allows cannot win.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gpu_candidates as candidates
import torch
from gpu_tuning import milliseconds, scan_runs

from napari_swin_umamba.network.selective_scan import (
    reference,
    selective_scan_2d,
    triton_tuning,
)

Settings = dict[str, Any]

AS_THEY_ARE = "as they are"
STRIPS: Settings = {"SCAN_IN_STRIPS": True}
FORWARD: dict[str, Settings] = {
    AS_THEY_ARE: {},
    "strips of 4 steps, 128 registers": STRIPS,
    "strips of 8 steps, 168 registers": {
        **STRIPS,
        "SCAN_STRIP_STEPS": 8,
        "SCAN_REGISTERS": 168,
    },
    "strips of 4 steps, 96 registers": {**STRIPS, "SCAN_REGISTERS": 96},
    "strips of 4 steps, chunks of 64": {**STRIPS, "LONGEST_CHUNK": 64},
    "strips of 4 steps, chunks of 256": {**STRIPS, "LONGEST_CHUNK": 256},
}
PARTS: Settings = {"WEIGHT_GRADIENT_PARTS": 64}
WALK: Settings = {**PARTS, "WALK_IN_STRIPS": True}
BACKWARD: dict[str, Settings] = {
    AS_THEY_ARE: {},
    "strips of 4 steps, 168 registers": WALK,
    "step by step, weight gradient in 64 parts": PARTS,
    "strips of 4 steps, 128 registers": {
        **WALK,
        "WALK_REGISTERS": 128,
        "WALK_PROGRAMS_PER_PROCESSOR": 16,
    },
    "strips of 4 steps, 255 registers": {
        **WALK,
        "WALK_REGISTERS": 255,
        "WALK_PROGRAMS_PER_PROCESSOR": 8,
    },
    "strips of 4 steps, 168 registers, chunks of 64": {**WALK, "LONGEST_KEPT_CHUNK": 64},
    "strips of 2 steps, 128 registers": {
        **WALK,
        "WALK_STRIP_STEPS": 2,
        "WALK_REGISTERS": 128,
        "WALK_PROGRAMS_PER_PROCESSOR": 16,
    },
}
SCANS = {192: 4, 384: 4, 768: 11, 1536: 2}
"""Scans of each number of channels in one pass of Swin-UMamba†."""
CHECKED = ((1, 16, 64), (2, 9, 96))
"""Batch, side and channels of maps: one that fits all tiles, one that fits none."""
LIMITS = {"forward": 1e-5, "gradients": 1e-4}


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


def largest_errors() -> dict[str, float]:
    """Errors in float32 against float64, each relative to the largest true value."""
    errors = dict.fromkeys(LIMITS, 0.0)
    for batch, side, channels in CHECKED:
        inputs = candidates.scan_inputs(batch, side, channels, torch.float32)
        leaves = [x.detach().requires_grad_() for x in inputs]
        grad = torch.randn_like(inputs[0])
        y = selective_scan_2d(*leaves, backend="triton")
        results = [y.detach(), *torch.autograd.grad(y, leaves, grad)]
        exact = [x.detach().double().cpu() for x in inputs]
        truths = [reference.forward(*exact), *reference.backward(grad.double().cpu(), *exact)]
        for place, (result, truth) in enumerate(zip(results, truths, strict=True)):
            kind = "gradients" if place else "forward"
            error = (result.double().cpu() - truth).abs().max() / truth.abs().max()
            # What is no number is wrong as well.
            errors[kind] = max(errors[kind], error.nan_to_num(torch.inf).item())
    return errors


def measure(kind: str, runs: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Errors, milliseconds of every scan, and of all scans of one network; or what failed."""
    try:
        row: dict[str, Any] = {"errors": largest_errors()}
        row["right"] = all(row["errors"][what] <= limit for what, limit in LIMITS.items())
        row["ms"] = {what: round(milliseconds(run), 4) for what, run in runs.items()}
        row["network ms"] = sum(n * row["ms"][f"8x{c}"] for c, n in SCANS.items())
    except Exception as error:  # noqa: BLE001 - the other settings are still wanted
        row = {"failed": f"{type(error).__name__}: {error}"[:300], "right": False}
    row["kind"] = kind
    return row


def compare(
    kind: str, choices: dict[str, Settings], fixed: Settings, end: float, report: dict[str, Any]
) -> str:
    """Measure all choices as long as there is time; return the fastest that is right."""
    every = {(batch, channels): scan_runs(batch, channels) for channels in SCANS for batch in (8,)}
    every[1, 192] = scan_runs(1, 192)
    runs = {f"{batch}x{channels}": kinds[kind] for (batch, channels), kinds in every.items()}
    rows = report.setdefault(kind, {})
    for name, changes in choices.items():
        if time.monotonic() > end:
            rows[name] = {"failed": "time was over", "right": False}
            continue
        with settings_of({**fixed, **changes}):
            rows[name] = measure(kind, runs)
        print(f"{kind}, {name}: {json.dumps(rows[name])}", flush=True)
    right = [name for name in choices if rows[name]["right"]]
    best = min(right, key=lambda name: rows[name]["network ms"], default=AS_THEY_ARE)
    if best in right and AS_THEY_ARE in right:
        ratio = rows[AS_THEY_ARE]["network ms"] / rows[best]["network ms"]
        print(f"WINNER, {kind}: {best}, {ratio:.2f} times as fast as they are", flush=True)
    else:
        print(f"WINNER, {kind}: none, present settings were not measured or wrong", flush=True)
    return best


def main() -> None:
    """Compare forward kernels, then backward passes; write the winner's settings."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, default=Path("settings.json"))
    parser.add_argument("--seconds", type=float, default=150.0)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("gpu_settings.py needs a CUDA device; torch finds none")
    torch.manual_seed(0)
    start = time.monotonic()
    report: dict[str, Any] = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__}
    winner: Settings = {}
    # The backward pass gains most, so it is left the larger part of the time.
    for kind, choices, share in (("forward", FORWARD, 0.35), ("training", BACKWARD, 1.0)):
        best = compare(kind, choices, winner, start + share * options.seconds, report)
        winner = {**winner, **choices[best]}
        report["winner"] = winner
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    print("WINNER, settings:", json.dumps(winner), flush=True)


if __name__ == "__main__":
    main()
