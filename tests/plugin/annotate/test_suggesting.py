"""*Where next*: clicks on the real section, a tiny model of the project behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_swin_umamba.plugin.annotate import suggest_work
from napari_swin_umamba.plugin.annotate.images_section import ImagesSection
from napari_swin_umamba.plugin.annotate.suggest_section import SuggestSection
from napari_swin_umamba.plugin.image_combo import is_image
from napari_swin_umamba.project import Comparison, ProjectModels, Skipped

pytestmark = pytest.mark.window


@pytest.fixture
def section(project: Any) -> Any:
    return next(one for one in project.sections if isinstance(one, SuggestSection))


@pytest.fixture
def give_model(semantic_model: Path) -> Callable[[Any], None]:
    """Return a function that gives the project a model."""

    def give(dock: Any) -> None:
        models = ProjectModels(dock.opened.project.folder)
        models.add(semantic_model, "none", comparison=Comparison(outcome="first"))

    return give


@pytest.fixture
def suggest(qtbot: Any, click: Callable[[Any], None]) -> Callable[[Any], None]:
    """Return a function that clicks *Suggest* and waits for the end."""

    def run(section: Any) -> None:
        click(section.suggest_button)
        assert section.running
        qtbot.waitUntil(lambda: not section.running, timeout=120_000)

    return run


def texts(section: Any) -> list[str]:
    return [section.list.item(row).text() for row in range(section.list.count())]


def places(section: Any) -> list[int]:
    return [
        section.list.slice_of(section.list.item(row))[1][0] for row in range(len(texts(section)))
    ]


def click_row(section: Any, qtbot: Any, row: int) -> None:
    from qtpy.QtCore import Qt

    rectangle = section.list.visualItemRect(section.list.item(row))
    where = rectangle.center()
    qtbot.mouseClick(section.list.viewport(), Qt.MouseButton.LeftButton, pos=where)


def said(label: Any) -> str:
    return label.text().replace("\u00a0", " ").replace("\u200b", "")


def test_without_a_model_slices_are_evenly_spaced_and_it_says_so(
    project: Any, section: Any, suggest: Callable, qtbot: Any, viewer: Any
) -> None:
    assert not section.list.isVisibleTo(project)
    suggest(section)
    assert texts(section) == ["0 · evenly spaced", "2 · evenly spaced", "4 · evenly spaced"]
    assert "no model yet" in said(section.status)
    assert not section.heat_check.isVisibleTo(project)
    for row in (2, 0):
        click_row(section, qtbot, row)
        assert viewer.dims.current_step[0] == places(section)[row]


def test_a_model_ranks_slices_and_painted_ones_leave_the_list(
    project: Any,
    section: Any,
    give_model: Callable,
    suggest: Callable,
    paint: Callable,
    qtbot: Any,
    viewer: Any,
) -> None:
    give_model(project)
    suggest(section)
    assert said(section.status) == "v1 looked at 5 slices. The least sure come first."
    found = places(section)
    assert len(found) in (2, 3)
    assert all(abs(a - b) > 1 for a in found for b in found if a != b)
    assert all("mirrored" in text or "neighbours" in text for text in texts(section))
    assert not section.list.item(0).icon().isNull()
    assert section.notice.text == ""
    for left in reversed(range(len(found))):
        click_row(section, qtbot, 0)
        assert viewer.dims.current_step[0] == places(section)[0]
        gone = places(section)[0]
        paint(project.opened.annotation_layer(), (10, 10), (10, 30))
        qtbot.waitUntil(lambda left=left: len(texts(section)) == left, timeout=5000)
        assert gone not in places(section)
    assert "All that was suggested is painted" in said(section.status)
    suggest(section)
    assert not set(places(section)) & set(found)


def test_skipping_is_kept_and_can_be_taken_back(
    project: Any,
    section: Any,
    suggest: Callable,
    click: Callable,
    qtbot: Any,
    wait_shown: Callable,
) -> None:
    suggest(section)
    project.opened.go_to((1,))
    qtbot.waitUntil(lambda: not section.skipping.skip_button.isEnabled(), timeout=2000)
    assert "Choose a slice" in section.skipping.skip_button.toolTip()
    click_row(section, qtbot, 1)
    click(section.skipping.skip_button)
    assert 2 not in places(section)
    folder, image = project.opened.project.folder, project.opened.images.current
    assert Skipped.read(folder).of(image) == ((2,),)
    project.open_project(folder)
    wait_shown(project)
    section = next(one for one in project.sections if isinstance(one, SuggestSection))
    suggest(section)
    assert 2 not in places(section)
    click(section.skipping.show_button)
    assert texts(section) == ["2 · skipped"]
    click_row(section, qtbot, 0)
    assert section.skipping.skip_button.text() == "No longer skip"
    click(section.skipping.skip_button)
    assert Skipped.read(folder).of(image) == ()
    assert not section.skipping.show_button.isVisibleTo(project)
    assert 2 not in places(section)  # the suggestions as they were
    suggest(section)
    assert 2 in places(section)


def test_the_heat_map_shows_where_and_goes_with_the_project(
    project: Any,
    section: Any,
    give_model: Callable,
    suggest: Callable,
    click: Callable,
    viewer: Any,
    qtbot: Any,
) -> None:
    give_model(project)
    suggest(section)
    before = list(viewer.layers)
    assert not section.heat_check.isChecked()
    section.heat_check.click()
    (layer,) = [one for one in viewer.layers if one not in before]
    assert viewer.layers.index(layer) < viewer.layers.index(project.opened.annotation_layer())
    assert viewer.layers.selection.active is project.opened.annotation_layer()
    shades = layer.colormap.map(np.array([0.0, 1.0]))
    assert (shades[0, 3], shades[1, 3]) == (0, 1)  # the image is seen where the model is sure
    assert not is_image(layer)  # offered neither for segmentation nor as an image to add
    assert layer.data.shape == project.opened.annotation_layer().data.shape
    assert layer.data.any(axis=(1, 2)).all()  # all five slices were looked at
    image = project.opened.image_layer(project.opened.images.current)
    image.translate = (5, 6, 7)
    np.testing.assert_allclose(layer.translate, (5, 6, 7))
    section.heat_check.click()
    assert layer not in viewer.layers
    section.heat_check.click()
    viewer.layers.remove(section.heat_map.layer)  # a person's own hand
    assert not section.heat_check.isChecked()
    section.heat_check.click()
    layer = section.heat_map.layer
    assert layer in viewer.layers
    annotation = project.opened.project.annotation(project.opened.images.current)
    assert project.close_project()
    assert layer not in viewer.layers
    assert annotation.painted() == ()


def test_it_is_cancelled_with_what_there_is_and_a_failure_is_said(
    project: Any,
    section: Any,
    give_model: Callable,
    suggest: Callable,
    click: Callable,
    qtbot: Any,
) -> None:
    give_model(project)
    click(section.suggest_button)
    assert not section.suggest_button.isVisibleTo(project)
    assert section.progress.isVisibleTo(project)
    qtbot.waitUntil(lambda: section._found.looked_at > 0, timeout=120_000)
    click(section.progress.cancel_button)
    qtbot.waitUntil(lambda: not section.running, timeout=60_000)
    assert section.suggest_button.isVisibleTo(project)
    if section._found.looked_at < 5:  # it may have been quicker than the click
        assert "cancelled" in said(section.status)
    assert texts(section)
    models = project.opened.project.folder / "models"
    (models / "v0001.safetensors").write_bytes(b"broken")
    suggest(section)
    assert section.notice.kind == "error"
    assert "v0001" in section.notice.text
    assert section.suggest_button.isEnabled()
    (models / "models.json").write_text("{")
    click(section.suggest_button)
    assert not section.running
    assert "damaged" in section.notice.text


def test_time_that_is_up_is_said(
    project: Any,
    section: Any,
    give_model: Callable,
    suggest: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give_model(project)
    monkeypatch.setattr(suggest_work, "SECONDS", -1.0)
    suggest(section)
    assert said(section.status).startswith("v1 looked at 1 of 5 slices, in ")
    assert "evenly spaced" in said(section.status)
    assert len(texts(section)) == 1


def test_flat_images_are_ranked_and_opened(
    dock: Any,
    tmp_path: Path,
    give_model: Callable,
    suggest: Callable,
    wait_shown: Callable,
    qtbot: Any,
) -> None:
    dock.create_project(tmp_path / "flat", "semantic", ("liver", "spleen"))
    rng = np.random.default_rng(0)
    files = [tmp_path / f"cell {n}.tif" for n in range(3)]
    for number, file in enumerate(files):
        tifffile.imwrite(file, rng.integers(0, 50 + 90 * number, (40, 48)).astype(np.uint8))
    dock.sections[0].add_files(files)
    wait_shown(dock)
    section = next(one for one in dock.sections if isinstance(one, SuggestSection))
    assert section.suggest_button.text() == "Suggest images"
    give_model(dock)
    Path(files[2]).unlink()
    suggest(section)
    assert section.notice.kind == "warning"  # the others are suggested all the same
    assert "cell 2" in section.notice.text
    assert sorted(text.split(" · ")[0] for text in texts(section)) == ["cell 0", "cell 1"]
    shown = dock.opened.images.current
    row = next(row for row in range(2) if section.list.slice_of(section.list.item(row))[0] != shown)
    wanted = section.list.slice_of(section.list.item(row))[0]
    click_row(section, qtbot, row)
    qtbot.waitUntil(lambda: dock.opened.images.current == wanted, timeout=20_000)
    assert len(texts(section)) == 2


@pytest.mark.parametrize(
    ("axes", "shape", "shown", "rgb", "expected"),
    [
        ("ZYX", (5, 8, 9), (5, 8, 9), False, "ZYX"),
        ("ZYX", (5, 8, 9), (2, 5, 8, 9), False, "CZYX"),  # two files, a channel each
        ("TCZYX", (3, 2, 5, 8, 9), (2, 3, 5, 8, 9), False, "TCZYX"),  # as its file has it
        ("YXC", (8, 9, 3), (8, 9, 3), True, "YXC"),
    ],
)
def test_a_layer_is_read_with_the_axes_of_the_project(
    axes: str, shape: tuple, shown: tuple, rgb: bool, expected: str
) -> None:
    from napari.layers import Image

    from napari_swin_umamba.project import FileReference, ImageReference

    slice_axis = "Z" if "Z" in axes else None
    file = FileReference(path="a.tif", sha256="0" * 64, size=1)
    reference = ImageReference(
        id="a", name="a", files=(file,), axes=axes, shape=shape, slice_axis=slice_axis
    )
    labels = ("c", "t", "z", "y", "x") if axes == "TCZYX" else None
    layer = Image(np.zeros(shown, np.uint8), rgb=rgb, axis_labels=labels)
    image = suggest_work.image_of_layer(layer, reference)
    assert sorted(image.axes) == sorted(expected)
    assert dict(zip(image.axes, image.array.shape, strict=True)) == {
        **dict(zip(reference.label_axes, reference.label_shape, strict=True)),
        **({"C": 3 if rgb else 2} if "C" in image.axes else {}),
    }


@pytest.mark.slow
def test_slices_of_all_images(
    project: Any,
    section: Any,
    tmp_path: Path,
    suggest: Callable,
    wait_shown: Callable,
    qtbot: Any,
    viewer: Any,
) -> None:
    assert not section.all_check.isVisibleTo(project)
    file = tmp_path / "other.tif"
    tifffile.imwrite(file, np.ones((7, 30, 30), np.uint8), metadata={"axes": "ZYX"})
    images = next(one for one in project.sections if isinstance(one, ImagesSection))
    images.add_files([file])
    qtbot.waitUntil(lambda: len(project.opened.project.images) == 2, timeout=20_000)
    wait_shown(project)
    project.opened.images.show(project.opened.project.images[0].id)
    wait_shown(project)
    assert section.all_check.isVisibleTo(project)
    section.all_check.click()
    suggest(section)
    assert {text.split()[0] for text in texts(section)} == {"volume", "other"}
    row = next(row for row, text in enumerate(texts(section)) if text.startswith("other"))
    place = places(section)[row]
    click_row(section, qtbot, row)
    qtbot.waitUntil(lambda: project.opened.position() == (place,), timeout=20_000)
    assert project.opened.project.image(project.opened.images.current).name == "other"


@pytest.mark.slow
def test_read_only_suggests_and_skips_nothing(
    project: Any, make_dock: Callable, suggest: Callable, wait_shown: Callable, qtbot: Any
) -> None:
    other = make_dock()
    other.open_project(project.opened.project.folder)
    wait_shown(other)
    section = next(one for one in other.sections if isinstance(one, SuggestSection))
    suggest(section)
    click_row(section, qtbot, 0)
    assert not section.skipping.skip_button.isEnabled()
    assert "read only" in section.skipping.skip_button.toolTip()
