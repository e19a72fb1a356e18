"""Which slices are suggested: never taken ones, never neighbours, the least sure, spread out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_swin_umamba.errors import InputError
from napari_swin_umamba.images import Image
from napari_swin_umamba.project import (
    FileReference,
    ImageReference,
    OpenSlices,
    Project,
    Skipped,
    SliceScore,
    list_slices,
    suggest_evenly,
    suggest_unsure,
)
from napari_swin_umamba.project.suggestion import coarse_first, thin_out


def reference(name: str, axes: str, shape: tuple[int, ...]) -> ImageReference:
    file = FileReference(path=f"{name}.tif", sha256="0" * 64, size=1)
    axis = "Z" if "Z" in axes else None
    return ImageReference(
        id=name, name=name, files=(file,), axes=axes, shape=shape, slice_axis=axis
    )


@st.composite
def projects(draw: st.DrawFn) -> OpenSlices:
    """Stacks, a film of stacks and flat images, some of whose slices are taken or held out."""
    images, candidates, taken = {}, [], []
    for number in range(draw(st.integers(1, 3))):
        axes, fixed = draw(
            st.sampled_from(
                [("ZYX", (draw(st.integers(1, 40)),)), ("TZYX", (2, 9)), ("YX", ())],
            )
        )
        image = reference(f"i{number}", axes, (*fixed, 4, 4))
        images[image.id] = image
        for position in np.ndindex(*fixed):
            where = draw(st.sampled_from(["free", "free", "free", "taken", "held out"]))
            if where == "free":
                candidates.append((image.id, tuple(position)))
            elif where == "taken":
                taken.append((image.id, tuple(position)))
    total = len(candidates) + len(taken)
    return OpenSlices(images, tuple(candidates), frozenset(taken), total)


def neighbours(one: tuple, other: tuple) -> bool:
    here, there = np.array(one[1]), np.array(other[1])
    return one[0] == other[0] and bool(here.size) and int(np.abs(here - there).max()) <= 1


def scored(slices: OpenSlices, values: list[float]) -> dict:
    pairs = zip(slices.candidates, values, strict=False)
    return {one: SliceScore(value, value, 0.0) for one, value in pairs}


@given(projects(), st.lists(st.floats(0, 1), min_size=60, max_size=60), st.integers(1, 8))
def test_suggestions_are_free_and_no_neighbours(
    slices: OpenSlices, values: list[float], count: int
) -> None:
    scores = scored(slices, values)
    for suggested, among in (
        (suggest_unsure(scores, slices, count), set(scores)),
        (suggest_evenly(slices, count), set(slices.candidates)),
    ):
        places = [one.slice for one in suggested]
        assert len(places) == len(set(places)) <= count
        assert set(places) <= among
        for one in places:
            assert not any(neighbours(one, other) for other in places if other != one)
        if len(places) < count:  # only where there is no other
            for one in among - set(places):
                assert any(neighbours(one, other) for other in places)
        kept = places[:1]
        for more in (suggest_evenly(slices, count, kept), suggest_unsure(scores, slices, 2, kept)):
            assert not any(neighbours(one.slice, other) for one in more for other in kept)
            assert not {one.slice for one in more} & set(kept)


@given(projects(), st.lists(st.floats(0, 1), min_size=60, max_size=60), st.integers(1, 8))
def test_the_least_sure_come_first(slices: OpenSlices, values: list[float], count: int) -> None:
    scores = scored(slices, values)
    suggested = suggest_unsure(scores, slices, count)
    found = [scores[one.slice].score for one in suggested]
    assert found == sorted(found, reverse=True)
    if scores and not slices.taken:
        assert found[0] == max(score.score for score in scores.values())


def test_suggestions_keep_clear_of_what_is_painted_while_they_can() -> None:
    image = reference("a", "ZYX", (40, 4, 4))
    every = [("a", (z,)) for z in range(40)]
    painted = frozenset([("a", (20,))])
    slices = OpenSlices({"a": image}, tuple(e for e in every if e not in painted), painted, 40)
    scores = {one: SliceScore(1 / (1 + abs(one[1][0] - 20)), 0, 1) for one in slices.candidates}
    found = [one.position[0] for one in suggest_unsure(scores, slices, 3)]
    assert all(abs(z - 20) >= 6 for z in found)
    assert all(abs(a - b) >= 6 for a in found for b in found if a != b)
    everywhere = frozenset(every[::2])
    slices = OpenSlices({"a": image}, tuple(every[1::2]), everywhere, 40)
    assert len(suggest_unsure(scores, slices, 3)) == 3  # beside paint: better than nothing


def test_even_spacing_halves_the_gaps() -> None:
    image = reference("a", "ZYX", (41, 4, 4))
    every = tuple(("a", (z,)) for z in range(41))
    found = [
        one.position[0]
        for one in suggest_evenly(OpenSlices({"a": image}, every, frozenset(), 41), 3)
    ]
    assert found[1] == 20
    assert all(4 <= z <= 36 for z in found)
    assert min(b - a for a, b in zip(found, found[1:], strict=False)) >= 12


@given(st.integers(0, 300), st.integers(1, 70))
def test_searches_that_end_early_were_everywhere(count: int, most: int) -> None:
    order = coarse_first(count)
    assert sorted(order) == list(range(count))
    for done in range(1, count + 1):
        seen = [-1, *sorted(order[:done]), count]
        assert max(b - a for a, b in zip(seen, seen[1:], strict=False)) <= 2 * count / done + 1
    few = thin_out(range(count), most)
    assert len(few) == min(count, most)
    assert few == sorted(set(few))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.create(tmp_path / "project", "semantic", ["liver"])
    file = tmp_path / "a.tif"
    file.write_bytes(b"x")
    made.add_image([file], Image(np.zeros((20, 4, 4), np.uint8), "ZYX"))
    return made


def test_painted_held_out_and_skipped_slices_are_no_candidates(project: Project) -> None:
    (image,) = project.images
    project.annotation(image.id).write((2,), np.ones((4, 4), np.uint8))
    project.annotation(image.id).set_complete((3,), True)
    project.save_roles(project.roles.assigned({(image.id, 1): "held_out"}))
    Skipped().with_slice(image.id, (19,), True).write(project.folder)
    slices = list_slices(project)
    assert [z for _, (z,) in slices.candidates] == [0, 1, 4, 5, 6, 7, 16, 17, 18]
    assert {z for _, (z,) in slices.taken} == {2, 3, 19}
    assert slices.total == 20
    with pytest.raises(InputError, match="no image 'b'"):
        list_slices(project, ["b"])


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4), st.booleans())))
def test_skipped_slices_are_what_was_said_last(said: list[tuple[str, int, bool]]) -> None:
    skipped, truth = Skipped(), {}
    for image, place, on in said:
        skipped = skipped.with_slice(image, (place,), on)
        truth[image, (place,)] = on
    assert set(skipped.slices("ab")) == {one for one, on in truth.items() if on}


def test_skipped_slices_survive_and_a_damaged_file_is_said(tmp_path: Path) -> None:
    skipped = Skipped().with_slice("a", (3,), True).with_slice("b", (1, 2), True)
    skipped.write(tmp_path)
    assert Skipped.read(tmp_path) == skipped
    (tmp_path / "skipped.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        Skipped.read(tmp_path)
