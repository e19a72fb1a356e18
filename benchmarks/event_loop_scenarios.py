"""What a person does in napari's window with the dock *Segment*, for ``event_loop.py``."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from event_loop_recorder import Recorder
from qtpy.QtCore import QEventLoop, Qt, QTimer

__all__ = ["SCENARIOS", "Studio", "make_tiny_model", "nuclei"]


class Studio:
    """A napari window with the dock, driven as a person would, in Qt's own event loop."""

    _check: Callable[[], None]
    _act: Callable[[], object] | None

    def __init__(self, recorder: Recorder, folder: Path) -> None:
        import napari
        from napari.utils._proxies import PublicOnlyProxy

        from napari_swin_umamba.plugin.segment_widget import SegmentWidget

        self.recorder, self.folder = recorder, folder
        self.viewer = napari.Viewer(show=True)
        # Kept for good: a timer that the garbage collector finds in a worker's thread is fatal.
        self._loop, self._checking, self._acting = QEventLoop(), QTimer(), QTimer()
        self._checking.timeout.connect(lambda: self._check())
        self._acting.timeout.connect(lambda: self._act and self._act())
        self._strokes = self._folders = 0
        self.viewer.window._qt_window.resize(1280, 900)
        self.widget = SegmentWidget(PublicOnlyProxy(self.viewer))
        dock = self.viewer.window.add_dock_widget(self.widget, name="Segment", area="right")
        self.viewer.window._qt_window.resizeDocks([dock], [320], Qt.Orientation.Horizontal)
        self.live(1)

    def new_folder(self) -> Path:
        """Make an empty folder."""
        self._folders += 1
        folder = self.folder / f"folder {self._folders}"
        folder.mkdir()
        return folder

    def live(
        self,
        until: Callable[[], bool] | float,
        act: Callable[[], object] | None = None,
        every_ms: int = 100,
    ) -> None:
        """Let the window live for some seconds or until something is true.

        Parameters
        ----------
        until
            Seconds, or what is to become true.
        act
            What a person does meanwhile.
        every_ms
            How often.
        """
        start = time.monotonic()

        def check() -> None:
            passed = time.monotonic() - start
            if passed > until if isinstance(until, int | float) else until():
                self._loop.quit()
            elif passed > 1200:
                raise TimeoutError("the run does not end")

        self._check, self._act = check, act
        self._checking.start(20)
        if act is not None:
            self._acting.start(every_ms)
        self._loop.exec()
        self._checking.stop()
        self._acting.stop()

    def idle(self) -> bool:
        """Whether nothing runs and everything is counted."""
        widget = self.widget
        return (
            widget._run.current is None
            and not widget.run_row.running
            and not widget._measurer._runner.running
            and not widget._measurer._settle.isActive()
        )

    def counted(self) -> bool:
        """Whether nothing runs and the result was counted; the slider may still move."""
        measurer = self.widget._measurer
        return (
            self.widget._run.current is None
            and not self.widget.run_row.running
            and not measurer._runner.running
            and measurer._counted is not None
        )

    def run(self, act: Callable[[], object] | None = None) -> None:
        """Click *Segment* and wait for the end and the table."""
        self.click(self.widget.run_row.run_button)
        self.live(self.counted, act)

    def click(self, button: Any) -> None:
        """Click a button from within the event loop."""
        QTimer.singleShot(0, button.click)
        self.live(0.05)

    def open(self, image: np.ndarray, model: str = "nuclei") -> None:
        """Show one image, alone, and choose a model."""
        self.viewer.layers.clear()
        self.viewer.add_image(image, name="image")
        combo = self.widget.model_row.combo
        combo.setCurrentIndex(next(i for i in range(combo.count()) if model in combo.itemText(i)))
        self.live(0.5)

    def step(self) -> None:
        """Move the slider by one, to and fro."""
        last = int(self.viewer.dims.nsteps[0]) - 1
        self._steps = getattr(self, "_steps", -1) + 1
        place = self._steps % (2 * last)
        self.viewer.dims.set_current_step(0, min(place, 2 * last - place))

    def paint(self) -> None:
        """Paint a stroke into the Labels layer, as napari's brush does."""
        labels = self.viewer.layers[-1]
        self._strokes += 1
        with labels.block_history():
            for column in range(100, 160, 10):
                place = (*self.viewer.dims.current_step[:-2], 80, column)
                labels.paint(place, new_label=self._strokes)


