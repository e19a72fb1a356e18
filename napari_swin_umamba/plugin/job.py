"""The work of one run, without Qt: load the model, segment, report, stop when asked.

Torch is imported here and nowhere else in the plugin, and only when a run begins: the thread of
the worker calls :func:`run_segmentation`, the window stays free of it.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plugin.reading import Reading
from napari_swin_umamba.plugin.result_layer import Runtime, SegmentedSlice
from napari_swin_umamba.plugin.words import count, duration

if TYPE_CHECKING:
    import torch

    from napari_swin_umamba.segmentation import Model

__all__ = ["LoadedModel", "Progress", "SegmentTask", "run_segmentation"]

_NETWORK_LOGGER = "napari_swin_umamba.network"
_SAID_BEFORE = ("axes of", "colours turned", "grey image repeated", "transparency")
"""Beginnings of notes on what the widget said under *Read as* before the run."""


@dataclass(frozen=True)
class SegmentTask:
    """What a run needs: plain values and the layer's data, not the layer."""

    data: Any
    """The image layer's data (finest level)."""
    reading: Reading
    model_path: Path
    device: str = "auto"
    overlap: float = 0.5
    """Share of a tile that its neighbour covers too."""
    mirror: bool = False
    """Average over mirrored copies: slower, a little better."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands."""

    text: str
    fraction: float | None = None
    """Between 0 and 1; None: not known."""


class LoadedModel:
    """The model used last, kept so that the next run starts at once. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: tuple[Path, int, int] | None = None
        self._loaded: tuple[Model, str] | None = None

    def get(self, path: Path) -> tuple[Model, str]:
        """Return the model of a file and the file's SHA-256; read again only if it has changed.

        Raises
        ------
        InputError
            The file is gone or cannot be used.
        """
        from napari_swin_umamba.segmentation import load_model

        try:
            status = path.stat()
        except OSError as error:
            raise InputError(
                f"the model file {path} is gone; choose another model or import it again"
            ) from error
        key = (path, status.st_mtime_ns, status.st_size)
        with self._lock:
            if self._loaded is None or self._key != key:
                self._loaded = None  # two models at once may not fit into memory
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                self._loaded = load_model(path), digest
                self._key = key
            return self._loaded


def run_segmentation(
    task: SegmentTask,
    models: LoadedModel,
    report: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> SegmentedSlice:
    """Segment what a task describes.

    Parameters
    ----------
    task
        Image and settings.
    models
        Keeps the model between runs.
    report
        Called with each step; must be quick and safe to call from this thread.
    should_stop
        Asked before each tile.

    Raises
    ------
    InputError
        The image or the model cannot be used.
    Cancelled
        `should_stop` returned True.
    """
    report(Progress("Loading…"))
    from napari_swin_umamba.segmentation import resolve_device, segment

    started = time.perf_counter()
    model, model_sha256 = models.get(task.model_path)
    device, _ = resolve_device(task.device)
    image = task.reading.extract(task.data)
    report(Progress("Segmenting…"))
    with _announced_compilation(report):
        result = segment(
            image,
            model,
            axes=task.reading.axes,
            spacing=task.reading.spacing_in(model.plan.unit),
            device=device,
            overlap=task.overlap,
            mirror=task.mirror,
            on_progress=_TileReport(report),
            should_stop=should_stop,
        )
    return SegmentedSlice(
        labels=result.labels,
        instances=result.instances,
        plan=model.plan,
        notes=tuple(note for note in result.notes if not note.startswith(_SAID_BEFORE)),
        provenance=_provenance(task, model, model_sha256, str(device)),
        seconds=time.perf_counter() - started,
        runtime=_runtime(device),
    )


@contextmanager
def _announced_compilation(report: Callable[[Progress], None]) -> Iterator[None]:
    """Report that kernels are being compiled: the network logs it, and it takes seconds."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("compiling"):
                report(Progress("Compiling for this processor, once: about 10 s…"))

    logger, listener = logging.getLogger(_NETWORK_LOGGER), Listener()
    logger.addHandler(listener)
    try:
        yield
    finally:
        logger.removeHandler(listener)


class _TileReport:
    """Turns counts of tiles into a fraction and the time left."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self._report = report
        self._first: tuple[int, float] | None = None

    def __call__(self, done: int, total: int) -> None:
        if done >= total:
            self._report(Progress("Finishing…", 1.0))
            return
        now = time.perf_counter()
        text = f"{done:,} of {total:,} tiles"
        if self._first is None:
            # The first tile may include compiling: the time left is estimated from the others.
            self._first = (done, now)
        else:
            tiles, seconds = done - self._first[0], now - self._first[1]
            left = seconds / tiles * (total - done)
            text += f" · {duration(left)} left" if left > 1 else ""
        self._report(Progress(text, done / total))


def _provenance(
    task: SegmentTask, model: Model, model_sha256: str, device: str
) -> dict[str, JsonValue]:
    from napari_swin_umamba import __version__

    return {
        "image": task.reading.view.name,
        "model": model.name,
        "model_path": str(task.model_path),
        "model_sha256": model_sha256,
        "licence": model.info.licence,
        "architecture": model.plan.architecture,
        "classes": {str(item.id): item.name for item in model.plan.classes},
        "settings": {"overlap": task.overlap, "mirror": task.mirror, "device": device},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
    }


def _runtime(device: torch.device) -> Runtime:
    """Say where the network ran."""
    import torch

    from napari_swin_umamba.segmentation import active_backend

    if device.type == "cpu":
        where = f"CPU, {count(torch.get_num_threads(), 'thread')}"
    elif device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    else:
        where = "Apple GPU"
    backend = active_backend(device)
    scan = {"numba": "Numba", "triton": "Triton", "mamba_ssm": "mamba-ssm"}.get(backend.name)
    kind = f"{scan} scan" if scan else f"{backend.name} scan (slow)"
    return Runtime(f"Runs on: {where} · {kind}", f"Scan: {backend.reason}")
