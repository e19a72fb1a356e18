"""Many files: what is refused before any work, and what becomes of each."""

from __future__ import annotations

import csv
import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import nibabel
import numpy as np
import pytest
import tifffile
import torch

from napari_swin_umamba import files as file_writing
from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import Image, read_image, write_labels
from napari_swin_umamba.network import build_network
from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass
from napari_swin_umamba.segmentation import (
    BatchOptions,
    FileReport,
    Model,
    ModelInfo,
    ObjectRules,
    plan_batch,
    run_batch,
    segment,
)
from napari_swin_umamba.segmentation.batch_report import FileStarted, TileDone
from napari_swin_umamba.segmentation.channel_files import read_case


def tiny_model(output: str) -> Model:
    names = ["background", "cell interior", "boundary"]
    if output == "semantic":
        names = ["background", "liver", "spleen"]
    plan = Plan(
        architecture="swin-umamba-d-tiny",
        channels=(Channel(name="grey", normalization=Normalization(scheme="zscore")),),
        classes=tuple(SegmentationClass(id=i, name=name) for i, name in enumerate(names)),
        patch=(32, 32),
        output=output,  # type: ignore[arg-type]
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(plan.architecture, 1, 3).eval()
    return Model(network, plan, output, ModelInfo(licence="CC0-1.0"))


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model("semantic")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, 255, shape).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images, and what else lies in a folder."""
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.png", "b.tif", "c.jpg"):
        iio.imwrite(images / name, noise(32, 32))
    (images / "notes.txt").write_text("x")
    (images / ".hidden.png").write_text("x")
    (images / "sub.png").mkdir()
    return images


def touch(place: Path, *names: str) -> list[Path]:
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    return [place / name for name in names]


def test_labels_are_called_and_stored_like_their_image(tmp_path: Path) -> None:
    pairs = {
        "a.png": "a.tif",
        "b.JPG": "b.tif",
        "c.tiff": "c.tif",
        "d.nii.gz": "d.nii.gz",
        "e.v2.NII": "e.v2.nii",
        "f.nrrd": "f.nrrd",
        "g.mha": "g.mha",
        "h.mhd": "h.mha",
    }
    batch = plan_batch(touch(tmp_path, *pairs), tmp_path / "out.d")
    assert [job.output for job in batch.jobs] == [
        tmp_path / "out.d" / name for name in pairs.values()
    ]
    assert batch.folder == tmp_path / "out.d"
    assert batch.measurements is None
    assert not (tmp_path / "out.d").exists()  # planning makes nothing


def test_folders_and_files_each_image_once(folder: Path, tmp_path: Path) -> None:
    batch = plan_batch([folder / "b.tif", folder, str(folder / ".." / "images" / "a.png")], "out")
    assert [job.input.name for job in batch.jobs] == ["b.tif", "a.png", "c.jpg"]


def test_one_file_may_have_any_ending_of_labels(tmp_path: Path) -> None:
    (image,) = touch(tmp_path, "a.nii.gz")
    for name in ("x.nii.gz", "x.TIF", "x.png", "x.mha", "x.mhd", "x.nrrd", "x.nii"):
        assert plan_batch([image], tmp_path / name).jobs[0].output == tmp_path / name
    (tmp_path / "folder.tif").mkdir()
    inside = plan_batch([image], tmp_path / "folder.tif", measure=True)
    assert inside.jobs[0].output == tmp_path / "folder.tif" / "a.nii.gz"
    assert inside.measurements == tmp_path / "folder.tif" / "measurements.csv"


def test_plans_that_are_refused(tmp_path: Path) -> None:
    a, twin, b = touch(tmp_path, "a.png", "other/a.jpg", "b.tif")
    touch(tmp_path, "out/a.tif", "out/b.tif", "table/measurements.csv")
    (tmp_path / "empty").mkdir()
    out = tmp_path / "new"
    for inputs, output, options, message in (
        ([], out, {}, "no images were given"),
        ([tmp_path / "no.png"], out, {}, "no such file or folder: .*no.png"),
        ([tmp_path / "empty"], out, {}, "no images in .*empty"),
        ([a, b], tmp_path / "x.tif", {}, r"2 images do not go into one file.*\(--output\)"),
        ([a, twin], out, {}, r"a.png and .*a.jpg would both be written to .*a.tif"),
        ([a], tmp_path / "out", {}, r"a.tif exists already.*\(--overwrite\)$"),
        ([a, b], tmp_path / "out", {}, r"a.tif and 1 more exist already"),
        ([a], tmp_path / "table", {"measure": True}, "measurements.csv exists already"),
        ([b], tmp_path, {"overwrite": True}, r"b.tif is the image itself.*\(--output\)"),
        ([a, b], b, {"overwrite": True}, "do not go into one file"),
        ([a], tmp_path / "x.jpg", {}, r"x.jpg: the name .*\.tif"),
        ([a], a / "labels", {}, r"a.png is a file \(--output\)"),
        ([a], "", {}, "is not the path"),
    ):
        with pytest.raises(InputError, match=message):
            plan_batch(inputs, output, **options)
    assert not out.exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    (image,) = touch(tmp_path, "a.png")
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(InputError, match=r"no permission for .*locked"):
        plan_batch([image], tmp_path / "locked" / "labels")


def test_files_are_segmented_reported_and_measured(
    model: Model, folder: Path, tmp_path: Path
) -> None:
    events: list = []
    batch = plan_batch([folder], tmp_path / "out", measure=True)
    summary = run_batch(batch, model, BatchOptions(device="cpu"), events.append)
    kinds = (FileStarted, TileDone, FileReport)
    assert [type(event) for event in events] == [*kinds, *kinds, *kinds]
    assert [event.index for event in events[::3]] == [0, 1, 2]
    assert (events[1].done, events[1].total) == (1, 1)
    assert summary.reports == tuple(events[2::3])
    assert (summary.done, summary.failed, summary.cancelled, summary.stopped) == (
        *(3, ()),
        *(False, False),
    )
    for report in summary.reports:
        labels = tifffile.imread(report.output)
        expected = segment(read_image(report.input), model, device="cpu").labels
        assert (labels == expected).all()
        assert report.shape == (32, 32)
        assert report.seconds > 0
        assert report.objects is None
        assert report.pixels == {
            name: (labels == number).sum()
            for number, name in enumerate(("background", "liver", "spleen"))
        }
    assert summary.measurements == tmp_path / "out" / "measurements.csv"
    with open(summary.measurements, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["a.png"] * 3 + ["b.tif"] * 3 + ["c.jpg"] * 3
    assert sum(int(row["pixels"]) for row in rows) == 3 * 32 * 32
    assert sorted(os.listdir(tmp_path / "out")) == ["a.tif", "b.tif", "c.tif", "measurements.csv"]


def test_options_reach_the_segmentation(tmp_path: Path) -> None:
    boundary = tiny_model("boundary")
    image = tmp_path / "v.nii.gz"
    nibabel.save(nibabel.Nifti1Image(noise(6, 8, 3), np.diag([2, 2, 3, 1])), image)
    batch = plan_batch([image], tmp_path / "out")
    totals: dict[str, int] = {}
    for plane in ("Z", "X"):
        summary = run_batch(
            plan_batch([image], tmp_path / plane),
            boundary,
            BatchOptions(device="cpu", plane=plane, objects=False),
            lambda event, plane=plane: totals.update(
                {plane: event.total} if isinstance(event, TileDone) else {}
            ),
        )
        assert summary.reports[0].pixels is not None
        assert set(summary.reports[0].pixels) == {"background", "cell"}
    assert totals == {"Z": 3, "X": 6}
    report = run_batch(batch, boundary, BatchOptions(device="cpu")).reports[0]
    stored = nibabel.load(report.output)
    assert stored.shape == (6, 8, 3)
    assert report.objects == len(np.unique(stored.dataobj)) - 1
    assert report.measurements is not None
    assert [column.header for column in report.measurements.columns][:3] == [
        *("object", "voxels", "volume (mm³)"),
    ]


def test_a_bad_file_does_not_stop_the_others(model: Model, folder: Path, tmp_path: Path) -> None:
    (folder / "b.tif").write_text("text")
    batch = plan_batch([folder], tmp_path / "out", measure=True)
    (folder / "a.png").unlink()  # after planning: somebody tidies up
    summary = run_batch(batch, model)
    assert [bool(report.error) for report in summary.reports] == [True, True, False]
    assert "no such file" in str(summary.failed[0].error)
    assert "not a PNG, JPEG or TIFF" in str(summary.failed[1].error)
    assert summary.failed[1].as_json().keys() == {"input", "output", "error", "seconds"}
    assert sorted(os.listdir(tmp_path / "out")) == ["c.tif", "measurements.csv"]
    assert not summary.stopped


def test_files_are_tiled_as_the_model_says_unless_somebody_chooses(
    model: Model, tmp_path: Path
) -> None:
    file = tmp_path / "a.png"
    iio.imwrite(file, np.random.default_rng(0).integers(0, 255, (70, 101), np.uint8))
    wide = replace(model, plan=model.plan.model_copy(update={"overlap": 0.1}))
    totals = []
    for number, options in enumerate((BatchOptions(), BatchOptions(overlap=0.5))):
        batch, events = plan_batch([file], tmp_path / f"{number}"), []
        assert run_batch(batch, wide, options, events.append).done == 1
        totals.append({event.total for event in events if isinstance(event, TileDone)})
    assert totals == [{3 * 4}, {4 * 6}]


def test_nothing_begins_where_every_file_would_fail(
    model: Model, folder: Path, tmp_path: Path
) -> None:
    batch = plan_batch([folder], tmp_path / "out")
    for options, message in (
        (BatchOptions(overlap=float("nan")), "nan.*--overlap"),
        (BatchOptions(axes="YQ"), "'YQ'.*--axes"),
        (BatchOptions(axes=""), "''.*--axes"),
        (BatchOptions(plane="C"), "'C'.*--plane"),
        (BatchOptions(device="toaster"), "'toaster'.*--device"),
        (BatchOptions(resample=True), "'semantic'.*--resample"),
        (BatchOptions(object_rules=ObjectRules(3.0)), "are classes here.*--min-area"),
        (BatchOptions(object_diameter=9.0), "training objects.*--object-diameter"),
        (BatchOptions(object_diameter=9.0, resample=True), "either.*--object-diameter"),
    ):
        with pytest.raises(InputError, match=message):
            run_batch(batch, model, options, pytest.fail)
    assert not (tmp_path / "out").exists()


def test_cancel_keeps_what_is_finished(model: Model, folder: Path, tmp_path: Path) -> None:
    iio.imwrite(folder / "b.tif", noise(80, 80))
    events: list = []

    def within_the_second_file() -> bool:
        return isinstance(events[-1], TileDone) and events[-1].job.input.name == "b.tif"

    batch = plan_batch([folder], tmp_path / "out", measure=True)
    summary = run_batch(
        batch, model, None, events.append, lambda: bool(events) and within_the_second_file()
    )
    assert summary.cancelled
    assert not summary.stopped
    assert [report.input.name for report in summary.reports] == ["a.png"]
    assert sorted(os.listdir(tmp_path / "out")) == ["a.tif", "measurements.csv"]
    assert (
        run_batch(plan_batch([folder], tmp_path / "o"), model, None, None, lambda: True).done == 0
    )


def test_what_interrupts_leaves_the_table(model: Model, folder: Path, tmp_path: Path) -> None:
    def ctrl_c(event: object) -> None:
        if isinstance(event, FileStarted) and event.index == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(plan_batch([folder], tmp_path / "out", measure=True), model, on_event=ctrl_c)
    assert sorted(os.listdir(tmp_path / "out")) == ["a.tif", "measurements.csv"]


def fail_from(call: int, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file system refuse data from a certain file on, as a full one does."""
    calls = iter(range(1000))
    flush: Callable[[Path], None] = file_writing._flush_to_disk

    def refuse(path: Path) -> None:
        if next(calls) >= call:
            raise OSError(code, os.strerror(code))
        flush(path)

    monkeypatch.setattr(file_writing, "_flush_to_disk", refuse)