def nuclei(depth: int, size: int, seed: int, different: int | None = None) -> np.ndarray:
    """``(depth, size, size)`` uint8: the sample's crowded nuclei side by side, with noise.

    Only the first slices are `different` ones, and then come again; None: all are.
    """
    from napari_swin_umamba.plugin.sample_data import crowded_nuclei

    tile = np.asarray(crowded_nuclei()[0][0])
    tile = tile if tile.ndim == 2 else tile[..., 0]
    plane = np.tile(tile, (-(-size // 256),) * 2)[:size, :size].astype(int)
    random = np.random.default_rng(seed)
    volume = np.stack([np.roll(plane, 2 * z, 1) for z in range(different or depth)])
    volume = (volume + random.integers(0, 4, volume.shape)).clip(0, 255).astype(np.uint8)
    return np.resize(volume, (depth, size, size))


def make_tiny_model(folder: Path) -> Path:
    """Save a semantic model with random weights."""
    import torch

    from napari_swin_umamba.network import build_network
    from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass
    from napari_swin_umamba.segmentation import Model, ModelInfo

    torch.manual_seed(0)
    names = ("background", "liver", "spleen")
    plan = Plan(
        architecture="swin-umamba-d-tiny",
        channels=(Channel(name="nuclei", normalization=Normalization(scheme="zscore")),),
        classes=tuple(SegmentationClass(id=i, name=name) for i, name in enumerate(names)),
        patch=(512, 512),
        output="semantic",
    )
    network = build_network(plan.architecture, plan.in_channels, plan.num_classes).eval()
    info = ModelInfo(licence="CC0-1.0", description="Random weights.")
    return Model(network, plan, "random", info).save(folder / "random.safetensors")


# --- scenarios: prepare, then measure inside `with recorder.on():` ---------------------------


def idle_window(studio: Studio) -> None:
    """A micrograph, nothing runs."""
    studio.open(nuclei(1, 1024, 1)[0])
    with studio.recorder.on():
        studio.live(5)


def slider_only(studio: Studio) -> None:
    """Slices 512 x 512 with a Labels layer, the slider moves, nothing runs."""
    studio.open(nuclei(24, 512, 2))
    studio.viewer.add_labels((nuclei(24, 512, 2) > 40).astype(np.int32))
    studio.live(0.5)
    with studio.recorder.on():
        studio.live(5, studio.step)


def adding_layers(studio: Studio) -> None:
    """Labels layers of 1024 x 1024 are added, nothing runs."""
    labels = (nuclei(1, 1024, 3)[0] > 40).astype(np.int32)
    studio.open(nuclei(1, 1024, 3)[0])
    with studio.recorder.on():
        studio.live(5, lambda: studio.viewer.add_labels(labels.copy()), every_ms=1200)


def micrograph(studio: Studio) -> None:
    """Objects of 1024 x 1024."""
    studio.open(nuclei(1, 1024, 3)[0])
    with studio.recorder.on():
        studio.run()


def volume(studio: Studio) -> None:
    """Objects of 24 x 512 x 512, the slider moves."""
    studio.open(nuclei(24, 512, 4))
    with studio.recorder.on():
        studio.run(studio.step)


def cached_run(studio: Studio) -> None:
    """Objects of 64 x 256 x 256 again, all slices known."""
    studio.open(nuclei(64, 256, 5, different=8))
    studio.run()
    with studio.recorder.on():
        studio.run()


def follow_slider(studio: Studio) -> None:
    """Previews of 512 x 512: five steps of the slider, a rest, again."""
    studio.open(nuclei(24, 512, 6))
    check, ticks = studio.widget.run_row.follow_check, iter(range(10_000))
    check.setChecked(True)
    with studio.recorder.on():
        studio.live(15, lambda: studio.step() if next(ticks) % 20 < 5 else None)
    check.setChecked(False)
    studio.live(studio.idle)


def painting(studio: Studio) -> None:
    """Objects of 24 x 512 x 512 are counted again after strokes."""
    studio.open(nuclei(24, 512, 4))
    studio.run()
    with studio.recorder.on():
        for _ in range(5):
            QTimer.singleShot(0, studio.paint)
            studio.live(0.1)
            studio.live(studio.idle)


def cancel(studio: Studio) -> None:
    """A run on 2048 x 2048 is cancelled after two seconds."""
    studio.open(nuclei(1, 2048, 7)[0])
    with studio.recorder.on():
        studio.click(studio.widget.run_row.run_button)
        studio.live(2)
        studio.click(studio.widget.run_row.cancel_button)
        studio.live(studio.idle)


def large_again(studio: Studio) -> None:
    """Classes of 200 x 512 x 512 again, over the earlier result."""
    studio.open(nuclei(200, 512, 8, different=8), "random")
    studio.run()
    with studio.recorder.on():
        studio.run()


SCENARIOS = (
    idle_window,
    slider_only,
    micrograph,
    volume,
    cached_run,
    follow_slider,
    painting,
    cancel,
    large_again,
    adding_layers,  # last: napari under Mesa can crash when many layers were removed
)
