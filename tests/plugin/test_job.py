"""A run without a window: what it reports, when it stops, what it keeps."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel

from napari_swin_umamba.errors import Cancelled, InputError
from napari_swin_umamba.plugin import worker
from napari_swin_umamba.plugin.job import LoadedModel, Progress, SegmentTask, run_segmentation
from napari_swin_umamba.plugin.layer_view import view_of_layer
from napari_swin_umamba.plugin.reading import read_layer
from napari_swin_umamba.segmentation import read_model_header


@pytest.fixture
def task(semantic_model: Path) -> SegmentTask:
    viewer = ViewerModel()
    image = np.random.default_rng(0).random((48, 48))
    layer = viewer.add_image(image, name="img")
    plan, _, _ = read_model_header(semantic_model)
    reading = read_layer(view_of_layer(layer, viewer.dims), plan)
    return SegmentTask(data=image, reading=reading, model_path=semantic_model)


def test_reports_every_step(task: SegmentTask) -> None:
    said: list[Progress] = []
    result = run_segmentation(task, LoadedModel(), said.append, lambda: False)
    texts = [progress.text for progress in said]
    assert texts[0] == "Loading…"
    assert "Segmenting…" in texts
    assert "1 of 4 tiles" in texts
    assert said[-1] == Progress("Finishing…", 1.0)
    assert result.labels.shape == (48, 48)
    assert result.provenance["model_sha256"]


def test_stops_before_the_next_tile(task: SegmentTask) -> None:
    said: list[Progress] = []
    with pytest.raises(Cancelled):
        run_segmentation(task, LoadedModel(), said.append, lambda: "1 of 4" in said[-1].text)
    assert said[-1].text == "1 of 4 tiles"


def test_compilation_is_announced(task: SegmentTask, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Progress] = []
    from napari_swin_umamba.segmentation import segmenter

    segment = segmenter.predict_bands

    def compile_first(*args: object, **kwargs: object) -> None:
        logging.getLogger("napari_swin_umamba.network.cpu").warning("compiling %s", "a kernel")
        segment(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(segmenter, "predict_bands", compile_first)
    run_segmentation(task, LoadedModel(), said.append, lambda: False)
    assert any("Compiling" in progress.text for progress in said)


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OutOfMemoryError("CUDA out of memory"), "Not enough memory"),
        (MemoryError(), "Not enough memory"),
        (InputError("the image is odd (--axes)"), "The image is odd."),
        (KeyError("x"), "The run failed (KeyError: 'x'). Nothing was changed."),
    ],
)
def test_thread_turns_errors_into_sentences(
    error: Exception, says: str, task: SegmentTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(worker, "run_segmentation", fail)
    thread = worker.SegmentThread(task, LoadedModel())
    thread.start()
    thread._thread.join(60)
    assert thread.ended
    assert isinstance(thread.outcome, worker.Failure)
    assert thread.outcome.message.startswith(says)
    assert bool(thread.outcome.details) == (not isinstance(error, InputError))


def test_stopped_thread_drops_its_result(task: SegmentTask) -> None:
    thread = worker.SegmentThread(task, LoadedModel())
    thread.stop()
    thread.start()
    thread._thread.join(60)
    assert thread.ended
    assert thread.outcome is None


def test_model_is_read_again_only_if_the_file_changed(make_model: Callable[..., Path]) -> None:
    path = make_model("changing")
    models = LoadedModel()
    first = models.get(path)
    assert models.get(path) is first
    other = make_model("changing", channels=("a", "b"))
    path.write_bytes(other.read_bytes())
    assert models.get(path)[0].plan.in_channels == 2
    path.unlink()
    with pytest.raises(InputError, match="is gone"):
        models.get(path)
