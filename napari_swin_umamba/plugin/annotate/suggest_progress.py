"""How far a search for slices is, and *Cancel*."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_swin_umamba.plugin.parts import WrappedLabel, set_blocked
from napari_swin_umamba.plugin.worker import Progress

__all__ = ["SuggestProgress"]

_STEPS = 1000


class SuggestProgress(QWidget):
    """Takes the button's place while slices are looked at."""

    cancel_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setToolTip("How many of the slices the model has looked at.")
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Looks at no more slices, and lists what there is.")
        self.cancel_button.clicked.connect(self._on_cancel)
        self.text = WrappedLabel()
        row = QHBoxLayout()
        row.addWidget(self.bar, stretch=1)
        row.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.text)

    def begin(self) -> None:
        """A search begins."""
        set_blocked(self.cancel_button, None)
        self.show_progress(Progress("Looking for slices…"))

    def show_progress(self, progress: Progress) -> None:
        """Show where it stands."""
        self.text.setText(progress.text)
        if progress.fraction is None:
            self.bar.setRange(0, 0)
            return
        self.bar.setRange(0, _STEPS)
        self.bar.setValue(round(_STEPS * progress.fraction))

    def _on_cancel(self) -> None:
        set_blocked(self.cancel_button, "It is ending already.")
        self.cancel_clicked.emit()
