"""Train one of the models that come with the package, in as many pieces as it takes.

    python scripts/train_bundled.py nuclei --data DATA --work WORK [--minutes 20]
    python scripts/train_bundled.py nuclei --data DATA --work WORK --bundle

DATA holds the published data: ``nuclei`` (images, labels, kinds.json) and ``hippocampus`` (a
nnU-Net raw folder with splits.json). WORK is for what is written on the way. The same command goes
on where the last one ended, exactly as one long run would have; with ``--minutes`` it ends after so
long. At the end of the run it scores the model as it will be shipped, with float16 weights, on the
validation images, and writes the results to ``benchmarks/results/models/NAME.json``. ``--bundle``
also puts the model in its place in the package.

To compare other settings: ``--variant NAME`` and ``--set FIELD=VALUE`` as of ``swin-umamba train``;
nothing of a variant is put into the package.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts" / "bundled"), str(ROOT / "benchmarks")]

from cpu import processor  # noqa: E402
from models import MODELS, BundledModel  # noqa: E402

from napari_swin_umamba import load_model  # noqa: E402
from napari_swin_umamba.files import atomic_path  # noqa: E402

PACKAGE = ROOT / "napari_swin_umamba" / "models"
RESULTS = ROOT / "benchmarks" / "results" / "models"
_INTERRUPTED = 130


def train(name: str, made: BundledModel, options: argparse.Namespace) -> list[Path] | None:
    """Begin the runs or go on with them.

    Parameters
    ----------
    name
        Of the model.
    made
        How it is made.
    options
        Of the command line.

    Returns
    -------
    list of Path or None
        Folders of the runs; None where they have not come to their end.
    """
    folder = options.work / name
    if not folder.exists():
        unfinished = options.work / f"{name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        made.prepare(options.data, unfinished)
        unfinished.rename(folder)
    end = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    runs: list[Path] = []
    for recipe in made.recipes:
        run = folder / (f"{recipe}-{options.variant}" if options.variant else recipe)
        start = str(runs[-1] / "model.safetensors") if runs else "none"
        runs.append(run)
        if not _ended(run):
            _run(made, recipe, start, run, folder, options, end)
        if not _ended(run):
            return None
    return runs


def _run(
    made: BundledModel,
    recipe: str,
    start: str,
    run: Path,
    folder: Path,
    options: argparse.Namespace,
    end: float | None,
) -> None:
    """Train, until the run or the time given to it ends."""
    dataset = made.dataset(options.data, folder)
    program = [sys.executable, "-m", "swin_umamba_training"]
    command = [*program, "train", str(dataset), "-o", str(run), "--device", options.device]
    if (run / "last.ckpt").exists():
        command.append("--resume")
    else:
        settings = ROOT / "scripts" / "bundled" / f"{recipe}.yaml"
        command += ["--recipe", str(settings), "--init", start, "--seed", str(options.seed)]
        command += ["--val", str((folder / "val.txt").resolve()), "--overwrite", *made.arguments]
        command += [] if start != "none" else ["--arch", made.architecture]
        command += [word for setting in options.set for word in ("--set", setting)]
    child = subprocess.Popen(command)
    try:
        child.wait(None if end is None else max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGTERM)  # the run keeps its place and ends
        child.wait()
    except KeyboardInterrupt:  # the child heard it too
        child.wait()
    if child.returncode == -signal.SIGTERM:  # it did not come to listen for it
        print("ended before the first step: give it more --minutes")
    elif child.returncode not in (0, _INTERRUPTED):
        sys.exit(child.returncode)


def _ended(run: Path) -> bool:
    events = run / "events.jsonl"
    return events.exists() and _last_event(events)["event"] == "done"


def _last_event(events: Path) -> dict[str, Any]:
    last: dict[str, Any] = json.loads(events.read_text().splitlines()[-1])
    return last


def bundle(name: str, made: BundledModel, runs: list[Path], options: argparse.Namespace) -> Path:
    """Write the model as it is shipped, and what it scores.

    Parameters
    ----------
    name, made, options
        As of :func:`train`.
    runs
        Folders of the runs, all at their end.

    Returns
    -------
    Path
        The model's file.
    """
    folder, run = options.work / name, runs[-1]
    label = f"{name}-{options.variant}" if options.variant else name
    trained = load_model(run / "model.safetensors")
    plan = trained.plan.model_copy(update={"patch": made.patch, "overlap": made.overlap})
    target = run / f"{name}.safetensors"
    model = dataclasses.replace(trained, name=name, plan=plan)
    model.save(target, torch.float16)
    dataset = made.dataset(options.data, folder)
    names = tuple((folder / "val.txt").read_text().split())
    scores = {key: round(value, 4) for key, value in _score(made, target, dataset, names).items()}
    info = trained.info.model_copy(
        update={
            "description": made.description,
            "limits": made.limits,
            "version": options.model_version,
            "licence": made.licence,
            "data": made.data,
            "scores": scores,
        }
    )
    dataclasses.replace(model, info=info).save(target, torch.float16)
    done = [_last_event(each / "events.jsonl") for each in runs]
    result = {
        "model": label,
        "scores": scores,
        "validation_images": len(names),
        "steps": [event["step"] for event in done],
        "train_seconds": [event["seconds"] for event in done],
        "seed": options.seed,
        "settings": options.set,
        "bytes": target.stat().st_size,
        "sha256": sha256(target.read_bytes()).hexdigest(),
        "machine": f"{processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "versions": {package: version(package) for package in ("torch", "numba", "numpy")}
        | {"python": platform.python_version()},
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{label}.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    return target


def _score(
    made: BundledModel, file: Path, dataset: Path, names: tuple[str, ...]
) -> dict[str, float]:
    return made.score(load_model(file), dataset, names)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--data", type=Path, required=True, help="folder of the published data")
    parser.add_argument("--work", type=Path, required=True, help="folder for runs")
    parser.add_argument("--minutes", type=float, help="end this piece of the run after so long")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", action="store_true", help="put the model into the package")
    parser.add_argument("--model-version", default="1.0", help="version of the model")
    parser.add_argument("--variant", default="", help="name of a run with other settings")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    options = parser.parse_args()
    if options.set and not options.variant:
        parser.error("--set is for variants: name one (--variant)")
    if options.variant and options.bundle:
        parser.error("variants are not put into the package")
    made = MODELS[options.model]
    runs = train(options.model, made, options)
    if runs is None:
        print("not at its end yet: the same command goes on")
        return 0
    file = bundle(options.model, made, runs, options)
    if options.bundle:
        with atomic_path(PACKAGE / file.name, overwrite=True) as temporary:
            shutil.copyfile(file, temporary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
