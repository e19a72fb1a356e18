"""How good models become: same data, same budget, several seeds.

    python benchmarks/accuracy.py run hippocampus --data DATA --arch swin-umamba-d-tiny --seed 0
    python benchmarks/accuracy.py run tissue-4 --data DATA --steps 400 --init fluo.safetensors
    python benchmarks/accuracy.py floor tissue-4 --data DATA
    python benchmarks/accuracy.py table

DATA holds ``hippocampus`` (Medical Segmentation Decathlon, task 4, as a nnU-Net raw folder, with
``splits.json``) and ``nuclei`` (BBBC038: ``images``, ``labels``, ``kinds.json``). Experiments are
``hippocampus``, ``hippocampus-strokes``, ``fluorescence``, and ``tissue-N``: N images of stained
tissue to learn from, the last step counts, F1 on the 13 held-out ones. Each run goes through the
command line as a user would: ``train``, ``segment``, ``evaluate``; it leaves one JSON file in
``benchmarks/results/accuracy``, and where that is there already, nothing is done. ``floor`` scores
Otsu's threshold with a watershed, adjusted on the training images. ``table`` puts all results into
one Markdown table: mean over the seeds, and the 95 % interval of that mean.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from accuracy_data import EXPERIMENTS, Prepared, prepare
from cpu import processor
from scipy.stats import t as student

from napari_swin_umamba.images import read_image, read_labels
from swin_umamba_training.metrics import instance_f1

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples" / "nuclei"))

from demo import otsu_watershed  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "accuracy"
_PROGRAM = (sys.executable, "-m", "swin_umamba_training")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train, segment the held-out images, score them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared = prepare(options.experiment, options.data, folder, options.seed)
        done = _train(prepared, folder, options)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        begin = time.perf_counter()
        files = [str(path) for path in prepared.inputs]
        model = ["--model", done["model"], "--device", options.device]
        call("segment", *files, "-o", str(folder / "labels"), *model)
        segmenting = time.perf_counter() - begin
        if options.keep_model:
            shutil.copyfile(done["model"], options.keep_model)
        scores = call(
            "evaluate", str(folder / "labels"), str(prepared.truth), *prepared.scoring, "--json"
        )
    return {
        "experiment": options.experiment,
        "arch": options.arch,
        "init": Path(options.init).stem,
        "seed": options.seed,
        "minutes": None if options.steps else options.minutes,
        "steps": done["step"],
        "train_seconds": done["seconds"],
        "segment_seconds": round(segmenting, 1),
        "peak_memory_gb": round(memory / 2**20, 2),
        "scores": json.loads(scores)["mean"],
        "images": json.loads(scores)["images"],
        "device": options.device,
        "machine": f"{processor()}, {os.cpu_count()} cores, "
        f"{os.environ.get('OMP_NUM_THREADS', 'all')} threads",
        "versions": {name: version(name) for name in ("torch", "numba", "monai", "numpy")}
        | {"python": platform.python_version()},
    }


def floor(options: argparse.Namespace) -> dict[str, Any]:
    """Score Otsu's threshold and a watershed, adjusted on the training images."""
    with tempfile.TemporaryDirectory() as name:
        prepared = prepare(options.experiment, options.data, Path(name), options.seed)
        begin = time.perf_counter()
        masks = prepared.dataset / "masks"
        learned_from = [
            (_dark(read_image(file).array), read_labels(masks / file.name))
            for file in sorted((prepared.dataset / "images").iterdir())
            if file.stem not in prepared.held_out
        ]
        best = max(
            (3, 5, 7, 10, 14),
            key=lambda apart: statistics.mean(
                instance_f1(otsu_watershed(image, apart), truth).f1 for image, truth in learned_from
            ),
        )
        images = {
            file.stem: {
                "f1": instance_f1(
                    otsu_watershed(_dark(read_image(file).array), best),
                    read_labels(prepared.truth / file.name),
                ).f1
            }
            for file in prepared.inputs
        }
    return {
        "experiment": options.experiment,
        "arch": "otsu",
        "init": "none",
        "seed": options.seed,
        "minutes": None,
        "steps": 0,
        "train_seconds": round(time.perf_counter() - begin, 1),
        "peak_memory_gb": 0.0,
        "scores": {"f1": statistics.mean(score["f1"] for score in images.values())},
        "images": images,
    }


def _dark(image: np.ndarray) -> np.ndarray:
    """Grey image with bright objects: stained nuclei are dark on bright."""
    return image if image.ndim == 2 else 255 - image[..., :3].mean(axis=-1)


def _train(prepared: Prepared, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train; return the last event of the run."""
    held_out = folder / "held_out.txt"
    held_out.write_text("\n".join(prepared.held_out) + "\n")
    validation = ("--val", str(held_out)) if prepared.held_out else ("--val-fraction", "0")
    if options.steps:
        length = ("--steps", str(options.steps))
    else:
        length = ("--minutes", str(options.minutes))
    events = call(
        "train",
        *(str(prepared.dataset), "-o", str(folder / "run")),
        *(("--recipe", options.recipe) if options.recipe else ()),
        *("--arch", options.arch, "--init", options.init, "--seed", str(options.seed)),
        *(*length, *validation, *prepared.training, "--device", options.device, "--json"),
    )
    last = json.loads(events.splitlines()[-1])
    assert last["event"] == "done", last
    return dict(last)


def call(*arguments: str) -> str:
    """Run a command of swin-umamba; return what it printed."""
    return subprocess.run(
        [*_PROGRAM, *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def table() -> str:
    """All results as Markdown."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text())
        length = "steps" if result["minutes"] is None else "minutes"
        key = (
            *(result[field] for field in ("experiment", "arch", "init")),
            f"{result[length]} {length}",
        )
        groups[key].append(result)
    lines = [
        "| experiment | network | start | length | seeds | scores | steps | memory, GB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key, results in sorted(groups.items()):
        names = [name for name in results[0]["scores"] if name.startswith(("dsc", "f1"))]
        scores = ", ".join(
            f"{name} {interval([result['scores'][name] for result in results])}" for name in names
        )
        steps = statistics.median(result["steps"] for result in results)
        memory = max(result["peak_memory_gb"] for result in results)
        lines.append(
            f"| {' | '.join(key)} | {len(results)} | {scores} | {steps:.0f} | {memory:.2f} |"
        )
    return "\n".join(lines)


def interval(values: list[float]) -> str:
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
    one.add_argument("--recipe", help="default: as of swin-umamba train")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--minutes", type=float, default=5.0)
    one.add_argument("--steps", type=int, help="in place of minutes")
    one.add_argument("--device", default="cpu")
    one.add_argument("--keep-model", type=Path, help="copy the model to this file")
    low = commands.add_parser("floor")
    low.add_argument("experiment", choices=EXPERIMENTS)
    low.add_argument("--data", type=Path, required=True)
    low.add_argument("--seed", type=int, default=0)
    commands.add_parser("table")
    options = parser.parse_args()
    if options.command == "table":
        print(table())
        return
    arch = "otsu" if options.command == "floor" else options.arch
    init = "none" if options.command == "floor" else Path(options.init).stem
    steps = f"_{options.steps}" if getattr(options, "steps", None) else ""
    target = RESULTS / f"{options.experiment}_{arch}_{init}_{options.seed}{steps}.json"
    if target.exists():
        print(f"{target} is there already")
        return
    result = floor(options) if options.command == "floor" else run(options)
    RESULTS.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: value for key, value in result.items() if key != "images"}, indent=1))


if __name__ == "__main__":
    main()
