"""One person's way by clicks, from a sample to a corrected result, saved and opened again."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari.layers import Image, Labels

from napari_swin_umamba.plugin.layer_view import data_to_world
from napari_swin_umamba.plugin.sample_data import _SAMPLES

pytestmark = pytest.mark.window

MANIFEST = Path(__file__).parents[2] / "napari.yaml"


@pytest.fixture
def manifest(npe2pm: Any) -> Iterator[None]:
    """The plugin as napari finds it; unregistering it would close its docks."""
    with npe2pm.tmp_plugin(manifest=str(MANIFEST)):
        yield


def newest_labels(viewer: Any) -> Labels:
    return next(layer for layer in reversed(viewer.layers) if isinstance(layer, Labels))


def test_from_a_sample_to_a_saved_and_reopened_result(
    manifest: None,
    viewer: Any,
    widget: Any,
    semantic_model: Path,
    click: Callable,
    wait_for_end: Callable,
    qtbot: Any,
    tmp_path: Path,
) -> None:
    viewer.open_sample("napari-swin-umamba", "hippocampus")
    image = next(layer for layer in viewer.layers if isinstance(layer, Image))
    assert image.axis_labels == ("z", "y", "x")
    widget.image_combo.select(image)
    widget.model_row.import_file(semantic_model)
    viewer.dims.set_current_step(0, 10)
    click(widget.run_row.preview_button)
    wait_for_end(widget)
    labels = newest_labels(viewer)
    assert labels.name == f"{image.name} – tiny"
    assert labels.data.any(axis=(1, 2)).nonzero()[0].tolist() == [10]

    widget.options_box.mirror.setChecked(True)  # slow enough to be cancelled
    widget.options_box.overlap.setValue(0.9)
    click(widget.run_row.run_button)
    qtbot.waitUntil(lambda: " slices" in widget.run_row.status.text(), timeout=240_000)
    click(widget.run_row.cancel_button)
    wait_for_end(widget)
    assert widget.outcome.text.startswith("Stopped")
    assert labels.data.any(axis=(1, 2)).sum() < len(labels.data)

    widget.options_box.mirror.setChecked(False)
    widget.options_box.overlap.setValue(0.5)
    click(widget.run_row.run_button)
    wait_for_end(widget)
    assert newest_labels(viewer) is labels
    assert labels.data.any(axis=(1, 2)).all()

    labels.paint((0, 3, 3), 2)
    mine = labels.data.copy()
    click(widget.run_row.run_button)
    wait_for_end(widget)
    assert newest_labels(viewer) is not labels
    np.testing.assert_array_equal(labels.data, mine)

    path = tmp_path / "corrected.nii.gz"
    labels.save(str(path), plugin="napari-swin-umamba")
    stored = nibabel.load(path)
    source = nibabel.load(_SAMPLES / "hippocampus_mri.nii.gz")
    np.testing.assert_allclose(stored.affine, source.affine, atol=1e-5)
    assert stored.shape == source.shape
    np.testing.assert_array_equal(np.asarray(stored.dataobj).T, mine)
    (opened,) = viewer.open(str(path), plugin="napari-swin-umamba")
    assert isinstance(opened, Labels)
    np.testing.assert_array_equal(opened.data, mine)
    np.testing.assert_allclose(data_to_world(opened), data_to_world(labels), atol=1e-5)
