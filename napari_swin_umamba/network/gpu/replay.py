"""Passes of a network as one CUDA graph: issued at once, not kernel by kernel.

Issuing the few hundred kernels of a pass takes a processor tens of milliseconds, however small the
image; a graph is issued in one call.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Hashable

import torch
from torch import Tensor, nn

__all__ = ["Replay"]

_logger = logging.getLogger(__name__)

PASSES_BEFORE = 8
"""As usual, of one kind: recording takes about as long as so many passes save. Kernels are compiled
in them too."""
MOST_RECORDINGS = 3
"""Each keeps the memory of its pass. Tiles come in full batches, and in one or two smaller ones at
the ends of rows."""

_recording = threading.Lock()


class Replay:
    """Runs a network; what comes again and again is recorded and replayed.

    Only inference on CUDA devices is recorded. Where recording fails, passes go on as usual.
    """

    def __init__(self) -> None:
        self._tally = Tally()
        self._recordings: dict[Hashable, _Recording] = {}

    @property
    def recordings(self) -> int:
        """How many kinds of passes are replayed."""
        return len(self._recordings)

    def __call__(self, network: nn.Module, x: Tensor) -> Tensor | list[Tensor]:
        """Return ``network(x)``; the result is the caller's own."""
        if x.device.type != "cuda" or not torch.is_inference_mode_enabled():
            return _run(network, x)
        if self._tally.begins_anew(_state(network)):
            self._recordings.clear()
        key = _kind(x)
        if self._tally.is_due(key):
            recording = _Recording.make(network, x)
            if recording is not None:
                self._recordings[key] = recording
        if key in self._recordings:
            return self._recordings[key].replay(x)
        return _run(network, x)

    def forget(self) -> None:
        """Give the memory of all recordings back."""
        self._recordings.clear()
        self._tally = Tally()


class Tally:
    """Counts passes, and says which kinds to record."""

    def __init__(self) -> None:
        self._state: Hashable = None
        self._passes: Counter[Hashable] = Counter()
        self._recorded = 0

    def begins_anew(self, state: Hashable) -> bool:
        """Whether what all recordings hold for has changed; then all counts begin anew."""
        if state == self._state:
            return False
        self._state = state
        self._passes.clear()
        self._recorded = 0
        return True

    def is_due(self, kind: Hashable) -> bool:
        """Count a pass; tell, once for each kind, whether it is to be recorded now."""
        self._passes[kind] += 1
        due = self._passes[kind] == PASSES_BEFORE + 1 and self._recorded < MOST_RECORDINGS
        self._recorded += due
        return due


class _Recording:
    """One pass, and the tensors that it reads and writes."""

    def __init__(self, graph: torch.cuda.CUDAGraph, own: Tensor, output: Tensor) -> None:
        self._graph, self._input, self._output = graph, own, output

    def replay(self, x: Tensor) -> Tensor:
        self._input.copy_(x)
        self._graph.replay()
        return self._output.clone()

    @classmethod
    def make(cls, network: nn.Module, x: Tensor) -> _Recording | None:
        """Record a pass, or say in the log why not."""
        graph, own = torch.cuda.CUDAGraph(), x.clone()
        # Weights in another format, kept from an earlier pass, would be gone before the replay.
        autocast = torch.autocast(
            "cuda",
            torch.get_autocast_dtype("cuda"),
            enabled=torch.is_autocast_enabled("cuda"),
            cache_enabled=False,
        )
        with _recording, torch.cuda.device(x.device):
            before = torch.cuda.current_stream()
            # torch's own choice would be one stream for all devices.
            stream = torch.cuda.Stream()
            try:
                with (
                    torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
                    autocast,
                ):
                    output = _run(network, own)
            except RuntimeError as error:  # memory included: a recording needs its own
                _logger.debug("a pass could not be recorded: %s", error)
                return None
            finally:
                torch.cuda.set_stream(before)  # which a recording that failed leaves undone
        return cls(graph, own, output) if isinstance(output, Tensor) else None


def _run(network: nn.Module, x: Tensor) -> Tensor | list[Tensor]:
    output: Tensor | list[Tensor] = network(x)
    return output


def _state(network: nn.Module) -> Hashable:
    """What all recordings hold for; weights count by where they lie, not by their values."""
    weights = tuple(weight.data_ptr() for weight in network.parameters())
    autocast = torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda")
    return id(network), network.training, weights, autocast


def _kind(x: Tensor) -> Hashable:
    return x.shape, x.stride(), x.dtype, x.device
