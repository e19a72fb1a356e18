"""Is a slice that the model is unsure of worth more than one of evenly spaced ones?

    python benchmarks/annotator.py run --data DATA
    python benchmarks/annotator.py run --data DATA --seed 3 --arm even
    python benchmarks/annotator.py table

A simulated annotator begins with a network that knows nothing. In each round it paints a number of
slices (strokes drawn from the true labels, with a hand that is off by a pixel), trains for a fixed
number of steps, and the model is scored on the volumes that are held out for that (DATA holds
``hippocampus``, as for ``accuracy.py``). The slices are those of *Suggest* (``suggested``), or
evenly spaced between those painted before (``even``); number of slices, steps and volumes are the
same. The first round is the same, too: there is no model yet. Later ones train on from the model
before, as a person would, be it better or not (``--restart``: anew).

Each run leaves a JSON file in ``benchmarks/results/annotator``; where that is there, nothing is
done, so ``run`` goes on where it was ended. ``table`` puts all into one Markdown table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from accuracy import call, interval
from annotator_project import Annotator, scored_files
from cpu import processor

from napari_swin_umamba.files import atomic_path
from napari_swin_umamba.project import ProjectModels, Slice, list_slices, suggest_evenly

RESULTS = Path(__file__).parent / "results" / "annotator"
ARMS = ("suggested", "even")
SEEDS = range(5)
_SETTINGS = ("arch", "volumes", "held_out", "slices", "rounds", "steps", "scored", "restart")


def run(arm: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """All rounds of one arm."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        annotator = Annotator.begin(
            options.data, folder / "project", seed, options.volumes, options.held_out
        )
        rounds = []
        for number in range(options.rounds):
            begin = time.perf_counter()
            chosen = _choose(arm, annotator, options.slices)
            choosing = time.perf_counter() - begin
            pixels = annotator.paint(chosen)
            trained = _train(annotator, folder / f"run{number}", seed, number, options)
            scores = _score(annotator, folder / f"labels{number}", options)
            rounds.append(
                {
                    "slices": [[annotator.project.image(one).name, *z] for one, z in chosen],
                    "pixels": pixels,
                    "steps": trained["step"],
                    "choose_seconds": round(choosing, 1),
                    "train_seconds": trained["seconds"],
                    "round_seconds": round(time.perf_counter() - begin, 1),
                    "scores": scores,
                }
            )
            print(f"{arm}, seed {seed}, round {number + 1}: {scores}", flush=True)
    return {
        "arm": arm,
        "seed": seed,
        "settings": {name: getattr(options, name) for name in _SETTINGS},
        "rounds": rounds,
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ("torch", "numba", "monai", "numpy")}
        | {"python": platform.python_version()},
    }


def _choose(arm: str, annotator: Annotator, count: int) -> list[Slice]:
    """Slices to paint next."""
    project = annotator.project
    if arm == "even":
        return [one.slice for one in suggest_evenly(list_slices(project), count)]
    found = json.loads(
        call(
            *("suggest", str(project.folder), "--count", str(count), "--seconds", "600"),
            *("--device", "cpu", "--json"),
        )
    )
    return [(one["image_id"], tuple(one["position"])) for one in found["suggestions"]]


