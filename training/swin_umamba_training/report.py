"""``RUN/report.html``: one file that says how good a model is, on what, and how it was made."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from napari_swin_umamba.plan import Plan
from swin_umamba_training.config import TrainConfig
from swin_umamba_training.data.preparing import name_spans
from swin_umamba_training.data.splitting import Parts
from swin_umamba_training.recipe_files import recipe_to_yaml
from swin_umamba_training.validation import Worst, scored_classes

__all__ = ["Provenance", "write_report"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse } td, th { padding: .2rem .9rem .2rem 0; text-align: left;
  vertical-align: top } td.number, th.number { text-align: right }
tr { border-bottom: 1px solid #ddd } img { max-width: 100% } pre { background: #f5f5f5;
  padding: 1rem; overflow-x: auto; font-size: 13px } figure { margin: 1rem 0 }
figcaption, .note { color: #555 }
"""


@dataclass(frozen=True)
class Provenance:
    """Where a run comes from."""

    parts: Parts
    """Training and validation images."""
    data_hash: str
    """SHA-256 over all images and masks."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Device, versions, computer."""
    notes: tuple[str, ...] = ()
    """What was assumed about the data."""


def write_report(
    path: Path,
    *,
    last: Mapping[str, float | int],
    curves: bytes,
    scores: Mapping[str, float],
    intervals: Mapping[str, Sequence[float]],
    worst: Sequence[Worst],
    config: TrainConfig,
    plan: Plan,
    provenance: Provenance,
    reason: str,
) -> None:
    """Write the report: no other file, no network is needed to read it.

    Parameters
    ----------
    path
        File to write.
    last
        The last validation: ``step`` and ``seconds``.
    curves
        A PNG file.
    scores, intervals
        Of the best model: ``dice NAME`` and ``f1@0.5``; 95 % intervals by class name and ``F1``.
    worst
        Pictures of the images with the lowest scores.
    config, plan, provenance
        Of the run.
    reason
        Why it ended; empty while it goes on.
    """
    step = int(last["step"])
    training, validation = provenance.parts
    state = f"ended: {reason}" if reason else "under way"
    title = config.run.resolve().name
    summary = (
        f"{config.dataset.resolve().name}, {len(training)} training and "
        f"{len(validation)} validation images; {step:,} steps in "
        f"{last['seconds']:,.0f} s ({state})."
    )
    parts = [
        f"<h1>{escape(title)}: {escape(plan.architecture)}</h1>",
        f"<p>{escape(summary)}</p>",
        "<h2>Scores on the validation images</h2>",
        _score_table(scores, intervals, len(validation), plan),
        "<h2>Curves</h2>",
        _picture(
            base64.b64encode(curves).decode("ascii"), "Loss and scores over the steps of the run"
        ),
        *_worst_cases(worst),
        "<h2>Data</h2>",
        _table(
            [
                ("data set", str(config.dataset)),
                ("SHA-256 of images and masks", provenance.data_hash),
                ("training images", ", ".join(name_spans(training))),
                ("validation images", ", ".join(name_spans(validation)) or "none"),
                *(("note", note) for note in provenance.notes),
            ]
        ),
        "<h2>Environment</h2>",
        _table(list(provenance.environment.items())),
        "<h2>Recipe</h2>",
        _table(
            [
                ("start weights", config.init),
                ("seed", str(config.seed)),
                ("patch", f"{plan.patch[0]} x {plan.patch[1]}"),
                ("output", plan.output),
            ]
        ),
        f"<pre>{escape(recipe_to_yaml(config.recipe))}</pre>",
    ]
    head = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>"
    )
    path.write_text(head + "\n".join(parts) + "</body></html>\n", encoding="utf-8")


def _score_table(
    scores: Mapping[str, float],
    intervals: Mapping[str, Sequence[float]],
    images: int,
    plan: Plan,
) -> str:
    if not scores:
        return '<p class="note">No image was held out, so nothing is known about new images.</p>'
    rows = []
    for name, value in scores.items():
        plain = "F1" if name.startswith("f1") else name.removeprefix("dice ")
        label = "F1 of objects (IoU 0.5)" if plain == "F1" else f"Dice: {plain}"
        low, high = intervals.get(plain, (None, None))
        between = "" if low is None else f"{low:.3f} to {high:.3f}"
        rows.append(
            f'<tr><td>{escape(label)}</td><td class="number">{value:.3f}</td>'
            f'<td class="number">{between}</td></tr>'
        )
    rows += [
        f'<tr><td>{escape(f"Dice: {name}")}</td><td colspan="2">in no validation image</td></tr>'
        for _, name in scored_classes(plan)
        if f"dice {name}" not in scores
    ]
    note = (
        "Intervals: the images drawn with replacement a thousand times. "
        if intervals
        else "Too few images for an interval. "
    )
    return (
        '<table><tr><th>score</th><th class="number">value</th>'
        '<th class="number">95 % interval</th></tr>'
        + "".join(rows)
        + f'</table><p class="note">{note}Over the pixels of {images} '
        f"image{'s' * (images != 1)}, which also chose the best moment of the run: on other images "
        "expect a little less.</p>"
    )


def _worst_cases(worst: Sequence[Worst]) -> list[str]:
    if not worst:
        return []
    pictures = [
        _picture(item.png, f"{item.name}: {item.score:.3f} (image, truth, prediction)")
        for item in worst
    ]
    return ["<h2>Worst cases</h2>", *pictures]


def _picture(png: str, caption: str) -> str:
    text = escape(caption)
    return (
        f'<figure><img alt="{text}" src="data:image/png;base64,{png}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _table(rows: Sequence[tuple[str, str]]) -> str:
    cells = (f"<tr><td>{escape(a)}</td><td>{escape(b)}</td></tr>" for a, b in rows)
    return f"<table>{''.join(cells)}</table>"
