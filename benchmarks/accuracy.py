"""How good models become: same data, same budget, several seeds.

    python benchmarks/accuracy.py run hippocampus --data DATA --arch swin-umamba-d-tiny --seed 0
    python benchmarks/accuracy.py table

DATA holds ``hippocampus`` (Medical Segmentation Decathlon, task 4, as a nnU-Net raw folder, with
``splits.json``). Each run goes through the command line as a user would: ``train``, ``segment``,
``evaluate``; it leaves one JSON file in ``benchmarks/results/accuracy``. ``table`` puts all of them
into one Markdown table: mean over the seeds, and the 95 % interval of that mean.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accuracy_data import EXPERIMENTS, Prepared, prepare
from cpu import processor
from scipy.stats import t as student

RESULTS = Path(__file__).parent / "results" / "accuracy"
_PROGRAM = (sys.executable, "-m", "swin_umamba_training")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train, segment the held-out images, score them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared = prepare(options.experiment, options.data, folder)
        done = _train(prepared, folder, options)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        begin = time.perf_counter()
        files = [str(path) for path in prepared.inputs]
        model = ["--model", done["model"], "--device", "cpu"]
        _call("segment", *files, "-o", str(folder / "labels"), *model)
        segmenting = time.perf_counter() - begin
        scores = _call(
            "evaluate", str(folder / "labels"), str(prepared.truth), *prepared.scoring, "--json"
        )
    return {
        "experiment": options.experiment,
        "arch": options.arch,
        "init": options.init,
        "seed": options.seed,
        "minutes": options.minutes,
        "steps": done["step"],
        "train_seconds": done["seconds"],
        "segment_seconds": round(segmenting, 1),
        "peak_memory_gb": round(memory / 2**20, 2),
        "scores": json.loads(scores)["mean"],
        "images": json.loads(scores)["images"],
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("torch", "numba", "monai", "numpy")}
        | {"python": platform.python_version()},
    }


def _train(prepared: Prepared, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train; return the last event of the run."""
    held_out = folder / "held_out.txt"
    held_out.write_text("\n".join(prepared.held_out) + "\n")
    events = _call(
        "train",
        *(str(prepared.dataset), "-o", str(folder / "run"), "--recipe", options.recipe),
        *("--arch", options.arch, "--init", options.init, "--seed", str(options.seed)),
        *("--minutes", str(options.minutes), "--val", str(held_out), "--device", "cpu", "--json"),
    )
    last = json.loads(events.splitlines()[-1])
    assert last["event"] == "done", last
    return dict(last)


def _call(*arguments: str) -> str:
    return subprocess.run(
        [*_PROGRAM, *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def table() -> str:
    """All results as Markdown."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text())
        key = (*(str(result[field]) for field in ("experiment", "arch", "init", "minutes")),)
        groups[key].append(result)
    lines = [
        "| experiment | network | start | minutes | seeds | scores | steps | memory, GB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key, results in sorted(groups.items()):
        names = results[0]["scores"]
        scores = ", ".join(
            f"{name} {_interval([result['scores'][name] for result in results])}" for name in names
        )
        steps = statistics.median(result["steps"] for result in results)
        memory = max(result["peak_memory_gb"] for result in results)
        lines.append(
            f"| {' | '.join(key)} | {len(results)} | {scores} | {steps:.0f} | {memory:.2f} |"
        )
    return "\n".join(lines)


def _interval(values: list[float]) -> str:
    """Mean and 95 % interval of the mean (Student's t)."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.3f}"
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.3f} ± {half:.3f}"


def main() -> None:
    """Run one experiment, or print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True, dest="command")
    one = commands.add_parser("run")
    one.add_argument("experiment", choices=EXPERIMENTS)
    one.add_argument("--data", type=Path, required=True)
    one.add_argument("--arch", default="swin-umamba-d-tiny")
    one.add_argument("--init", default="none")
    one.add_argument("--recipe", default="quick")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--minutes", type=float, default=5.0)
    commands.add_parser("table")
    options = parser.parse_args()
    if options.command == "table":
        print(table())
        return
    result = run(options)
    RESULTS.mkdir(parents=True, exist_ok=True)
    name = f"{result['experiment']}_{result['arch']}_{Path(result['init']).stem}_{result['seed']}"
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "images"}, indent=1))


if __name__ == "__main__":
    main()
