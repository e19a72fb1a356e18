"""The one button of the widget; while something runs, its place holds progress and Cancel."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_swin_umamba.plugin.job import Progress
from napari_swin_umamba.plugin.parts import PRIMARY_STYLE, WrappedLabel

__all__ = ["RunRow"]

_STEPS = 1000


class RunRow(QWidget):
    """Run, or progress with Cancel."""

    run_clicked = Signal()
    cancel_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.run_button = QPushButton("Segment")
        self.run_button.setStyleSheet(PRIMARY_STYLE)
        self.run_button.clicked.connect(self.run_clicked)
        self.progress_bar = QProgressBar()
        self.progress_bar.setTextVisible(False)
        self.progress_bar.setToolTip("How far the run is.")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.clicked.connect(self.cancel_clicked)
        self.status = WrappedLabel()

        bar_and_cancel = QHBoxLayout()
        bar_and_cancel.addWidget(self.progress_bar, stretch=1)
        bar_and_cancel.addWidget(self.cancel_button)
        running = QWidget()
        page = QVBoxLayout(running)
        page.setContentsMargins(0, 0, 0, 0)
        page.addLayout(bar_and_cancel)

        self._pages = QStackedWidget()
        self._pages.addWidget(self.run_button)
        self._pages.addWidget(running)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 4)
        layout.addWidget(self._pages)
        layout.addWidget(self.status)
        self.show_ready("Segment", "")

    @property
    def running(self) -> bool:
        """Whether progress and Cancel are shown."""
        return self._pages.currentIndex() == 1

    def show_ready(self, text: str, tooltip: str, blocked: str | None = None) -> None:
        """Show the button.

        Parameters
        ----------
        text
            What it does: ``Segment``, ``Segment this slice``.
        tooltip
            What a click would do.
        blocked
            Why it cannot be clicked now; None: it can.
        """
        self.run_button.setText(text)
        self.run_button.setEnabled(blocked is None)
        self.run_button.setToolTip(blocked or tooltip)
        self.status.hide()
        self._pages.setCurrentIndex(0)

    def show_progress(self, progress: Progress) -> None:
        """Show progress and Cancel; the bar moves to and fro while the fraction is unknown."""
        if progress.fraction is None:
            self.progress_bar.setRange(0, 0)
        else:
            self.progress_bar.setRange(0, _STEPS)
            self.progress_bar.setValue(round(_STEPS * progress.fraction))
        if not self.running:
            self.cancel_button.setEnabled(True)
            self.cancel_button.setToolTip("Stops the run; nothing is changed.")
            self._pages.setCurrentIndex(1)
        if self.cancel_button.isEnabled():
            self.status.setText(progress.text)
        self.status.show()

    def show_cancelling(self) -> None:
        """Show that Cancel was clicked."""
        self.cancel_button.setEnabled(False)
        self.cancel_button.setToolTip("Stopping: the step in progress is finished first.")
        self.status.setText("Stopping…")
