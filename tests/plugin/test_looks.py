"""The dock in a window of 1280 x 800, 320 pixels wide: nothing clipped, all explained, in order."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QDockWidget,
    QLabel,
    QProgressBar,
    QPushButton,
    QTableView,
    QWidget,
)

from napari_swin_umamba.plugin.worker import Progress
from napari_swin_umamba.segmentation import bundled_models, measure_labels

pytestmark = pytest.mark.window

INTERACTIVE = (QAbstractButton, QComboBox, QAbstractSpinBox, QTableView, QProgressBar)
SAME_LINE = 8
"""Pixels by which the middles of two controls in one line may differ."""


@pytest.fixture(params=["dark", "light"])
def dock(
    request: pytest.FixtureRequest, viewer: Any, widget: Any, make_model: Callable, qtbot: Any
) -> Any:
    """The dock with all that it can show before a run, and a table."""
    viewer.theme = request.param
    window = viewer.window._qt_window
    window.resize(1280, 800)
    window.show()
    viewer.add_image(
        np.zeros((4, 40, 56), np.uint8),
        name="a_rather_long_name_of_a_file_from_a_microscope_0001",
        scale=(6, 2, 2),
        units=("um",) * 3,
    )
    widget.model_row.import_file(make_model("large pixels", spacing=(0.5, 0.5), unit="micrometer"))
    widget.reading_row.edit_button.click()
    widget.options_box.header.click()
    labels = np.arange(24).reshape(2, 3, 4)
    widget.table.show_measurements("A – B", measure_labels(labels, instances=True))
    widget.outcome.say("error", "It failed.", details="Traceback")
    window.resizeDocks([docked(widget)], [320], Qt.Orientation.Horizontal)
    qtbot.waitUntil(lambda: widget.width() <= 330)
    qtbot.wait(100)
    return widget


def docked(widget: QWidget) -> QWidget:
    """The dock that a widget lies in."""
    parent = widget.parentWidget()
    while not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent


def controls(widget: Any) -> list[QWidget]:
    """What a person can click or type into; not the parts that Qt makes it of."""
    return [
        child
        for child in widget.widget().findChildren(QWidget)
        if isinstance(child, INTERACTIVE)
        and child.isVisible()
        and not isinstance(child.parentWidget(), QTableView | QAbstractSpinBox | QComboBox)
    ]


def test_every_control_says_what_it_does(dock: Any) -> None:
    found = controls(dock)
    assert len(found) > 20
    assert not [one for one in found if not one.toolTip().strip()]
    dock.run_row.show_progress(Progress("12 of 24 slices", 0.5))
    running = [one for one in controls(dock) if one not in found]
    assert {type(one) for one in running} == {QProgressBar, QPushButton}
    assert all(one.toolTip().strip() for one in running)


def test_the_buttons_take_the_dock_s_width_and_progress_no_more_room(dock: Any) -> None:
    row = dock.run_row
    row.show_progress(Progress("12 of 24 slices", 0.5))
    dock.widget().layout().activate()
    text, bar = row.status, row.progress_bar
    between = text.mapTo(row, QPoint(0, 0)).y() - bar.mapTo(row, QPoint(0, bar.height())).y()
    assert between < 20
    dock.refresh()
    dock.widget().layout().activate()
    end = row.more_button.mapTo(row, QPoint(row.more_button.width(), 0)).x()
    assert row.width() - end < 5


def test_nothing_is_clipped(dock: Any) -> None:
    content = dock.widget()
    assert content.minimumSizeHint().width() <= 300
    for one in (*controls(dock), *(c for c in content.findChildren(QLabel) if c.isVisible())):
        left = one.mapTo(content, QPoint(0, 0)).x()
        assert left >= 0, one
        assert left + one.width() <= dock.viewport().width(), one
        if isinstance(one, QAbstractButton):
            assert one.width() >= one.minimumSizeHint().width(), one.text()
        elif isinstance(one, QLabel) and one.wordWrap():
            assert one.height() >= one.heightForWidth(one.width()), one.text()


def test_names_of_bundled_models_are_not_cut_off(dock: Any) -> None:
    combo = dock.model_row.combo
    for name in bundled_models():
        needed = combo.fontMetrics().horizontalAdvance(f"{name} (bundled)")
        assert needed + 40 <= combo.width(), name  # 40: the arrow, and a margin


def test_text_takes_no_more_room_than_it_needs(dock: Any) -> None:
    for label in (dock.model_text, dock.reading_row.text, dock.footer):
        assert label.height() <= label.heightForWidth(label.width()) + 1
        lines = round(label.height() / label.fontMetrics().lineSpacing())
        assert label.height() <= (lines + 0.5) * label.fontMetrics().lineSpacing()


def test_tab_goes_from_top_to_bottom(dock: Any) -> None:
    content = dock.widget()
    reached = {one for one in controls(dock) if one.focusPolicy() & Qt.FocusPolicy.TabFocus}
    order, one = [], content.nextInFocusChain()
    # No further than needed: PySide6 keeps the window that it was shown other parts of.
    while one is not content and len(order) < len(reached):
        if one in reached:
            order.append(one)
        one = one.nextInFocusChain()
    assert len(order) > 15
    places = [one.mapTo(content, one.rect().center()) for one in order]
    for before, after, name in zip(places, places[1:], order[1:], strict=False):
        below = after.y() - before.y()
        beside = abs(below) <= SAME_LINE and after.x() > before.x()
        assert beside or below > 0, (name.toolTip(), before, after)
