"""*Save labels…* in the dock: the real dialog, the files read by others."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit

pytestmark = pytest.mark.window


def type_name(name: str, seen: dict[str, Any], kind: str = "") -> None:
    """Answer the dialog that a click is about to open, as a person does: type and press Return."""

    def answer() -> None:
        (dialog,) = [w for w in QApplication.topLevelWidgets() if isinstance(w, QFileDialog)]
        seen.update(folder=dialog.directory().absolutePath(), name=dialog.selectedFiles()[0])
        if kind:
            dialog.selectNameFilter(next(f for f in dialog.nameFilters() if f.startswith(kind)))
            dialog.filterSelected.emit(dialog.selectedNameFilter())
        edit = dialog.findChild(QLineEdit)
        edit.setText(name)
        dialog.accept() if name else dialog.reject()

    QTimer.singleShot(500, answer)


@pytest.fixture(autouse=True)
def qt_dialogs() -> Iterator[None]:
    """Qt's own file dialog: the desktop's cannot be typed into from here."""
    attribute = Qt.ApplicationAttribute.AA_DontUseNativeDialogs
    before = QApplication.testAttribute(attribute)
    QApplication.setAttribute(attribute, True)
    yield
    QApplication.setAttribute(attribute, before)


def test_the_ending_decides(viewer: Any, widget: Any, tmp_path: Path) -> None:
    row, seen = widget.run_row, {}
    row.menu_opened.emit()
    assert not row.save_action.isEnabled()
    assert "no labels yet" in row.save_action.toolTip()
    data = np.zeros((3, 8, 9), np.uint8)
    data[1, 2:5] = 2
    labels = viewer.add_labels(data, name="a/b: mine", scale=(3, 0.5, 0.5), units=("mm",) * 3)
    row.menu_opened.emit()
    assert row.save_action.isEnabled()
    for name in ("one.nii.gz", "two.tif", "three"):
        type_name(str(tmp_path / name), seen)
        row.save_action.trigger()
        assert widget.outcome.kind == "done", widget.outcome.text
    assert Path(seen["name"]).name == "a-b- mine.nii.gz"
    assert sorted(p.name for p in tmp_path.glob("[ot]*")) == [
        "one.nii.gz",
        "three.nii.gz",
        "two.tif",
    ]
    stored = nibabel.load(tmp_path / "one.nii.gz")
    np.testing.assert_array_equal(np.asarray(stored.dataobj).T, data)
    assert stored.header.get_zooms() == (0.5, 0.5, 3)
    with tifffile.TiffFile(tmp_path / "two.tif") as file:
        assert file.imagej_metadata is None or file.imagej_metadata.get("spacing", 3) == 3
        np.testing.assert_array_equal(file.asarray(), data)
    type_name(str(tmp_path / "four"), seen, "NRRD")
    row.save_action.trigger()
    assert (tmp_path / "four.nrrd").is_file()
    np.testing.assert_array_equal(labels.data, data)


def test_changing_one_s_mind_and_what_cannot_be_saved(
    viewer: Any, widget: Any, tmp_path: Path
) -> None:
    viewer.add_labels(np.zeros((2, 2, 2, 8, 9), np.uint8))
    type_name("", {})
    widget.run_row.save_action.trigger()
    assert widget.outcome.text == ""
    type_name(str(tmp_path / "five.nii.gz"), {})
    widget.run_row.save_action.trigger()
    assert widget.outcome.kind == "error"
    assert "files hold 2 to 4" in widget.outcome.text
    assert not list(tmp_path.glob("five*"))


def test_the_result_is_saved_beside_its_image(
    viewer: Any,
    widget: Any,
    noise: np.ndarray,
    semantic_model: Path,
    click: Callable,
    wait_for_end: Callable,
    tmp_path: Path,
) -> None:
    tifffile.imwrite(tmp_path / "cells.tif", noise)
    (image,) = viewer.open(tmp_path / "cells.tif", plugin="napari")
    widget.model_row.import_file(semantic_model)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    viewer.layers.selection.active = image
    seen: dict[str, Any] = {}
    type_name(str(tmp_path / "cells-labels.tif"), seen)
    widget.run_row.save_action.trigger()
    assert Path(seen["folder"]) == tmp_path
    assert Path(seen["name"]).name == "cells – tiny.tif"
    assert tifffile.imread(tmp_path / "cells-labels.tif").shape == noise.shape
