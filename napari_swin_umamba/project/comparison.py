"""Did a training help? What a comparison found, and what follows from it.

The scores are made by training; what they mean, and in which words it is said, is settled here, so
that napari and the command line agree.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "FEWEST_PIXELS",
    "FEWEST_SLICES",
    "ClassScore",
    "Comparison",
    "EarlierScore",
    "Outcome",
    "outcome_words",
    "verdict_sentence",
]

FEWEST_SLICES = 3
"""Held-out slices that show a class, below which nothing is said about it."""
FEWEST_PIXELS = 200
"""Painted pixels of a class on them, below which nothing is said about it."""

Outcome = Literal["better", "tie", "worse", "mixed", "too_little", "first"]
"""``mixed``: some classes better, others worse. ``first``: there was no model before."""

_WORDS: dict[str, str] = {
    "better": "better",
    "tie": "no difference",
    "worse": "worse",
    "mixed": "mixed",
    "too_little": "too little to tell",
    "first": "first model",
}


class _Frozen(BaseModel):
    """Immutable; fields that a newer version added are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class EarlierScore(_Frozen):
    """Scores of a class on the slices by which the model before was judged."""

    before: float
    after: float
    slices: int
    forgotten: bool = False
    """It is worse there, and that is no chance."""


class ClassScore(_Frozen):
    """A class, before and after, on the painted pixels of held-out slices."""

    id: int
    """In the project."""
    name: str
    metric: Literal["dice", "f1"] = "dice"
    """``f1``: of objects, at an overlap (IoU) of one half."""
    before: float | None
    """None: the model before does not know the class, there is none, or no held-out slice shows the
    class."""
    after: float | None
    """None: no held-out slice shows the class."""
    slices: int
    """Held-out slices that show the class."""
    pixels: int
    """Painted pixels of the class on them."""
    interval: tuple[float, float] | None = None
    """95 % interval of the difference, after minus before."""
    outcome: Outcome
    earlier: EarlierScore | None = None
    """None: there were no earlier slices."""


class Comparison(_Frozen):
    """The model before and the model after, on slices that neither was trained on."""

    outcome: Outcome
    before: str | None = None
    """Name of the model before: ``v3``, or that of the start model; None: there is none."""
    classes: tuple[ClassScore, ...] = ()
    """Those that are painted anywhere."""
    slices: tuple[str, ...] = ()
    """The held-out slices: ``IMAGE-ID:POSITION``."""
    difference: float | None = None
    """Mean over the classes of after minus before."""
    interval: tuple[float, float] | None = None
    """Its 95 % interval."""
    notes: tuple[str, ...] = Field(default=())

    @property
    def adopted(self) -> bool:
        """Whether the new model becomes the project's without anybody being asked."""
        return self.outcome in ("better", "first")

    @property
    def forgotten(self) -> tuple[ClassScore, ...]:
        """Classes that became worse on earlier slices."""
        return tuple(item for item in self.classes if item.earlier and item.earlier.forgotten)


def outcome_words(outcome: Outcome) -> str:
    """An outcome in two or three words."""
    return _WORDS[outcome]


def verdict_sentence(comparison: Comparison, name: str, overtaken: str = "") -> str:
    """What became of a new model, in one or two sentences.

    Parameters
    ----------
    comparison
        What was found.
    name
        Of the new model: ``v4``.
    overtaken
        Name of the project's model, where it was another by the time the new one came back.
    """
    before = comparison.before or "the model before"
    sentences = {
        "better": f"{name} is better than {before} and is now this project's model.",
        "first": f"{name} is this project's first model.",
        "tie": f"{name} and {before} do not differ by more than chance; {before} stays.",
        "worse": f"{name} is worse than {before}, which stays.",
        "mixed": f"{name} is better for some classes and worse for others; {before} stays.",
        "too_little": f"Too little to tell whether {name} is better than {before}: "
        f"{_lacking(comparison)}. Look at both and choose.",
    }
    sentence = sentences[comparison.outcome]
    if overtaken:
        beside = comparison.before or "no model"
        has = "has no model" if overtaken == "none" else f"goes by {overtaken}"
        sentence = (
            f"{name} was compared with {beside}, but this project {has} by now. Look at both and "
            "choose."
        )
    if comparison.forgotten:
        names = ", ".join(
            f"{item.name} {item.earlier.before:.2f} → {item.earlier.after:.2f}"
            for item in comparison.forgotten
            if item.earlier
        )
        sentence += f" On earlier slices it forgot: {names}."
    return sentence


def _lacking(comparison: Comparison) -> str:
    """What would have to be painted to tell."""
    if not comparison.slices:
        return "no slice is held out"
    few = [item for item in comparison.classes if item.outcome == "too_little"]
    parts = []
    for item in few:
        slices = f"{item.slices} held-out {'slice' if item.slices == 1 else 'slices'}"
        parts.append(f"{item.name} on {slices}, {item.pixels:,} pixels")
    need = f"{FEWEST_SLICES} slices and {FEWEST_PIXELS} pixels are needed"
    return f"{'; '.join(parts)} ({need})" if parts else need
