"""How a training goes: bar and Stop, a line of words, curves, log."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_swin_umamba.plugin.annotate.curve import CurvePlot
from napari_swin_umamba.plugin.annotate.fold import Fold
from napari_swin_umamba.plugin.annotate.training_state import TrainingState
from napari_swin_umamba.plugin.annotate.training_words import progress_words
from napari_swin_umamba.plugin.parts import WrappedLabel, set_blocked

__all__ = ["TrainingProgress"]

_STEPS = 1000
_LOG_LINES = 400
_STOP_TIP = "Ends the training, and keeps the best model."
_STOP_EARLY_TIP = "Ends the training; nothing was learned yet."
_STOPPING_TIP = "It is ending already."


class TrainingProgress(QWidget):
    """Bar and words while a training goes on; curves and log afterwards as well.

    Parameters
    ----------
    no_stop
        Why *Stop* cannot be clicked here; None: it can.
    """

    stop_clicked = Signal()
    live_toggled = Signal(bool)

    def __init__(self, no_stop: str | None = None) -> None:
        super().__init__()
        self._no_stop = no_stop
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setToolTip("How far the training is.")
        self.stop_button = QPushButton("Stop")
        self.stop_button.setToolTip(_STOP_EARLY_TIP)
        self.stop_button.clicked.connect(self.stop_clicked)
        self.live_check = QCheckBox("live")
        self.live_check.setToolTip(
            "Predicts the slice shown every few seconds, with what the model knows by then."
        )
        self.live_check.setChecked(True)
        self.live_check.toggled.connect(self.live_toggled)
        self._running = QWidget()
        row = QHBoxLayout(self._running)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.bar, stretch=1)
        row.addWidget(self.live_check)
        row.addWidget(self.stop_button)
        self.status = WrappedLabel()
        self.plot = CurvePlot()
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(_LOG_LINES)
        self.log.setFixedHeight(110)
        self.log_fold = Fold("Log", "Shows or hides what the training says.", self.log)
        self._logged = 0
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._running, self.status, self.plot, self.log_fold):
            layout.addWidget(widget)
        self.begin()

    def begin(self) -> None:
        """Forget what an earlier training said."""
        self.log.clear()
        self._logged = 0
        for widget in (self._running, self.status, self.plot, self.log_fold):
            widget.hide()

    def show_state(
        self, state: TrainingState, colors: Mapping[str, str], running: bool, stopping: bool
    ) -> None:
        """Show where a training stands.

        Parameters
        ----------
        state
            What its events told.
        colors
            Of the classes, by name.
        running
            It goes on.
        stopping
            It was asked to end.
        """
        self._running.setVisible(running)
        self.say(progress_words(state, stopping) if running else "")
        if running:
            self._move_bar(state)
            blocked = self._no_stop or (_STOPPING_TIP if stopping else None)
            set_blocked(self.stop_button, blocked)
            if not blocked:
                self.stop_button.setToolTip(_STOP_TIP if state.step else _STOP_EARLY_TIP)
        if state.losses:
            self.plot.show_curves(state.losses, state.dice, colors)
        self.plot.setVisible(bool(state.losses))
        self.log_fold.setVisible(bool(state.log))
        for line in state.log[self._logged :]:
            self.log.appendPlainText(line)
        self._logged = len(state.log)

    def say(self, text: str) -> None:
        """Show a line of words; empty: none."""
        self.status.setText(text)
        self.status.setVisible(bool(text))

    def _move_bar(self, state: TrainingState) -> None:
        if state.phase in ("starting", "preparing", "comparing"):
            self.bar.setRange(0, 0)
            return
        if self.bar.maximum() != _STEPS:
            self.bar.setRange(0, _STEPS)
        value = round(_STEPS * state.progress)
        if value != self.bar.value():
            # Painted in Qt's own time, not at once and the canvas with it.
            self.bar.setUpdatesEnabled(False)
            self.bar.setValue(value)
            self.bar.setUpdatesEnabled(True)
