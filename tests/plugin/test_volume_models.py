"""Models that prepare volumes as a whole, in the dock: the same labels as segment() gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

pytest.importorskip("napari")

from napari.components import ViewerModel

from napari_swin_umamba import Cancelled, segment
from napari_swin_umamba.images import read_image
from napari_swin_umamba.plan import VolumePlan
from napari_swin_umamba.plugin.image_layer import layer_of_image
from napari_swin_umamba.plugin.job import run_segmentation
from napari_swin_umamba.plugin.job_messages import SegmentedSlice, SegmentTask
from napari_swin_umamba.plugin.layer_view import view_of_layer
from napari_swin_umamba.plugin.loaded_model import LoadedModel
from napari_swin_umamba.plugin.model_list import file_stamp, list_models, read_choice
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.readiness import assess
from napari_swin_umamba.plugin.reading import read_layer
from napari_swin_umamba.plugin.scripting import segment_layer
from napari_swin_umamba.plugin.slice_cache import SliceCache
from napari_swin_umamba.plugin.worker import Channel, Progress, Question


@pytest.fixture(scope="module")
def volume_model(make_model: Callable[..., Path]) -> Path:
    volume = VolumePlan(spacing=(1.0, 1.0))
    return make_model("mri", volume=volume, spacing=(1, 1), unit="millimeter", pad_to_patch=True)


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    """A bright slice and dark ones, and zeros around: a slice alone would be seen otherwise."""
    values = np.zeros((4, 40, 50), np.float32)
    values[1:, 3:36, 4:44] = np.random.default_rng(0).uniform(1, 50, (3, 33, 40))
    values[2] *= 20
    return values


class Recorder(Channel):
    """A channel that remembers."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.slices: dict[tuple[int, ...], SegmentedSlice] = {}

    def report(self, progress: Progress) -> None:
        self.said.append(progress.text)

    def deliver(self, result: Any) -> None:
        self.stop_if_asked()
        if isinstance(result, SegmentedSlice):
            self.slices[result.position] = result
        if isinstance(result, Question):
            result.reply(None)


def task_of(layer: Any, viewer: ViewerModel, model: Path, **more: Any) -> SegmentTask:
    plan = read_choice(model).plan
    reading = read_layer(view_of_layer(layer, viewer.dims), plan)
    positions = more.pop("positions", tuple(reading.layout.positions()))
    return SegmentTask(layer.data, reading, model, positions, **more)


def run(task: SegmentTask, cache: SliceCache | None = None) -> Recorder:
    channel = Recorder()
    run_segmentation(task, LoadedModel(), cache or SliceCache(), channel)
    return channel


def millimetres(**more: Any) -> dict[str, Any]:
    return {"scale": (5, 1.3, 0.9), "units": ("mm",) * 3, **more}


def test_all_slices_and_previews_are_those_of_segment(
    volume_model: Path, volume: np.ndarray
) -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(volume, name="scan", **millimetres())
    wanted = segment(volume, volume_model, axes="ZYX", spacing=(5, 1.3, 0.9), probabilities=True)
    assert len(np.unique(wanted.labels[2])) > 1
    options = SegmentOptions(probabilities=True)
    cache = SliceCache()
    for positions in ([(index,) for index in range(4)], [(2,)]):
        task = task_of(layer, viewer, volume_model, positions=tuple(positions), options=options)
        channel = run(task, cache if len(positions) > 1 else None)
        assert list(channel.slices) == positions
        for (index,), found in channel.slices.items():
            assert np.array_equal(found.labels, wanted.labels[index])
            assert np.array_equal(found.probabilities, wanted.probabilities[:, index])
        assert "Reading the whole volume…" in channel.said
    window = ((5, 25), (10, 40))
    part = run(task_of(layer, viewer, volume_model, positions=((2,),), window=window), cache)
    assert np.array_equal(part.slices[2,].labels, wanted.labels[2, 5:25, 10:40])


