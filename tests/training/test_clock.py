"""What minutes are turned into."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swin_umamba_training.clock import RunClock
from swin_umamba_training.config import make_config


def clock(**length: object) -> RunClock:
    return RunClock(make_config(dataset=Path("data"), run=Path("run"), **length))


def validations(run: RunClock) -> int:
    return -(-run.total // run.steps_between_validations)


@given(
    minutes=st.floats(0.5, 600),
    step=st.floats(0.01, 5),
    validation=st.floats(0, 300),
)
def test_steps_and_validations_fit_into_the_minutes(
    minutes: float, step: float, validation: float
) -> None:
    run = clock(minutes=minutes)
    run.settle(step, validation)
    seconds = minutes * 60 * (1 + 1e-12)  # sums round in their last digits
    if run.total > 1:  # less than that is no run
        assert run.total * step + validations(run) * validation <= seconds
    assert validations(run) == 1 or validations(run) * validation <= 0.2 * seconds


def test_quick_validations_are_made_often_enough_to_resume_from() -> None:
    run = clock(minutes=600)
    run.settle(0.1, 0.5)
    assert 200 <= run.steps_between_validations <= 300


def test_a_fifth_of_the_time_is_for_validations() -> None:
    run = clock(minutes=5)
    run.settle(0.1, 20.0)
    assert validations(run) == 3
    assert run.total == pytest.approx((300 - 60) / 0.1, abs=1)


def test_a_resumed_run_validates_at_the_same_steps() -> None:
    run, later = clock(minutes=5), clock(minutes=5)
    run.settle(0.1, 20.0)
    later.load_state_dict(run.state_dict())
    assert (later.total, later.steps_between_validations) == (
        run.total,
        run.steps_between_validations,
    )
