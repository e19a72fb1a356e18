"""Number formats of a run, and what happens to numbers that are none.

A step whose loss or gradient is not finite, or whose loss is far above the recent ones, is left
out. When that goes on, the precision is raised; at fp32 already, the weights go back to the last
good ones and the learning rate to a tenth.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch

from napari_swin_umamba.errors import InputError
from swin_umamba_training.recipe import PrecisionConfig

__all__ = ["NumberGuard", "Verdict", "choose_format"]

Verdict = Literal["good", "skip", "raise", "rollback", "diverged"]

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_MAX_ROLLBACKS = 4
_STEPS_TO_TRUST = 10
"""Good steps before a high loss is taken for an accident."""
_FIRST_SCALE, _GROWTH_STEPS = 2.0**16, 2000  # as torch's GradScaler


def choose_format(config: PrecisionConfig, device: torch.device) -> str:
    """Turn ``auto`` into the format of a device.

    Parameters
    ----------
    config
        What was asked for.
    device
        Where the network is trained.

    Raises
    ------
    InputError
        The device cannot compute in the format asked for.
    """
    if config.format == "auto":
        if device.type != "cuda":
            return "fp32"
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "mps" and config.format == "bf16":
        raise InputError("this device has no bf16; choose fp32 or fp16 (--set precision.format)")
    return config.format


class NumberGuard:
    """Chooses number formats, and judges every step.

    Parameters
    ----------
    config
        Thresholds.
    device
        Where the network is trained.

    Raises
    ------
    InputError
        As :func:`choose_format`.
    """

    def __init__(self, config: PrecisionConfig, device: torch.device) -> None:
        self._config = config
        self._device = device
        self.format = choose_format(config, device)
        """``fp32``, ``bf16`` or ``fp16``."""
        self.scale = _FIRST_SCALE if self.format == "fp16" else 1.0
        """Factor on the loss, so that fp16 gradients do not vanish."""
        self.rate = 1.0
        """Factor on the learning rate."""
        self.skipped = 0
        """Steps left out so far."""
        self._mean = 0.0
        self._good = 0
        self._accidents = 0
        self._rollbacks = 0
        self._since_growth = 0

    def autocast(self) -> AbstractContextManager[Any]:
        """The context in which the network and its loss are computed."""
        if self.format == "fp32":
            return nullcontext()
        return torch.autocast(self._device.type, _DTYPES[self.format])

    def judge(self, loss: float, norm: float) -> Verdict:
        """Decide what to do with a step.

        Parameters
        ----------
        loss
            Of the batch, over all devices.
        norm
            Of its gradient, unscaled.

        Returns
        -------
        str
            ``good``: make the step. ``skip``: leave it out. The others leave it out, too, and
            something was or has to be changed: ``raise`` (`format` is another now), ``rollback``
            (take the last good weights; `rate` is lower now), ``diverged`` (nothing helps).
        """
        if math.isfinite(loss) and not self._explodes(loss):
            if math.isfinite(norm):
                self._count_good(loss)
                return "good"
            if self.scale > 1.0:  # an overflow that scaling brought about: routine
                self.scale /= 2.0
                self._since_growth = 0
                self.skipped += 1
                return "skip"
        self.skipped += 1
        self._accidents += 1
        return "skip" if self._accidents < self._config.patience else self._react()

    def react_to_nonsense(self) -> Verdict:
        """As :meth:`judge` where a validation yields no numbers: the weights are spoilt."""
        return self._react()

    def _explodes(self, loss: float) -> bool:
        # Near its end a loss is so small that any hard patch is many times of it.
        return self._good >= _STEPS_TO_TRUST and loss > self._config.explosion * max(
            self._mean, 1.0
        )

    def _count_good(self, loss: float) -> None:
        self._good += 1
        self._accidents = 0
        self._mean += (loss - self._mean) / min(self._good, 50)
        self._since_growth += 1
        if self.format == "fp16" and self._since_growth >= _GROWTH_STEPS:
            self.scale, self._since_growth = min(self.scale * 2.0, _FIRST_SCALE), 0

    def _react(self) -> Verdict:
        self._accidents = 0
        if self.format != "fp32":
            bf16 = self._device.type != "cuda" or torch.cuda.is_bf16_supported(
                including_emulation=False
            )
            wider = self.format == "fp16" and bf16 and self._device.type != "mps"
            self.format, self.scale = ("bf16" if wider else "fp32"), 1.0
            return "raise"
        if self._rollbacks >= _MAX_ROLLBACKS:
            return "diverged"
        self._rollbacks += 1
        self.rate /= 10.0
        self._good, self._mean = 0, 0.0
        return "rollback"

    def state_dict(self) -> dict[str, Any]:
        """Everything that later decisions depend on."""
        return {k: v for k, v in vars(self).items() if k not in ("_config", "_device")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        vars(self).update(state)