def test_a_volume_is_prepared_once_until_it_changes(
    volume_model: Path, volume: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_swin_umamba.segmentation import volume as module

    prepared = []
    prepare = module.prepare_volume
    monkeypatch.setattr(
        module, "prepare_volume", lambda *args: prepared.append(1) or prepare(*args)
    )
    viewer, cache = ViewerModel(), SliceCache()
    layer = viewer.add_image(volume.copy(), name="scan", **millimetres())
    for index in (1, 2, 1):
        run(task_of(layer, viewer, volume_model, positions=((index,),)), cache)
    assert len(prepared) == 1
    before = run(task_of(layer, viewer, volume_model, positions=((1,),)), cache).slices[1,]
    layer.data[3] *= 30  # another slice: statistics of all change
    after = run(task_of(layer, viewer, volume_model, positions=((1,),)), cache).slices[1,]
    assert len(prepared) == 2
    assert not np.array_equal(before.labels, after.labels)
    wanted = segment(layer.data, volume_model, axes="ZYX", spacing=(5, 1.3, 0.9))
    assert np.array_equal(after.labels, wanted.labels[1])


@pytest.mark.parametrize("transpose", [(0, 1, 2), (1, 2, 0)])
@pytest.mark.parametrize("reorient", [False, True])
def test_files_stored_in_another_order(
    make_model: Callable[..., Path],
    volume: np.ndarray,
    tmp_path: Path,
    transpose: tuple[int, int, int],
    reorient: bool,
) -> None:
    """A sagittal, flipped NIfTI file opened by our reader: as ``segment`` sees the file."""
    plan = VolumePlan(spacing=(1.0, 1.0), transpose=transpose, reorient=reorient)
    model = make_model("sagittal", volume=plan, unit="millimeter", pad_to_patch=True)
    affine = np.zeros((4, 4))
    affine[1, 0], affine[2, 1], affine[0, 2], affine[3, 3] = -1.1, 1.3, 4, 1
    small = volume[:, 2:12, 3:15]
    nib.save(nib.Nifti1Image(small.T, affine), tmp_path / "scan.nii")
    image = read_image(tmp_path / "scan.nii")
    wanted = segment(image, model)
    data, meta, _ = layer_of_image(image, "scan")
    viewer = ViewerModel()
    layer = viewer.add_image(data, **meta)
    task = task_of(layer, viewer, model)
    labels = np.zeros(data.shape, np.uint8)
    for position, found in run(task).slices.items():
        labels[task.layout.target(position)] = found.labels
    assert np.array_equal(labels, wanted.labels)


def test_slices_that_the_viewer_does_not_show(volume_model: Path, volume: np.ndarray) -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(volume, name="scan", **millimetres(axis_labels=("z", "y", "x")))
    choice = read_choice(volume_model)
    viewer.dims.order = (1, 0, 2)
    state = assess(view_of_layer(layer, viewer.dims), choice)
    assert state.blocked is None
    assert "does not show" in str(state.preview_blocked)
    assert state.findings[0].remedy_text == "Slice along Z"
    assert state.findings[0].axis == 0
    wanted = segment(volume, volume_model, axes="ZYX", spacing=(5, 1.3, 0.9))
    channel = run(task_of(layer, viewer, volume_model))
    assert len(channel.slices) == 4
    assert np.array_equal(channel.slices[2,].labels, wanted.labels[2])
    viewer.dims.order = (0, 1, 2)
    state = assess(view_of_layer(layer, viewer.dims), choice)
    assert state.preview_blocked is None
    assert not state.findings
    assert "Intensities are those of the whole volume" in state.reading_text
    assert "Prepares volumes as a whole" in state.model_details


def test_films_of_volumes(volume_model: Path, volume: np.ndarray) -> None:
    film = np.stack([volume, volume[::-1] * 2])
    viewer = ViewerModel()
    layer = viewer.add_image(
        film, scale=(1, 5, 1.3, 0.9), units=("s", "mm", "mm", "mm"), name="film"
    )
    wanted = segment(film, volume_model, axes="TZYX", spacing=(5, 1.3, 0.9))
    channel = run(task_of(layer, viewer, volume_model))
    assert len(channel.slices) == 8
    for position, found in channel.slices.items():
        assert np.array_equal(found.labels, wanted.labels[position])


def test_stop_while_reading(volume_model: Path, volume: np.ndarray) -> None:
    class Stops(Recorder):
        def report(self, progress: Progress) -> None:
            if progress.text.startswith("Reading"):
                self.stop()

    viewer = ViewerModel()
    task = task_of(viewer.add_image(volume), viewer, volume_model)
    with pytest.raises(Cancelled):
        run_segmentation(task, LoadedModel(), SliceCache(), Stops())


def test_a_script_gets_the_same(volume_model: Path, volume: np.ndarray) -> None:
    viewer = ViewerModel()
    layer = viewer.add_image(volume, name="scan", **millimetres())
    labels = segment_layer(viewer, layer, volume_model)
    wanted = segment(volume, volume_model, axes="ZYX", spacing=(5, 1.3, 0.9))
    assert np.array_equal(labels.data, wanted.labels)


@pytest.fixture
def light_folder(
    tmp_path: Path,
    nnunet_plans: Callable[..., dict[str, Any]],
    nnunet_dataset: Callable[..., dict[str, Any]],
    nnunet_checkpoint: Callable[..., dict[str, Any]],
) -> Path:
    """A trained-model folder without real weights."""
    folder = tmp_path / "trainer__plans__2d"
    (folder / "fold_all").mkdir(parents=True)
    plans, dataset = nnunet_plans(), nnunet_dataset()
    torch.save(nnunet_checkpoint(plans, dataset), folder / "fold_all" / "checkpoint_final.pth")
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    return folder


def test_folders_and_checkpoints_are_choices(light_folder: Path) -> None:
    file = light_folder / "fold_all" / "checkpoint_final.pth"
    choices = list_models([light_folder, file, light_folder / "gone"])
    mine = [choice for choice in choices if not choice.bundled]
    assert [choice.path for choice in mine] == [light_folder, file]
    assert all("4 classes" in choice.summary() for choice in mine)
    before = file_stamp(light_folder)
    assert before is not None
    torch.save({}, file)
    assert file_stamp(light_folder) != before
    assert "network_weights" in read_choice(light_folder).problem
    assert read_choice(light_folder).name == light_folder.name


def test_import_in_the_window(
    widget: Any, light_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtWidgets import QFileDialog

    row = widget.model_row
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(light_folder))
    row.folder_action.trigger()
    assert row.choice().path == light_folder
    file = light_folder / "fold_all" / "checkpoint_final.pth"
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(file), ""))
    row.file_action.trigger()
    assert row.choice().path == file
    assert row.combo.count() == 2
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(light_folder.parent))
    row.folder_action.trigger()
    assert "no trained-model folder" in widget.outcome.text
    assert row.choice().path == file


def test_preview_and_run_in_the_window(
    widget: Any,
    viewer: Any,
    volume_model: Path,
    volume: np.ndarray,
    wait_for_end: Callable[[Any], None],
) -> None:
    widget.run_row.follow_check.setChecked(False)
    viewer.add_image(volume, name="scan", **millimetres())
    widget.model_row.import_file(volume_model)
    assert not widget.options_box.resample.isEnabled()
    assert "always" in widget.options_box.resample.toolTip()
    viewer.dims.set_point(0, 10)
    wanted = segment(volume, volume_model, axes="ZYX", spacing=(5, 1.3, 0.9)).labels
    widget.refresh()
    widget.preview()
    wait_for_end(widget)
    shown = viewer.layers[-1].data
    assert np.array_equal(shown[2], wanted[2])
    assert not shown[[0, 1, 3]].any()
    widget.run()
    wait_for_end(widget)
    assert np.array_equal(viewer.layers[-1].data, wanted)