def test_a_full_disk_ends_the_batch_in_one_message(
    model: Model, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_from(1, errno.ENOSPC, monkeypatch)
    summary = run_batch(plan_batch([folder], tmp_path / "out", measure=True), model)
    assert [report.input.name for report in summary.reports] == ["a.png", "b.tif"]
    (failed,) = summary.failed
    assert "No space left" in str(failed.error)
    assert str(failed.error).endswith("2 of 3 images were not segmented")
    assert summary.stopped
    assert summary.measurements is None
    assert "No space left" in str(summary.problem)
    assert os.listdir(tmp_path / "out") == ["a.tif"]


def test_one_file_that_cannot_be_written_is_no_full_disk(
    model: Model, folder: Path, tmp_path: Path
) -> None:
    batch = plan_batch([folder], tmp_path / "out")
    (tmp_path / "out" / "b.tif").mkdir(parents=True)  # after planning
    summary = run_batch(batch, model)
    assert [bool(report.error) for report in summary.reports] == [False, True, False]
    assert not summary.stopped


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_an_image_too_large_for_memory(
    model: Model,
    folder: Path,
    tmp_path: Path,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run_out(event: object) -> None:
        if isinstance(event, TileDone) and event.job.input.name == "b.tif":
            raise error

    summary = run_batch(plan_batch([folder], tmp_path / "out"), model, on_event=run_out)
    assert [bool(report.error) for report in summary.reports] == [False, True, False]
    assert "b.tif: this computer has too little memory for a tile" in str(summary.failed[0].error)

    def read(files: Sequence[Path], *how: Any) -> Image:
        if files[0].name == "b.tif":
            raise error
        return read_case(files, *how)

    monkeypatch.setattr("napari_swin_umamba.segmentation.batch.read_case", read)
    summary = run_batch(plan_batch([folder], tmp_path / "more"), model)
    assert [bool(report.error) for report in summary.reports] == [False, True, False]
    assert "b.tif takes more memory" in str(summary.failed[0].error)


def test_our_own_mistakes_are_not_hidden(model: Model, folder: Path, tmp_path: Path) -> None:
    def broken(event: object) -> None:
        raise RuntimeError("bug")

    with pytest.raises(RuntimeError, match="bug"):
        run_batch(plan_batch([folder], tmp_path / "out"), model, on_event=broken)


def test_replacing_what_is_there(model: Model, folder: Path, tmp_path: Path) -> None:
    old = write_labels(tmp_path / "out" / "a.tif", np.ones((5, 5), np.uint8))
    batch = plan_batch([folder / "a.png"], tmp_path / "out", overwrite=True, measure=True)
    for _ in range(2):
        assert run_batch(batch, model).done == 1
    assert tifffile.imread(old).shape == (32, 32)
