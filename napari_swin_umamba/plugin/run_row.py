"""The buttons that start something; while something runs, their place holds progress and Cancel."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QMenu,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_swin_umamba.plugin.parts import (
    MENU_STYLE,
    PRIMARY_STYLE,
    WrappedLabel,
    set_blocked,
)
from napari_swin_umamba.plugin.worker import Progress

__all__ = ["RunRow"]

_STEPS = 1000


class RunRow(QWidget):
    """Preview and run, or progress with Cancel."""

    run_clicked = Signal()
    preview_clicked = Signal()
    region_clicked = Signal()
    layers_clicked = Signal()
    folder_clicked = Signal()
    save_clicked = Signal()
    cancel_clicked = Signal()
    follow_toggled = Signal(bool)
    menu_opened = Signal()
    """The menu is about to show: its entries can be brought up to date."""

    def __init__(self) -> None:
        super().__init__()
        self.preview_button = QPushButton("Preview slice")
        self.preview_button.clicked.connect(self.preview_clicked)
        self.follow_check = QCheckBox("follow slider")
        self.follow_check.toggled.connect(self.follow_toggled)
        self._preview = QWidget()
        preview = QHBoxLayout(self._preview)
        preview.setContentsMargins(0, 0, 0, 0)
        preview.addWidget(self.preview_button, stretch=1)
        preview.addWidget(self.follow_check)

        self.run_button = QPushButton("Segment")
        self.run_button.setStyleSheet(PRIMARY_STYLE)
        self.run_button.clicked.connect(self.run_clicked)
        self.more_button = QToolButton()
        self.more_button.setText("More ▾")
        self.more_button.setStyleSheet(MENU_STYLE)
        self.more_button.setToolTip(
            "Segment a region, several layers, or a folder of images; save labels."
        )
        self.more_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.more_button)
        menu.setToolTipsVisible(True)
        menu.aboutToShow.connect(self.menu_opened)
        self.region_action = _action(menu, "Segment the visible region", self.region_clicked)
        self.layers_action = _action(menu, "Segment all selected image layers", self.layers_clicked)
        self.folder_action = _action(menu, "Segment a folder of images…", self.folder_clicked)
        self.folder_action.setToolTip(
            "Segments every image of a folder and saves the labels; no layers are made."
        )
        menu.addSeparator()
        self.save_action = _action(menu, "Save labels…", self.save_clicked)
        self.more_button.setMenu(menu)
        run_and_more = QHBoxLayout()
        run_and_more.addWidget(self.run_button, stretch=1)
        run_and_more.addWidget(self.more_button)
        ready = QWidget()
        page = QVBoxLayout(ready)
        page.setContentsMargins(0, 0, 0, 0)
        page.addWidget(self._preview)
        page.addLayout(run_and_more)

        self.progress_bar = QProgressBar()
        self.progress_bar.setTextVisible(False)
        self.progress_bar.setToolTip("How far the run is.")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stops the run.")
        self.cancel_button.clicked.connect(self.cancel_clicked)
        running = QWidget()
        bar_and_cancel = QHBoxLayout(running)
        bar_and_cancel.setContentsMargins(0, 0, 0, 0)
        bar_and_cancel.addWidget(self.progress_bar, stretch=1)
        bar_and_cancel.addWidget(self.cancel_button)
        self.status = WrappedLabel()

        self._pages = QStackedWidget()
        self._pages.addWidget(ready)
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

    def show_ready(
        self,
        text: str,
        tooltip: str,
        blocked: str | None = None,
        previews: bool = False,
        preview_blocked: str | None = None,
    ) -> None:
        """Show the buttons.

        Parameters
        ----------
        text
            What the main one does: ``Segment``, ``Segment volume``.
        tooltip
            What a click would do.
        blocked
            Why it cannot be clicked now; None: it can.
        previews
            There are several slices, so that one can be previewed.
        preview_blocked
            Why that is not possible now; None: it is.
        """
        self.run_button.setText(text)
        self.run_button.setToolTip(tooltip)
        self.preview_button.setToolTip("Segments the slice shown, into the same Labels layer.")
        self.follow_check.setToolTip(
            "Segments each slice that you move to, once the slider stands still."
        )
        for button in (self.run_button, self.preview_button, self.follow_check):
            button.setEnabled(True)
            previewing = button is self.preview_button
            set_blocked(button, preview_blocked if previewing else blocked)
        self._preview.setVisible(previews)
        if not self._previewing:
            self.status.hide()
        self._show_page(0)

    def show_preview(self, text: str) -> None:
        """Say that a slice is being previewed; the buttons stay."""
        self._previewing = bool(text)
        self.status.setText(text)
        self.status.setVisible(bool(text))

    _previewing = False

    def show_progress(self, progress: Progress, keeps: str = "") -> None:
        """Show progress and Cancel; the bar moves to and fro while the fraction is unknown.

        Parameters
        ----------
        progress
            How far the run is.
        keeps
            What stays after Cancel, for its tooltip.
        """
        self._previewing = False
        if progress.fraction is None:
            self.progress_bar.setRange(0, 0)
        else:
            self.progress_bar.setRange(0, _STEPS)
            self._move_bar(round(_STEPS * progress.fraction))
        if not self.running:
            self.cancel_button.setEnabled(True)
            self.cancel_button.setToolTip(f"Stops the run; {keeps or 'nothing is changed'}.")
            self._show_page(1)
        if self.cancel_button.isEnabled():
            self.status.setText(progress.text)
        self.status.show()

    def _show_page(self, index: int) -> None:
        """Show one page; the other one does not keep room for itself."""
        shrink, usual = QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred
        for place in range(self._pages.count()):
            page = self._pages.widget(place)
            assert page is not None
            page.setSizePolicy(usual, usual if place == index else shrink)
        self._pages.setCurrentIndex(index)
        self._pages.updateGeometry()

    def _move_bar(self, value: int) -> None:
        if value == self.progress_bar.value():
            return
        # setValue() paints at once, and the canvas with it: 30 ms where no GPU draws. A bar that
        # may be updated again is painted in Qt's own time, together with the text below.
        self.progress_bar.setUpdatesEnabled(False)
        self.progress_bar.setValue(value)
        self.progress_bar.setUpdatesEnabled(True)

    def show_cancelling(self) -> None:
        """Show that Cancel was clicked."""
        self.cancel_button.setEnabled(False)
        self.cancel_button.setToolTip("Stopping: the step in progress is finished first.")
        self.status.setText("Stopping…")


def _action(menu: QMenu, text: str, signal: object) -> QAction:
    action = QAction(text, menu)
    action.triggered.connect(signal)
    menu.addAction(action)
    return action
