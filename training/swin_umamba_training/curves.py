"""The picture of a run: loss and scores over its steps."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

__all__ = ["plot_curves"]

# Okabe and Ito's colours, told apart with every common colour vision.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def plot_curves(rows: Sequence[Mapping[str, float | int]]) -> bytes:
    """Draw loss (left) and scores (right) over steps.

    Parameters
    ----------
    rows
        One mapping per validation: ``step``, ``train_loss``, perhaps ``val_loss``, and scores
        in [0, 1], whose names begin with ``dice`` or ``f1``.

    Returns
    -------
    bytes
        A PNG file.
    """
    # No pyplot: its figures are global, and it may open a window.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    losses, scores = figure.subplots(1, 2)
    steps = [row["step"] for row in rows]
    labels = {"train_loss": "training", "val_loss": "validation"}
    for name, color in zip(labels, _COLORS, strict=False):
        if name in rows[0]:
            values = [row[name] for row in rows]
            losses.plot(steps, values, color=color, marker=".", label=labels[name])
    names = [name for name in rows[0] if name.startswith(("dice", "f1"))]
    for index, name in enumerate(names):
        values = [row[name] for row in rows]
        color = _COLORS[index % len(_COLORS)]
        scores.plot(steps, values, color=color, marker=".", label=name.replace("_", " "))
    losses.set(xlabel="step", ylabel="loss (Dice + cross-entropy)")
    scores.set(xlabel="step", ylabel="score on validation images", ylim=(-0.02, 1.02))
    for axes in (losses, scores):
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend(frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
