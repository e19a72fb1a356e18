"""How far a run is, and what ends it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from swin_umamba_training.config import TrainConfig

__all__ = ["Interruption", "RunClock"]

_LENIENCE = 1.1
"""Time that a run may take, relative to its minutes, where its steps took longer than foreseen."""
_MOST_STEPS_BETWEEN = 250
_VALIDATIONS = 10
_VALIDATION_SHARE = 0.2
"""Of the time of a run that is limited by it; where they take longer, there are fewer."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class RunClock:
    """How far a run is, in steps.

    A run that is limited by time gets its number of steps from :meth:`settle`, once the time of a
    step is known; from then on it is as any other run, and is resumed with the same number.

    Parameters
    ----------
    config
        Its length.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._length = config.recipe.length
        self._every = config.recipe.validation.every
        self._before = 0.0
        self._begin = time.monotonic()
        self._by_time = False
        self._between = self._every
        self.steps: int | None = self._length.steps if self._length.minutes is None else None
        """Steps of the whole run; None until :meth:`settle`."""
        self.step = 0
        """Steps made, those that were left out included."""

    def settle(self, seconds_a_step: float, seconds_a_validation: float) -> None:
        """Turn minutes into steps; without minutes, nothing happens.

        Parameters
        ----------
        seconds_a_step, seconds_a_validation
            As measured.
        """
        if self.steps is not None or self._length.minutes is None:
            return
        seconds = self._length.minutes * 60
        if self._every:
            step = seconds_a_step + seconds_a_validation / self._every
            fitting = int((seconds - seconds_a_validation) / step)
        else:
            wanted = max(_VALIDATIONS, int(seconds / seconds_a_step / _MOST_STEPS_BETWEEN))
            affordable = int(_VALIDATION_SHARE * seconds / max(seconds_a_validation, 1e-9))
            validations = max(1, min(wanted, affordable))
            fitting = int((seconds - seconds_a_validation * validations) / seconds_a_step)
        limit = self._length.steps
        self._by_time = limit is None or fitting < limit
        self.steps = max(1, fitting if limit is None else min(fitting, limit))
        if not self._every:
            self._between = max(1, -(-self.steps // validations))

    def restart(self) -> None:
        """Count seconds from now on: what came before was preparation."""
        self._begin = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time that the run took, interruptions left out."""
        return self._before + time.monotonic() - self._begin

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        assert self.steps is not None, "settle() comes first"
        return self.steps

    @property
    def progress(self) -> float:
        """Share of the run that is over, in [0, 1]."""
        return min(1.0, self.step / self.total)

    @property
    def steps_between_validations(self) -> int:
        """Steps from one validation to the next."""
        return self._between or max(1, min(_MOST_STEPS_BETWEEN, self.total // _VALIDATIONS))

    @property
    def validation_is_due(self) -> bool:
        """Whether the step just made is one after which the model is scored."""
        return self.step % self.steps_between_validations == 0

    @property
    def reason_to_end(self) -> str | None:
        """``steps`` or ``minutes`` if the run is over, else None."""
        minutes = self._length.minutes
        if self.step >= self.total:
            return "minutes" if self._by_time else "steps"
        late = minutes is not None and self.seconds >= minutes * 60 * _LENIENCE
        return "minutes" if late else None

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run goes on with."""
        return {
            "step": self.step,
            "steps": self.steps,
            "seconds": self.seconds,
            "by_time": self._by_time,
            "between": self._between,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`."""
        self.step, self.steps = state["step"], state["steps"]
        self._before, self._by_time = state["seconds"], state["by_time"]
        self._between = state["between"]
        self.restart()


class Interruption:
    """Ctrl-C or SIGTERM, noted so that a run ends between two steps."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """The signal that came; None so far."""
        self._listening = False

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.signal is not None:  # a person who asks twice does not want to wait
            raise KeyboardInterrupt
        self.signal = number

    def take_over(self) -> None:
        """Listen alone, also where others began to listen since.

        Lightning's handler of SIGTERM sends a message to the other processes, whatever these are
        waiting for, and ends the run between two steps without anything being saved.
        """
        if self._listening:
            for number in _SIGNALS:
                signal.signal(number, self._note)

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Note signals instead of dying of them; what was in place comes back afterwards."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread gets signals
            return
        former = {number: signal.getsignal(number) for number in _SIGNALS}
        self._listening = True
        self.take_over()
        try:
            yield
        finally:
            self._listening = False
            for number, handler in former.items():
                with suppress(TypeError, ValueError):  # one that was not set from Python
                    signal.signal(number, handler)
