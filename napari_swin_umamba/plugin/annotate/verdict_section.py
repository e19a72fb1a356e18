"""*Did it help?*: scores before and after, what became of the new model, and all models."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.annotate.fold import Fold
from napari_swin_umamba.plugin.annotate.open_project import OpenProject
from napari_swin_umamba.plugin.annotate.section import READ_ONLY, Section
from napari_swin_umamba.plugin.parts import WrappedLabel, make_narrow, set_blocked
from napari_swin_umamba.plugin.words import count, sentence
from napari_swin_umamba.project import (
    ClassScore,
    Comparison,
    ModelList,
    ModelRecord,
    ProjectModels,
)
from napari_swin_umamba.project.comparison import outcome_words, verdict_sentence

__all__ = ["VerdictSection"]

_COLORS = {"better": "#009e73", "worse": "#d55e00"}


class VerdictSection(Section):
    """Compares the newest model with the one before it."""

    chosen = Signal()
    """A person made another model the current one."""

    def __init__(self, opened: OpenProject) -> None:
        super().__init__("Did it help?")
        self._opened = opened
        self._models = ProjectModels(opened.project.folder)
        self._shown: ModelList | None = None
        self.slices = self.text()
        self._table = QWidget()
        self._grid = QGridLayout(self._table)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(10)
        self._grid.setColumnStretch(0, 1)
        self.add(self._table)
        self.verdict = self.text()
        self.use_button = QPushButton()
        self.use_button.clicked.connect(self.use_newest)
        self.back_button = QPushButton()
        self.back_button.clicked.connect(self.go_back)
        buttons = QHBoxLayout()
        buttons.addWidget(self.use_button)
        buttons.addWidget(self.back_button)
        buttons.addStretch(1)
        self.rows.addLayout(buttons)
        self.history = QComboBox()
        make_narrow(self.history)
        self.history.setToolTip("All models of this project, the newest first. None is ever lost.")
        self.choose_button = QPushButton("Use")
        self.choose_button.setToolTip("Makes the model in the list this project’s model.")
        self.choose_button.clicked.connect(self._use_chosen)
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(12, 0, 0, 0)
        row = QHBoxLayout()
        row.addWidget(self.history, stretch=1)
        row.addWidget(self.choose_button)
        self.history_words = WrappedLabel()
        column.addLayout(row)
        column.addWidget(self.history_words)
        self.history.currentIndexChanged.connect(self._show_chosen)
        self.fold = Fold("History", "Shows or hides all models of this project.", body)
        self.add(self.fold)
        self.add(self.notice)
        self.refresh()

    def refresh(self) -> None:
        """Show the models as they are now."""
        try:
            known = self._models.read()
        except InputError as error:
            self.notice.say("error", sentence(str(error)))
            return
        newest = known.newest
        self.setVisible(newest is not None)
        if newest is None or known == self._shown:
            return
        self._shown = known
        self.notice.clear()
        self._show_comparison(newest)
        self._show_verdict(known, newest)
        self._show_buttons(known, newest)
        self._show_history(known)

    def use_newest(self) -> None:
        """Make the newest model the current one."""
        if self._shown is not None and self._shown.newest is not None:
            self.choose(self._shown.newest.number)

    def go_back(self) -> None:
        """Take the last change of the current model back."""
        if self._shown is not None:
            self.choose(self._shown.before_last_choice)

    def choose(self, number: int | None) -> None:
        """Make another model the current one."""
        try:
            self._models.choose(number)
        except InputError as error:
            self.notice.say("error", sentence(str(error)))
            return
        self.refresh()
        self.chosen.emit()

    def _use_chosen(self) -> None:
        self.choose(int(self.history.currentData()))

    def _show_comparison(self, newest: ModelRecord) -> None:
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()  # at once; what takes its place must not be drawn over it
                widget.deleteLater()
        found = newest.comparison
        self._table.setVisible(bool(found and found.classes))
        self.slices.setVisible(found is not None)
        if found is None:
            return
        self.slices.setText(
            f"On {count(len(found.slices), 'held-out slice')}, painted pixels only."
        )
        if found.before is not None:
            _put(self._grid, 0, 1, f"<b>{escape(found.before)}</b>")
        _put(self._grid, 0, 2, f"<b>{newest.name}</b>")
        row = 1
        for score in found.classes:
            self._add_row(row, score, found)
            row += 1
            if score.earlier is not None:
                name = f"<i>earlier {count(score.earlier.slices, 'slice')}</i>"
                _put(self._grid, row, 0, f"&nbsp;&nbsp;{name}", left=True)
                _put(self._grid, row, 1, f"{score.earlier.before:.2f}")
                _put(self._grid, row, 2, f"{score.earlier.after:.2f}")
                forgot = "forgot" if score.earlier.forgotten else ""
                _put(self._grid, row, 3, _colored(forgot, "worse"), left=True)
                row += 1

    def _add_row(self, row: int, score: ClassScore, found: Comparison) -> None:
        metric = "F1 of objects" if score.metric == "f1" else "Dice"
        name = _put(self._grid, row, 0, "", left=True)
        name.setTextFormat(Qt.TextFormat.PlainText)  # whatever a person called it
        name.setText(score.name)
        name.setToolTip(
            f"{metric} of {score.name} on {count(score.slices, 'held-out slice')}, "
            f"{score.pixels:,} painted pixels"
        )
        if found.before is not None:
            _put(self._grid, row, 1, _number(score.before))
        _put(self._grid, row, 2, _number(score.after))
        words = "" if score.outcome == "first" else outcome_words(score.outcome)
        label = _put(self._grid, row, 3, _colored(words, score.outcome), left=True)
        label.setWordWrap(True)
        if score.interval is not None:
            low, high = score.interval
            label.setToolTip(f"95 % interval of the change: {low:+.3f} to {high:+.3f}")

    def _show_verdict(self, known: ModelList, newest: ModelRecord) -> None:
        current = known.current
        text = ""
        if newest.comparison is not None:
            text = verdict_sentence(newest.comparison, newest.name, newest.overtaken)
        chosen = bool(known.choices) and known.choices[-1].why == "chosen"
        if chosen or not text:
            now = f"{current.name} is this project’s model" if current else "It has no model"
            text = f"{now}, as you chose." if chosen else f"{now}."
        self.verdict.setText(text)

    def _show_buttons(self, known: ModelList, newest: ModelRecord) -> None:
        current, blocked = known.current, READ_ONLY if self._opened.read_only else None
        is_newest = current is not None and current.number == newest.number
        self.use_button.setText(f"Use {newest.name}")
        self.use_button.setToolTip(f"Makes {newest.name} this project’s model.")
        self.use_button.setVisible(not is_newest)
        before = known.before_last_choice
        self.back_button.setVisible(is_newest and before is not None)
        self.back_button.setText(f"Back to v{before}")
        self.back_button.setToolTip("Makes the model before this project’s model again.")
        for button in (self.use_button, self.back_button, self.choose_button):
            set_blocked(button, blocked)

    def _show_history(self, known: ModelList) -> None:
        self.history.clear()
        for item in reversed(known.models):
            self.history.addItem(_entry(item, item == known.current), item.number)
        self._show_chosen()

    def _show_chosen(self, _index: int = 0) -> None:
        """Say more of the model in the list than has room in it."""
        number = self.history.currentData()
        item = None if number is None or self._shown is None else self._shown.record(number)
        self.history_words.setText("" if item is None else _details(item))


def _entry(item: ModelRecord, current: bool) -> str:
    parts = [item.name + (" (in use)" if current else "")]
    if item.comparison is not None:
        parts.append(outcome_words(item.comparison.outcome))
    return " · ".join(parts)


def _details(item: ModelRecord) -> str:
    """When a model was made, and its scores on the slices that were held out then."""
    parts = [item.created[:16].replace("T", " ")]
    if item.comparison is not None:
        parts += [
            f"{score.name} {score.after:.2f}"
            for score in item.comparison.classes
            if score.after is not None
        ]
    return " · ".join(parts)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _colored(words: str, outcome: str) -> str:
    color = _COLORS.get(outcome)
    return f'<span style="color: {color}">{words}</span>' if color and words else words


def _put(grid: QGridLayout, row: int, column: int, text: str, left: bool = False) -> QLabel:
    label = QLabel(text)
    label.setIndent(0)
    side = Qt.AlignmentFlag.AlignLeft if left else Qt.AlignmentFlag.AlignRight
    label.setAlignment(side | Qt.AlignmentFlag.AlignTop)
    grid.addWidget(label, row, column)
    return label
