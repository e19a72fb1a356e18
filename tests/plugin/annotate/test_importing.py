"""Labels that exist become annotation, where nothing is painted yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari_swin_umamba.images import Image
from napari_swin_umamba.plugin.annotate.import_dialog import ImportDialog
from napari_swin_umamba.plugin.annotate.importing import (
    Found,
    LabelSource,
    image_for,
    import_labels,
    look_at_labels,
)
from napari_swin_umamba.plugin.worker import Channel
from napari_swin_umamba.project import Project


@pytest.fixture
def stored(tmp_path: Path) -> Project:
    file = tmp_path / "case_0000.tif"
    tifffile.imwrite(file, np.zeros((3, 8, 9), np.uint8), photometric="minisblack")
    project = Project.create(tmp_path / "project", "semantic", ["a", "b"])
    project.add_image([file], Image(np.zeros((3, 8, 9), np.uint8), "ZYX"))
    return project


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("case.nii.gz", True),
        ("case_0000.tif", True),
        ("CASE_0000_mask.png", True),
        ("case-labels.tif", True),
        ("case2.tif", False),
        ("mask.tif", False),
    ],
)
def test_labels_find_their_image_by_name(stored: Project, name: str, found: bool) -> None:
    assert (image_for(Path(name), stored.images) is not None) == found


def test_strokes_stay_and_0_means_what_is_said(stored: Project, tmp_path: Path) -> None:
    (image,) = stored.images
    annotation = stored.annotation(image.id)
    painted = np.zeros((8, 9), np.uint8)
    painted[0] = 3
    annotation.write((1,), painted)
    labels = np.zeros((3, 8, 9), np.uint8)
    labels[1, :4] = 7
    labels[2, 5] = 9
    file = tmp_path / "case.tif"
    tifffile.imwrite(file, labels, photometric="minisblack")
    source = LabelSource(image.id, "case", file)
    assert look_at_labels(stored, [source], Channel()).values == (7, 9)
    assert import_labels(stored, [source], {7: 2}, False, Channel()) == 1
    read = annotation.read((1,))
    assert (read[0] == 3).all()
    assert (read[1:4] == 2).all()
    assert not read[4:].any()
    assert annotation.painted() == ((1,),)
    assert annotation.complete() == ()
    import_labels(stored, [source], {7: 2, 9: 3}, True, Channel())
    assert annotation.complete() == ((0,), (1,), (2,))
    assert (annotation.read((2,))[5] == 3).all()
    assert (annotation.read((0,)) == 1).all()


def test_labels_of_another_size_are_refused(stored: Project, tmp_path: Path) -> None:
    file = tmp_path / "case.tif"
    tifffile.imwrite(file, np.zeros((3, 8, 8), np.uint8), photometric="minisblack")
    source = LabelSource(stored.images[0].id, "case", file)
    with pytest.raises(ValueError, match="3 x 8 x 8.*3 x 8 x 9"):
        look_at_labels(stored, [source], Channel())


@pytest.mark.window
def test_the_dialog_goes_by_names_then_by_order(stored: Project, qtbot: Any) -> None:
    named = ImportDialog(None, stored.settings, Found((1, 2, 3), {1: "B", 2: "liver"}), "one")
    qtbot.addWidget(named)
    assert named.becomes == {1: 3}
    assert named.new_classes == {2: "liver", 3: "class 3"}
    plain = ImportDialog(None, stored.settings, Found((4, 8, 9), {}), "one")
    qtbot.addWidget(plain)
    assert plain.becomes == {4: 2, 8: 3}
    assert plain.new_classes == {9: "class 9"}


@pytest.mark.window
def test_a_labels_layer_and_a_file_in_the_window(
    viewer: Any, project: Any, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImportDialog, "exec", lambda _: True)
    images, opened = project.sections[0], project.opened
    button = images.import_button
    labels = np.zeros((5, 40, 60), np.uint8)
    labels[2, 3:9, 3:9] = 2
    layer = viewer.add_labels(labels, name="mask")
    button.fill_menu()
    texts = [action.text() for action in button.menu_of_labels.actions()]
    assert texts == ["“mask”, onto volume", "Label files, by their names…"]
    button.menu_of_labels.actions()[0].trigger()
    qtbot.waitUntil(lambda: images.notice.kind == "done", timeout=10_000)
    qtbot.waitUntil(lambda: not opened.images.busy, timeout=10_000)
    shown = opened.annotation_layer()
    assert (shown.data[2, 3:9, 3:9] == 2).all()  # the only value, so the first class
    assert (shown.data[layer.data == 0] == 1).all()
    assert shown.editable
    file = tmp_path / "nobody.tif"
    tifffile.imwrite(file, labels[:, :, :50], photometric="minisblack")
    button.import_files([file])
    qtbot.waitUntil(lambda: images.notice.kind == "error", timeout=10_000)
    assert "5 x 40 x 50" in images.notice.text
    button.import_files([file, tmp_path / "other.tif"])
    assert "nobody.tif, other.tif" in images.notice.text
