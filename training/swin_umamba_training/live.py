"""The weights of this moment, for whoever watches, while the file ``RUN/live`` is there."""

from __future__ import annotations

import time

from napari_swin_umamba.checkpoints import Model
from napari_swin_umamba.errors import InputError
from swin_umamba_training.run_folder import RunFolder

__all__ = ["LiveWeights"]

_INTERVAL = 3.0
"""Seconds between two files."""
_SHARE = 0.05
"""Of the run's time that writing them may take."""


class LiveWeights:
    """Writes ``RUN/live.safetensors`` now and then.

    Parameters
    ----------
    folder
        Of the run.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._next = 0.0

    def step_done(self, model: Model) -> bool:
        """Write the weights if they are wanted and it is time; return whether they were.

        A disk that refuses, or weights that are no numbers, are no reason to end a run: then there
        is no file this time.

        Parameters
        ----------
        model
            With the network in training.
        """
        begin = time.monotonic()
        if begin < self._next or not self._folder.live.exists():
            return False
        try:
            model.save(self._folder.live_model)
        except InputError:
            return False
        finally:
            took = time.monotonic() - begin
            self._next = time.monotonic() + max(_INTERVAL, took / _SHARE)
        return True
