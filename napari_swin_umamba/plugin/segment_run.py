"""One run from the click to the last slice: worker thread on one side, layers on the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtCore import QObject, Signal

from napari_swin_umamba.plan import Plan
from napari_swin_umamba.plugin.job import run_segmentation
from napari_swin_umamba.plugin.job_messages import (
    AskBeside,
    Begun,
    Checked,
    SegmentedSlice,
    SegmentTask,
    Summary,
    TakeOut,
)
from napari_swin_umamba.plugin.loaded_model import LoadedModel
from napari_swin_umamba.plugin.results import ResultWriter
from napari_swin_umamba.plugin.runner import Runner
from napari_swin_umamba.plugin.slice_cache import SliceCache
from napari_swin_umamba.plugin.worker import Failure

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["RunEnd", "SegmentRun"]


@dataclass(frozen=True, eq=False)
class RunEnd:
    """What came of a run."""

    image: Image
    """The layer that was segmented."""
    task: SegmentTask
    plan: Plan
    """Of the model."""
    instances: bool
    """Objects are numbered."""
    quiet: bool
    """Nobody clicked for it: a preview that follows the slider."""
    layer: Labels | None = None
    """The result, as far as it came; None: nothing was written."""
    is_new: bool = False
    """`layer` was made for this run."""
    written: int = 0
    kept: int = 0
    """Slices that were left since a person had changed them meanwhile."""
    restored: int = 0
    """Slices that it did not come to, and that show the earlier result again."""
    summary: Summary | None = None
    """None: the run was stopped or failed."""
    failure: Failure | None = None
    """Why it failed; None: it did not."""


class SegmentRun(QObject):
    """Runs one task at a time; keeps the model and the slices used last."""

    progress = Signal(object)
    """A ``Progress``."""
    begun = Signal(object)
    """A ``Begun``: the model is loaded."""
    ended = Signal(object)
    """A :class:`RunEnd`."""

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.models = LoadedModel()
        """The model used last."""
        self._cache = SliceCache()
        self._runner = Runner(self)
        self._runner.progress.connect(self.progress)
        self._runner.delivered.connect(self._take)
        self._runner.news_taken.connect(self._redraw)
        self._runner.ended.connect(self._finish)
        self._current: RunEnd | None = None
        self._begun: Begun | None = None
        self._writer: ResultWriter | None = None
        self._failure: Failure | None = None

    @property
    def current(self) -> RunEnd | None:
        """The run in progress."""
        return self._current

    def start(
        self, image: Image, task: SegmentTask, plan: Plan, instances: bool, quiet: bool = False
    ) -> None:
        """Begin; call only while nothing runs.

        Parameters
        ----------
        image
            The layer that is segmented.
        task
            What is segmented of it.
        plan, instances
            Of the model, and whether objects are numbered.
        quiet
            Nobody clicked for it.
        """
        self._current = RunEnd(image, task, plan, instances, quiet)
        self._begun = self._writer = self._failure = None
        self._runner.start(partial(run_segmentation, task, self.models, self._cache))

    def stop(self) -> None:
        """Ask the run to stop before its next tile; ``ended`` follows."""
        self._runner.stop()

    def release_memory(self) -> bool:
        """Forget the model and the slices kept; return whether there was anything."""
        self._cache.clear()
        return self.models.release()

    def shut_down(self) -> None:
        """Stop without waiting, and free the model."""
        self._runner.abandon()
        if self._writer is not None:
            self._writer.close(finished=False)
        self._current = self._writer = None
        self.models, self._cache = LoadedModel(), SliceCache()

    # --- what comes from the worker ----------------------------------------------------------

    def _take(self, result: Any) -> None:
        if self._current is None or self._failure is not None:
            return
        try:
            if isinstance(result, Begun):
                self._begun = result
                self.begun.emit(result)
            elif isinstance(result, TakeOut):
                self._make_layers()
                result.reply(None if self._writer is None else self._writer.taken)
            elif isinstance(result, AskBeside):
                self._make_layers()
                result.reply(None if self._writer is None else self._writer.beside())
            elif isinstance(result, Checked):
                if self._writer is not None:
                    self._writer.settle(result.untouched)
            else:
                self._write(result)
        except MemoryError:
            self._give_up("Not enough memory for the Labels layer. Close other layers.")

    def _write(self, result: SegmentedSlice) -> None:
        if self._writer is None:
            self._make_layers()
        if self._writer is None or not self._is_same_image():
            return
        if (problem := self._writer.problem) is not None:
            self._give_up(problem)
        else:
            self._writer.write(result)

    def _make_layers(self) -> None:
        """Find or make the layers; with the first slice, so that a run without one leaves none."""
        assert self._current is not None
        assert self._begun is not None
        image, task = self._current.image, self._current.task
        if image not in self._viewer.layers:
            self._give_up("The image was removed, so the run was stopped.")
            return
        if not self._is_same_image():
            return
        self._writer = ResultWriter(
            self._viewer, image, task, self._begun, keep_selection=self._current.quiet
        )

    def _is_same_image(self) -> bool:
        """Whether the image still has the data that is segmented; give up if not."""
        assert self._current is not None
        image, task = self._current.image, self._current.task
        data = image.data[0] if image.multiscale else image.data
        if data is not task.data:
            self._give_up("The image changed meanwhile. Segment it again.")
            return False
        return True

    def _give_up(self, why: str) -> None:
        self._failure = Failure(why)
        self._runner.stop()

    def _redraw(self) -> None:
        if self._writer is not None:
            self._writer.redraw()

    def _finish(self, outcome: Any) -> None:
        run, writer = self._current, self._writer
        assert run is not None
        self._current = self._writer = None
        failure = self._failure or (outcome if isinstance(outcome, Failure) else None)
        self._failure = None
        end = replace(
            run, failure=failure, summary=outcome if isinstance(outcome, Summary) else None
        )
        if writer is not None:
            writer.close(finished=end.summary is not None and failure is None)
        if writer is not None and writer.problem is None:
            if writer.written or writer.restored:
                writer.redraw(now=True)
            end = replace(
                end,
                layer=writer.layer,
                is_new=writer.is_new,
                written=writer.written,
                kept=writer.kept,
                restored=writer.restored,
            )
        self.ended.emit(end)
