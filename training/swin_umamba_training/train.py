"""Train a model: check everything, make the folder, fit, and leave the best model behind."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from pydantic import JsonValue
from torch.utils.data import DataLoader

from napari_swin_umamba.checkpoints import Model, ModelInfo
from napari_swin_umamba.checkpoints.download import OnProgress, Progress
from napari_swin_umamba.files import atomic_path
from napari_swin_umamba.plan import PATCH_MULTIPLE
from napari_swin_umamba.segmentation import resolve_device
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.data.preparing import (
    choose_parts,
    describe_data,
    prepare_stores,
    with_batch,
)
from swin_umamba_training.data.slice_store import ImageStore
from swin_umamba_training.data.splitting import Parts
from swin_umamba_training.dataset import Dataset, check_objects, scan_dataset
from swin_umamba_training.events import EventLog, OnEvent
from swin_umamba_training.module import SegmentationModule
from swin_umamba_training.planning import Start, check_architecture, prepare_start
from swin_umamba_training.recorder import RunClock, RunRecorder
from swin_umamba_training.run_folder import RunFolder
from swin_umamba_training.sampling import patch_loader

__all__ = ["TrainResult", "train"]

GRADIENT_CLIP = 12.0
"""Largest norm of the gradient (the paper's code)."""


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
    """Why the run ended: ``steps``, ``minutes`` or ``stopped``."""
    notes: tuple[str, ...]
    """What was assumed about the data, for people."""


def train(config: TrainConfig, on_event: OnEvent | None = None) -> TrainResult:
    """Train a model on a data set.

    Nothing is written before data set, start model and folder have been found good.

    Parameters
    ----------
    config
        What to train, on what, for how long.
    on_event
        Called with every event that is written to ``events.jsonl``; see
        :mod:`swin_umamba_training.events`.

    Raises
    ------
    InputError
        The data set, a flag or the folder cannot be used.
    DownloadError
        The start weights are not here and cannot be downloaded; nothing was written.
    TrainingDiverged
        The loss is no longer a number.
    KeyboardInterrupt
        Ctrl-C was pressed. The best model up to then is kept.
    """
    folder = RunFolder(config.run)
    folder.check(config.overwrite)
    device, device_note = resolve_device(config.device)
    if config.arch is not None:
        check_architecture(config.arch)
    dataset = scan_dataset(
        config.dataset, config.instances, config.plane, config.spacing, config.ignore
    )
    parts, keep_roles = choose_parts(dataset, config)
    sizes = check_objects(*parts) if dataset.instances else ()
    with _quiet(), torch.random.fork_rng(devices=None if device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        start = prepare_start(dataset, config, _download_listener(on_event))
        config = with_batch(config, start.plan)
        keep_roles()
        folder.create(config.overwrite)
        _save_config(config, folder)
        with EventLog(folder.events, on_event) as log:
            notes = (*dataset.notes, *sizes, *start.notes, *([device_note] if device_note else []))
            _announce(log, config, start, parts, device, notes, dataset)
            stores = prepare_stores(parts, dataset, start.plan, log)
            if device.type == "cpu":
                _warm_up(start)
            clock = RunClock(config)
            model = _describe(config, dataset, start, parts)
            recorder = RunRecorder(folder, log, clock, config, model)
            try:
                _fit(config, start, stores, device, clock, recorder)
            except SystemExit as error:  # what Lightning makes of Ctrl-C
                raise KeyboardInterrupt from error
            result = TrainResult(
                folder.model, recorder.best, clock.step, clock.seconds, recorder.reason, notes
            )
            log.write(
                "done",
                step=result.steps,
                seconds=round(result.seconds, 1),
                score=result.score,
                model=str(result.model),
                reason=result.reason,
            )
    return result


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


def _fit(
    config: TrainConfig,
    start: Start,
    stores: tuple[ImageStore, ImageStore],
    device: torch.device,
    clock: RunClock,
    recorder: RunRecorder,
) -> None:
    """Run Lightning's loop, of which only loop, device handling and clipping are used."""
    training, validation = stores
    module = SegmentationModule(start.network, start.plan, config, lambda: clock.progress)
    trainer = lightning.Trainer(
        accelerator=device.type,
        devices=1 if device.index is None else [device.index],
        max_steps=-1,  # the recorder ends the run
        max_epochs=1,
        val_check_interval=config.steps_between_validations,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        gradient_clip_val=GRADIENT_CLIP,
        callbacks=[recorder],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=config.run,
    )
    # Whole images of any size: one at a time, as they are.
    whole: DataLoader[Any] = DataLoader(validation, batch_size=None, collate_fn=_as_is)
    batches = patch_loader(training, start.plan, config)
    trainer.fit(module, batches, whole if len(validation) else None)


def _as_is(item: Any) -> Any:
    return item


def _warm_up(start: Start) -> None:
    """Let the CPU kernels be compiled before the clock starts: it can take half a minute."""
    plan = start.plan
    outputs = start.network(torch.zeros(1, plan.in_channels, PATCH_MULTIPLE, PATCH_MULTIPLE))
    sum(output.sum() for output in outputs).backward()
    start.network.zero_grad(set_to_none=True)


def _save_config(config: TrainConfig, folder: RunFolder) -> None:
    with atomic_path(folder.config, overwrite=True) as path:
        path.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _announce(
    log: EventLog,
    config: TrainConfig,
    start: Start,
    parts: Parts,
    device: torch.device,
    notes: tuple[str, ...],
    dataset: Dataset,
) -> None:
    plan = start.plan
    log.write(
        "start",
        arch=plan.architecture,
        init=config.init,
        device=str(device),
        steps=config.max_steps if config.minutes is None or config.steps else None,
        minutes=config.minutes,
        training_images=len(parts[0]),
        validation_images=len(parts[1]),
        fingerprint=dataset.fingerprint.model_dump(mode="json") if dataset.fingerprint else None,
        classes=[item.name for item in plan.classes],
        patch=list(plan.patch),
        batch=config.batch,
        seed=config.seed,
        pid=os.getpid(),
        notes=list(notes),
    )


def _describe(config: TrainConfig, dataset: Dataset, start: Start, parts: Parts) -> Model:
    """The model as it will be saved: its network is the one in training."""
    training: dict[str, JsonValue] = {
        "images": len(parts[0]),
        **describe_data(dataset, parts, config),
        "init": config.init,
        "seed": config.seed,
        "batch": config.batch,
        "learning_rate": config.peak_learning_rate(start.plan.architecture),
        "steps": config.steps,
        "minutes": config.minutes,
    }
    if start.origin:
        training["init_weights"] = start.origin
    info = ModelInfo(data=dataset.path.resolve().name, training=training)
    return Model(start.network, start.plan, _model_name(config.run), info)


def _model_name(run: Path) -> str:
    """Name of the run's folder, without what a model name may not hold."""
    name = "".join(c if c.isalnum() or c in " .+-_" else "-" for c in run.resolve().name)
    return name.strip(" .+-")[:80] or "model"


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
