"""What *Edit…* changes, and what it leaves as the image says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

pytestmark = pytest.mark.window


def choose(combo: Any, text: str) -> None:
    combo.setCurrentIndex(combo.findText(text))
    combo.activated.emit(combo.currentIndex())


@pytest.fixture
def edited(viewer: Any, widget: Any, semantic_model: Path, click: Callable) -> Callable:
    """Add an image and open *Edit…*; its row."""

    def add(shape: tuple[int, ...], **layer: Any) -> Any:
        viewer.add_image(np.zeros(shape, np.uint8), **layer)
        widget.model_row.import_file(semantic_model)
        click(widget.reading_row.edit_button)
        return widget.reading_row

    return add


def test_small_sizes_are_shown_and_kept_exactly(widget: Any, edited: Callable) -> None:
    row = edited((8, 9), scale=(0.000654321, 0.001), units=("mm", "mm"))
    assert row.unit.currentText() == "mm"
    assert row.steps[0].text().replace(",", ".") == "0.0006543"
    choose(row.unit, "mm")
    assert widget.readiness().reading.spacing == (0.000654321, 0.001)
    row.steps[1].setValue(0.002)
    assert widget.readiness().reading.spacing == (0.000654321, 0.002)


@pytest.mark.parametrize(("unit", "shown"), [("cm", "cm"), ("m", "m"), ("um", "µm")])
def test_the_image_s_own_unit_can_be_kept(
    widget: Any, edited: Callable, unit: str, shown: str
) -> None:
    row = edited((8, 9), scale=(6.5e-7, 6.5e-7), units=(unit, unit))
    assert row.unit.currentText() == shown
    before = widget.readiness().reading.spacing_in("nanometer")
    row.steps[0].setValue(1e-6)
    after = widget.readiness().reading.spacing_in("nanometer")
    assert after[0] == pytest.approx(before[0] / 0.65)
    assert after[1] == before[1]


def test_units_that_differ_are_brought_to_one(widget: Any, edited: Callable) -> None:
    row = edited((4, 8, 9), scale=(0.002, 0.5, 0.5), units=("mm", "um", "um"))
    assert [spin.value() for spin in row.steps.values()] == [2, 0.5, 0.5]
    row.steps[1].setValue(0.6)
    assert widget.readiness().reading.volume_spacing == pytest.approx((2, 0.6, 0.5))


def test_channels_alone_leave_the_pixel_size_to_the_image(
    viewer: Any, widget: Any, edited: Callable, qtbot: Any
) -> None:
    row = edited((2, 8, 9), scale=(1, 0.5, 0.5), units=("um",) * 3)
    row.channels.setCurrentIndex(1)
    row.channels.activated.emit(1)
    assert widget.readiness().reading.channel_axis == 0
    viewer.layers[0].scale = (1, 0.25, 0.25)
    assert widget.readiness().reading.spacing == (0.25, 0.25)
    row.reset_button.click()
    assert widget.readiness().reading.channel_axis is None
