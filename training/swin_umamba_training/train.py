"""Train a model: check everything, make the folder, fit, and leave the best model behind."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning

from napari_swin_umamba.checkpoints.download import OnProgress, Progress
from napari_swin_umamba.files import atomic_path
from napari_swin_umamba.segmentation import resolve_device
from swin_umamba_training.checkpointing import load_state
from swin_umamba_training.conclusion import conclude, is_judged, resolve_init
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.data.preparing import choose_parts, with_batch, with_orientation
from swin_umamba_training.dataset import check_objects, scan_dataset
from swin_umamba_training.events import EventLog, OnEvent
from swin_umamba_training.jobs import send_back
from swin_umamba_training.locking import project_lock
from swin_umamba_training.planning import check_architecture
from swin_umamba_training.ranks import is_main_process
from swin_umamba_training.recipe_files import recipe_to_yaml
from swin_umamba_training.resuming import resumed_config, resumed_start
from swin_umamba_training.run_folder import RunFolder
from swin_umamba_training.session import TrainingRun
from swin_umamba_training.start import prepare_start

__all__ = ["TrainResult", "train"]

_SECONDS_BETWEEN_DOWNLOADS = 0.2


@dataclass(frozen=True)
class TrainResult:
    """What a run came to."""

    model: Path
    """The best model."""
    score: float | None
    """Its score on the validation images; None without any."""
    steps: int
    seconds: float
    reason: str
    """Why the run ended: ``steps``, ``minutes``, ``early`` or ``stopped``."""
    notes: tuple[str, ...]
    """What was assumed about the data, for people."""
    archive: Path | None = None
    """Of a job: the ``result.zip`` that its project imports."""


def train(config: TrainConfig, on_event: OnEvent | None = None) -> TrainResult:
    """Train a model on a data set.

    Nothing is written before data set, start model and folder have been found good.

    Parameters
    ----------
    config
        What to train, on what, for how long. With `resume`, only where to compute and where the
        data set lies are taken from it: the rest is what the run was begun with.
    on_event
        Called with every event that is written to ``events.jsonl``; see
        :mod:`swin_umamba_training.events`.

    Raises
    ------
    InputError
        The data set, a flag or the folder cannot be used; or the disk is full.
    DownloadError
        The start weights are not here and cannot be downloaded; nothing was written.
    LockedError
        The data set is a project that is being trained already.
    TrainingDiverged
        The loss is no number, whatever is tried. The best model up to then is kept.
    KeyboardInterrupt
        Ctrl-C or SIGTERM. The best model up to then is kept, and the run can be resumed.
    """
    main = is_main_process()
    folder = RunFolder(config.run)
    if main and not config.resume:
        folder.check(config.overwrite)
    with project_lock(config) if main else nullcontext():
        if config.resume:
            config = resumed_config(config)
        result = _train(resolve_init(config), folder, on_event)
        if main:
            archive = send_back(config, folder, result.steps, result.seconds, result.reason)
            result = replace(result, archive=archive)
        return result


def _train(config: TrainConfig, folder: RunFolder, on_event: OnEvent | None) -> TrainResult:
    main = is_main_process()
    device, device_note = resolve_device(config.device)
    if config.arch is not None:
        check_architecture(config.arch)
    dataset = scan_dataset(
        config.dataset, config.instances, config.plane, config.spacing, config.ignore
    )
    parts, keep_roles = choose_parts(dataset, config)
    sizes = check_objects(*parts) if dataset.instances else ()
    with (
        _quiet(),
        torch.random.fork_rng(devices=None if device.type == "cuda" else []),
        ExitStack() as stack,
    ):
        torch.manual_seed(config.seed)
        state = load_state(folder.last) if config.resume and folder.last.exists() else None
        if state is not None:
            start = resumed_start(dataset, parts, config, state)
        else:
            start = prepare_start(dataset, config, _download_listener(on_event) if main else None)
        assert dataset.fingerprint is not None
        config = with_batch(config, start.plan)
        config, turning = with_orientation(config, dataset.fingerprint.plane is not None)
        notes = (
            *dataset.notes,
            *sizes,
            *turning,
            *start.notes,
            *([device_note] if device_note else []),
        )
        run = TrainingRun(config, folder, dataset, start, parts, device, notes, state)
        if main:
            if not config.resume:
                keep_roles()
                folder.create(config.overwrite)
            _save_config(config, folder)
            folder.stop.unlink(missing_ok=True)
            run.recorder.event_log = stack.enter_context(EventLog(folder.events, on_event))
        tell = run.recorder.tell

        def judge() -> None:
            if main and is_judged(dataset, config):
                conclude(dataset, config, run.held_out, folder.model, device, tell)

        try:
            run.go(judge)
        except SystemExit as error:  # what Lightning makes of a second Ctrl-C
            raise KeyboardInterrupt from error
        return TrainResult(
            folder.model,
            run.recorder.best,
            run.clock.step,
            run.clock.seconds,
            run.recorder.reason,
            notes,
        )


def _download_listener(on_event: OnEvent | None) -> OnProgress | None:
    """Turn progress into events for the listener alone: the run has no folder yet."""
    if on_event is None:
        return None
    last = 0.0

    def listen(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        end = progress.done >= progress.total
        if not (progress.note or end) and now - last < _SECONDS_BETWEEN_DOWNLOADS:
            return
        last = now
        on_event(
            {
                "event": "download",
                "time": round(time.time(), 3),
                "done": progress.done,
                "total": progress.total,
                "note": progress.note,
            }
        )

    return listen


def _save_config(config: TrainConfig, folder: RunFolder) -> None:
    with atomic_path(folder.recipe, overwrite=True) as path:
        path.write_text(recipe_to_yaml(config.recipe), encoding="utf-8")
    with atomic_path(folder.config, overwrite=True) as path:
        path.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's banners, and its advice on what was decided on purpose."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=PossibleUserWarning)
            # Lightning 2.6 with a newer torch, once for every batch.
            warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
