"""Passes of a network as one CUDA graph: issued at once, not kernel by kernel.

Issuing the few hundred kernels of a pass takes a processor tens of milliseconds, however small the
image; a graph is issued in one call.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn

__all__ = ["Replay"]

_logger = logging.getLogger(__name__)

_PASSES_BEFORE = 2
"""As usual, of one shape: kernels are compiled there, and one pass is not worth recording."""

_Key = tuple[object, ...]


class Replay:
    """Runs a network; what comes again and again is recorded and replayed.

    Only inference on CUDA devices is recorded, and only the latest shape, since a recording keeps
    the memory of its pass. Where recording fails, passes go on as usual.
    """

    def __init__(self) -> None:
        self._key: _Key | None = None
        self._passes = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._input: Tensor | None = None
        self._output: Tensor | None = None

    @property
    def recorded(self) -> bool:
        """Whether the last shape is replayed."""
        return self._graph is not None

    def __call__(self, network: nn.Module, x: Tensor) -> Tensor | list[Tensor]:
        """Return ``network(x)``; the result is the caller's own."""
        if x.device.type != "cuda" or not torch.is_inference_mode_enabled():
            return _run(network, x)
        key = _key(network, x)
        if key != self._key:
            self.forget()
            self._key = key
        if self._graph is None and self._passes == _PASSES_BEFORE:
            self._record(network, x)
        self._passes += 1
        if self._graph is None or self._input is None or self._output is None:
            return _run(network, x)
        self._input.copy_(x)
        self._graph.replay()
        return self._output.clone()

    def forget(self) -> None:
        """Give the recording's memory back."""
        self._graph = self._input = self._output = self._key = None
        self._passes = 0

    def _record(self, network: nn.Module, x: Tensor) -> None:
        graph, own = torch.cuda.CUDAGraph(), x.clone()
        # Weights in another format, kept from an earlier pass, would be gone before the replay.
        autocast = torch.autocast(
            "cuda",
            torch.get_autocast_dtype("cuda"),
            enabled=torch.is_autocast_enabled("cuda"),
            cache_enabled=False,
        )
        try:
            with (
                torch.cuda.device(x.device),
                torch.cuda.graph(graph, capture_error_mode="thread_local"),
                autocast,
            ):
                output = _run(network, own)
        except RuntimeError as error:  # memory included: a recording needs its own
            _logger.debug("a pass could not be recorded: %s", error)
            return
        if isinstance(output, Tensor):
            self._graph, self._input, self._output = graph, own, output


def _run(network: nn.Module, x: Tensor) -> Tensor | list[Tensor]:
    output: Tensor | list[Tensor] = network(x)
    return output


def _key(network: nn.Module, x: Tensor) -> _Key:
    """What a recording holds for; weights count by where they lie, not by their values."""
    weights = tuple(weight.data_ptr() for weight in network.parameters())
    autocast = torch.is_autocast_enabled("cuda") and torch.get_autocast_dtype("cuda")
    return (
        id(network),
        network.training,
        weights,
        x.shape,
        x.dtype,
        x.stride(),
        x.device,
        autocast,
    )
