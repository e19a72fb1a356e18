"""Measure the time from a click on *Train* to the first better prediction on the screen.

A real window, with a volume of 256 x 256 pixels a slice and strokes on four slices; a real training
in its own process. The slice shown is one that nobody painted. Its prediction is better once its
Dice is above that of the model which the training begins from. napari was just opened: torch is not
imported yet. Needs a screen, or::

    xvfb-run -a -s "-screen 0 1400x1000x24" python benchmarks/first_prediction.py

``--start nuclei``: objects, from the bundled model. ``--start project``: classes, from the
project's own model, which was trained for 40 steps before.
``--cold`` has the kernels compiled anew, as on a computer that never ran them.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

SIZE, SLICES = 256, 24
LIMIT_S = 45
FIRST_STEPS = 40


def dark_nuclei() -> tuple[np.ndarray, np.ndarray]:
    """``(slices, rows, columns)``, uint8 and bool: dark nuclei in striped tissue, and the truth.

    The bundled model has not seen such ones.
    """
    from event_loop_project import truth_of
    from event_loop_scenarios import nuclei
    from scipy.ndimage import gaussian_filter

    truth = truth_of(nuclei(SLICES, SIZE, 9))
    noise = np.random.default_rng(0).normal(0, 150, truth.shape)
    stripes = np.stack([gaussian_filter(plane, (1, 8)) for plane in noise])
    return (150 + stripes - 50 * truth).clip(0, 255).astype(np.uint8), truth


def dice(labels: np.ndarray, truth: np.ndarray) -> float:
    """Dice of all that is no background."""
    found = labels > 0
    return float(2 * (found & truth).sum() / max(1, found.sum() + truth.sum()))


def predict(model: str, image: np.ndarray) -> np.ndarray:
    """Labels by a model, in a process of its own: this one has not imported torch."""
    program = (
        "import sys, numpy, napari_swin_umamba as ours; "
        "labels = ours.segment(numpy.load(sys.argv[1]), sys.argv[2], axes='YX').labels; "
        "numpy.save(sys.argv[3], labels)"
    )
    with tempfile.TemporaryDirectory() as folder:
        image_file, labels_file = Path(folder, "image.npy"), Path(folder, "labels.npy")
        np.save(image_file, image)
        files = (str(image_file), model, str(labels_file))
        subprocess.run([sys.executable, "-c", program, *files], check=True)
        return np.load(labels_file)


def train_before(project: Path) -> str:
    """Give a project its first model; return its file."""
    from napari_swin_umamba.project import ProjectModels

    command = [sys.executable, "-m", "swin_umamba_training", "train", str(project)]
    command += ["-o", str(project.parent / "before"), "--arch", "swin-umamba-d-tiny"]
    subprocess.run([*command, "--steps", str(FIRST_STEPS)], check=True, capture_output=True)
    return str(ProjectModels(project).current_path())


def measure(start: str, folder: Path, cold: bool = False, limit: float = 90) -> dict[str, Any]:
    """Click *Train* and wait for a better prediction.

    Parameters
    ----------
    start
        ``project``, or the name of a bundled model.
    folder
        Empty.
    cold
        Whether nothing is compiled or cached yet at the click.
    limit
        Seconds after which the measuring ends without one.

    Returns
    -------
    dict
        Seconds from the click: ``first`` prediction on screen, ``better`` one (None: there was
        none), ``events``; ``before`` and ``after`` are Dice values.
    """
    from event_loop_project import SHOWN, draw_objects, draw_strokes, make_project
    from event_loop_recorder import Recorder
    from event_loop_scenarios import Studio
    from napari.utils._proxies import PublicOnlyProxy

    from napari_swin_umamba.plugin.annotate.annotate_widget import AnnotateWidget

    image, truth = dark_nuclei()
    goes_on = start == "project"
    strokes = partial(draw_strokes, every=24, width=4)
    project = make_project(folder, image, truth, strokes if goes_on else draw_objects)
    model = train_before(project) if goes_on else start
    before = dice(predict(model, image[SHOWN]), truth[SHOWN])
    if cold:
        os.environ["SWIN_UMAMBA_CACHE"] = str(folder / "cache")
    studio = Studio(Recorder(), folder)
    widget = AnnotateWidget(PublicOnlyProxy(studio.viewer))
    studio.viewer.window.add_dock_widget(widget, name="Annotate & train", area="right")
    widget.open_project(project)
    studio.live(lambda: widget.opened.images.current != "")
    widget.opened.go_to((SHOWN,))
    studio.live(0.5)
    train, sections = widget.training.train, widget.training
    train.form.start.setCurrentIndex(train.form.start.findData(start))
    train.form.start.activated.emit(train.form.start.currentIndex())
    seen: dict[str, float] = {}
    found: list[float] = []
    times: list[float] = []
    fresh = "torch" not in sys.modules
    begin = time.monotonic()

    def on_predicted(_step: int) -> None:
        layer = next(one for one in studio.viewer.layers if one.name.endswith("live"))
        found.append(dice(np.asarray(layer.data[SHOWN]), truth[SHOWN]))
        times.append(time.monotonic() - begin)

    def on_drawn(_event: Any) -> None:
        if found:
            seen.setdefault("first", time.monotonic() - begin)
        if found and found[-1] > before:
            seen.setdefault("better", time.monotonic() - begin)

    canvas = studio.viewer.window._qt_viewer.canvas._scene_canvas
    canvas.events.draw.connect(on_drawn, position="last")
    sections.live.drawn.connect(on_predicted)
    wall = time.time()
    train.train_button.click()
    process = sections.watch.process
    atexit.register(lambda: process.alive and process.stop())  # whatever happens here
    studio.live(
        lambda: (
            "better" in seen
            or time.monotonic() - begin > limit
            or (not sections.watch.running and time.monotonic() - begin > 1)
        )
    )
    canvas.events.draw.disconnect(on_drawn)
    events: dict[str, float] = {}
    for line in (process.run / "events.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        events.setdefault(event["event"], event["time"] - wall)
    trouble = sections.live.problem or (process.trouble().text if process.trouble() else "")
    process.stop()
    studio.live(lambda: not sections.watch.running and not sections.volume.running)
    widget.close_project()
    studio.viewer.close()
    return {
        "start": start,
        "cold": cold,
        "first": seen.get("first"),
        "better": seen.get("better"),
        "before": before,
        "after": found[-1] if found else None,
        "predictions": [*zip(times, found, strict=True)],
        "events": events,
        "torch_was_imported": not fresh,
        "trouble": trouble,
    }


def main() -> None:
    """Measure once and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--start", default="nuclei", help="a bundled model, or project")
    parser.add_argument("--limit", type=float, default=90, help="seconds after which it gives up")
    parser.add_argument("--cold", action="store_true", help="compile the kernels anew")
    options = parser.parse_args()
    from event_loop import isolate_settings

    with tempfile.TemporaryDirectory(prefix="first-prediction-") as place:
        folder = Path(place)
        isolate_settings(folder)
        result = measure(options.start, folder, options.cold, options.limit)
    packages = ("napari", "PyQt6", "torch", "numba", "lightning", "numpy")
    result["versions"] = {name: version(name) for name in packages}
    result["machine"] = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    result["load_1min"] = os.getloadavg()[0]
    result["kept"] = result["better"] is not None and result["better"] <= LIMIT_S
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
