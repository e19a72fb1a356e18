"""The rows of the dock *Segment*: what is chosen, how it is read, what can be done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_swin_umamba.plugin.dock_watch import call_when_undocked
from napari_swin_umamba.plugin.image_combo import ImageCombo, is_image
from napari_swin_umamba.plugin.layer_view import view_of_layer
from napari_swin_umamba.plugin.measurement_table import MeasurementTable
from napari_swin_umamba.plugin.model_row import ModelRow
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.options_box import OptionsBox, ResultRow
from napari_swin_umamba.plugin.parts import Notice, WrappedLabel, set_blocked
from napari_swin_umamba.plugin.preferences import on_preferences_changed, read_preferences
from napari_swin_umamba.plugin.preflight import available_memory
from napari_swin_umamba.plugin.readiness import Readiness, assess
from napari_swin_umamba.plugin.reading import Correction
from napari_swin_umamba.plugin.reading_row import ReadingRow
from napari_swin_umamba.plugin.run_row import RunRow
from napari_swin_umamba.plugin.settings import Settings

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["SegmentForm"]

_BEFORE_FIRST_RUN = "Runs on: decided when the first run starts"


class SegmentForm(QScrollArea):
    """Shows what is chosen and follows the viewer; runs nothing."""

    choice_changed = Signal()
    """Another image, model, option or slice."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        # napari passes a proxy: layers that come from it are compared with ==, never with `is`.
        self._viewer = viewer
        self._settings = Settings()
        self._corrections: dict[str, Correction] = {}
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

        # Sliders and layers send bursts of events: answer once, when they are through.
        self._refresh_timer = QTimer(self)
        self._refresh_timer.setSingleShot(True)
        self._refresh_timer.setInterval(20)
        self._refresh_timer.timeout.connect(self.refresh)

    def follow_viewer(self) -> None:
        """Begin to follow the viewer and the rows; for the end of a constructor."""
        self.image_combo.chosen.connect(self._on_image_chosen)
        self.image_combo.changed.connect(self._refresh_timer.start)
        self.model_row.chosen.connect(self._on_model_chosen)
        self.model_row.refused.connect(lambda why: self.outcome.say("error", why))
        self.reading_row.corrected.connect(self.correct)
        self.reading_row.slice_axis_chosen.connect(self.slice_along)
        self.result_row.changed.connect(self._on_options)
        self.options_box.changed.connect(self._on_options)
        self.obstacle.remedy_clicked.connect(self._apply_remedy)
        self.table.said.connect(lambda kind, text: self.outcome.say(kind, text))
        self.image_combo.connect_viewer(self._settings.image)
        self._viewer.dims.events.connect(self._on_dims)
        self._disconnect_preferences = on_preferences_changed(self._on_preferences)
        call_when_undocked(self)
        self._show_model()
        self.refresh()

    def _build(self) -> None:
        self.image_combo.setToolTip("The image to segment.")
        self.footer.setToolTip("The device that computes, and how.")
        rows: list[tuple[str, QWidget]] = [
            ("Image", self.image_combo),
            ("Model", self.model_row),
            ("", self.model_text),
            ("", self.model_row.import_button),
            ("Read as", self.reading_row),
            ("Result", self.result_row),
        ]
        form = QGridLayout()
        form.setColumnStretch(1, 1)
        for number, (caption, widget) in enumerate(rows):
            label = QLabel(caption)
            label.setIndent(0)
            # On the first line of what it names; a list's text is in its middle.
            label.setContentsMargins(0, 3 if number < 2 else 0, 0, 0)
            form.addWidget(label, number, 0, Qt.AlignmentFlag.AlignTop)
            form.addWidget(widget, number, 1)
        form.setAlignment(self.model_row.import_button, Qt.AlignmentFlag.AlignLeft)
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

    @property
    def busy(self) -> bool:
        """Whether something runs that a person asked for."""
        return False

    def refresh(self) -> None:
        """Show what is chosen and what can be done; called after every change."""
        state = self.readiness()
        self.model_text.setText(state.model_text)
        self.model_text.setToolTip(state.model_details)
        reading = state.reading
        self.options_box.show_objects(self.result_row.value, reading.unit if reading else None)
        self.reading_row.show_reading(state.reading, state.reading_text)
        busy = self.busy
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
        self.run_row.show_ready(
            state.button, state.tooltip, state.blocked, state.previews, state.preview_blocked
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
        if reading is None or (axis in reading.fixed_axes[-1:] and reading.is_shown):
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

    def selected_images(self) -> list[Image]:
        """Return the image layers that are selected."""
        return [layer for layer in self._viewer.layers.selection if is_image(layer)]

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
        plan = choice.plan if choice else None
        self.result_row.show_model(plan)
        self.options_box.show_model(plan)

    def _on_options(self) -> None:
        self._settings.remember_options(self.options(), _preferred())
        self._on_choice()

    def _on_choice(self) -> None:
        if not self.busy:
            self.outcome.clear()
        self.refresh()
        self.choice_changed.emit()

    def _on_dims(self, _event: Any = None) -> None:
        self._refresh_timer.start()
        self.choice_changed.emit()

    def _on_preferences(self, _preferences: Any) -> None:
        now, remembered = self.options(), self._settings.options(_preferred())
        self.options_box.show_options(
            replace(
                remembered,
                resample=now.resample,
                object_diameter=now.object_diameter,
                min_area=now.min_area,
                edge_objects=now.edge_objects,
            )
        )

    def shut_down(self) -> None:
        """Let go of the viewer."""
        self._refresh_timer.stop()
        self.image_combo.disconnect_viewer()
        self._viewer.dims.events.disconnect(self._on_dims)
        self._disconnect_preferences()


def _preferred() -> SegmentOptions:
    """Options as napari's Preferences have them."""
    preferences = read_preferences()
    return SegmentOptions(device=preferences.device, overlap=preferences.overlap)
