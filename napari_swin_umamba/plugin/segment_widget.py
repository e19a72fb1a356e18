"""The dock *Segment*: an image, a model, a preview, one button, a Labels layer, a table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels

from napari_swin_umamba.plugin.folder_dialog import FolderDialog
from napari_swin_umamba.plugin.folder_job import FolderTask
from napari_swin_umamba.plugin.folder_run import FolderRun
from napari_swin_umamba.plugin.follower import Follower
from napari_swin_umamba.plugin.job_messages import Begun, SegmentTask
from napari_swin_umamba.plugin.layer_queue import LayerQueue
from napari_swin_umamba.plugin.layer_view import Window
from napari_swin_umamba.plugin.measuring import Measured, Measurer
from napari_swin_umamba.plugin.notifications import notify
from napari_swin_umamba.plugin.parts import NoticeKind
from napari_swin_umamba.plugin.preferences import apply_cache_folder, read_preferences
from napari_swin_umamba.plugin.previewing import why_leave
from napari_swin_umamba.plugin.run_words import describe_end
from napari_swin_umamba.plugin.save_dialog import ask_where_to_save, save_labels
from napari_swin_umamba.plugin.segment_form import SegmentForm
from napari_swin_umamba.plugin.segment_run import RunEnd, SegmentRun
from napari_swin_umamba.plugin.words import count, sentence
from napari_swin_umamba.plugin.worker import Failure, Progress
from napari_swin_umamba.plugin.writers import SaveError

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["SegmentWidget"]

_KEEPS_SLICES = "the slices that are done stay"


class SegmentWidget(SegmentForm):
    """Segments the image, the slice or the region that the viewer shows, or many images."""

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer)
        self._run = SegmentRun(napari_viewer, self)
        self._folder = FolderRun(self)
        self._measurer = Measurer(self)
        self._queue = LayerQueue()
        self._next: Callable[[], None] | None = None
        self._release_next = False
        self._measured: RunEnd | None = None
        quietly = partial(self._start, shown_only=True, quiet=True)
        self._follower = Follower(self._run, self._wanted_preview, quietly, self)
        self._connect()
        self.follow_viewer()

    def _connect(self) -> None:
        row = self.run_row
        row.run_clicked.connect(self.run)
        row.preview_clicked.connect(self.preview)
        row.region_clicked.connect(self.run_region)
        row.layers_clicked.connect(self.run_selected_layers)
        row.folder_clicked.connect(self._ask_for_folder)
        row.save_clicked.connect(self._ask_and_save)
        row.cancel_clicked.connect(self.cancel)
        row.menu_opened.connect(self._update_menu)
        row.follow_toggled.connect(self._follow)
        row.follow_check.setChecked(self._settings.follow)
        row.follow_toggled.connect(self._settings.remember_follow)
        self.choice_changed.connect(self._follower.moved)
        self.image_combo.changed.connect(self._follower.moved)
        self.image_combo.removed.connect(self._on_layer_removed)
        self.options_box.release_clicked.connect(self.release_memory)
        self._run.progress.connect(self._show_progress)
        self._run.begun.connect(self._on_begun)
        self._run.ended.connect(self._on_ended)
        self._folder.progress.connect(self._show_folder_progress)
        self._folder.ended.connect(self._on_folder_ended)
        self._measurer.measured.connect(self._show_measured)

    @property
    def busy(self) -> bool:
        """Whether something runs that a person asked for."""
        run = self._run.current
        return (
            (run is not None and not run.quiet)
            or self._next is not None
            or bool(self._queue.waiting)
            or self._folder.running
        )

    def run(self) -> None:
        """Segment all slices of the image chosen; what the main button does."""
        self._start()

    def preview(self) -> None:
        """Segment the slice shown; what *Preview this slice* does."""
        self._start(shown_only=True)

    def run_region(self) -> None:
        """Segment what is inside the canvas; what *Segment the visible region* does."""
        reading = self.readiness().reading
        if reading is not None and reading.view.visible is not None:
            self._start(shown_only=True, window=reading.view.visible)
        else:
            self.preview()  # all of the slice is visible

    def run_selected_layers(self) -> None:
        """Segment one selected image layer after the other."""
        chosen = self.selected_images()
        self._queue.fill(layer for layer in self._viewer.layers if layer in chosen)
        self._start_next_of_queue()

    def run_folder(self, task: FolderTask) -> None:
        """Segment the images of a folder into files."""
        if self.busy:
            return
        self._run.stop()  # a preview
        self.outcome.clear()
        apply_cache_folder(read_preferences())
        self._folder.start(task, self._run.models)
        self._show_folder_progress(Progress("Loading…"))
        self.refresh()

    def release_memory(self) -> None:
        """Forget the loaded model and free a GPU's memory; what *Release GPU memory* does."""
        if self.busy:
            return
        if self._run.current is not None:  # a preview that may be loading the model
            self._release_next = True
            self._run.stop()
            return
        freed = self._run.release_memory()
        self.outcome.say(
            "done", "The model was unloaded." if freed else "No model was loaded: nothing to free."
        )

    def cancel(self) -> None:
        """Ask whatever runs to stop; what *Cancel* does."""
        self._queue.waiting.clear()
        self._next = None
        if self._run.current is not None or self._folder.running:
            self.run_row.show_cancelling()
            self._run.stop()
            self._folder.stop()

    def _follow(self, on: bool) -> None:
        self._follower.set_on(on)
        if not on and self._run.current is None:
            self.run_row.show_preview("")  # why a slice was left

    def _start(
        self,
        layer: Image | None = None,
        shown_only: bool = False,
        window: Window | None = None,
        quiet: bool = False,
    ) -> None:
        if self._folder.running or self._next is not None:
            return
        if self._run.current is not None:
            if self._run.current.quiet and not quiet:  # a preview gives way
                self._run.stop()
                self._next = lambda: self._start(layer, shown_only, window)
                self.run_row.show_progress(Progress("Stopping the preview…"))
                self.refresh()
            return
        self.model_row.reread_if_replaced()
        layer = layer or self.image_combo.layer()
        state, choice = self.readiness(layer), self.model_row.choice()
        one = shown_only or state.reading is None or not state.reading.has_slices
        blocked = state.preview_blocked if one else state.blocked
        if blocked or layer is None or choice is None or state.reading is None:
            self.refresh()
            return
        reading, plan = state.reading, choice.plan
        assert plan is not None
        task = SegmentTask(
            data=layer.data[0] if layer.multiscale else layer.data,
            reading=reading,
            model_path=choice.path,
            positions=(reading.position,) if one else tuple(reading.layout.positions()),
            options=self.options(),
            window=window,
        )
        instances = self.result_row.value
        if quiet:
            why = why_leave(self._viewer, layer, task, plan, instances)
            if why is not None:
                self.run_row.show_preview(why)
                return
        else:
            self.outcome.clear()
            self._measurer.watch(None)  # until the run is over
        apply_cache_folder(read_preferences())
        self._run.start(layer, task, plan, instances, quiet)
        self._show_progress(Progress("Loading…"))
        self.refresh()

    def _show_progress(self, progress: Progress) -> None:
        run = self._run.current
        if run is None:
            return
        if run.quiet:
            self.run_row.show_preview(f"Preview: {progress.text}")
            return
        if self._queue.place():
            progress = Progress(f"{self._queue.place()} · {progress.text}", progress.fraction)
        self.run_row.show_progress(progress, _KEEPS_SLICES if run.task.whole else "")

    def _on_begun(self, begun: Begun) -> None:
        if begun.runtime is not None:
            self.footer.setText(begun.runtime.text)
            self.footer.setToolTip(begun.runtime.reason)

    def _on_ended(self, end: RunEnd) -> None:
        self.run_row.show_preview("")
        if end.layer is not None and end.written:
            self._measured = end
        if end.written or self._measurer.target is None:
            self._measurer.watch(self._what_to_measure())
        following, self._next = self._next, None
        if following is not None:
            following()
            return
        if self._release_next:
            self._release_next = False
            self.release_memory()
        if self._queue.total and end.failure is not None:
            self._queue.note(end.image, end.failure.message)
        if self._queue.waiting:
            self._start_next_of_queue()
            return
        if not end.quiet or end.failure is not None:
            there = end.image in self._viewer.layers
            self._say(*describe_end(end, self._queue, there), quiet=end.quiet)
        self._queue.clear()
        self.refresh()
        self._follower.run_ended(end)

    def _say(self, kind: NoticeKind, text: str, details: str = "", quiet: bool = False) -> None:
        self.outcome.say(kind, text, details)
        if kind == "error" and not quiet:
            notify("error", text, details)

    def _start_next_of_queue(self) -> None:
        while self._queue.waiting:
            layer = self._queue.waiting.pop(0)
            blocked = self.readiness(layer).blocked
            if not blocked:
                self._start(layer)
                return
            self._queue.note(layer, blocked)
        said = self._queue.summary() if self._queue.total else "Select image layers first."
        self.outcome.say("warning", said)
        self._queue.clear()
        self.refresh()

    def _ask_for_folder(self) -> None:
        choice = self.model_row.choice()
        if choice is None:
            return
        options = self.options()
        unit = self.options_box.min_area.suffix()
        smallest = f"{options.min_area:g}{unit}" if options.min_area else ""
        dialog = FolderDialog(self, choice.name, smallest)
        if dialog.exec():
            self.run_folder(
                FolderTask(
                    Path(dialog.images.text().strip()).expanduser(),
                    Path(dialog.labels.text().strip()).expanduser(),
                    choice.path,
                    options,
                    dialog.overwrite.isChecked(),
                    dialog.measure.isChecked(),
                )
            )
        dialog.deleteLater()

    def labels_to_save(self) -> Labels | None:
        """Return the Labels layer that is active, or else the last result; None: there is none."""
        active = self._viewer.layers.selection.active
        if isinstance(active, Labels):
            return active
        return None if self._measured is None else self._measured.layer

    def save(self, layer: Labels, path: Path) -> None:
        """Save a Labels layer where its image lies; what *Save labels…* does."""
        try:
            written = save_labels(layer, path)
        except SaveError as error:
            self._say("error", sentence(str(error)))
        else:
            self.outcome.say("done", f"“{layer.name}” was saved as {written.name}.")

    def _ask_and_save(self) -> None:
        layer = self.labels_to_save()
        path = None if layer is None else ask_where_to_save(self, layer)
        if layer is not None and path is not None:
            self.save(layer, path)

    def _show_folder_progress(self, progress: Progress) -> None:
        self.run_row.show_progress(progress, "the files that are done stay")

    def _on_folder_ended(self, kind: NoticeKind, text: str, details: str) -> None:
        self._say(kind, text, details)
        self.refresh()

    def _what_to_measure(self) -> Measured | None:
        """The last result, with the pixel size that its image has now."""
        end = self._measured
        if end is None or end.layer is None:
            return None
        reading = end.task.reading
        if end.image in self._viewer.layers:
            now = self.readiness(end.image).reading
            if now is not None and now.layout.labels_shape == reading.layout.labels_shape:
                reading = now
        return Measured.of_result(end.layer, reading, end.plan.label_classes, end.instances)

    def refresh(self) -> None:
        """Show what is chosen and what can be done, and sizes as they are now."""
        super().refresh()
        target = self._what_to_measure()
        shown = self._measurer.target
        if target is not None and shown is not None and not target.same_sizes(shown):
            self._measurer.watch(target)

    def _wanted_preview(self) -> tuple[Any, ...] | None:
        """What a preview would be of now."""
        state, layer, choice = self.readiness(), self.image_combo.layer(), self.model_row.choice()
        reading = state.reading
        if state.preview_blocked or not state.previews or layer is None or reading is None:
            return None
        if self._folder.running:
            return None
        settings = (reading.layout, reading.position, reading.spacing, reading.unit)
        return str(layer.unique_id), id(layer.data), choice, self.options(), *settings

    def _show_measured(self, name: str, outcome: Any) -> None:
        if isinstance(outcome, Failure):
            self.table.show_problem(name, outcome.message)
        else:
            self.table.show_measurements(name, outcome)

    def _on_layer_removed(self, layer: Any) -> None:
        run = self._run.current
        runs = run is not None and layer == run.image
        self._queue.drop(layer, runs)
        if runs:
            self._run.stop()
        if (
            isinstance(layer, Labels)
            and self._measured is not None
            and (layer == self._measured.layer)
        ):
            self._measured = None
            self._measurer.watch(None)
            self.table.clear()

    def _update_menu(self) -> None:
        state, images = self.readiness(), self.selected_images()
        visible = state.reading is not None and state.reading.view.visible is not None
        self.run_row.region_action.setEnabled(not state.preview_blocked and visible)
        self.run_row.region_action.setToolTip(
            state.preview_blocked
            or ("" if visible else "All of the image is visible: zoom in first.")
            or "Segments what is inside the canvas, into a layer of its own."
        )
        self.run_row.layers_action.setText(f"Segment {count(len(images), 'selected image layer')}")
        self.run_row.layers_action.setEnabled(bool(images) and self.model_row.choice() is not None)
        self.run_row.layers_action.setToolTip(
            "Segments one selected image layer after the other."
            if images
            else "Select image layers in the layer list first."
        )
        labels = self.labels_to_save()
        self.run_row.save_action.setEnabled(labels is not None)
        self.run_row.save_action.setToolTip(
            "There are no labels yet: segment an image, or choose a Labels layer."
            if labels is None
            else f"Saves “{labels.name}” as a file that lies where its image lies."
        )

    def shut_down(self) -> None:
        """Stop the run, let go of the viewer and free the model."""
        self._queue.clear()
        self._follower.shut_down()
        self._run.shut_down()
        self._folder.shut_down()
        self._measurer.shut_down()
        super().shut_down()
