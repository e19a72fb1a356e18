"""Takes layers out of the viewer, once the canvas was drawn without the tool that they had.

A Labels layer that is removed with its tool in hand ends programs that draw without a GPU: Mesa
goes on with the buffers of what the tool drew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from napari.layers import Labels
from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["Screen", "is_leaving", "take_out"]

_leaving: WeakSet[Any] = WeakSet()
"""Layers that :func:`take_out` will remove in a moment."""

_DRAWN = 0.15
"""Seconds within which the canvas is drawn."""
_NO_TOOL = "pan_zoom"


class Screen(QObject):
    """What is shown is replaced a moment after it was asked for."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._down_at = -_DRAWN
        self._then: Callable[[], None] | None = None
        self._out: Sequence[Any] = ()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._replace)
        self.tool = ""
        """The tool of the layer that was left last."""
        self.changing = False
        """Layers come and go because of this object, not of the person."""

    @property
    def waiting(self) -> bool:
        """Whether something is to be shown in a moment."""
        return self._timer.isActive()

    def leave(self, layer: Labels) -> None:
        """Begin to leave a layer: its tool is put down, to be taken up again on the next one."""
        self.tool = str(layer.mode)
        self.put_tool_down(layer)

    def put_tool_down(self, layer: Labels) -> None:
        """Leave a layer without a tool."""
        if layer.mode != _NO_TOOL:
            layer.mode = _NO_TOOL
            self._down_at = time.monotonic()

    def take_tool(self, layer: Labels) -> None:
        """Give a layer the tool that the one before it had."""
        if self.tool and layer.editable:
            layer.mode = self.tool

    def replace(self, out: Sequence[Any], then: Callable[[], None]) -> None:
        """Take layers out, then do something; what waited before is given up for it.

        Parameters
        ----------
        out
            Layers; those that have a tool get rid of it now.
        then
            Shows something else.
        """
        for layer in out:
            if isinstance(layer, Labels):
                self.put_tool_down(layer)
        self._out, self._then = [*self._out, *out], then
        if self._just_put_down:
            self._timer.start(self.delay)
        else:
            self._replace()

    @property
    def delay(self) -> int:
        """Milliseconds until the canvas has been drawn."""
        return max(0, round(1000 * (self._down_at + _DRAWN - time.monotonic())))

    def stop(self) -> Sequence[Any]:
        """Show nothing any more; return the layers that were to be taken out."""
        self._timer.stop()
        out, self._out, self._then = self._out, (), None
        return out

    @property
    def _just_put_down(self) -> bool:
        return self.delay > 0

    def _replace(self) -> None:
        self._timer.stop()
        then, out = self._then, self.stop()
        self.changing = True
        try:
            _remove(self._viewer, out)
            if then is not None:
                then()
        finally:
            self.changing = False


def take_out(viewer: ViewerModel, layers: Sequence[Any], delay: int) -> None:
    """Take layers out of a viewer that nobody looks after any more.

    Parameters
    ----------
    viewer
        It may be closed meanwhile.
    layers
        Without a tool.
    delay
        Milliseconds.
    """
    _leaving.update(layers)
    if delay:
        QTimer.singleShot(delay, partial(_remove, viewer, layers))
    else:
        _remove(viewer, layers)


def is_leaving(layer: Any) -> bool:
    """Whether a layer will be taken out in a moment: it must not be used any more."""
    return layer in _leaving


def _remove(viewer: ViewerModel, layers: Sequence[Any]) -> None:
    for layer in layers:
        if layer in viewer.layers:
            viewer.layers.remove(layer)
