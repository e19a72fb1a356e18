"""A small picture of how a training goes: its loss, and Dice on held-out slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

__all__ = ["CurvePlot", "thinned"]

Points = Sequence[tuple[float, float]]

_HEIGHT = 84
_MOST_POINTS = 300
_SMOOTHING = 0.9
_LOSS_COLOR = "#999999"
_MARGIN = 3.0
"""Room for the last point, where a line ends."""


def thinned(points: Points, most: int = _MOST_POINTS) -> list[tuple[float, float]]:
    """At most `most` points, each the mean of its neighbours: a long run is drawn as fast."""
    if len(points) <= most:
        return list(points)
    edges = [len(points) * index // most for index in range(most + 1)]
    groups = [points[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    return [
        (group[-1][0], sum(value for _, value in group) / len(group)) for group in groups if group
    ]


def _smoothed(points: Points) -> list[tuple[float, float]]:
    """A running mean: losses of single steps jump."""
    result: list[tuple[float, float]] = []
    mean = points[0][1] if points else 0.0
    for place, value in points:
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * value
        result.append((place, mean))
    return result


class CurvePlot(QWidget):
    """Two curves side by side, each with its own scale."""

    def __init__(self) -> None:
        super().__init__()
        self._loss: list[tuple[float, float]] = []
        self._dice: dict[str, list[tuple[float, float]]] = {}
        self._colors: dict[str, str] = {}
        self.setMinimumHeight(_HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """As wide as the dock."""
        return QSize(240, _HEIGHT)

    def show_curves(
        self, loss: Points, dice: Mapping[str, Points], colors: Mapping[str, str]
    ) -> None:
        """Draw other points.

        Parameters
        ----------
        loss
            Step and loss.
        dice
            By class: step and Dice.
        colors
            By class: ``#rrggbb``.
        """
        self._loss = thinned(_smoothed(loss))
        self._dice = {name: list(points) for name, points in dice.items()}
        self._colors = dict(colors)
        self.setToolTip(self._words())
        self.update()

    def _words(self) -> str:
        lines = ["Loss of the steps (smoothed), and Dice on held-out slices."]
        if self._loss:
            lines.append(f"loss {self._loss[-1][1]:.3f}")
        lines += [f"{name} {points[-1][1]:.3f}" for name, points in self._dice.items() if points]
        return "\n".join(lines)

    def paintEvent(self, a0: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        half = self.width() / 2
        left = QRectF(0, 0, half - 6, self.height())
        right = QRectF(half + 6, 0, half - 6, self.height())
        values = [value for _, value in self._loss]
        top = max(values, default=1.0) or 1.0
        now = f"loss {values[-1]:.3f}" if values else "loss"
        self._draw(painter, left, now, [(self._loss, _LOSS_COLOR)], top)
        curves = [(points, self._colors.get(name, "")) for name, points in self._dice.items()]
        best = [points[-1][1] for points in self._dice.values() if points]
        title = f"Dice {sum(best) / len(best):.3f}" if best else "Dice (held out)"
        self._draw(painter, right, title, curves, 1.0)
        painter.end()

    def _draw(
        self,
        painter: QPainter,
        area: QRectF,
        title: str,
        curves: Sequence[tuple[Points, str]],
        top: float,
    ) -> None:
        text = self.palette().windowText().color()
        faint = QColor(text)
        faint.setAlpha(70)
        line = painter.fontMetrics().height()
        frame = area.adjusted(0.5, line + 2.5, -_MARGIN, -0.5)
        painter.setPen(text)
        flags = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop
        painter.drawText(area, int(flags), title)
        painter.setPen(QPen(faint, 1))
        painter.drawLine(frame.bottomLeft(), frame.bottomRight())
        painter.drawLine(frame.topLeft(), frame.bottomLeft())
        last = max((points[-1][0] for points, _ in curves if points), default=0.0)
        for points, color in curves:
            if not points:
                continue
            places = [
                QPointF(
                    frame.left() + frame.width() * place / max(last, 1e-9),
                    frame.bottom() - frame.height() * min(1.0, value / top),
                )
                for place, value in points
            ]
            pen = QPen(QColor(color) if color else text, 1.6)
            painter.setPen(pen)
            if len(places) == 1:
                painter.drawEllipse(places[0], 1.5, 1.5)
            else:
                painter.drawPolyline(QPolygonF(places))
