"""A run without a window: what it reports, when it stops, what it keeps."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("napari")

from napari.components import ViewerModel

from napari_swin_umamba.checkpoints.native import write_model_file
from napari_swin_umamba.errors import Cancelled, InputError
from napari_swin_umamba.files import hash_file
from napari_swin_umamba.plugin.job import run_segmentation
from napari_swin_umamba.plugin.job_messages import Begun, SegmentedSlice, SegmentTask, Summary
from napari_swin_umamba.plugin.layer_view import view_of_layer
from napari_swin_umamba.plugin.loaded_model import LoadedModel
from napari_swin_umamba.plugin.options import SegmentOptions
from napari_swin_umamba.plugin.reading import read_layer
from napari_swin_umamba.plugin.slice_cache import SliceCache, plane_key
from napari_swin_umamba.plugin.worker import Channel, Failure, JobThread, Progress, Question
from napari_swin_umamba.segmentation import load_model, read_model_header, segment


class Recorder(Channel):
    """A channel that remembers, and stops when told to."""

    def __init__(self, stop_at: str = "never") -> None:
        super().__init__()
        self.said: list[Progress] = []
        self.got: list[Any] = []
        self._stop_at = stop_at

    def report(self, progress: Progress) -> None:
        self.said.append(progress)
        if progress.text.startswith(self._stop_at):
            self.stop()

    def deliver(self, result: Any) -> None:
        self.stop_if_asked()
        self.got.append(result)
        if isinstance(result, Question):
            result.reply(None)

    @property
    def slices(self) -> list[SegmentedSlice]:
        return [result for result in self.got if isinstance(result, SegmentedSlice)]


def make_task(image: np.ndarray, model: Path, **more: Any) -> SegmentTask:
    viewer = ViewerModel()
    layer = viewer.add_image(image, name="img")
    plan, _, _ = read_model_header(model)
    reading = read_layer(view_of_layer(layer, viewer.dims), plan)
    positions = tuple(reading.layout.positions())
    return SegmentTask(image, reading, model, positions, **more)


@pytest.fixture
def task(semantic_model: Path) -> SegmentTask:
    return make_task(np.random.default_rng(0).random((48, 48)), semantic_model)


@pytest.fixture
def stack(semantic_model: Path) -> SegmentTask:
    return make_task(np.random.default_rng(0).random((4, 32, 32)), semantic_model)


def run(task: SegmentTask, channel: Recorder, cache: SliceCache | None = None) -> Summary:
    return run_segmentation(task, LoadedModel(), cache or SliceCache(), channel)


def test_reports_every_step_of_an_image(task: SegmentTask) -> None:
    channel = Recorder()
    run(task, channel)
    texts = [progress.text for progress in channel.said]
    assert texts[0] == "Loading…"
    assert "Segmenting…" in texts
    assert "1 of 4 tiles" in texts
    assert channel.said[-1] == Progress("Finishing…", 1.0)
    begun, result = channel.got
    assert isinstance(begun, Begun)
    assert begun.provenance["model_sha256"]
    assert begun.run["software"]["torch"]
    assert result.labels.shape == (48, 48)


def test_slices_of_a_volume_come_in_order(stack: SegmentTask) -> None:
    channel = Recorder()
    run(stack, channel)
    assert [result.position for result in channel.slices] == [(0,), (1,), (2,), (3,)]
    assert channel.said[-1].text == "4 of 4 slices"
    assert channel.said[-1].fraction == 1
    fractions = [p.fraction for p in channel.said if p.fraction is not None]
    assert fractions == sorted(fractions)


def test_stops_before_the_next_row_of_tiles(task: SegmentTask) -> None:
    channel = Recorder(stop_at="2 of 4 tiles")
    with pytest.raises(Cancelled):
        run(task, channel)
    assert channel.said[-1].text == "2 of 4 tiles"
    assert channel.slices == []


def test_slices_done_before_a_stop_were_delivered(stack: SegmentTask) -> None:
    channel = Recorder(stop_at="2 of 4 slices")
    with pytest.raises(Cancelled):
        run(stack, channel)
    assert [result.position for result in channel.slices] == [(0,), (1,)]


def test_slices_seen_before_are_not_computed_again(stack: SegmentTask) -> None:
    cache, first, again = SliceCache(), Recorder(), Recorder()
    run(stack, first, cache)
    run(stack, again, cache)
    assert not any("tiles" in progress.text for progress in again.said)
    for one, other in zip(first.slices, again.slices, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
    mirrored = replace(stack, options=SegmentOptions(mirror=True))
    third = Recorder()
    run(mirrored, third, cache)
    different = [
        not np.array_equal(one.labels, other.labels)
        for one, other in zip(first.slices, third.slices, strict=True)
    ]
    assert any(different)  # other settings are other results


def test_a_run_records_the_overlap_that_it_uses(make_model: Callable[..., Path]) -> None:
    model = make_model("wide", overlap=0.1)
    task = make_task(np.random.default_rng(0).random((70, 48)), model)
    cache, own, said, half = SliceCache(), Recorder(), Recorder(), Recorder()
    run(task, own, cache)
    run(replace(task, options=SegmentOptions(overlap=0.1)), said, cache)
    run(replace(task, options=SegmentOptions(overlap=0.5)), half, cache)
    used = [channel.got[0].run["settings"]["overlap"] for channel in (own, said, half)]
    assert used == [0.1, 0.1, 0.5]
    # What the model says is the same as the same number said: nothing is computed again.
    computed = [any("tiles" in told.text for told in it.said) for it in (own, said, half)]
    assert computed == [True, False, True]
    wanted = segment(task.data, load_model(model), device="cpu", overlap=0.1).labels
    np.testing.assert_array_equal(own.slices[0].labels, wanted)


def test_cache_forgets_the_oldest() -> None:
    plane = np.zeros((10, 10), np.uint8)
    cache = SliceCache(limit=250)
    keys = [plane_key(plane + value) for value in range(3)]
    assert len(set(keys)) == 3
    for key in keys:
        cache.put(key, plane, None)
        cache.get(keys[0])
    assert cache.get(keys[1]) is None
    assert cache.get(keys[0]) is not None
    cache.clear()
    assert cache.get(keys[0]) is None


def test_plane_key_tells_shapes_and_types_apart() -> None:
    zeros = np.zeros((4, 6), np.uint8)
    others = [zeros.reshape(6, 4), zeros.astype(np.int8), zeros]
    keys = {plane_key(zeros), *(plane_key(other) for other in others), plane_key(zeros, "other")}
    assert len(keys) == 4


def test_compilation_is_announced(task: SegmentTask, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = Recorder()
    from napari_swin_umamba.segmentation import plane

    predict = plane.predict_fitting

    def compile_first(*args: object, **kwargs: object) -> None:
        logging.getLogger("napari_swin_umamba.network.cpu").warning("compiling %s", "a kernel")
        predict(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(plane, "predict_fitting", compile_first)
    run(task, channel)
    assert any("Compiling" in progress.text for progress in channel.said)


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OutOfMemoryError("CUDA error"), "Not enough memory"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), "Not enough memory"),
        (MemoryError(), "Not enough memory"),
        (InputError("the image is odd (--axes)"), "The image is odd."),
        (
            FileNotFoundError(2, "No such file", "a.zarr"),
            "A file could not be read (No such file: a.zarr).",
        ),
        (KeyError("x"), "The run failed (KeyError: 'x'). What was finished is kept."),
    ],
)
def test_thread_turns_errors_into_sentences(error: Exception, says: str) -> None:
    def fail(_: Channel) -> None:
        raise error

    thread = JobThread(fail)
    thread.start()
    thread._thread.join(60)
    assert thread.ended
    assert isinstance(thread.outcome, Failure)
    assert thread.outcome.message.startswith(says)
    assert bool(thread.outcome.details) == (not isinstance(error, InputError))


def test_stopped_thread_drops_its_outcome() -> None:
    thread = JobThread(lambda channel: "done")
    thread.stop()
    thread.start()
    thread._thread.join(60)
    assert thread.ended
    assert thread.outcome is None


def test_work_waits_for_a_window_that_is_slow_and_stops_while_it_waits() -> None:
    def flood(channel: Channel) -> None:
        for number in range(10_000):
            channel.deliver(number)

    thread = JobThread(flood)
    thread.start()
    taken = []
    while len(taken) < 200:
        taken += thread.channel.results()
    thread.stop()
    thread._thread.join(60)
    assert thread.ended
    assert taken == list(range(len(taken)))
    assert len(list(thread.channel.results())) <= 64


def test_a_file_that_changes_again_and_again_fills_one_network(
    make_model: Callable[..., Path],
) -> None:
    path, models = make_model("live"), LoadedModel(changes=True)
    model = models.get(path)[0]
    with torch.no_grad():
        changed = {name: value + 1 for name, value in model.network.state_dict().items()}
    write_model_file(path, changed, name="live", plan=model.plan, info=model.info, dtype=None)

    again, digest = models.get(path)

    assert again.network is model.network
    assert not again.network.training
    assert digest == hash_file(path)
    for name, value in load_model(path).network.state_dict().items():
        torch.testing.assert_close(again.network.state_dict()[name], value)
    path.write_bytes(make_model("other", channels=("a", "b")).read_bytes())
    other = models.get(path)[0]
    assert other.network is not model.network
    assert other.plan.in_channels == 2
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError):
        models.get(path)
    path.write_bytes(make_model("other", channels=("a", "b")).read_bytes())
    assert models.get(path)[0].network is not other.network  # that one may be half filled


def test_model_is_read_again_only_if_the_file_changed(make_model: Callable[..., Path]) -> None:
    path = make_model("changing")
    models = LoadedModel()
    assert not models.release()
    first = models.get(path)
    assert models.get(path) is first
    other = make_model("changing", channels=("a", "b"))
    path.write_bytes(other.read_bytes())
    assert models.get(path)[0].plan.in_channels == 2
    assert models.release()
    assert models.get(path)[0].plan.in_channels == 2
    path.unlink()
    with pytest.raises(InputError, match="is gone"):
        models.get(path)
