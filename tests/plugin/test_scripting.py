"""The dock's work from a script, without a window."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.scripting import segment_layer
from napari_swin_umamba.segmentation import load_model, segment

VOLUME = np.random.default_rng(0).integers(0, 255, (3, 40, 36)).astype(np.uint8)


def test_volume_slice_and_window(semantic_model: Path) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(VOLUME, name="volume", scale=(3, 1, 1))
    whole = segment(VOLUME, load_model(semantic_model), axes="ZYX", device="cpu").labels
    viewer.dims.set_current_step(0, 2)
    shown = segment_layer(viewer, image, semantic_model, shown_only=True)
    np.testing.assert_array_equal(shown.data[2], whole[2])
    assert not shown.data[0].any()
    labels = segment_layer(viewer, image, semantic_model)
    assert labels is shown
    np.testing.assert_array_equal(labels.data, whole)
    part = segment_layer(viewer, image, semantic_model, window=((4, 36), (0, 32)))
    assert part.data.shape == (1, 32, 32)
    labels.data[0, 0, 0] += 1
    assert segment_layer(viewer, image, semantic_model) is not labels


def test_objects_of_a_model_of_classes(semantic_model: Path) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(VOLUME[0], name="image")
    labels = segment_layer(viewer, image, semantic_model, SegmentOptions(objects=True))
    assert labels.data.dtype == np.int32


def test_refusals(semantic_model: Path, make_model: Callable, tmp_path: Path) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(VOLUME[0], name="image")
    with pytest.raises(InputError, match="needs 2 channels"):
        segment_layer(viewer, image, make_model("two", channels=("a", "b")))
    with pytest.raises(InputError, match="Unknown model"):
        segment_layer(viewer, image, tmp_path / "none.safetensors")
    assert len(viewer.layers) == 1
