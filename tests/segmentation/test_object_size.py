"""A hint where the objects found are no match for those that the model learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.transform import resize

from napari_swin_umamba import load_model, segment
from napari_swin_umamba.images import read_image
from napari_swin_umamba.segmentation.object_size import FoundSizes

UNSEEN = Path(__file__).parents[2] / "examples" / "nuclei" / "unseen" / "images"


def squares(*sides: int) -> np.ndarray:
    labels = np.zeros((max(sides), sum(sides)), np.int32)
    for number, side in enumerate(sides, start=1):
        labels[:side, sum(sides[: number - 1]) :][:, :side] = number
    return labels


@settings(deadline=None)
@given(st.lists(arrays.arrays(np.int32, (6, 7), elements=st.integers(0, 5)), max_size=4))
def test_half_of_the_labelled_pixels_lie_in_objects_at_least_as_large(
    planes: list[np.ndarray],
) -> None:
    sizes = FoundSizes(20.0)
    for plane in planes:
        sizes.add(plane)
    of_pixels = np.concatenate(
        [np.bincount(p.ravel(), minlength=6)[p[p > 0]] for p in planes] or [np.zeros(0)]
    )
    if not of_pixels.size:
        assert sizes.diameter is None
        return
    assert sizes.diameter is not None
    area = np.pi * sizes.diameter**2 / 4
    assert np.mean(of_pixels >= area - 1e-6) >= 0.5
    assert np.mean(of_pixels <= area + 1e-6) >= 0.5


def test_fragments_do_not_hide_that_objects_are_large() -> None:
    sizes = FoundSizes(20.0)
    sizes.add(squares(150, 4, 5, 4, 5, 4, 5))
    (note,) = sizes.notes()
    assert "about 169 pixels across" in note
    assert "in training were 20" in note


@pytest.mark.parametrize(("side", "hints"), [(7, 1), (10, 0), (18, 0), (50, 0), (60, 1)])
def test_sizes_that_training_covered_are_nothing_to_talk_about(side: int, hints: int) -> None:
    sizes = FoundSizes(20.0)
    sizes.add(squares(side, side))
    sizes.add(squares(side))
    assert len(sizes.notes()) == hints
    unknown = FoundSizes(None)
    unknown.add(squares(side))
    assert unknown.notes() == ()


def hints(notes: tuple[str, ...]) -> list[str]:
    return [note for note in notes if "--object-diameter" in note]


@pytest.mark.parametrize(("factor", "words"), [(0.25, "across"), (1, None), (5, "across")])
def test_the_bundled_model_says_when_the_magnification_is_not_its_own(
    factor: float, words: str | None
) -> None:
    image = read_image(UNSEEN / "c3bec106.png").array[:200, :200]
    image = image[:100, :100] if factor > 1 else image
    shape = tuple(round(size * factor) for size in image.shape)
    scaled = (resize(image, shape, order=1) * 255).astype(np.uint8)
    model = load_model("nuclei")
    found = segment(scaled, model, device="cpu", overlap=0.1)
    assert [words in note for note in hints(found.notes)] == [True] * (words is not None)
    given = segment(scaled, model, device="cpu", overlap=0.1, object_diameter=20 * factor)
    assert hints(given.notes) == []
    classes = segment(scaled, model, device="cpu", overlap=0.1, objects=False)
    assert hints(classes.notes) == []


def test_of_a_film_it_is_said_once() -> None:
    model = load_model("nuclei")
    film = np.zeros((3, 32, 32), np.uint8)
    found = segment(film, model, axes="TYX", device="cpu")
    assert found.labels.max() == 0
    (hint,) = hints(found.notes)
    assert hint.startswith("no objects were found; those in training were about 20 pixels across")
