"""Measure whether napari's window stays free while the dock *Segment* runs.

A timer in the event loop ticks every 5 ms: the gaps between its ticks are how long a click or the
slider would wait. Every method of the plugin that runs in the window's thread is timed from
outside. Needs a screen, or::

    xvfb-run -a -s "-screen 0 1400x1000x24" python benchmarks/event_loop.py

``--json FILE`` writes every method's longest call, ``--only NAME`` measures one scenario. All of
it takes eight minutes on two cores. Imports and the first compilation are not measured: a small
image is segmented before. In three scenarios nothing of ours runs (idle, slider only, layers
added): what is slow there is slow without us. What napari takes to add a layer counts as a gap, not
as the time of the slot that adds it; the last scenario measures it alone. How long the brush waits
for the canvas, with and without a training, is measured by ``--only brush_beside_training``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from event_loop_recorder import Recorder, time_methods
from event_loop_scenarios import SCENARIOS, Studio, make_tiny_model, nuclei
from event_loop_training import brush_beside_training, training
from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QApplication, QWidget

LIMITS = {"slot_max_ms": 50, "gap_p99_ms": 100, "gap_max_ms": 250}
OPENING_LIMIT_S = 0.5
APART = (brush_beside_training,)
"""Measured if named: under Mesa, a Labels layer that had a tool can crash napari once removed."""
OPENING_PROBE = "--measure-opening"


def measure_opening() -> None:
    """Print the seconds from importing the dock until it is shown, and those of an empty one."""
    import napari

    viewer = napari.Viewer(show=True)

    def show(make: Callable[[], QWidget]) -> float:
        start = time.perf_counter()
        viewer.window.add_dock_widget(make(), area="right")
        QApplication.processEvents()
        return time.perf_counter() - start

    def segment() -> QWidget:
        from napari_swin_umamba.plugin.segment_widget import SegmentWidget

        return SegmentWidget(viewer)

    QApplication.processEvents()
    viewer.add_image(nuclei(1, 512, 1)[0])
    QApplication.processEvents()
    empty, ours = show(QWidget), show(segment)
    viewer.close()
    print(json.dumps({"empty_s": empty, "ours_s": ours, "torch": "torch" in sys.modules}))


def isolate_settings(folder: Path) -> None:
    """Neither read nor change how whoever measures has set up napari and the plugin."""
    from napari.settings import get_settings

    get_settings(folder / "napari.yaml")
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder))


def openings(repeats: int) -> dict[str, Any]:
    """Open the dock in fresh processes."""
    command = [sys.executable, str(Path(__file__)), OPENING_PROBE]
    runs = []
    for _ in range(repeats):
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        runs.append(json.loads(output.splitlines()[-1]))
    seconds = [run["ours_s"] for run in runs]
    return {
        "median_s": statistics.median(seconds),
        "max_s": max(seconds),
        "empty_median_s": statistics.median(run["empty_s"] for run in runs),
        "torch_imported": any(run["torch"] for run in runs),
    }


def excess(row: dict[str, Any]) -> list[str]:
    """Say which limits a scenario exceeds."""
    return [f"{key} {row[key]:.0f}" for key, limit in LIMITS.items() if row[key] > limit]


def main() -> None:
    """Measure all scenarios and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", help="a scenario; may be repeated")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument(OPENING_PROBE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="event-loop-") as folder:
        isolate_settings(Path(folder))
        if options.measure_opening:
            measure_opening()
            return
        packages = ("napari", "vispy", "PyQt6", "torch", "numba", "numpy")
        versions = {name: version(name) for name in packages}
        machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
        print(f"{machine}; Python {platform.python_version()}", versions)
        from napari.components import ViewerModel

        recorder = Recorder()
        time_methods("napari_swin_umamba.plugin", recorder)
        time_methods("napari_swin_umamba.plugin.annotate", recorder)
        recorder.time_apart(ViewerModel, "add_layer")
        studio = Studio(recorder, Path(folder))
        model = make_tiny_model(Path(folder))
        studio.widget.model_row.import_file(model)
        for name in ("nuclei", "random"):  # imports, compilation
            studio.open(nuclei(2, 256, 0), name)
            studio.run()
        print(
            "\n| scenario | s | gaps: median | p99 | max | slots: max | computing "
            "| adding a layer | load |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        rows = []
        for scenario in (training, *SCENARIOS, brush_beside_training):
            asked = not options.only and scenario not in APART
            if not asked and scenario.__name__ not in (options.only or ()):
                continue
            scenario(studio)
            row = {"scenario": scenario.__name__, "what": scenario.__doc__, **recorder.summary()}
            row["load_1min"] = os.getloadavg()[0]
            row["exceeds"] = excess(row)
            rows.append(row)
            print(
                f"| {row['what']} | {row['seconds']:.1f} | {row['gap_median_ms']:.0f} "
                f"| {row['gap_p99_ms']:.0f} | {row['gap_max_ms']:.0f} "
                f"| {row['slot_max_ms']:.0f} | {row['slot_max_computing_ms']:.0f} "
                f"| {row['apart_ms'].get('add_layer', 0):.0f} "
                f"| {row['load_1min']:.1f} |",
                flush=True,
            )
        studio.viewer.close()
        opening = None if options.only else openings(5)
    print(f"\nLimits, ms: {LIMITS}")
    for row in rows:
        print(f"{row['scenario']}: {', '.join(row['exceeds']) or 'kept'}")
        print(f"  longest pass of the garbage collector, ms {row['longest_collection_ms']:.0f}")
        for name, value in row["notes"].items():
            print(f"  {name} {value:.1f}")
    if opening:
        print(f"Opening the dock (limit {OPENING_LIMIT_S} s): {opening}")
    if options.json:
        report = {
            "machine": machine,
            "versions": versions,
            "limits": LIMITS,
            "scenarios": rows,
            "opening": opening,
        }
        options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
