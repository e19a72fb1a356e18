"""Small Qt parts that fit a dock of 320 pixels, in napari's light and dark theme."""

from __future__ import annotations

import re
from typing import Literal

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QComboBox, QFrame, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

__all__ = [
    "MENU_STYLE",
    "PRIMARY_STYLE",
    "Notice",
    "NoticeKind",
    "WrappedLabel",
    "make_narrow",
    "set_blocked",
]

NoticeKind = Literal["hint", "done", "warning", "error"]

# Okabe and Ito's colours, told apart with every colour vision; a sign says the same.
_KINDS: dict[NoticeKind, tuple[str, str]] = {
    "hint": ("#56b4e9", ""),
    "done": ("#009e73", "✓ "),
    "warning": ("#e69f00", "⚠ "),
    "error": ("#d55e00", "✕ "),
}
_TOGETHER = re.compile(r" (?=[×%·])|(?<=×) |(?<=\d) (?=(?:[cmnµ]?m|s|min|bytes|[kMG]B)\b)")
"""Spaces at which no line ends: in ``3 × 4``, ``6 mm``, and before a dot between two words."""
_LONG_WORD = 24
"""Letters that fit into a line of the narrowest dock."""

PRIMARY_STYLE = (
    "QPushButton:enabled { background-color: #0072b2; color: white; font-weight: bold; }"
    "QPushButton:enabled:hover { background-color: #0082cc; }"
    "QPushButton { padding: 7px; }"
)
"""For the one button per state that matters."""


MENU_STYLE = "QToolButton { padding: 7px; } QToolButton::menu-indicator { image: none; }"
"""For a button that opens a menu and says so with an arrow in its text."""


class WrappedLabel(QLabel):
    """Text that wraps, file names and paths included, and can be selected."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setIndent(0)  # napari's style makes Qt indent text, at the top as well
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.setText(text)

    def setText(self, text: str | None) -> None:  # noqa: N802 - Qt's name
        """Show a text; words too long for a line may break, paths behind their separators."""
        text = _TOGETHER.sub("\u00a0", text or "")
        super().setText(re.sub(rf"\S{{{_LONG_WORD},}}", _breakable, text))


def _breakable(match: re.Match[str]) -> str:
    """Put invisible places to break (U+200B) into a long word."""
    pieces = re.findall(rf"[^/\\_.\-]{{1,{_LONG_WORD}}}[/\\_.\-]*|[/\\_.\-]+", match.group())
    return "\u200b".join(pieces)


class Notice(QFrame):
    """One message with a coloured edge; hidden while there is nothing to say."""

    remedy_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("notice")
        self._label = WrappedLabel()
        self._details = ""
        self._copy = QPushButton("Copy details")
        self._copy.setToolTip("Copies the technical details, for whoever you ask for help.")
        self._copy.clicked.connect(self._copy_details)
        self.remedy_button = QPushButton()
        self.remedy_button.setToolTip("Does what the message suggests.")
        self.remedy_button.clicked.connect(self.remedy_clicked)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 4, 4)
        layout.addWidget(self._label)
        for button in (self._copy, self.remedy_button):
            layout.addWidget(button, alignment=Qt.AlignmentFlag.AlignLeft)
        self.clear()

    def say(self, kind: NoticeKind, text: str, details: str = "", remedy: str = "") -> None:
        """Show a message.

        Parameters
        ----------
        kind
            Sets the colour of the edge and the sign before the text.
        text
            One or two sentences.
        details
            What *Copy details* copies after the text; without it there is no such button.
        remedy
            Words on a button that does something about it (``remedy_clicked``).
        """
        color, sign = _KINDS[kind]
        self.kind, self.text, self._details = kind, text, details
        self._label.setText(sign + text)
        self._copy.setVisible(bool(details))
        self.remedy_button.setText(remedy)
        self.remedy_button.setVisible(bool(remedy))
        self.setStyleSheet(f"QFrame#notice {{ border-left: 3px solid {color}; }}")
        self.show()

    def clear(self) -> None:
        """Say nothing."""
        self.kind, self.text, self._details = "hint", "", ""
        self.hide()

    def _copy_details(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(f"{self.text}\n\n{self._details}")


def set_blocked(widget: QWidget, why: str | None) -> None:
    """Disable a control and say why in its tooltip, or (None) enable it with its own tooltip."""
    if why is not None:
        if widget.isEnabled():
            widget.setProperty("own_tooltip", widget.toolTip())
        widget.setToolTip(why)
    elif not widget.isEnabled() and why is None:
        widget.setToolTip(widget.property("own_tooltip") or "")
    widget.setEnabled(why is None)


def make_narrow(combo: QComboBox) -> None:
    """Let a combo box become narrower than its longest entry."""
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(6)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