def _train(
    annotator: Annotator, folder: Path, seed: int, number: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Train, and make the new model the project's, be it better or not; return the last event."""
    anew = number == 0 or options.restart
    start = ("--init", "none", "--arch", options.arch) if anew else ("--init", "project")
    events = call(
        *("train", str(annotator.project.folder), "-o", str(folder), *start),
        *("--recipe", "quick" if anew else "finetune", "--steps", str(options.steps)),
        *("--seed", str(seed), "--device", "cpu", "--json"),
    )
    last = [one for one in map(json.loads, events.splitlines()) if one["event"] == "done"][-1]
    models = ProjectModels(annotator.project.folder)
    newest = models.read().newest
    assert newest is not None, "the training left no model in the project"
    models.choose(newest.number)
    return dict(last)


def _score(annotator: Annotator, labels: Path, options: argparse.Namespace) -> dict[str, float]:
    """DSC of both classes and their mean, over the volumes."""
    model = ProjectModels(annotator.project.folder).current_path()
    pairs = scored_files(options.data, options.scored)
    truth = labels.with_name("truth")
    truth.mkdir(exist_ok=True)
    for _, file in pairs:
        shutil.copyfile(file, truth / file.name)
    files = [str(image) for image, _ in pairs]
    call("segment", *files, "-o", str(labels), "--model", str(model), "--device", "cpu")
    printed = call(
        "evaluate", str(labels), str(truth), "--metric", "dsc", "--classes", "2", "--json"
    )
    means = json.loads(printed)["mean"]
    scores = {name: round(means[f"dsc {number}"], 4) for number, name in ((1, "ant"), (2, "post"))}
    return {**scores, "mean": round(statistics.mean(scores.values()), 4)}


def table(folder: Path) -> str:
    """All results as Markdown: mean over the seeds, and the 95 % interval of that mean."""
    scores: dict[str, dict[int, list[float]]] = {arm: {} for arm in ARMS}
    settings: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text())
        scores[result["arm"]][result["seed"]] = [one["scores"]["mean"] for one in result["rounds"]]
        settings.append(result["settings"])
    if not settings:
        return "no results yet"
    if any(one != settings[0] for one in settings):
        raise SystemExit(f"{folder}: runs have different settings; put some of them elsewhere")
    both = sorted(set(scores["suggested"]) & set(scores["even"]))
    lines = [
        f"Seeds with both arms: {', '.join(map(str, both)) or 'none'}. Settings: {settings[0]}",
        "",
        "| round | slices painted | suggested | evenly spaced | difference, seed by seed |",
        "|---|---|---|---|---|",
    ]
    for number in range(settings[0]["rounds"] if both else 0):
        arms = {arm: [scores[arm][seed][number] for seed in both] for arm in ARMS}
        pairs = zip(arms["suggested"], arms["even"], strict=True)
        columns = [interval(values) for values in arms.values()]
        columns.append(interval([one - other for one, other in pairs]))
        painted = (number + 1) * settings[0]["slices"]
        lines.append(f"| {number + 1} | {painted} | {' | '.join(columns)} |")
    return "\n".join(lines)


def main() -> None:
    """Run what is not done yet, or print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True, dest="command")
    some = commands.add_parser("run")
    some.add_argument("--data", type=Path, required=True)
    some.add_argument("--seed", type=int, help="default: 0 to 4, one after the other")
    some.add_argument("--arm", choices=ARMS, help="default: both")
    some.add_argument("--arch", default="swin-umamba-d-tiny")
    some.add_argument("--volumes", type=int, default=8, help="that slices are chosen from")
    some.add_argument("--held-out", type=int, default=2, help="that tell the best moment")
    some.add_argument("--slices", type=int, default=6, help="painted in a round")
    some.add_argument("--rounds", type=int, default=5)
    some.add_argument("--steps", type=int, default=200, help="of a round")
    some.add_argument("--scored", type=int, help="volumes to score on; default: all 26")
    some.add_argument("--restart", action="store_true", help="each round from drawn weights")
    shown = commands.add_parser("table")
    for command in (some, shown):
        command.add_argument("--results", type=Path, default=RESULTS, help="folder of results")
    options = parser.parse_args()
    folder = options.results
    if options.command == "table":
        print(table(folder))
        return
    folder.mkdir(parents=True, exist_ok=True)
    for seed in SEEDS if options.seed is None else (options.seed,):
        for arm in ARMS if options.arm is None else (options.arm,):
            target = folder / f"{arm}_{seed}.json"
            if target.exists():
                print(f"{target} is there already")
                continue
            result = run(arm, seed, options)
            with atomic_path(target, overwrite=True) as temporary:
                temporary.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
