"""A tiny model, and settings that never touch the person's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass


@pytest.fixture(scope="session")
def make_plan() -> Callable[..., Plan]:
    def make(
        channels: tuple[str, ...] = ("nuclei",), output: str = "semantic", **more: Any
    ) -> Plan:
        names = ["background", "interior", "boundary"]
        if output == "semantic":
            names = ["background", "liver", "spleen"]
        return Plan(
            architecture="swin-umamba-d-tiny",
            channels=tuple(
                Channel(name=name, normalization=Normalization(scheme="zscore"))
                for name in channels
            ),
            classes=tuple(
                SegmentationClass(id=number, name=name) for number, name in enumerate(names)
            ),
            patch=(32, 32),
            output=output,
            **more,
        )

    return make


@pytest.fixture(scope="session")
def make_model(
    make_plan: Callable[..., Plan], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Save a tiny network with random weights; the file's path."""
    # Here and not in make(): older versions of what is imported keep the frames of its callers, and
    # with them a window.
    import torch

    from napari_swin_umamba.network import build_network
    from napari_swin_umamba.segmentation import Model, ModelInfo

    def make(name: str = "tiny", **plan: Any) -> Path:
        torch.manual_seed(0)
        this = make_plan(**plan)
        network = build_network(this.architecture, this.in_channels, this.num_classes).eval()
        info = ModelInfo(licence="CC0-1.0", description="Random weights, for tests.")
        path = tmp_path_factory.mktemp("models") / f"{name}.safetensors"
        return Model(network, this, name, info).save(path)

    return make


@pytest.fixture(scope="session")
def semantic_model(make_model: Callable[..., Path]) -> Path:
    return make_model("tiny")


@pytest.fixture
def settings_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    import napari.settings
    from qtpy.QtCore import QSettings

    folder = tmp_path / "settings"
    folder.mkdir()
    # Not the person's preferences either; napari before 0.9 has none and does not look here.
    monkeypatch.setattr(napari.settings, "_CFG_PATH", str(folder / "settings.yaml"), raising=False)
    monkeypatch.setattr(napari.settings, "_PLUGIN_SETTINGS", {}, raising=False)
    user = QSettings.Scope.UserScope
    before = Path(QSettings(QSettings.Format.IniFormat, user, "x", "x").fileName()).parents[1]
    QSettings.setPath(QSettings.Format.IniFormat, user, str(folder))
    yield folder
    QSettings.setPath(QSettings.Format.IniFormat, user, str(before))


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    return make_napari_viewer()


@pytest.fixture
def widget(viewer: Any, settings_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The docked widget, with no bundled models, made as napari makes it."""
    from napari.utils._proxies import PublicOnlyProxy

    from napari_swin_umamba.plugin import model_list
    from napari_swin_umamba.plugin.segment_widget import SegmentWidget

    monkeypatch.setattr(model_list, "bundled_models", dict)
    segment_widget = SegmentWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(segment_widget, name="Segment")
    return segment_widget


@pytest.fixture
def wait_for_end(qtbot: Any) -> Callable[[Any], None]:
    """Wait until a run is over."""

    def wait(segment_widget: Any) -> None:
        qtbot.waitUntil(lambda: not segment_widget.busy, timeout=240_000)
        qtbot.waitUntil(lambda: not segment_widget.run_row.running, timeout=240_000)

    return wait


@pytest.fixture
def click(qtbot: Any) -> Callable[[Any], None]:
    from qtpy.QtCore import Qt

    return lambda button: qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.fixture(scope="session")
def slow_image() -> np.ndarray:
    """Hundreds of tiles: time enough to interfere."""
    return np.random.default_rng(0).integers(0, 255, (600, 600)).astype(np.uint8)


@pytest.fixture(scope="session")
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (40, 56)).astype(np.uint8)
