"""A training run that is ready to begin or to go on: its parts, put together."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import lightning
import torch

from napari_swin_umamba.plan import PATCH_MULTIPLE
from swin_umamba_training.clock import RunClock
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.data.slice_store import ImageStore
from swin_umamba_training.data.splitting import Parts
from swin_umamba_training.dataset import Dataset
from swin_umamba_training.describing import describe_model
from swin_umamba_training.losses import make_loss
from swin_umamba_training.module import SegmentationModule, TrainingDiverged
from swin_umamba_training.output_classes import class_ids
from swin_umamba_training.polarity import match_polarity
from swin_umamba_training.provenance import describe_environment
from swin_umamba_training.ranks import broadcast, is_main_process
from swin_umamba_training.recorder import RunRecorder
from swin_umamba_training.rehearsal import time_steps, time_validation
from swin_umamba_training.report import Provenance
from swin_umamba_training.run_folder import RunFolder
from swin_umamba_training.sampling import PatchDataset, patch_loader
from swin_umamba_training.start import Start
from swin_umamba_training.validation import ValidationScores, validate

__all__ = ["TrainingRun"]

_PATCHES_TRIED = 8
"""Patches that decide whether a start model is shown negatives."""


class TrainingRun:
    """A run, before it writes its first file.

    Parameters
    ----------
    config, folder, dataset, start
        What to train, where, on what, from where.
    parts
        Training and validation samples.
    device
        Where to compute.
    notes
        What was assumed so far, for people.
    state
        Of the run that goes on, as read from ``last.ckpt``; None: it begins.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        dataset: Dataset,
        start: Start,
        parts: Parts,
        device: torch.device,
        notes: tuple[str, ...],
        state: dict[str, Any] | None = None,
    ) -> None:
        self._config = config
        self._folder = folder
        self._start = start
        self._parts = parts
        self._device = device
        self._timing = (0.0, 0.0)
        self.clock = RunClock(config)
        ids = () if dataset.instances else class_ids(dataset, config, start.plan)
        self._slices = ImageStore((*parts[0], *parts[1]), dataset, start.plan, ids=ids)
        self._training, self._validation = (self._slices.part(part) for part in parts)
        self._module = SegmentationModule(
            start.network.to(device), start.plan, config, self.clock, device, self._tell
        )
        if state is None and start.whole:
            found = self._match_polarity()
            start.notes, notes = (*start.notes, *found), (*notes, *found)
        self._notes = notes
        assert dataset.fingerprint is not None
        self._fingerprint = dataset.fingerprint
        self.recorder = RunRecorder(
            folder,
            self.clock,
            config,
            describe_model(config, dataset, start, parts),
            self._validate if len(self._validation) else None,
            Provenance(
                parts,
                self._fingerprint.sha256,
                describe_environment(device, self._module.guard.format),
                notes,
            ),
            {"notes": list(start.notes), "origin": start.origin},
            self._on_start,
        )
        if state is not None:
            self._load(state)

    @property
    def held_out(self) -> ImageStore:
        """The validation images."""
        return self._validation

    def go(self, before_done: Callable[[], None] | None = None) -> None:
        """Train until the end.

        Parameters
        ----------
        before_done
            Called when the best model is settled, before the end is told.

        Raises
        ------
        TrainingDiverged
            The network yields no numbers.
        KeyboardInterrupt
            Ctrl-C or SIGTERM; what is needed to go on was saved.
        """
        clock, recorder = self.clock, self.recorder
        with recorder.interruption.listen():
            if reason := recorder.over:
                recorder.reason = reason
                recorder.write_tables()  # it may have been killed just before
            else:
                self._slices.prepare(self._tell_slices)
                self._rehearse()
                self._fit()
        recorder.write_report()
        if recorder.reason == "interrupted":
            raise KeyboardInterrupt
        if is_main_process() and not self._folder.model.exists():
            raise TrainingDiverged("the network never yielded numbers", clock.step)
        if before_done is not None:
            before_done()
        recorder.tell(
            "done",
            step=clock.step,
            seconds=round(clock.seconds, 1),
            score=recorder.best,
            model=str(self._folder.model),
            reason=recorder.reason,
            skipped=self._module.guard.skipped,
        )

    def _tell(self, event: str, **fields: Any) -> None:
        self.recorder.tell(event, **fields)

    def _tell_slices(self, done: int, total: int, case: str) -> None:
        self._tell("slices", done=done, total=total, case=case)
        if self.recorder.interruption.signal is not None:  # nothing is lost: files are kept whole
            raise KeyboardInterrupt

    def _score(self, images: ImageStore) -> ValidationScores:
        loss = self._config.recipe.loss
        return validate(self._start.network, images, self._start.plan, self._device, loss)

    def _validate(self) -> ValidationScores:
        return self._score(self._validation)

    def _load(self, state: dict[str, Any]) -> None:
        self._start.network.load_state_dict(state["network"])
        self._module.adamw.load_state_dict(state["optimizer"])
        self._module.guard.load_state_dict(state["guard"])
        self.recorder.load_state(state)

    def _match_polarity(self) -> tuple[str, ...]:
        plan, recipe = self._start.plan, self._config.recipe
        patches = PatchDataset(self._training, plan, self._config)
        some = (patches[index] for index in range(min(_PATCHES_TRIED, len(patches))))
        loss = make_loss(recipe.loss, plan.output)
        return match_polarity(self._start.network, plan, some, loss, self._device)

    def _fit(self) -> None:
        """Run Lightning's loop: its devices, strategies and batches; the recorder ends it."""
        config, device = self._config, self._device
        processes = config.world_size > 1
        trainer = lightning.Trainer(
            accelerator=device.type,
            devices=config.devices if processes or device.index is None else [device.index],
            num_nodes=config.nodes,
            # Unused: the head of the coarsest output, and frozen weights.
            strategy="ddp_find_unused_parameters_true" if processes else "auto",
            max_steps=-1,
            max_epochs=1,
            limit_val_batches=0,
            callbacks=[self.recorder],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            default_root_dir=config.run,
        )
        batches = patch_loader(
            self._training, self._start.plan, config, self.clock.step, trainer.global_rank
        )
        trainer.fit(self._module, batches)

    def _on_start(self) -> None:
        """All processes are joined: settle the number of steps, and say what begins."""
        self.clock.settle(*broadcast(self._timing))
        self._module.remember()
        config, plan = self._config, self._start.plan
        self.recorder.tell(
            "start",
            arch=plan.architecture,
            init=config.init,
            recipe=config.recipe.name,
            device=str(self._device),
            devices=config.devices,
            nodes=config.nodes,
            precision=self._module.guard.format,
            steps=self.clock.steps,
            minutes=config.minutes,
            training_images=len(self._parts[0]),
            validation_images=len(self._parts[1]),
            fingerprint=self._fingerprint.model_dump(mode="json"),
            classes=[item.name for item in plan.classes],
            patch=list(plan.patch),
            batch=config.batch,
            seed=config.seed,
            pid=os.getpid(),
            notes=list(self._notes),
            resumed=self.clock.step,
        )
        self.clock.restart()

    def _rehearse(self) -> None:
        """Compile what is compiled at first use, and time steps where minutes become steps."""
        config, plan, device = self._config, self._start.plan, self._device
        if self.clock.steps is None:
            assert config.minutes is not None
            batches = patch_loader(self._training, plan, config)
            self._timing = (
                time_steps(self._module, batches, device, config.minutes),
                time_validation(self._score, self._validation),
            )
        elif device.type == "cpu":  # compiling can take half a minute, and is no training
            blank = torch.zeros(1, plan.in_channels, PATCH_MULTIPLE, PATCH_MULTIPLE)
            self._module.rehearse(blank)
