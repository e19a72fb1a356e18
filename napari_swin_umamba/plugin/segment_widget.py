"""The dock *Segment*: an image, a model, one button, a Labels layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_swin_umamba.plugin.add_result import add_result
from napari_swin_umamba.plugin.image_combo import ImageCombo
from napari_swin_umamba.plugin.job import Progress, SegmentTask
from napari_swin_umamba.plugin.layer_view import view_of_layer
from napari_swin_umamba.plugin.model_row import ModelRow
from napari_swin_umamba.plugin.parts import Notice, WrappedLabel, set_blocked
from napari_swin_umamba.plugin.readiness import Readiness, assess
from napari_swin_umamba.plugin.reading import Reading
from napari_swin_umamba.plugin.result_layer import SegmentedSlice, describe_done
from napari_swin_umamba.plugin.run_row import RunRow
from napari_swin_umamba.plugin.runner import Run, Runner
from napari_swin_umamba.plugin.settings import Settings
from napari_swin_umamba.plugin.worker import Failure

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["SegmentWidget"]

_BEFORE_FIRST_RUN = "Runs on: decided when the first run starts"


class SegmentWidget(QWidget):
    """Segments the image, or the slice of it that the viewer shows."""

    _docked = False

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        # napari passes a proxy: layers that come from it are compared with ==, never with `is`.
        self._viewer = viewer = napari_viewer
        self._runner = Runner(self)

        self.image_combo = ImageCombo(viewer)
        self.model_row = ModelRow(Settings())
        self.model_text = WrappedLabel()
        self.reading_text = WrappedLabel()
        self.obstacle = Notice()
        self.run_row = RunRow()
        self.outcome = Notice()
        self.footer = WrappedLabel(_BEFORE_FIRST_RUN)
        self._build()

        # Sliders and layers send bursts of events: answer once, when they are through.
        self._refresh_timer = QTimer(self)
        self._refresh_timer.setSingleShot(True)
        self._refresh_timer.setInterval(20)
        self._refresh_timer.timeout.connect(self.refresh)
        self.image_combo.chosen.connect(self._on_chosen)
        self.image_combo.changed.connect(self._refresh_timer.start)
        self.image_combo.removed.connect(self._on_layer_removed)
        self.model_row.chosen.connect(self._on_chosen)
        self.model_row.refused.connect(lambda why: self.outcome.say("error", why))
        self.run_row.run_clicked.connect(self.run)
        self.run_row.cancel_clicked.connect(self.cancel)
        self._runner.progress.connect(self.run_row.show_progress)
        self._runner.ended.connect(self._on_ended)
        self._connect_viewer()
        self.refresh()

    def _build(self) -> None:
        self.image_combo.setToolTip("The image to segment.")
        self.reading_text.setToolTip("How the image goes into the model.")
        self.footer.setToolTip("The device that computes, and how.")
        rows: list[tuple[str, QWidget]] = [
            ("Image", self.image_combo),
            ("Model", self.model_row),
            ("", self.model_text),
            ("Read as", self.reading_text),
        ]
        form = QGridLayout()
        form.setColumnStretch(1, 1)
        for number, (caption, widget) in enumerate(rows):
            label = QLabel(caption)
            label.setContentsMargins(0, 3, 0, 0)  # on the first line of what it names
            form.addWidget(label, number, 0, Qt.AlignmentFlag.AlignTop)
            form.addWidget(widget, number, 1)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        for widget in (self.obstacle, self.run_row, self.outcome):
            layout.addWidget(widget)
        layout.addStretch(1)
        layout.addWidget(self.footer)

    def readiness(self) -> Readiness:
        """Return what a click on the button would do now, or why it cannot be clicked."""
        layer, choice = self.image_combo.layer(), self.model_row.choice()
        view = None if layer is None else view_of_layer(layer, self._viewer.dims)
        return assess(view, choice)

    def refresh(self) -> None:
        """Show what is chosen and what can be done; called after every change."""
        state = self.readiness()
        self.model_text.setText(state.model_text)
        self.model_text.setToolTip(state.model_details)
        self.reading_text.setText(state.reading_text)
        running = self._runner.current is not None
        for widget in (self.image_combo, self.model_row.combo, self.model_row.import_button):
            set_blocked(widget, "Wait for the run, or cancel it." if running else None)
        if state.reading is not None and not running:
            self.image_combo.setToolTip(f"The image to segment: {state.reading.view.name}")
        if state.blocked and not running:
            self.obstacle.say(state.blocked_kind, state.blocked)
        else:
            self.obstacle.clear()
        if not running:
            self.run_row.show_ready(state.button, state.tooltip, state.blocked)

    def run(self) -> None:
        """Segment in a thread what is chosen and shown; what *Segment* does."""
        state, layer, choice = self.readiness(), self.image_combo.layer(), self.model_row.choice()
        if self._runner.current or state.blocked or not (layer and choice and state.reading):
            self.refresh()
            return
        data = layer.data[0] if layer.multiscale else layer.data
        self.outcome.clear()
        self.run_row.show_progress(Progress("Loading…"))
        task = SegmentTask(data=data, reading=state.reading, model_path=choice.path)
        self._runner.start(task, layer)
        self.refresh()

    def cancel(self) -> None:
        """Ask the run to stop; what *Cancel* does."""
        if self._runner.current is not None:
            self.run_row.show_cancelling()
            self._runner.stop()

    def _on_ended(self, run: Run) -> None:
        if isinstance(run.outcome, Failure):
            self.outcome.say("error", run.outcome.message, run.outcome.details)
        elif isinstance(run.outcome, SegmentedSlice):
            self._show(run.outcome, run.layer, run.task.reading)
        else:
            gone = run.layer not in self._viewer.layers
            reason = "the image was removed" if gone else "nothing was changed"
            self.outcome.say("hint", f"Stopped; {reason}.")
        self.refresh()

    def _show(self, segmented: SegmentedSlice, layer: Image, reading: Reading) -> None:
        if segmented.runtime is not None:
            self.footer.setText(segmented.runtime.text)
            self.footer.setToolTip(segmented.runtime.reason)
        shape = view_of_layer(layer, self._viewer.dims).shape
        if layer not in self._viewer.layers or shape != reading.view.shape:
            self.outcome.say("warning", "The image changed meanwhile. Segment it again.")
            return
        try:
            labels = add_result(self._viewer, layer, reading, segmented)
        except MemoryError:
            self.outcome.say("error", "Not enough memory for the Labels layer. Close other layers.")
            return
        self.outcome.say("done", describe_done(segmented, labels.name))

    def _on_chosen(self) -> None:
        if self._runner.current is None:
            self.outcome.clear()
        self.refresh()

    def _on_layer_removed(self, layer: Any) -> None:
        if self._runner.current is not None and layer == self._runner.current.layer:
            self.cancel()

    # --- coming and going --------------------------------------------------------------------

    def _connect_viewer(self) -> None:
        self.image_combo.connect_viewer()
        self._viewer.dims.events.connect(self._on_dims)

    def _on_dims(self, _event: Any = None) -> None:
        self._refresh_timer.start()

    def event(self, event: QEvent | None) -> bool:
        """Notice that napari takes the widget out of a dock that is closed."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._docked = True
            elif self._docked:
                self.shut_down()
        return super().event(event)

    def shut_down(self) -> None:
        """Stop the run, let go of the viewer and free the model."""
        self._runner.abandon()
        self._refresh_timer.stop()
        self.image_combo.disconnect_viewer()
        self._viewer.dims.events.disconnect(self._on_dims)
