"""The suggestions that are listed, and what the model thought of the slices. Without Qt."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from napari_swin_umamba.plugin.annotate.painted_section import words
from napari_swin_umamba.plugin.annotate.suggest_list import Row
from napari_swin_umamba.plugin.annotate.suggest_work import SECONDS, Listed, LookedAt
from napari_swin_umamba.plugin.words import count, duration
from napari_swin_umamba.project import (
    ImageReference,
    OpenSlices,
    Slice,
    SliceScore,
    Suggestion,
    suggest_evenly,
    suggest_unsure,
)
from napari_swin_umamba.project.suggestion import REASONS

__all__ = ["SHOWN", "Suggestions", "slice_words"]

SHOWN = 5
"""Slices suggested at once."""
_ENDS = {
    "done": ". The least sure come first.",
    "cancelled": ", then it was cancelled.",
    "failed": ", then it failed.",
}


class Suggestions:
    """Of one search.

    Parameters
    ----------
    model
        Name of the model that looks at slices; None: there is none.
    several
        Slices of several images are listed, so their names are said.
    """

    def __init__(self, model: str | None = None, several: bool = False) -> None:
        self.model, self.several = model, several
        self.listed: list[Suggestion] = []
        self._slices: OpenSlices | None = None
        self._scores: dict[Slice, SliceScore] = {}
        self._free = self._planned = 0

    def take(self, news: Listed | LookedAt) -> None:
        """Take note of what the search found."""
        if isinstance(news, Listed):
            self._slices, self._planned = news.slices, news.planned
            self._free = len(news.slices.candidates)
        else:
            self._scores[news.slice] = news.score

    @property
    def looked_at(self) -> int:
        """Slices that the model has looked at."""
        return len(self._scores)

    def choose(self) -> None:
        """List slices anew."""
        self.listed = []
        self._fill()

    def remove(self, painted: Slice) -> bool:
        """Take a slice that was painted off the list; return whether it stood there."""
        self._leave(painted)
        before = len(self.listed)
        self.listed = [one for one in self.listed if one.slice != painted]
        return len(self.listed) < before

    def skip(self, skipped: Slice) -> None:
        """Take a slice off the list, and list another one in its place."""
        self.remove(skipped)
        self._fill()

    def rows(self) -> list[Row]:
        """The list in words; bars are relative to the slice that is least sure."""
        assert self._slices is not None or not self.listed
        most = max((score.score for score in self._scores.values()), default=0.0)
        rows = []
        for one in self.listed:
            assert self._slices is not None
            place = slice_words(self._slices.images[one.image_id], one.slice, self.several)
            text = f"{place} · {REASONS[one.reason]}"
            score = one.score
            if score is None:
                rows.append(Row(one.slice, text, f"{text}. Click to go there."))
                continue
            tooltip = (
                f"{text}. Click to go there. Predictions of it disagree by {score.score:.3f} "
                f"(0: not at all, 1: everywhere): mirrored or moved {score.changed:.3f}, "
                f"neighbours {score.neighbours:.3f}."
            )
            rows.append(Row(one.slice, text, tooltip, score.score / most if most else 0.0))
        return rows

    def covers(self, image_id: str) -> bool:
        """Whether slices of an image were listed."""
        return self._slices is not None and image_id in self._slices.images

    def words(self, end: Literal["done", "cancelled", "failed"]) -> str:
        """Say what was looked at.

        Parameters
        ----------
        end
            How the search ended.
        """
        slices = self._slices
        if slices is None:
            return ""
        flat = all(not image.fixed_axes for image in slices.images.values())
        noun = "image" if flat else "slice"
        if not self._free:
            return f"Nothing is left: all {noun}s are painted, held out or skipped."
        if self.model is None:
            return (
                f"The project has no model yet, so these {noun}s are evenly spaced. Once there is "
                "one, those that it is least sure of come first."
            )
        free, done = self._free, self.looked_at
        if not done:
            return f"{self.model} looked at nothing."
        if done == free:
            said = f"{self.model} looked at {count(free, noun)}"
        else:
            said = f"{self.model} looked at {done:,} of {count(free, noun)}"
            out_of_time = done < self._planned and end == "done"
            said += f", in {duration(SECONDS)}" if out_of_time else ""
            said += ", evenly spaced"
        return said + _ENDS[end]

    def _fill(self) -> None:
        if self._slices is None:
            return
        kept = [one.slice for one in self.listed]
        wanted = SHOWN - len(kept)
        if self.model is None:
            self.listed += suggest_evenly(self._slices, wanted, kept)
            order = {image: number for number, image in enumerate(self._slices.images)}
            self.listed.sort(key=lambda one: (order[one.image_id], one.position))
            return
        self.listed += suggest_unsure(self._scores, self._slices, wanted, kept)
        self.listed.sort(key=lambda one: -(one.score.score if one.score else 0.0))

    def _leave(self, known: Slice) -> None:
        """A slice is no candidate any more."""
        if self._slices is not None and known[0] in self._slices.images:
            self._slices = replace(
                self._slices,
                candidates=tuple(one for one in self._slices.candidates if one != known),
                taken=self._slices.taken | {known},
            )


def slice_words(image: ImageReference, where: Slice, several: bool) -> str:
    """Name of a slice: ``12``; with the image's, where several are listed or it has no slices."""
    place = words(image, where[1])
    if not image.fixed_axes:
        return image.name
    return f"{image.name} {place}" if several else place
