"""The dock *Segment*: an image, a model, a preview, one button, a Labels layer, a table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_swin_umamba.plugin.folder_dialog import FolderDialog
from napari_swin_umamba.plugin.folder_job import FolderTask, describe_summary, run_folder
from napari_swin_umamba.plugin.image_combo import ImageCombo
from napari_swin_umamba.plugin.job import Begun, SegmentTask
from napari_swin_umamba.plugin.layer_queue import LayerQueue
from napari_swin_umamba.plugin.layer_view import Window, view_of_layer
from napari_swin_umamba.plugin.measurement_table import MeasurementTable
from napari_swin_umamba.plugin.measuring import Measured, Measurer
from napari_swin_umamba.plugin.model_row import ModelRow
from napari_swin_umamba.plugin.notifications import notify
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.options_box import OptionsBox, ResultRow
from napari_swin_umamba.plugin.parts import Notice, NoticeKind, WrappedLabel, set_blocked
from napari_swin_umamba.plugin.preferences import (
    apply_cache_folder,
    on_preferences_changed,
    read_preferences,
)
from napari_swin_umamba.plugin.preflight import available_memory
from napari_swin_umamba.plugin.readiness import Readiness, assess
from napari_swin_umamba.plugin.reading import Correction
from napari_swin_umamba.plugin.reading_row import ReadingRow
from napari_swin_umamba.plugin.results import is_edited
from napari_swin_umamba.plugin.run_row import RunRow
from napari_swin_umamba.plugin.runner import Runner
from napari_swin_umamba.plugin.segment_run import RunEnd, SegmentRun
from napari_swin_umamba.plugin.settings import Settings
from napari_swin_umamba.plugin.words import count, describe_done, sentence
from napari_swin_umamba.plugin.worker import Failure, Progress

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["SegmentWidget"]

_BEFORE_FIRST_RUN = "Runs on: decided when the first run starts"
_STANDS_STILL = 200
"""Milliseconds after which the slider counts as standing still."""
_KEEPS_SLICES = "the slices that are done stay"


class SegmentWidget(QScrollArea):
    """Segments the image, the slice or the region that the viewer shows, or a queue of images."""

    _docked = False

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        # napari passes a proxy: layers that come from it are compared with ==, never with `is`.
        self._viewer = viewer = napari_viewer
        self._settings = Settings()
        self._run = SegmentRun(viewer, self)
        self._measurer = Measurer(self)
        self._corrections: dict[str, Correction] = {}
        self._queue = LayerQueue()
        self._folder = Runner(self)
        self._folder_task: FolderTask | None = None
        self._next: Callable[[], None] | None = None

        self.image_combo = ImageCombo(viewer)
        self.model_row = ModelRow(self._settings)
        self.model_text = WrappedLabel()
        self.reading_row = ReadingRow()
        self.result_row = ResultRow()
        self.options_box = OptionsBox()
        self.obstacle = Notice()
        self.run_row = RunRow()
        self.outcome = Notice()
        self.table = MeasurementTable()
        self.footer = WrappedLabel(_BEFORE_FIRST_RUN)
        self._build()
        self.options_box.show_options(self._settings.options(_preferred()))
        self.run_row.follow_check.setChecked(self._settings.follow)

        # Sliders and layers send bursts of events: answer once, when they are through.
        self._refresh_timer = _single_shot(self, 20, self.refresh)
        self._follow_timer = _single_shot(self, _STANDS_STILL, self._follow)
        self._connect_rows()
        self._connect_viewer()
        self._show_model()
        self.refresh()

    def _build(self) -> None:
        self.image_combo.setToolTip("The image to segment.")
        self.footer.setToolTip("The device that computes, and how.")
        rows: list[tuple[str, QWidget]] = [
            ("Image", self.image_combo),
            ("Model", self.model_row),
            ("", self.model_text),
            ("Read as", self.reading_row),
            ("Result", self.result_row),
        ]
        form = QGridLayout()
        form.setColumnStretch(1, 1)
        for number, (caption, widget) in enumerate(rows):
            label = QLabel(caption)
            label.setContentsMargins(0, 3, 0, 0)  # on the first line of what it names
            form.addWidget(label, number, 0, Qt.AlignmentFlag.AlignTop)
            form.addWidget(widget, number, 1)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.addLayout(form)
        for widget in (self.options_box, self.obstacle, self.run_row, self.outcome, self.table):
            layout.addWidget(widget)
        layout.addStretch(1)
        layout.addWidget(self.footer)
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def _connect_rows(self) -> None:
        self.image_combo.chosen.connect(self._on_image_chosen)
        self.image_combo.changed.connect(self._refresh_timer.start)
        self.image_combo.removed.connect(self._on_layer_removed)
        self.model_row.chosen.connect(self._on_model_chosen)
        self.model_row.refused.connect(lambda why: self.outcome.say("error", why))
        self.reading_row.corrected.connect(self.correct)
        self.reading_row.slice_axis_chosen.connect(self.slice_along)
        self.result_row.changed.connect(self._on_options)
        self.options_box.changed.connect(self._on_options)
        self.options_box.release_clicked.connect(self.release_memory)
        self.obstacle.remedy_clicked.connect(self._apply_remedy)
        self.table.said.connect(lambda kind, text: self.outcome.say(kind, text))
        row = self.run_row
        row.run_clicked.connect(self.run)
        row.preview_clicked.connect(self.preview)
        row.region_clicked.connect(self.run_region)
        row.layers_clicked.connect(self.run_selected_layers)
        row.folder_clicked.connect(self._ask_for_folder)
        row.cancel_clicked.connect(self.cancel)
        row.follow_toggled.connect(self._on_follow)
        row.menu_opened.connect(self._update_menu)
        self._run.progress.connect(self._show_progress)
        self._run.begun.connect(self._on_begun)
        self._run.ended.connect(self._on_ended)
        self._folder.progress.connect(self._show_folder_progress)
        self._folder.ended.connect(self._on_folder_ended)
        self._measurer.measured.connect(self._show_measured)

    # --- what is chosen ----------------------------------------------------------------------

    def options(self) -> SegmentOptions:
        """Return the settings of the next run."""
        return self.options_box.options(self.result_row.value)

    def readiness(self, layer: Image | None = None) -> Readiness:
        """Return what a click on the buttons would do now, or why they cannot be clicked.

        Parameters
        ----------
        layer
            The image; None: the one chosen.
        """
        layer, choice = layer or self.image_combo.layer(), self.model_row.choice()
        if layer is None:
            return assess(None, choice)
        view = view_of_layer(layer, self._viewer.dims)
        correction = self._corrections.get(str(layer.unique_id))
        return assess(view, choice, self.options(), correction, available_memory())

    def refresh(self) -> None:
        """Show what is chosen and what can be done; called after every change."""
        state = self.readiness()
        self.model_text.setText(state.model_text)
        self.model_text.setToolTip(state.model_details)
        self.reading_row.show_reading(state.reading, state.reading_text)
        busy = self._busy
        for widget in (self.image_combo, self.model_row, self.reading_row, self.result_row):
            set_blocked(widget, "Wait for the run, or cancel it." if busy else None)
        set_blocked(self.options_box, "Wait for the run, or cancel it." if busy else None)
        if busy:
            self.obstacle.clear()
            return
        if state.reading is not None:
            self.image_combo.setToolTip(f"The image to segment: {state.reading.view.name}")
        if state.blocked:
            self.obstacle.say(state.blocked_kind, state.blocked)
        elif state.findings:
            text = "\n".join(finding.text for finding in state.findings)
            remedies = [f.remedy_text for f in state.findings if f.remedy]
            self.obstacle.say("warning", text, remedy=remedies[0] if remedies else "")
        else:
            self.obstacle.clear()
        self.run_row.show_ready(state.button, state.tooltip, state.blocked, state.previews)

    @property
    def _busy(self) -> bool:
        """Whether something runs that a person asked for."""
        run = self._run.current
        return (
            (run is not None and not run.quiet)
            or bool(self._queue.waiting)
            or (self._folder.running)
        )

    def correct(self, correction: Correction) -> None:
        """Take what a person says about the image chosen; what *Edit…* does."""
        layer = self.image_combo.layer()
        if layer is not None:
            self._corrections[str(layer.unique_id)] = correction
            self._on_choice()

    def slice_along(self, axis: int) -> None:
        """Turn the viewer so that slices follow an axis of the image chosen."""
        reading = self.readiness().reading
        if reading is None or axis in reading.fixed_axes[-1:]:
            return
        offset = self._viewer.dims.ndim - len(reading.view.shape)
        spatial = [a for a in reading.spatial_axes if a != axis]
        before = [a for a in range(len(reading.view.shape)) if a not in (*spatial[-2:], axis)]
        turned = [a + offset for a in (*before, axis, *spatial[-2:])]
        self._viewer.dims.order = (*range(offset), *turned)
        self._viewer.reset_view()

    def _apply_remedy(self) -> None:
        finding = next((f for f in self.readiness().findings if f.remedy), None)
        if finding is None:
            return
        if finding.remedy == "resample":
            self.options_box.resample.setChecked(True)
        elif finding.axis is not None:
            self.slice_along(finding.axis)

    def release_memory(self) -> None:
        """Forget the loaded model and free a GPU's memory; what *Release GPU memory* does."""
        freed = self._run.release_memory()
        self.outcome.say(
            "done", "The model was unloaded." if freed else "No model was loaded: nothing to free."
        )

    # --- runs --------------------------------------------------------------------------------

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
        chosen = self._selected_images()
        self._queue.fill(layer for layer in self._viewer.layers if layer in chosen)
        self._start_next_of_queue()

    def run_folder(self, task: FolderTask) -> None:
        """Segment the images of a folder into files."""
        if self._busy:
            return
        self._run.stop()  # a preview
        self.outcome.clear()
        apply_cache_folder(read_preferences())
        self._folder_task = task
        self._folder.start(partial(run_folder, task, self._run.models))
        self._show_folder_progress(Progress("Loading…"))
        self.refresh()

    def cancel(self) -> None:
        """Ask whatever runs to stop; what *Cancel* does."""
        self._queue.waiting.clear()
        if self._run.current is not None or self._folder.running:
            self.run_row.show_cancelling()
            self._run.stop()
            self._folder.stop()

    def _start(
        self,
        layer: Image | None = None,
        shown_only: bool = False,
        window: Window | None = None,
        quiet: bool = False,
    ) -> None:
        if self._run.current is not None:
            if self._run.current.quiet:  # a preview gives way
                self._run.stop()
                self._next = lambda: self._start(layer, shown_only, window, quiet)
            return
        layer = layer or self.image_combo.layer()
        state, choice = self.readiness(layer), self.model_row.choice()
        if state.blocked or layer is None or choice is None or state.reading is None:
            self.refresh()
            return
        reading, plan = state.reading, choice.plan
        assert plan is not None
        one = shown_only or not reading.has_slices
        task = SegmentTask(
            data=layer.data[0] if layer.multiscale else layer.data,
            reading=reading,
            model_path=choice.path,
            positions=(reading.position,) if one else tuple(reading.layout.positions()),
            options=self.options(),
            window=window,
        )
        instances = self.result_row.value
        if quiet and is_edited(self._viewer, layer, task, plan, instances):
            self.run_row.show_preview("You changed this slice: it is left as it is.")
            return
        if not quiet:
            self.outcome.clear()
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
            self._measure(end)
        following, self._next = self._next, None
        if following is not None:
            following()
            return
        if self._queue.total and end.failure is not None:
            self._queue.note(end.image, end.failure.message)
        if self._queue.waiting:
            self._start_next_of_queue()
            return
        self._say_end(end)
        self._queue.clear()
        self.refresh()

    def _say_end(self, end: RunEnd) -> None:
        if self._queue.total > 1 and (end.failure is not None or end.summary is not None):
            self.outcome.say("warning" if self._queue.problems else "done", self._queue.summary())
        elif end.failure is not None:
            self.outcome.say("error", end.failure.message, end.failure.details)
            if not end.quiet:
                notify("error", end.failure.message, end.failure.details)
        elif end.quiet:
            return
        elif end.summary is None:
            self.outcome.say("hint", _stopped(end, end.image in self._viewer.layers))
        else:
            name = end.layer.name if end.layer is not None else "–"
            said = describe_done(end.written, end.summary.seconds, name, end.is_new, end.kept)
            notes = map(sentence, end.summary.notes)
            self.outcome.say("warning" if end.kept else "done", " ".join([said, *notes]))

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

    # --- a folder ----------------------------------------------------------------------------

    def _ask_for_folder(self) -> None:
        choice = self.model_row.choice()
        if choice is None:
            return
        dialog = FolderDialog(self, choice.name)
        if dialog.exec():
            self.run_folder(
                FolderTask(
                    Path(dialog.images.text().strip()).expanduser(),
                    Path(dialog.labels.text().strip()).expanduser(),
                    choice.path,
                    self.options(),
                    dialog.overwrite.isChecked(),
                    dialog.measure.isChecked(),
                )
            )
        dialog.deleteLater()

    def _show_folder_progress(self, progress: Progress) -> None:
        self.run_row.show_progress(progress, "the files that are done stay")

    def _on_folder_ended(self, outcome: Any) -> None:
        task, self._folder_task = self._folder_task, None
        assert task is not None
        if isinstance(outcome, Failure):
            self.outcome.say("error", outcome.message, outcome.details)
            notify("error", outcome.message, outcome.details)
        elif outcome is None:
            self.outcome.say("hint", "Stopped; the files that were done stay.")
        else:
            kind: NoticeKind = "warning" if outcome.failed or outcome.problem else "done"
            self.outcome.say(kind, describe_summary(outcome, task.labels))
        self.refresh()

    # --- previews that follow the slider -----------------------------------------------------

    def _on_follow(self, on: bool) -> None:
        self._settings.follow = on
        if on:
            self._follow_timer.start()
        elif self._run.current is not None and self._run.current.quiet:
            self._run.stop()

    def _follow(self) -> None:
        """Preview where the slider stands, unless something else runs."""
        state = self.readiness()
        if not (self.run_row.follow_check.isChecked() and state.previews) or state.blocked:
            return
        self._start(shown_only=True, quiet=True)

    def _outdate_preview(self) -> None:
        """Stop a preview of what is no longer shown, and begin anew once the slider rests."""
        run, reading = self._run.current, self.readiness().reading
        if (
            run is not None
            and run.quiet
            and (reading is None or run.task.positions != (reading.position,))
        ):
            self._next = None
            self._run.stop()
        if self.run_row.follow_check.isChecked():
            self._follow_timer.start()

    # --- the table ---------------------------------------------------------------------------

    def _measure(self, end: RunEnd) -> None:
        choice = self.model_row.choice()
        if end.layer is None or choice is None or choice.plan is None:
            return
        instances = bool(end.task.options.objects)
        classes = choice.plan.label_classes
        self._measurer.watch(Measured.of_result(end.layer, end.task.reading, classes, instances))

    def _show_measured(self, name: str, measurements: Any) -> None:
        if measurements is None:
            self.table.clear()
        else:
            self.table.show_measurements(name, measurements)

    # --- changes of what is chosen -----------------------------------------------------------

    def _on_image_chosen(self) -> None:
        layer = self.image_combo.layer()
        if layer is not None:
            self._settings.image = layer.name
        self._on_choice()

    def _on_model_chosen(self) -> None:
        self._show_model()
        self._on_choice()

    def _show_model(self) -> None:
        choice = self.model_row.choice()
        self.result_row.show_model(choice.plan if choice else None)

    def _on_options(self) -> None:
        self._settings.remember_options(self.options(), _preferred())
        self._on_choice()

    def _on_choice(self) -> None:
        if not self._busy:
            self.outcome.clear()
        self.refresh()
        self._outdate_preview()

    def _on_layer_removed(self, layer: Any) -> None:
        self._queue.drop(layer)
        run = self._run.current
        if run is not None and layer == run.image:
            self._run.stop()
        if isinstance(layer, Labels) and layer == self._measurer.layer:
            self._measurer.watch(None)
            self.table.clear()

    def _selected_images(self) -> list[Image]:
        return [layer for layer in self._viewer.layers.selection if isinstance(layer, Image)]

    def _update_menu(self) -> None:
        state, images = self.readiness(), self._selected_images()
        visible = state.reading is not None and state.reading.view.visible is not None
        self.run_row.region_action.setEnabled(not state.blocked and visible)
        self.run_row.region_action.setToolTip(
            state.blocked
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

    # --- coming and going --------------------------------------------------------------------

    def _connect_viewer(self) -> None:
        self.image_combo.connect_viewer(self._settings.image)
        self._viewer.dims.events.connect(self._on_dims)
        self._disconnect_preferences = on_preferences_changed(self._on_preferences)

    def _on_dims(self, _event: Any = None) -> None:
        self._refresh_timer.start()
        self._outdate_preview()

    def _on_preferences(self, _preferences: Any) -> None:
        self.options_box.show_options(self._settings.options(_preferred()))

    def event(self, event: QEvent | None) -> bool:
        """Notice that napari takes the widget out of a dock that is closed."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
            elif self._docked:
                self.shut_down()
        return bool(super().event(event))

    def shut_down(self) -> None:
        """Stop the run, let go of the viewer and free the model."""
        self._queue.clear()
        self._run.shut_down()
        self._folder.abandon()
        self._measurer.shut_down()
        self._refresh_timer.stop()
        self._follow_timer.stop()
        self.image_combo.disconnect_viewer()
        self._viewer.dims.events.disconnect(self._on_dims)
        self._disconnect_preferences()


def _single_shot(parent: SegmentWidget, interval: int, slot: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(interval)
    timer.timeout.connect(slot)
    return timer


def _preferred() -> SegmentOptions:
    """Options as napari's Preferences have them."""
    preferences = read_preferences()
    return SegmentOptions(device=preferences.device, overlap=preferences.overlap)


def _stopped(end: RunEnd, image_is_there: bool) -> str:
    if not image_is_there:
        return "Stopped; the image was removed."
    if end.written and end.task.whole:
        return f"Stopped; {count(end.written, 'slice')} of {end.task.reading.layout.count:,} done."
    return "Stopped; nothing was changed."
