"""Counts a Labels layer in a thread, and again whenever a person has changed it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal

from napari_swin_umamba.plan import SegmentationClass
from napari_swin_umamba.plugin.reading import Reading
from napari_swin_umamba.plugin.runner import Runner
from napari_swin_umamba.plugin.worker import Channel, Failure

if TYPE_CHECKING:
    from napari_swin_umamba.segmentation import Measurements

__all__ = ["Measured", "Measurer"]

_SETTLE = 500
"""Milliseconds after a stroke before the layer is counted again."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What is counted, and how large its pixels are."""

    layer: Labels
    spacing: tuple[float, ...] | None
    unit: str | None
    axes: str
    """One letter for each axis of the layer, of T, Z, Y, X."""
    classes: tuple[SegmentationClass, ...]
    instances: bool

    @classmethod
    def of_result(
        cls,
        layer: Labels,
        reading: Reading,
        classes: tuple[SegmentationClass, ...],
        instances: bool,
    ) -> Measured:
        """Describe the result of a run."""
        spatial = iter("ZYX"[-len(reading.spatial_axes) :])
        axes = "".join("T" if reading.is_time(a) else next(spatial, "?") for a in reading.kept_axes)
        return cls(layer, reading.volume_spacing, reading.unit, axes, classes, instances)


class Measurer(QObject):
    """Counts one layer at a time."""

    measured = Signal(str, object)
    """Name of the layer, and its ``Measurements``; None if it cannot be counted."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._runner = Runner(self)
        self._runner.ended.connect(self._show)
        self._target: Measured | None = None
        self._stale = False
        self._disconnect: list[Callable[[], object]] = []
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE)
        self._settle.timeout.connect(self._measure)

    def watch(self, target: Measured | None) -> None:
        """Count a layer now and after each change; None: no layer."""
        for disconnect in self._disconnect:
            disconnect()
        self._disconnect.clear()
        self._settle.stop()
        self._target = target
        if target is None:
            return
        events = target.layer.events
        for event in (events.labels_update, events.data, events.name):
            event.connect(self._on_change)
            self._disconnect.append(partial(event.disconnect, self._on_change))
        self._measure()

    @property
    def layer(self) -> Labels | None:
        """The layer that is counted."""
        return None if self._target is None else self._target.layer

    def shut_down(self) -> None:
        """Let go of the layer."""
        self.watch(None)
        self._runner.abandon()

    def _on_change(self, _event: Any = None) -> None:
        self._settle.start()

    def _measure(self) -> None:
        if self._target is None:
            return
        if self._runner.running:
            self._stale = True
            return
        self._stale = False
        self._runner.start(partial(_measure, self._target, self._target.layer.data))

    def _show(self, outcome: Any) -> None:
        if self._stale:
            self._measure()
        elif self._target is not None:
            usable = None if isinstance(outcome, Failure) else outcome
            self.measured.emit(self._target.layer.name, usable)


def _measure(target: Measured, data: Any, _channel: Channel) -> Measurements:
    from napari_swin_umamba.segmentation import measure_labels

    measurements = measure_labels(
        data,
        spacing=target.spacing,
        unit=target.unit,
        classes=target.classes,
        instances=target.instances,
        axes=target.axes,
    )
    measurements.summary()  # kept: with 100,000 objects it would keep the window for 0.2 s
    return measurements
