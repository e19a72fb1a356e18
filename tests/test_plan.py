"""The plan: what it accepts, what it refuses, and that it survives JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from napari_swin_umamba.plan import Channel, Normalization, Plan, SegmentationClass, default_color

GREY = Channel(name="grey", normalization=Normalization(scheme="zscore"))
TWO_CLASSES = (SegmentationClass(id=0, name="background"), SegmentationClass(id=1, name="cell"))

finite = st.floats(-1e6, 1e6, allow_nan=False)


@st.composite
def normalizations(draw: st.DrawFn) -> Normalization:
    scheme = draw(
        st.sampled_from(["zscore", "percentile", "ct", "rescale_to_01", "rgb_to_01", "none"])
    )
    if scheme == "percentile":
        low, high = draw(st.floats(0, 49)), draw(st.floats(51, 100))
        return Normalization(scheme=scheme, lower=low, upper=high)
    if scheme == "ct":
        low = draw(finite)
        std = draw(st.floats(1e-3, 1e3))
        return Normalization(scheme=scheme, lower=low, upper=low + 1, mean=draw(finite), std=std)
    return Normalization(scheme=scheme)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    channels = draw(
        st.lists(
            st.builds(Channel, name=st.text(), normalization=normalizations()),
            min_size=1,
            max_size=4,
        )
    )
    count = draw(st.integers(2, 5))
    classes = tuple(SegmentationClass(id=i, name=f"{draw(st.text())}{i}") for i in range(count))
    sides = st.integers(1, 20).map(lambda n: 32 * n)
    sizes = st.floats(1e-3, 1e3)
    return Plan(
        architecture=draw(st.text(min_size=1)),
        channels=tuple(channels),
        rgb=len(channels) == 3 and draw(st.booleans()),
        classes=classes,
        patch=(draw(sides), draw(sides)),
        pad_to_patch=draw(st.booleans()),
        overlap=draw(st.floats(0, 0.9)),
        spacing=draw(st.none() | st.tuples(sizes, sizes)),
        unit=draw(st.none() | st.text()),
        output="boundary" if count == 3 and draw(st.booleans()) else "semantic",
        min_object_pixels=draw(st.integers(0, 1000)),
    )


@given(plans())
def test_json_round_trip(plan: Plan) -> None:
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_defaults_and_properties() -> None:
    plan = Plan(architecture="net", channels=(GREY,), classes=TWO_CLASSES, patch=(64, 96))
    assert (plan.in_channels, plan.num_classes) == (1, 2)
    assert plan.output == "semantic"
    assert [item.color for item in plan.classes] == ["#000000", "#e69f00"]


@given(plans())
def test_plans_that_say_no_overlap_mean_one_half(plan: Plan) -> None:
    without = plan.model_dump(mode="json", exclude={"overlap"})
    assert Plan.model_validate(without) == plan.model_copy(update={"overlap": 0.5})


def test_percentile_defaults() -> None:
    norm = Normalization(scheme="percentile")
    assert (norm.lower, norm.upper) == (1, 99)


def test_colors_differ_within_the_palette() -> None:
    assert len({default_color(i) for i in range(8)}) == 8
    assert default_color(8) == default_color(1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"patch": (64, 100)}, "multiples of 32"),
        ({"patch": (0, 64)}, "multiples of 32"),
        ({"rgb": True}, "3 channels"),
        ({"classes": TWO_CLASSES[:1]}, "at least 2"),
        ({"classes": TWO_CLASSES[::-1]}, "in this order"),
        ({"classes": (TWO_CLASSES[0], SegmentationClass(id=1, name="background"))}, "must differ"),
        ({"output": "boundary"}, "interior and boundary"),
        ({"overlap": -0.1}, r"overlap\n.*greater than or equal to 0"),
        ({"overlap": 0.91}, r"overlap\n.*less than or equal to 0\.9"),
        ({"overlap": float("nan")}, "overlap"),
        ({"overlap": None}, r"overlap\n.*valid number"),
        ({"spacing": (0.0, 1.0)}, "positive"),
        ({"spacing": (float("nan"), 1.0)}, "finite"),
        ({"channels": ()}, "at least 1"),
        ({"typo": 1}, "Extra inputs"),
    ],
)
def test_bad_plans_are_refused(change: dict[str, object], words: str) -> None:
    good = {"architecture": "net", "channels": (GREY,), "classes": TWO_CLASSES, "patch": (64, 64)}
    with pytest.raises(ValidationError, match=words):
        Plan.model_validate(good | change)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scheme": "ct", "lower": 0, "upper": 1}, "needs 'mean'"),
        ({"scheme": "zscore", "mean": 1}, "does not take 'mean'"),
        ({"scheme": "percentile", "lower": 99, "upper": 1}, "not below"),
        ({"scheme": "percentile", "upper": 101}, r"0\.\.100"),
        ({"scheme": "sqrt"}, "Input should be"),
    ],
)
def test_bad_normalizations_are_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Normalization.model_validate(fields)


def test_a_plan_cannot_be_changed() -> None:
    plan = Plan(architecture="net", channels=(GREY,), classes=TWO_CLASSES, patch=(64, 64))
    with pytest.raises(ValidationError):
        plan.patch = (32, 32)  # type: ignore[misc]
