"""Counts a Labels layer in a thread, and again whenever a person has changed it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer, Signal

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.plan import SegmentationClass
from napari_swin_umamba.plugin.reading import Reading
from napari_swin_umamba.plugin.reruns import digest
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
    pixel_size: float | None
    """Area or volume in `unit`; None: not known."""
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
        spatial = reading.spatial_axes[-3:]
        letters = dict(zip(spatial, "ZYX"[-len(spatial) :], strict=True))
        # More axes than a space has, and nobody said what the first ones are: frames.
        axes = "".join(letters.get(axis, "T") for axis in reading.kept_axes)
        return cls(layer, reading.pixel_size(spatial), reading.unit, axes, classes, instances)

    def same_sizes(self, other: Measured) -> bool:
        """Whether another one would count the same."""
        return (self.pixel_size, self.unit, self.axes) == (
            other.pixel_size,
            other.unit,
            other.axes,
        )


class Measurer(QObject):
    """Counts one layer at a time."""

    measured = Signal(str, object)
    """Name of the layer, and its ``Measurements``, or a ``Failure`` if it cannot be counted."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._runner = Runner(self)
        self._runner.ended.connect(self._show)
        self._target: Measured | None = None
        self._counted: tuple[str, str] | None = None
        """Name and digest of what was counted last."""
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
        self._target, self._counted = target, None
        if target is None:
            return
        events = target.layer.events
        # set_data: napari redraws the layer. That is all it says of undo and redo.
        for event in (events.labels_update, events.data, events.set_data, events.name):
            event.connect(self._on_change)
            self._disconnect.append(partial(event.disconnect, self._on_change))
        self._measure()

    @property
    def target(self) -> Measured | None:
        """What is counted."""
        return self._target

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
        layer = self._target.layer
        self._runner.start(partial(_measure, self._target, layer.name, layer.data, self._counted))

    def _show(self, outcome: Any) -> None:
        if self._stale:
            self._measure()
        elif self._target is not None and outcome is not None:
            name = self._target.layer.name
            if isinstance(outcome, Failure):
                self.measured.emit(name, outcome)
            else:
                measurements, self._counted = outcome
                self.measured.emit(name, measurements)


def _measure(
    target: Measured,
    name: str,
    data: Any,
    counted: tuple[str, str] | None,
    _channel: Channel,
) -> tuple[Measurements, tuple[str, str]] | None:
    """Count, unless just that was counted before: most redraws come from the slider."""
    from napari_swin_umamba.segmentation import measure_labels

    if target.axes.count("T") > 1:
        raise InputError(
            f"sizes are counted in layers of up to 4 axes (T, Z, Y, X), and this one has "
            f"{len(target.axes)}"
        )
    now = name, digest(data)
    if now == counted:
        return None
    measurements = measure_labels(
        data,
        pixel_size=target.pixel_size,
        unit=target.unit,
        classes=target.classes,
        instances=target.instances,
        axes=target.axes,
    )
    measurements.summary()  # kept: with 100,000 objects it would keep the window for 0.2 s
    return measurements, now
