"""The manifest: what napari finds, and that finding it is quick."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("napari")

from napari._app_model import get_app_model
from npe2 import PluginManifest

MANIFEST = Path(__file__).parents[2] / "napari.yaml"


@pytest.mark.window  # imports Qt
def test_manifest_is_valid_and_its_names_exist() -> None:
    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.name == "napari-swin-umamba"


@pytest.mark.window  # imports Qt
def test_opening_the_widget_needs_no_torch() -> None:
    code = """
import sys, time
import napari.layers, napari.viewer, napari.qt.threading
start = time.process_time()
import napari_swin_umamba.plugin.segment_widget, napari_swin_umamba.plugin.sample_data
from napari_swin_umamba.plugin.model_list import list_models
list_models([])
print(time.process_time() - start)
heavy = {"torch", "monai", "lightning", "matplotlib"} & sys.modules.keys()
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 0.5


def test_menu_widget_and_samples(
    npe2pm: Any, make_napari_viewer: Any, settings_folder: Path, qtbot: Any
) -> None:
    with npe2pm.tmp_plugin(manifest=str(MANIFEST)):
        viewer = make_napari_viewer()
        menu = get_app_model().menus.get_menu("napari/layers/segment")
        commands = [item.command for item in menu if hasattr(item, "command")]
        assert "Segment (Swin-UMamba)" in [command.title for command in commands]
        for key, shape in (("large_nuclei", (360, 360)), ("crowded_nuclei", (256, 256))):
            (layer,) = viewer.open_sample("napari-swin-umamba", key)
            assert layer.data.shape == shape
            assert layer.metadata["licence"] == "CC0-1.0"
        _, widget = viewer.window.add_plugin_dock_widget("napari-swin-umamba", "Segment")
        assert widget.image_combo.count() == 2
        assert widget.image_combo.currentText() == "Crowded nuclei"
