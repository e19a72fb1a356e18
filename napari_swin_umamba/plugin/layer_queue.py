"""Layers that wait to be segmented, one after the other. Without Qt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from napari_swin_umamba.plugin.words import count

__all__ = ["LayerQueue"]


class LayerQueue:
    """What is still to do, and what went wrong."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.total = 0
        """Layers that were put in; 0: nothing is queued, or was since the last :meth:`clear`."""
        self.problems: list[str] = []

    def fill(self, layers: Iterable[Any]) -> None:
        """Begin anew with some layers."""
        self.waiting = list(layers)
        self.total, self.problems = len(self.waiting), []

    def drop(self, layer: Any, runs: bool = False) -> None:
        """Take a layer out that was removed from the viewer.

        Parameters
        ----------
        layer
            Any layer.
        runs
            Whether it is the one that is being segmented.
        """
        if layer in self.waiting or (runs and self.total):
            self.waiting = [other for other in self.waiting if other != layer]
            self.note(layer, "It was removed.")

    def note(self, layer: Any, problem: str) -> None:
        """Remember why a layer was not segmented."""
        self.problems.append(f"{layer.name}: {problem}")

    def clear(self) -> None:
        """Forget everything."""
        self.fill([])

    def place(self) -> str:
        """Say which layer is being segmented: ``Layer 2 of 3``; empty if there is but one."""
        if self.total < 2:
            return ""
        return f"Layer {self.total - len(self.waiting)} of {self.total}"

    def summary(self) -> str:
        """Say what became of all."""
        done = self.total - len(self.problems)
        return "\n".join([f"{done} of {count(self.total, 'layer')} segmented.", *self.problems])
